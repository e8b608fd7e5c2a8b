import numpy as np
import pytest

from tessera.engine.recovery import QUIET_SECONDS, Recovery

HORIZON = 400


def watched(seed: int, effect: float, blocks: int) -> Recovery:
    """Return what becomes of a fault that was 2 at its opening and is ``effect`` from then on."""
    made = Recovery.start(ended=1.0, back=1.0, horizon=HORIZON, seconds=10.0)
    for block, value in enumerate(np.random.default_rng(seed).normal(effect, 1.0, blocks)):
        made.step(block, float(value))
        if made.recovering:
            break
    return made


def test_null_half_of_the_effect_still_there_recovers_one_time_in_twenty_at_most() -> None:
    turned = [watched(seed, 1.0, HORIZON).recovering for seed in range(100)]
    assert np.mean(turned) <= 0.05


def test_null_all_of_the_effect_still_there_never_recovers() -> None:
    assert not any(watched(seed, 2.0, HORIZON).recovering for seed in range(20))


def test_power_the_end_of_a_fault_is_told_within_a_hundred_blocks() -> None:
    assert np.mean([watched(seed, 0.0, 100).recovering for seed in range(40)]) > 0.9


def turn(made: Recovery, value: float, most: int = 300) -> int:
    """Offer ``value`` until it turns; return the blocks that it took."""
    before = made.turns
    for block in range(most):
        made.step(block, value)
        if made.turns > before:
            return block + 1
    raise AssertionError


def test_a_relapse_turns_back_and_recovery_begins_from_nothing() -> None:
    made = Recovery.start(ended=1.0, back=1.0, horizon=HORIZON, seconds=10.0)
    first = turn(made, 0.0)
    assert (made.turns, made.recovering, made.lasted) == (1, True, 0)
    assert turn(made, 2.0) < first  # half an hour is a short horizon
    assert (made.turns, made.recovering, made.lasted, made.log_m) == (2, False, 0, 0.0)
    assert turn(made, 0.0) == first


def test_what_lies_between_the_bars_of_a_level_is_neither_an_end_nor_a_return() -> None:
    made = Recovery.start(ended=0.025, back=0.05, horizon=HORIZON, seconds=1.0)
    with pytest.raises(AssertionError):
        turn(made, 0.04)
    turn(made, 0.0)
    with pytest.raises(AssertionError):
        turn(made, 0.04)


def test_a_missing_value_is_no_evidence_and_no_time() -> None:
    made = Recovery.start(ended=1.0, back=1.0, horizon=HORIZON, seconds=10.0)
    for block in range(1000):
        made.step(block, float("nan"))
    assert (made.turns, made.lasted, made.log_m) == (0, 0, 0.0)


def test_half_an_hour_is_counted_in_blocks_of_evidence() -> None:
    made = Recovery.start(ended=1.0, back=1.0, horizon=HORIZON, seconds=10.0)
    turn(made, 0.0)
    for block in range(int(QUIET_SECONDS / 10.0)):
        made.step(1000 + block, 0.0)
    assert made.recovering
    assert made.lasted * 10.0 == QUIET_SECONDS
