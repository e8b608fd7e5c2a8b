from collections.abc import Callable

import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.temporal import LEARNING, OwnPast, Phase, TemporalChannel

N, CALIBRATION, AFTER = 60, 1440, 800
BLOCKS = LEARNING + CALIBRATION + AFTER
BAR = np.log(750.0)  # what a fleet of 64 shards needs at q = .1


def noise(seed: int, blocks: int = BLOCKS) -> Floats:
    return np.random.default_rng(seed).standard_normal((blocks, N))


def watched(x: Floats) -> tuple[TemporalChannel, Floats]:
    """Return the channel after all blocks, and the highest ln M of each stream."""
    keys = np.arange(x.shape[1], dtype=np.uint64) << np.uint64(20)
    channel, highest = TemporalChannel(keys, 20_160, CALIBRATION), np.zeros(x.shape[1])
    for block, values in enumerate(x):
        channel.step(block, values)
        highest = np.maximum(highest, channel.log_m())
    return channel, highest


def daily(seed: int) -> Floats:
    phase = np.random.default_rng(seed).uniform(0.0, 1.0, N)
    turns = np.arange(BLOCKS, dtype=np.float64)[:, None] / 1440.0 + phase
    return np.asarray(3.0 * np.sin(2.0 * np.pi * turns), dtype=np.float64)


def habit(seed: int) -> Floats:
    """Load that steps up and down by 4 sd about every hundred blocks."""
    turns = np.random.default_rng(seed).random((BLOCKS, N)) < 0.01
    return np.asarray(4.0 * (np.cumsum(turns, axis=0) % 2), dtype=np.float64)


def walk(seed: int) -> Floats:
    steps: Floats = 0.15 * np.random.default_rng(seed).standard_normal((BLOCKS, N))
    return np.cumsum(steps, axis=0)


def test_null_still_noise_is_bet_on_and_stays_below_villes_bounds() -> None:
    channel, highest = watched(noise(1))
    assert (channel.phase == Phase.BETTING).mean() > 0.9
    assert (highest >= np.log(20.0)).mean() <= 0.05
    assert (highest >= np.log(100.0)).mean() <= 0.01


@pytest.mark.parametrize("load", [daily, habit, walk])
def test_null_what_wanders_or_steps_by_habit_is_not_bet_on(load: Callable[[int], Floats]) -> None:
    channel, highest = watched(noise(2) + load(3))
    assert (channel.phase == Phase.ABSTAINING).mean() > 0.95
    assert (highest >= np.log(20.0)).mean() <= 0.05


def test_null_single_shocks_are_no_move() -> None:
    random = np.random.default_rng(4)
    shocks = np.where(random.random((BLOCKS, N)) < 1 / 150, random.normal(0, 10, (BLOCKS, N)), 0.0)
    assert (watched(noise(5) + shocks)[1] >= np.log(20.0)).mean() <= 0.05


def test_power_a_still_stream_that_moves_by_four_sd_is_found_soon_after() -> None:
    x = noise(6, LEARNING + CALIBRATION + 130)
    onset = len(x) - 30
    before = watched(x[:onset])[1]
    x[onset:] += 4.0
    channel, highest = watched(x)
    assert (before >= BAR).mean() == 0.0
    assert (highest >= BAR).mean() > 0.9
    found = highest >= BAR
    assert np.abs(np.median(channel.mixture.onset()[found]) - onset) <= 3


def test_nothing_is_bet_before_its_habits_are_known() -> None:
    x = noise(7, LEARNING + CALIBRATION - 1)
    x[-100:] += 8.0
    channel, highest = watched(x)
    assert (channel.mixture.age == 0).all()
    assert (highest == 0.0).all()
    assert (channel.learned() == channel.needed - 1).all()


def test_a_stream_that_begins_to_wander_is_not_bet_on_any_more() -> None:
    x = noise(8, LEARNING + 2 * CALIBRATION)
    x[-CALIBRATION:] += np.cumsum(
        np.random.default_rng(9).standard_normal((CALIBRATION, N)), axis=0
    )
    channel, _ = watched(x)
    assert (channel.phase == Phase.ABSTAINING).mean() > 0.95


def test_a_block_without_a_value_moves_nothing() -> None:
    x, keys = noise(10), np.arange(N, dtype=np.uint64) << np.uint64(20)
    one, other = (TemporalChannel(keys, 20_160, CALIBRATION) for _ in range(2))
    for block, values in enumerate(x):
        one.step(block, values)
        other.step(block, np.full(N, np.nan))
        other.step(block, values)
    np.testing.assert_array_equal(one.log_m(), other.log_m())
    np.testing.assert_array_equal(one.kappa, other.kappa)
    assert (one.mixture.age > 0).any()


def test_forgotten_rows_are_as_if_just_opened_and_the_others_go_on() -> None:
    channel, _ = watched(noise(11))
    before = channel.log_m()
    channel.forget(np.array([0, 1]))
    assert (channel.phase[:2] == Phase.LEARNING).all()
    assert (channel.log_m()[:2] == 0.0).all()
    np.testing.assert_array_equal(channel.log_m()[2:], before[2:])


def test_a_past_too_short_for_habits_is_refused() -> None:
    with pytest.raises(ValueError, match="does not say"):
        TemporalChannel(np.arange(2, dtype=np.uint64), 1000, 399)


def test_the_past_is_the_mean_square_of_overlapping_window_sums() -> None:
    z, past = np.random.default_rng(12).standard_normal((300, 3)), OwnPast.start(3)
    for row in z:
        past.update(row)
    for column, m in enumerate((10, 25, 50, 100)):
        sums = np.array([z[i : i + m].sum(axis=0) for i in range(300 - m + 1)])
        np.testing.assert_allclose(past.variance()[:, column], (sums**2).mean(axis=0) / m)
