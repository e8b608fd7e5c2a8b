from dataclasses import replace

import pytest

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.topology.model import BadTopology, Node, Topology
from tessera.aggregator.state.forming import Formation, form
from tessera.proto.messages import Inventory, PathNode

from ..agents import inventory

NOTHING = Topology((), ())


def in_rack(host: str, rack: str, kind: str = "rack") -> Inventory:
    path = (PathNode(rack, kind), PathNode(host, "host"))
    made = inventory(host)
    return replace(made, shards=tuple(replace(s, path=path) for s in made.shards))


def formed(*inventories: Inventory, static: Topology = NOTHING) -> Formation:
    found = form(inventories, default_catalogue(), static, "here", 5)
    assert found is not None
    return found


def test_hosts_that_agree_are_all_asked() -> None:
    found = formed(in_rack("h0", "r0"), in_rack("h1", "r0"))
    assert found.refused == {}
    assert found.topology.path("h1-gpu-0")[-2:] == ("r0", "h1")
    assert found.fleet.shard_count == 4


@pytest.mark.parametrize("wrong", [0, 1, 4])
def test_a_host_that_contradicts_the_others_is_watched_without_its_wiring(wrong: int) -> None:
    hosts = [in_rack(f"h{i}", "r0") for i in range(6)]
    hosts.insert(wrong + 1, in_rack("odd", "r0", kind="cooling_zone"))
    found = formed(*hosts)
    assert list(found.refused) == ["odd"]
    assert "r0" in found.refused["odd"]
    assert found.fleet.shard_count == 14
    assert found.topology.path("odd-gpu-0")[-1] == "odd"
    assert found.topology.path("h5-gpu-0")[-2:] == ("r0", "h5")


def test_several_that_are_wrong_are_all_found() -> None:
    odd = [in_rack(f"odd{i}", "r0", kind=f"kind{i}") for i in range(3)]
    found = formed(in_rack("h0", "r0"), *odd, in_rack("h1", "r0"))
    assert sorted(found.refused) == ["odd0", "odd1", "odd2"]
    assert found.fleet.shard_count == 10


def test_a_name_that_contradicts_the_file_is_told_and_not_formed_around() -> None:
    static = Topology((Node("h0", "switch"),), ())
    with pytest.raises(BadTopology, match="h0"):
        formed(inventory("h0"), static=static)


def test_hosts_without_a_metric_that_is_judged_make_no_fleet() -> None:
    silent = replace(inventory("h0"), metrics=("ecc_uncorrected",))
    assert form([silent], default_catalogue(), NOTHING, "here", 5) is None
