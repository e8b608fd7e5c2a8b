from math import inf

import pytest

from tessera.adapters.nvidia.event_calls import Condition
from tessera.adapters.nvidia.recovery import Look, Past, Recovery

WELL = Condition(0, 1000)


def watched(*conditions: Condition | None) -> Look:
    """Return the last look of those at 0, 1, 2 … seconds; None = it was lost."""
    device = Recovery(Look(-1.0))
    for at, condition in enumerate(conditions):
        if condition is None:
            device.failed(float(at), lost=True)
        else:
            device.answered(float(at), condition)
    return device.look


def test_a_device_that_only_answers_was_not_reset() -> None:
    assert watched(WELL, Condition(0, 1500), Condition(0, 1500)) == Look(2.0, 0.0, -inf)


def test_a_device_that_is_found_again_was_reset() -> None:
    assert watched(WELL, None, Condition(0, 2000)) == Look(2.0, 2.0, 2.0)


def test_a_fall_of_its_energy_tells_of_a_reset() -> None:
    assert watched(WELL, WELL, Condition(0, 10)) == Look(2.0, 2.0, 2.0)


def test_a_recovery_that_is_no_longer_asked_for_tells_of_a_reset() -> None:
    assert watched(WELL, Condition(1, 1500)) == Look(1.0, None, -inf, 1)
    assert watched(WELL, Condition(1, 1500), Condition(0, 1600)) == Look(2.0, 2.0, 2.0)


def test_a_device_that_fails_for_a_moment_is_not_well_and_was_not_reset() -> None:
    device = Recovery(Look(0.0))
    device.answered(0.0, WELL)
    device.failed(1.0, lost=False)
    assert device.look == Look(1.0)
    device.answered(2.0, WELL)
    assert device.look == Look(2.0, 2.0, -inf)


def test_a_device_that_can_say_neither_is_well_while_it_answers() -> None:
    old = Condition(None, None)
    assert watched(old, old, old) == Look(2.0, 0.0, -inf)
    assert watched(old, None, old) == Look(2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("past", "now"),
    [
        (Past(lost=True), WELL),
        (Past(asked=True), WELL),
        (Past(energy=1001.0), WELL),
        (Past(lost=True, asked=True, energy=5.0), WELL),
    ],
)
@pytest.mark.parametrize("answered_first", [False, True])
def test_a_reset_while_no_process_watched_is_seen(
    past: Past, now: Condition, *, answered_first: bool
) -> None:
    device = Recovery(Look(0.0))
    if answered_first:
        device.answered(1.0, now)
    device.resume(2.0, past)
    device.answered(3.0, now)
    assert device.look.reset_at in {2.0, 3.0}
    assert device.look.well_since == device.look.reset_at


@pytest.mark.parametrize(
    ("past", "now"),
    [
        (Past(), WELL),
        (Past(energy=1000.0), WELL),
        (Past(asked=True), Condition(1, 1000)),
        (Past(energy=5.0), Condition(None, None)),
    ],
)
@pytest.mark.parametrize("answered_first", [False, True])
def test_a_device_that_went_on_while_no_process_watched_was_not_reset(
    past: Past, now: Condition, *, answered_first: bool
) -> None:
    device = Recovery(Look(0.0))
    if answered_first:
        device.answered(1.0, now)
    device.resume(2.0, past)
    device.answered(3.0, now)
    assert device.look.reset_at == -inf
