from pathlib import Path

import pytest

from tessera.adapters.topology.model import Topology
from tessera.adapters.topology.static import read_topology
from tessera.aggregator.state.levels import InnerNode, inner_nodes
from tessera.proto.messages import ShardRow

from ..fleets import graph, tree, worker, workers

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
GB200 = "topology-gb200-nvl72-720gpu.json"


def nodes_of(topology: Topology, shards: list[ShardRow] | None = None) -> dict[str, InnerNode]:
    found = inner_nodes(shards or workers(topology), topology)
    return {node.id: node for node in found}


def test_every_level_with_siblings_is_a_hypothesis() -> None:
    nodes = nodes_of(tree(racks=2, hosts=2, gpus=2))
    assert set(nodes) == {
        "cluster",
        "rack-0",
        "rack-1",
        "host-0-0",
        "host-0-1",
        "host-1-0",
        "host-1-1",
    }
    assert nodes["rack-0"].children == ("host-0-0", "host-0-1")
    assert nodes["rack-0"].members == ("gpu-0-0-0", "gpu-0-0-1", "gpu-0-1-0", "gpu-0-1-1")


def test_a_node_with_one_shard_is_that_shard() -> None:
    nodes = nodes_of(
        graph({"cluster": "host-0 host-1", "host-0": "gpu-0", "host-1": "gpu-1 gpu-2"})
    )
    assert set(nodes) == {"cluster", "host-1"}
    assert nodes["cluster"].children == ("gpu-0", "host-1")


def test_nodes_with_the_same_shards_are_one_named_by_the_nearest() -> None:
    nodes = nodes_of(graph({"cluster": "pod-0", "pod-0": "rack-0", "rack-0": "gpu-0 gpu-1"}))
    assert set(nodes) == {"rack-0"}
    assert nodes["rack-0"].names == ("rack-0", "pod-0", "cluster")


def test_a_physical_name_comes_before_a_logical_one() -> None:
    nodes = nodes_of(graph({"stage-0": "gpu-0 gpu-1", "rack-0": "gpu-0 gpu-1"}))
    assert nodes["rack-0"].names == ("rack-0", "stage-0")
    assert not nodes["rack-0"].logical


def test_nodes_without_shards_are_no_hypotheses() -> None:
    nodes = nodes_of(graph({"rack-0": "gpu-0 gpu-1 tor-0 psu-0"}))
    assert set(nodes) == {"rack-0"}


def test_shards_that_nobody_reported_do_not_count() -> None:
    topology = tree(racks=1, hosts=2, gpus=2)
    nodes = nodes_of(topology, [worker("gpu-0-0-0"), worker("gpu-0-0-1"), worker("gpu-0-1-0")])
    assert set(nodes) == {"host-0-0", "rack-0"}
    assert nodes["rack-0"].children == ("host-0-0", "gpu-0-1-0")


def test_power_and_cooling_lie_across_containment() -> None:
    nodes = nodes_of(
        graph(
            {
                "rack-0": "gpu-0 gpu-1 gpu-2 gpu-3 psu-0 psu-1",
                "psu-0": "gpu-0 gpu-2",
                "psu-1": "gpu-1 gpu-3",
                "cooling-0": "gpu-0 gpu-1",
            }
        )
    )
    assert nodes["psu-1"].members == ("gpu-1", "gpu-3")
    assert nodes["cooling-0"].members == ("gpu-0", "gpu-1")
    assert set(nodes["rack-0"].children) == {"psu-0", "psu-1", "gpu-0", "gpu-1", "gpu-2", "gpu-3"}


def test_children_are_found_through_folded_nodes() -> None:
    nodes = nodes_of(
        graph(
            {
                "rack-0": "host-0 host-1",
                "host-0": "tray-0",
                "tray-0": "gpu-0 gpu-1",
                "host-1": "tray-1",
                "tray-1": "gpu-2",
            }
        )
    )
    assert nodes["rack-0"].children == ("tray-0", "gpu-2")
    assert nodes["tray-0"].names == ("tray-0", "host-0")


def test_nodes_come_nearest_to_the_shards_first() -> None:
    order = [n.id for n in inner_nodes(workers(tree(2, 2, 2)), tree(2, 2, 2))]
    assert order == ["host-0-0", "host-0-1", "host-1-0", "host-1-1", "rack-0", "rack-1", "cluster"]


def contrasts(roles: str, jobs: str = "aaaaaaaa") -> dict[str, tuple[str, bool]]:
    """Return the contrasts of hosts of two, host i with role ``roles[i]`` and job ``jobs[i]``."""
    topology = graph({f"host-{i}": f"gpu-{i}-0 gpu-{i}-1" for i in range(len(roles))})
    shards = [
        worker(f"gpu-{i}-{g}", role=role, job=jobs[i])
        for i, role in enumerate(roles)
        for g in (0, 1)
    ]
    return {n.id: (n.contrast, n.equals) for n in inner_nodes(shards, topology)}


def test_hosts_of_one_role_are_equals() -> None:
    assert set(contrasts("xxx").values()) == {("kind=host,sku=h100,job=a,role=x", True)}


def test_three_of_each_role_stand_among_their_equals_only() -> None:
    found = contrasts("xxxyyy")
    assert found["host-0"] == ("kind=host,sku=h100,job=a,role=x", True)
    assert found["host-5"] == ("kind=host,sku=h100,job=a,role=y", True)


def test_roles_with_fewer_than_three_nodes_are_compared_across_roles() -> None:
    found = contrasts("wxyz")
    assert set(found.values()) == {("kind=host,sku=h100,job=a,across roles", False)}


def test_a_full_role_stays_equal_beside_small_ones() -> None:
    found = contrasts("xxxyz")
    assert found["host-0"] == ("kind=host,sku=h100,job=a,role=x", True)
    assert found["host-3"] == found["host-4"] == ("kind=host,sku=h100,job=a,across roles", False)


def test_nodes_of_different_jobs_are_not_compared() -> None:
    found = contrasts("xxxxxx", jobs="aaabbb")
    assert {name for name, _ in found.values()} == {
        "kind=host,sku=h100,job=a,role=x",
        "kind=host,sku=h100,job=b,role=x",
    }


def test_a_node_with_two_jobs_stands_among_nodes_with_both() -> None:
    topology = graph({f"host-{i}": f"gpu-{i}-0 gpu-{i}-1" for i in range(3)})
    shards = [worker(f"gpu-{i}-{g}", job="ab"[g]) for i in range(3) for g in (0, 1)]
    names = {n.contrast for n in inner_nodes(shards, topology)}
    assert names == {"kind=host,sku=h100,job=a+b,role=worker"}


def test_nodes_of_different_kinds_are_not_compared() -> None:
    nodes = nodes_of(graph({"rack-0": "gpu-0 gpu-1", "psu-0": "gpu-1 gpu-2"}))
    assert nodes["rack-0"].contrast != nodes["psu-0"].contrast


def test_ten_gb200_racks_fold_into_their_cooling_zones_and_the_pod_into_the_cluster() -> None:
    if not (DATA / GB200).exists():
        pytest.skip(f"../shared/data/{GB200} is not here")
    nodes = nodes_of(read_topology(DATA / GB200))
    kinds = [node.kind for node in nodes.values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "superchip": 180,
        "psu": 80,
        "rack": 10,
        "pod": 1,
    }
    rack = nodes["cluster-0-pod-0-rack-3"]
    assert rack.names == ("cluster-0-pod-0-rack-3", "cluster-0-pod-0-rack-3-cz-0")
    assert len(rack.members) == 72
    assert nodes["cluster-0-pod-0"].names == ("cluster-0-pod-0", "cluster-0")
    assert len(nodes["cluster-0-pod-0"].children) == 10
