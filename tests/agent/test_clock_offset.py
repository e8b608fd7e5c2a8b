from math import isnan

import pytest

from tessera.agent.clock_offset import ClockOffset
from tessera.settings.clock import ManualClock

NS = 1_000_000_000


def trip(offset: ClockOffset, clock: ManualClock, ahead: float, there: float, back: float) -> None:
    """Send a heartbeat to a clock that is ``ahead``, so many seconds there and back."""
    sent = offset.sent()
    clock.advance(there)
    received = round((clock.now() + ahead) * NS)
    clock.advance(back)
    offset.answered(sent, received)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000.0)


def test_nothing_is_known_and_nothing_held_against_a_host_before_an_answer(
    clock: ManualClock,
) -> None:
    offset = ClockOffset(clock)
    offset.sent()
    assert isnan(offset.offset)
    assert isnan(offset.round_trip)
    assert not offset.too_far(1)


@pytest.mark.parametrize("ahead", [-7.0, 0.0, 0.25, 3600.0])
def test_the_offset_is_the_aggregators_clock_less_ours(clock: ManualClock, ahead: float) -> None:
    offset = ClockOffset(clock)
    trip(offset, clock, ahead, 0.1, 0.1)
    assert offset.offset == pytest.approx(ahead, abs=1e-6)
    assert offset.round_trip == pytest.approx(0.2)


def test_the_quickest_of_eight_round_trips_counts(clock: ManualClock) -> None:
    offset = ClockOffset(clock)
    trip(offset, clock, 1.0, 0.01, 0.01)
    for _ in range(7):
        trip(offset, clock, 1.0, 0.0, 2.0)
    assert offset.offset == pytest.approx(1.0, abs=1e-6)
    trip(offset, clock, 1.0, 0.0, 2.0)  # the ninth: the first is forgotten
    assert offset.offset == pytest.approx(0.0, abs=1e-6)


def test_a_quarter_of_a_block_is_too_far_and_only_if_it_is_sure(clock: ManualClock) -> None:
    offset = ClockOffset(clock)
    trip(offset, clock, 1.5, 0.05, 0.05)
    assert offset.too_far(5)
    assert not offset.too_far(10)
    unsure = ClockOffset(clock)
    trip(unsure, clock, 1.5, 1.0, 1.0)
    assert not unsure.too_far(5)


def test_a_clock_that_was_set_begins_anew(clock: ManualClock) -> None:
    offset = ClockOffset(clock)
    trip(offset, clock, 5.0, 0.0, 0.1)
    clock.step(5.0)
    sent = offset.sent()
    assert isnan(offset.offset)
    clock.step(1.0)
    offset.answered(sent, sent)
    assert isnan(offset.offset)
    trip(offset, clock, -1.0, 0.0, 0.0)
    assert offset.offset == pytest.approx(-1.0, abs=1e-6)


def test_answers_to_nothing_and_answers_twice_are_let_go(clock: ManualClock) -> None:
    offset = ClockOffset(clock)
    offset.answered(0, 5)
    offset.answered(12345, 5)
    assert isnan(offset.offset)
    sent = offset.sent()
    offset.answered(sent, sent)
    clock.advance(1.0)
    offset.answered(sent, sent)
    assert offset.round_trip == 0.0


def test_heartbeats_that_are_never_answered_are_forgotten(clock: ManualClock) -> None:
    offset = ClockOffset(clock)
    first = offset.sent()
    for _ in range(100):
        clock.advance(5.0)
        offset.sent()
    offset.answered(first, first)
    assert isnan(offset.offset)
