from dataclasses import replace

import pytest

from tessera.aggregator.state.assembly import Assembly
from tessera.aggregator.state.departed import KEPT
from tessera.proto.messages import Inventory

from ..agents import inventory


def test_a_fleet_is_formed_when_all_that_are_expected_have_come() -> None:
    assembly = Assembly(2, 10.0)
    assembly.claim(inventory("h1"), 0.0)
    assert assembly.waiting() == 1
    assert not assembly.due(1.0)
    assembly.claim(inventory("h0"), 1.0)
    assert assembly.due(1.0)
    assert [i.host for i in assembly.take()] == ["h0", "h1"]
    assert assembly.waiting() == 0


@pytest.mark.parametrize("expected", [0, 5])
def test_or_when_no_new_one_has_come_for_a_while(expected: int) -> None:
    assembly = Assembly(expected, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.claim(inventory("h1"), 6.0)
    assert not assembly.due(15.9)
    assert assembly.due(16.0)


def test_nothing_is_formed_of_nobody() -> None:
    assert not Assembly(0, 10.0).due(1000.0)


def test_nothing_is_formed_of_hosts_without_shards() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0", shards=0), 0.0)
    assert not assembly.due(1000.0)


def test_the_same_inventory_again_changes_nothing() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", version=2), 5.0)
    assert not assembly.due(1000.0)


def test_another_inventory_forms_the_fleet_anew_once_it_is_quiet() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", shards=3, version=2), 100.0)
    assert not assembly.due(105.0)
    assert assembly.due(110.0)
    assert len(assembly.take()[0].shards) == 3


def test_a_shard_belongs_to_who_claimed_it_first_until_that_one_lets_it_go() -> None:
    assembly = Assembly(0, 10.0)
    moved = Inventory("h1", 1, inventory("h0").shards, ("step_time_seconds",))
    assert assembly.claim(inventory("h0"), 0.0) == ""
    assert "host h0 reports it too; stop that agent" in assembly.claim(moved, 1.0)
    assert assembly.owner("h0-gpu-0") == "h0"
    assert assembly.claim(inventory("h0", shards=0), 2.0) == ""
    assert assembly.claim(moved, 3.0) == ""
    assert assembly.owner("h0-gpu-0") == "h1"


def test_a_refused_claim_leaves_no_trace() -> None:
    assembly = Assembly(0, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    rows = (*inventory("h1").shards, *inventory("h0").shards)
    assert assembly.claim(Inventory("h1", 1, rows, ("step_time_seconds",)), 1.0)
    assert assembly.owner("h1-gpu-0") is None
    assert list(assembly.inventories) == ["h0"]


def test_a_forgotten_host_lets_its_shards_go() -> None:
    assembly = Assembly(0, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.forget(["h0", "never-heard-of"], 1.0)
    assert assembly.owner("h0-gpu-0") is None
    assert not assembly.due(100.0)


def test_a_host_gives_the_shards_that_another_has_now_and_keeps_the_others() -> None:
    assembly = Assembly(0, 10.0)
    assembly.claim(inventory("h0", shards=3), 0.0)
    moved = Inventory("h1", 1, inventory("h0").shards, ("step_time_seconds",))
    assert assembly.rivals(moved) == ("h0",)
    rest = assembly.give("h0", moved)
    assert rest is not None
    assert [shard.id for shard in rest.shards] == ["h0-gpu-2"]
    assert assembly.inventories["h0"] is rest
    assert assembly.claim(moved, 1.0) == ""
    assert assembly.owner("h0-gpu-0") == "h1"
    assert assembly.owner("h0-gpu-2") == "h0"
    assert assembly.rivals(moved) == ()


def test_a_host_that_gives_all_its_shards_is_known_no_more() -> None:
    assembly = Assembly(0, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    moved = Inventory("h1", 1, inventory("h0").shards, ("step_time_seconds",))
    assert assembly.give("h0", moved) is None
    assert dict(assembly.inventories) == {}


def test_without_a_forgotten_host_the_fleet_is_formed_anew() -> None:
    assembly = Assembly(0, 10.0)
    for host in ("h0", "h1"):
        assembly.claim(inventory(host), 0.0)
    assembly.take()
    assembly.forget(["h0"], 50.0)
    assert assembly.due(60.0)
    assert [held.host for held in assembly.take()] == ["h1"]


def test_a_shard_that_left_stands_in_the_next_fleet_as_one_of_a_host_never_heard_of() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", shards=1, version=2), 5.0)
    reported, left = assembly.take()
    assert [shard.id for shard in reported.shards] == ["h0-gpu-0"]
    assert (left.host, [shard.id for shard in left.shards]) == ("h0 (gone)", ["h0-gpu-1"])
    assert left.metrics == reported.metrics
    assert [node.id for node in left.shards[0].path] == ["h0"]
    assert assembly.owner("h0-gpu-1") is None
    assert list(assembly.inventories) == ["h0"]


def test_before_the_first_fleet_nothing_has_left_it() -> None:
    assembly = Assembly(0, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.claim(inventory("h0", shards=1, version=2), 5.0)
    assert [held.host for held in assembly.take()] == ["h0"]


def test_a_shard_that_left_and_comes_to_another_host_is_that_ones() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", shards=1, version=2), 5.0)
    moved = replace(inventory("h0"), host="h1", shards=inventory("h0").shards[1:])
    assert assembly.claim(moved, 6.0) == ""
    assert [held.host for held in assembly.take()] == ["h0", "h1"]


def test_a_shard_that_left_a_week_ago_is_left_out_of_the_next_fleet() -> None:
    assembly = Assembly(1, 10.0)
    assembly.claim(inventory("h0"), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", shards=1, version=2), 5.0)
    assembly.take()
    assembly.expire(KEPT)
    assert not assembly.due(2 * KEPT)
    assembly.expire(KEPT + 5.0)
    assert assembly.due(KEPT + 15.0)
    assert [held.host for held in assembly.take()] == ["h0"]


def test_a_host_that_is_forgotten_takes_what_left_it_along() -> None:
    assembly = Assembly(1, 10.0)
    for host in ("h0", "h1"):
        assembly.claim(inventory(host), 0.0)
    assembly.take()
    assembly.claim(inventory("h0", shards=1, version=2), 5.0)
    assembly.forget(["h0"], 6.0)
    assert [held.host for held in assembly.take()] == ["h1"]


def test_another_schema_is_another_inventory_and_another_version_is_not() -> None:
    assembly = Assembly(1, 10.0)
    held = inventory("h0")
    assembly.claim(held, 0.0)
    assembly.take()
    assembly.claim(replace(held, version=2, boot_id="x"), 5.0)
    assert not assembly.due(100.0)
    assembly.claim(replace(held, version=3, schemas=("s, v2",)), 5.0)
    assert assembly.due(15.0)
