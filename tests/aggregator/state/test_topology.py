from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.topology.model import Edge, Node, Topology
from tessera.aggregator.state.topology import topology_of
from tessera.proto.messages import Inventory, PathNode, ShardRow

from ..fleets import graph, tree


def shard(name: str, *path: str) -> ShardRow:
    """Return a shard beneath nodes whose kind stands before their first dash."""
    nodes = tuple(PathNode(n, n.partition("-")[0]) for n in path)
    return ShardRow(name, "gpu_shard", "h100", "train", "worker", nodes)


def host(name: str, *shards: ShardRow) -> Inventory:
    return Inventory(name, 1, shards, ("power_watts",))


def paths(topology: Topology) -> dict[str, tuple[str, ...]]:
    return {name: topology.path(name) for name in topology.shards}


def test_without_any_word_of_wiring_shards_hang_on_their_host_beneath_the_cluster() -> None:
    found = topology_of([host("n1", shard("a"), shard("b")), host("n2", shard("c"))], None, "all")
    assert paths(found) == {"a": ("all", "n1"), "b": ("all", "n1"), "c": ("all", "n2")}
    assert (found.node("n1").kind, found.node("all").kind) == ("host", "cluster")


def test_a_reported_path_is_taken_and_its_root_hung_beneath_the_cluster() -> None:
    found = topology_of([host("n1", shard("a", "rack-1", "host-1"))], None, "all")
    assert paths(found) == {"a": ("all", "rack-1", "host-1")}


def test_a_reported_cluster_is_the_one_that_there_is() -> None:
    hosts = [host("n1", shard("a", "cluster-7", "host-1")), host("n2", shard("b"))]
    assert paths(topology_of(hosts, None, "all")) == {
        "a": ("cluster-7", "host-1"),
        "b": ("cluster-7", "n2"),
    }


def test_a_file_that_knows_all_shards_stands_as_it_is() -> None:
    told = tree(2, 2, 2)
    rows = [shard(name, "rack-9", "host-9") for name in told.shards]
    assert topology_of([host("n1", *rows)], told, "all") == told


def test_a_new_shard_joins_the_host_that_the_file_knows() -> None:
    told = tree(1, 1, 2)
    found = topology_of([host("n1", shard("gpu-new", "host-0-0"))], told, "all")
    assert found.path("gpu-new") == ("cluster", "rack-0", "host-0-0")


def test_power_and_cooling_of_the_file_stay_where_they_are() -> None:
    told = graph({"cluster": "host-1", "host-1": "gpu-1 gpu-2", "psu-1": "host-1"})
    found = topology_of([host("n9", shard("gpu-9"))], told, "all")
    assert found.parents("psu-1") == ()
    assert set(told.edges) < set(found.edges)


def test_the_racks_of_a_file_without_a_cluster_get_one() -> None:
    told = graph({"rack-1": "gpu-1 gpu-2", "rack-2": "gpu-3", "stage-1": "gpu-1 gpu-3"})
    found = topology_of([], told, "all")
    assert {found.path(name)[0] for name in found.shards} == {"all"}
    assert found.parents("stage-1") == ()


@given(st.permutations(range(4)))
@settings(max_examples=10, derandomize=True)
def test_the_order_of_hosts_does_not_matter(order: Sequence[int]) -> None:
    hosts = [host(f"n{i}", shard(f"s{i}", f"rack-{i % 2}", f"host-{i}")) for i in range(4)]
    shuffled = topology_of([hosts[i] for i in order], None, "all")
    assert shuffled.digest() == topology_of(hosts, None, "all").digest()


def refusal(told: Topology | None, *hosts: Inventory) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        topology_of(hosts, told, "all")
    return str(caught.value)


def test_two_kinds_of_one_id_are_refused_with_host_and_kinds() -> None:
    odd = ShardRow("b", "gpu_shard", "h100", "", "", (PathNode("rack-1", "row"),))
    said = refusal(None, host("n1", shard("a", "rack-1")), host("n2", odd))
    assert all(word in said for word in ("'n2'", "'rack-1'", "'row'", "'rack'"))


def test_two_places_of_one_node_are_refused_with_both_hosts() -> None:
    said = refusal(
        None, host("n1", shard("a", "rack-1", "pod-1")), host("n2", shard("b", "rack-2", "pod-1"))
    )
    assert all(word in said for word in ("'n1'", "'n2'", "'rack-1'", "'rack-2'"))


def test_a_path_through_a_shard_is_refused() -> None:
    said = refusal(None, host("n1", shard("a")), host("n2", shard("b", "rack-1", "a")))
    assert "leads through the shard 'a'" in said


def test_a_loop_is_refused() -> None:
    said = refusal(None, host("n1", shard("a", "rack-1", "pod-1", "rack-1")))
    assert "rack-1" in said


def test_a_loop_through_the_file_is_refused() -> None:
    told = Topology(
        (Node("rack-1", "rack"), Node("pod-1", "pod")), (Edge("rack-1", "pod-1", "contains"),)
    )
    said = refusal(told, host("n1", shard("a", "pod-1", "rack-1")))
    assert "beneath itself" in said


def test_a_cluster_whose_name_is_taken_is_refused() -> None:
    said = refusal(None, host("all", shard("a")))
    assert "'cluster'" in said
    assert "'host'" in said
