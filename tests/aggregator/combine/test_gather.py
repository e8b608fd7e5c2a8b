from dataclasses import replace

import numpy as np
import pytest

from tessera.aggregator.combine.gather import GatherUp1, GatherUp2, waited_until
from tessera.aggregator.state.fleet import Fleet, build_fleet
from tessera.proto.messages import Inventory, Up1, Up2

from ..fleets import POWER, STEP_TIME, flat, workers

BOTH = ("a", "b")


def two_hosts() -> Fleet:
    """Return four shards on two hosts, of which b has its metrics in another order."""
    rows = workers(flat(4))
    inventories = [
        Inventory("a", 1, rows[:2], (STEP_TIME.name, POWER.name)),
        Inventory("b", 1, rows[2:], ("odd_thing", POWER.name, STEP_TIME.name)),
    ]
    return build_fleet(inventories, flat(4), (STEP_TIME, POWER))


def up1(host: str, block: int = 0, rung: int = 5, value: float = 1.0) -> Up1:
    columns = {"a": 2, "b": 3}[host]
    x = np.tile(np.arange(columns, dtype=np.float32) + np.float32(value), (2, 1))
    return Up1(host, rung, block, x, x * np.float32(0.5), np.ones(2, dtype=np.bool_))


def up2(host: str, block: int = 0, rung: int = 5) -> Up2:
    f = np.zeros((2, 2), dtype=np.float32)
    i = np.zeros((2, 2), dtype=np.int64)
    return Up2(host, rung, block, f, f, i, i, i, i, i)


def gathering(*messages: Up1) -> GatherUp1:
    made = GatherUp1(two_hosts())
    for message in messages:
        made.take(message)
    return made


@pytest.mark.parametrize(("rung", "wait"), [(1, 0.5), (5, 2.5), (10, 5.0), (600, 5.0)])
def test_a_block_is_waited_for_half_its_length_but_five_seconds_at_most(
    rung: int, wait: float
) -> None:
    assert waited_until((rung, 3)) == 4 * rung + wait


def test_a_block_is_ready_when_all_expected_have_sent_it() -> None:
    made = gathering(up1("a"))
    assert made.ready(BOTH, None) == []
    made.take(up1("b"))
    assert made.ready(BOTH, None) == [(5, 0)]


def test_a_block_is_ready_at_its_deadline_whoever_has_sent_it() -> None:
    made = gathering(up1("a"))
    assert made.ready(BOTH, 7.4) == []
    assert made.ready(BOTH, 7.5) == [(5, 0)]


def test_values_stand_in_the_columns_of_the_fleet_and_nothing_in_those_that_are_missing() -> None:
    made = gathering(up1("b"))
    held = made.close((5, 0))
    assert held is not None
    np.testing.assert_array_equal(held.x[2:], [[3.0, 2.0]] * 2)  # b's third and second
    np.testing.assert_array_equal(held.offset[2:], [[1.5, 1.0]] * 2)
    assert np.isnan(held.x[:2]).all()
    assert held.eligible.tolist() == [False, False, True, True]


def test_of_a_message_that_comes_twice_the_first_stands() -> None:
    held = gathering(up1("a"), up1("a", value=9.0)).close((5, 0))
    assert held is not None
    assert held.x[0, 0] == 1.0


def test_closing_a_block_gives_up_the_older_ones_of_its_rung_only() -> None:
    made = gathering(up1("a"), up1("a", 1), up1("a", 0, 30))
    assert made.close((5, 1)) is not None
    assert made.ready(("a",), None) == [(30, 0)]
    made.take(up1("b"))
    made.take(up1("b", 1))
    assert made.ready(("b",), None) == []


def test_an_older_block_that_was_ready_at_the_same_time_is_not_closed_again() -> None:
    made = gathering(up1("a"), up1("a", 1))
    assert made.ready(("a",), None) == [(5, 0), (5, 1)]
    made.close((5, 1))
    assert made.close((5, 0)) is None


def test_blocks_that_began_before_the_aggregator_are_not_served() -> None:
    made = GatherUp1(two_hosts())
    made.begin(12.0)
    for block in (1, 2, 3):
        made.take(up1("a", block))
    assert made.ready(("a",), None) == [(5, 3)]


def test_a_block_of_which_no_row_is_eligible_closes_for_nobody_before_its_deadline() -> None:
    made = gathering(replace(up1("a", 9), eligible=np.zeros(2, dtype=np.bool_)))
    assert made.ready(("a",), 46.0) == []
    assert made.ready(("a",), waited_until((5, 9))) == [(5, 9)]


def test_a_clock_that_was_ahead_makes_no_later_block_too_late() -> None:
    made = gathering(up1("a", 900))
    made.close((5, 900))
    made.begin(50.0)
    made.take(up1("a", 11))
    assert made.ready(("a",), None) == [(5, 11)]


def test_shorter_rungs_are_ready_first_and_each_in_order() -> None:
    made = gathering(up1("a", 0, 30), up1("a", 4), up1("a", 3))
    assert made.ready(("a",), None) == [(5, 3), (5, 4), (30, 0)]


def asked(*blocks: int, now: float = 5.0) -> GatherUp2:
    made = GatherUp2()
    for block in blocks:
        made.ask((5, block), BOTH, now)
    return made


def test_evidence_is_ready_when_all_who_were_asked_have_answered() -> None:
    made = asked(0)
    assert made.take(up2("a")) is None
    assert made.ready(BOTH, None) == []
    assert made.take(up2("b")) is None
    assert made.ready(BOTH, None) == [(5, 0)]
    assert list(made.close((5, 0))) == ["a", "b"]


def test_who_is_not_expected_any_more_is_not_waited_for() -> None:
    made = asked(0)
    made.take(up2("a"))
    assert made.ready(("a",), None) == [(5, 0)]


def test_evidence_is_waited_for_half_a_block() -> None:
    made = asked(0)
    assert made.ready(BOTH, 7.4) == []
    assert made.ready(BOTH, 7.5) == [(5, 0)]


def test_evidence_that_comes_after_its_time_is_heard_alone() -> None:
    made = asked(0)
    made.close((5, 0))
    late = up2("a")
    assert made.take(late) is late
    assert made.take(late) is None


def test_evidence_that_a_newer_block_has_overtaken_is_dropped() -> None:
    made = asked(0, 1)
    made.take(up2("a", 1))
    made.take(up2("a", 0))
    assert list(made.close((5, 1))) == ["a"]
    assert list(made.close((5, 0))) == []
    assert made.take(up2("a", 0)) is None


def test_evidence_that_nobody_asked_for_is_heard_as_after_a_reconnect() -> None:
    made = GatherUp2()
    assert made.take(up2("a", 7)) is not None
    assert made.take(up2("a", 7)) is None
    assert made.take(up2("a", 7, rung=30)) is not None


def test_evidence_of_a_clock_that_was_ahead_is_overtaken_once_it_is_right() -> None:
    made = GatherUp2()
    made.take(up2("a", 900))
    assert made.take(up2("a", 11)) is None
    made.begin(50.0)
    assert made.take(up2("a", 11)) is not None


def test_who_begins_anew_may_begin_with_an_older_block() -> None:
    made = GatherUp2()
    for host in BOTH:
        made.take(up2(host, 9))
    assert made.ends_before(up2("a", 8))
    assert not made.ends_before(up2("a", 9))
    made.forget("a")
    assert made.take(up2("a", 8)) is not None
    assert made.take(up2("b", 8)) is None
