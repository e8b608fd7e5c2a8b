from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.topology.model import Topology
from tessera.adapters.topology.static import read_topology
from tessera.aggregator.state.peer_groups import PeerGroup, peer_groups

from ..fleets import flat, graph, tree, worker, workers

GB200 = "topology-gb200-nvl72-720gpu.json"
DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def sizes(groups: tuple[PeerGroup, ...]) -> dict[str, int]:
    return {g.name.partition("role=worker")[2]: len(g.members) for g in groups}


def gb200() -> Topology:
    if not (DATA / GB200).exists():
        pytest.skip(f"../shared/data/{GB200} is not here")
    return read_topology(DATA / GB200)


@pytest.mark.parametrize("shards", [1, 2, 31, 63])
def test_fewer_than_two_groups_of_32_stay_together(shards: int) -> None:
    topology = flat(shards)
    groups = peer_groups(workers(topology), topology)
    assert [len(g.members) for g in groups] == [shards]


def test_only_shards_of_the_same_sku_job_and_role_are_peers() -> None:
    topology = flat(4)
    shards = [
        worker("gpu-0"),
        worker("gpu-1", sku="b200"),
        worker("gpu-2", job="serve"),
        worker("gpu-3", role="pp1"),
    ]
    groups = peer_groups(shards, topology)
    assert sorted(g.name for g in groups) == [
        "sku=b200,job=train,role=worker",
        "sku=h100,job=serve,role=worker",
        "sku=h100,job=train,role=pp1",
        "sku=h100,job=train,role=worker",
    ]


def test_the_smallest_node_with_32_members_is_the_group() -> None:
    topology = tree(racks=2, hosts=4, gpus=8)
    groups = peer_groups(workers(topology), topology)
    assert sizes(groups) == {",in=rack-0": 32, ",in=rack-1": 32}


def test_a_host_of_32_is_preferred_to_its_rack() -> None:
    topology = tree(racks=1, hosts=2, gpus=32)
    groups = peer_groups(workers(topology), topology)
    assert sizes(groups) == {",in=host-0-0": 32, ",in=host-0-1": 32}


def test_racks_of_31_find_their_group_in_the_cluster() -> None:
    topology = tree(racks=3, hosts=1, gpus=31)
    groups = peer_groups(workers(topology), topology)
    assert sizes(groups) == {",in=cluster": 93}


def test_what_is_left_over_beside_full_racks_makes_one_group() -> None:
    racks = {
        f"rack-{r}": " ".join(f"gpu-{r}-{g}" for g in range(n)) for r, n in enumerate([50, 9, 5])
    }
    topology = graph({"cluster": " ".join(racks), **racks})
    groups = peer_groups(workers(topology), topology)
    assert sizes(groups) == {",in=rack-0": 50, "": 14}


@pytest.mark.parametrize(("shards", "parts"), [(256, 1), (257, 2), (600, 4), (5000, 30)])
def test_a_group_above_256_is_cut_into_parts_of_128_to_256(shards: int, parts: int) -> None:
    topology = flat(shards)
    groups = peer_groups(workers(topology), topology)
    assert len(groups) <= parts
    assert all(128 <= len(g.members) <= 256 for g in groups)


def test_a_large_group_is_cut_in_topology_order() -> None:
    topology = flat(300)
    first, second = peer_groups(workers(topology)[::-1], topology)
    assert (*first.members, *second.members) == topology.shards
    assert second.name == f"{first.name},from={second.members[0]}"


@pytest.mark.parametrize("hosts", [33, 65, 400])
def test_a_host_that_joins_moves_only_the_cuts_near_it(hosts: int) -> None:
    moved = []
    for joins in range(0, hosts, max(1, hosts // 8)):
        before, after = (one_rack(hosts, without) for without in (joins, None))
        moved.append(sum(after[shard] != group for shard, group in before.items()))
    assert sum(moved) / len(moved) <= 300
    assert sorted(moved)[len(moved) // 2] <= 256


def one_rack(hosts: int, without: int | None) -> dict[str, str]:
    """Return the group of each shard of hosts whose racks nobody knows."""
    shards = [worker(f"gpu-{h:04}-{g}") for h in range(hosts) if h != without for g in range(8)]
    groups = peer_groups(shards, graph({"cluster": "rack-0"}))
    return {member: g.name for g in groups for member in g.members}


def test_shards_that_no_topology_knows_are_peers_by_work_alone() -> None:
    shards = [worker(f"gpu-{i:03}") for i in range(70)]
    groups = peer_groups(shards, graph({"cluster": "rack-0"}))
    assert [(g.name, len(g.members)) for g in groups] == [("sku=h100,job=train,role=worker", 70)]


def test_the_order_of_inventories_does_not_change_the_groups() -> None:
    topology = tree(racks=3, hosts=4, gpus=10)
    forward = peer_groups(workers(topology), topology)
    backward = peer_groups(workers(topology)[::-1], topology)
    assert forward == backward


@given(
    st.lists(st.lists(st.integers(1, 45), min_size=1, max_size=3), min_size=1, max_size=4),
    st.data(),
)
def test_every_shard_is_in_exactly_one_group(racks: list[list[int]], data: st.DataObject) -> None:
    hosts = {
        f"host-{r}-{h}": " ".join(f"gpu-{r}-{h}-{g}" for g in range(n))
        for r, counts in enumerate(racks)
        for h, n in enumerate(counts)
    }
    above = {
        f"rack-{r}": " ".join(f"host-{r}-{h}" for h in range(len(counts)))
        for r, counts in enumerate(racks)
    }
    topology = graph(above | hosts)
    role = data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=7))
    shards = [worker(s, role=role[i % len(role)]) for i, s in enumerate(topology.shards)]
    groups = peer_groups(shards, topology)
    assert sorted(m for g in groups for m in g.members) == sorted(topology.shards)
    assert len({g.name for g in groups}) == len(groups)
    assert all(len(g.members) <= 256 for g in groups)


def test_each_rack_of_ten_gb200_racks_is_a_group_of_72() -> None:
    topology = gb200()
    groups = peer_groups(workers(topology), topology)
    assert [len(g.members) for g in groups] == [72] * 10
    assert {g.name.rpartition("in=")[2] for g in groups} == {
        f"cluster-0-pod-0-rack-{r}" for r in range(10)
    }
