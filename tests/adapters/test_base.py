from tessera.adapters.base import SourceUnavailable, shards_of
from tessera.adapters.topology.model import Edge, Node, Topology


def test_a_shard_takes_its_peer_keys_from_metadata_and_its_path_from_containment() -> None:
    about = {"sku": "h100", "job": "train", "role": "pp0"}
    topology = Topology(
        (Node("rack", "rack"), Node("host", "host"), Node("gpu", "gpu_shard", about)),
        (Edge("rack", "host", "contains"), Edge("host", "gpu", "contains")),
    )
    (shard,) = shards_of(topology)
    assert (shard.sku, shard.job, shard.role) == ("h100", "train", "pp0")
    assert shard.path == ("rack", "host")


def test_a_shard_nobody_described_has_empty_peer_keys() -> None:
    (shard,) = shards_of(Topology((Node("gpu", "gpu_shard"),), ()))
    assert (shard.sku, shard.job, shard.role, shard.path) == ("", "", "", ())


def test_an_unavailable_source_says_which_and_why() -> None:
    fault = SourceUnavailable("nvml", "no driver")
    assert (fault.source, fault.reason) == ("nvml", "no driver")
    assert str(fault) == "nvml is not available here: no driver"
