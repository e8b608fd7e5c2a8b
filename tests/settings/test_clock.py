"""The manual clock moves only when told; the system clock is the machine's."""

import time

import pytest

from tessera.settings.clock import Clock, ManualClock, SystemClock


def test_a_manual_clock_stands_still() -> None:
    clock = ManualClock(100.0)
    assert [clock.now(), clock.now(), clock.monotonic()] == [100.0, 100.0, 0.0]


def test_advancing_moves_both_scales() -> None:
    clock = ManualClock(100.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)


def test_a_step_of_the_wall_clock_leaves_the_monotonic_scale() -> None:
    clock = ManualClock(100.0)
    clock.step(-30.0)
    assert (clock.now(), clock.monotonic()) == (70.0, 0.0)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_time_cannot_pass_backwards(seconds: float) -> None:
    with pytest.raises(ValueError, match="time cannot pass"):
        ManualClock().advance(seconds)


def test_the_system_clock_is_the_machines() -> None:
    clock: Clock = SystemClock()
    before = time.monotonic()
    during = clock.monotonic()
    assert before <= during <= time.monotonic()
    assert clock.now() > 0  # no more: a step of the wall clock may fall between two readings
