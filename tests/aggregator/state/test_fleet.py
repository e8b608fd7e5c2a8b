import numpy as np
import pytest

from tessera.aggregator.state.fleet import NODES_HOST, build_fleet
from tessera.proto.messages import Inventory

from ..fleets import STEP_TIME, flat, fleet_of, graph, tree, worker, workers


def test_shards_come_first_and_inner_nodes_after_them() -> None:
    fleet = fleet_of(tree(racks=2, hosts=2, gpus=2))
    assert fleet.shard_count == 8
    assert fleet.rows[:8] == tree(2, 2, 2).shards
    assert fleet.rows[8:] == tuple(n.id for n in fleet.nodes)
    assert fleet.kinds[0] == "gpu_shard"
    assert fleet.kinds[-1] == "cluster"


def test_a_shard_of_two_hosts_is_refused_by_name() -> None:
    one = Inventory("one", 1, (worker("gpu-0"), worker("gpu-1")), ("step_time_seconds",))
    two = Inventory("two", 1, (worker("gpu-1"),), ("step_time_seconds",))
    with pytest.raises(ValueError, match="shard 'gpu-1' is in two inventories"):
        build_fleet([one, two], flat(2), [STEP_TIME])


def test_each_host_owns_its_rows_and_the_aggregator_the_inner_nodes() -> None:
    shards = workers(flat(4))
    inventories = [
        Inventory("a", 1, shards[:1], ("step_time_seconds",)),
        Inventory("b", 1, shards[1:], ("step_time_seconds",)),
    ]
    fleet = build_fleet(inventories, flat(4), [STEP_TIME])
    assert {host: rows.tolist() for host, rows in fleet.hosts.items()} == {
        "a": [0],
        "b": [1, 2, 3],
        NODES_HOST: [4],
    }


def test_a_host_without_shards_owns_no_rows() -> None:
    empty = Inventory("empty", 1, (), ("step_time_seconds",))
    full = Inventory("full", 1, workers(flat(3)), ("step_time_seconds",))
    fleet = build_fleet([empty, full], flat(3), [STEP_TIME])
    assert fleet.group[fleet.hosts["empty"]].tolist() == []


def test_groups_and_pools_hold_every_row() -> None:
    fleet = fleet_of(tree(racks=2, hosts=4, gpus=8))
    assert fleet.groups == (
        "sku=h100,job=train,role=worker,in=rack-0",
        "sku=h100,job=train,role=worker,in=rack-1",
        "kind=host,sku=h100,job=train,role=worker",
        "kind=rack,sku=h100,job=train,role=worker",
        "kind=cluster,sku=h100,job=train,role=worker",
    )
    assert fleet.group_sizes().tolist() == [32, 32, 8, 2, 1]
    assert fleet.pools[0] == "sku=h100"
    assert np.bincount(fleet.pool).tolist() == [64, 8, 2, 1]


def test_the_shards_beneath_a_node_are_given_by_row() -> None:
    fleet = fleet_of(graph({"rack-0": "gpu-0 gpu-1", "psu-0": "gpu-1 gpu-2"}))
    beneath = dict(zip((n.id for n in fleet.nodes), fleet.shards_beneath, strict=True))
    assert sorted(fleet.rows[r] for r in beneath["psu-0"]) == ["gpu-1", "gpu-2"]


def test_only_contrasts_across_roles_are_not_of_equals() -> None:
    topology = graph({f"host-{i}": f"gpu-{i}-0 gpu-{i}-1" for i in range(3)})
    shards = [worker(f"gpu-{i}-{g}", role=f"pp{i}") for i in range(3) for g in (0, 1)]
    fleet = fleet_of(topology, shards)
    assert fleet.equals.tolist() == [True] * 6 + [False] * 3
