import pytest

from tessera.aggregator.state.assembly import Assembly
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
