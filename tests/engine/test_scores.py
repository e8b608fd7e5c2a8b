from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.engine.arrays import Floats
from tessera.engine.scores import RESOLUTION, oscillation, spike, spread

T = 30  # ticks of a block
NONE = np.zeros(1)  # ticks that must be there
BOTH, UP, DOWN = (np.array([side]) for side in (0, 1, -1))


def noise(blocks: int, seed: int = 5) -> Floats:
    """Return white ticks (T, S, 1) of so many blocks, one to a row."""
    return np.random.default_rng(seed).normal(size=(T, blocks, 1))


def wave(period: float, size: float = 1.0) -> Floats:
    turned: Floats = size * np.sin(2 * np.pi * np.arange(T) / period)[:, None, None]
    return turned


def both_sides(ticks: Floats, least: Floats) -> Floats:
    return spike(ticks, least, np.zeros(ticks.shape[2], dtype=np.int64))


SCORES = pytest.mark.parametrize("score", [spread, oscillation, both_sides])
Score = Callable[[Floats, Floats], Floats]


@SCORES
@given(level=st.floats(-100.0, 100.0))
def test_the_level_of_the_ticks_moves_no_score(score: Score, level: float) -> None:
    ticks = noise(3)
    np.testing.assert_allclose(score(ticks + level, NONE), score(ticks, NONE), atol=1e-9)


@SCORES
def test_white_noise_gives_scores_that_rank_alike_in_both_halves_of_time(score: Score) -> None:
    found = score(noise(4000), NONE)[:, 0]
    ranks = np.argsort(np.argsort(found)) / len(found)
    first = ranks[:2000].mean()
    assert abs(first - 0.5) < 4 * np.sqrt(1 / 12 / 2000)


@SCORES
def test_shards_and_metrics_do_not_meet_in_a_score(score: Score) -> None:
    ticks = np.random.default_rng(2).normal(size=(T, 4, 3))
    whole = score(ticks, np.zeros(3))
    for i in range(4):
        for j in range(3):
            alone = score(ticks[:, [i]][:, :, [j]], NONE)
            np.testing.assert_allclose(alone[0, 0], whole[i, j], rtol=1e-12)


@SCORES
@pytest.mark.parametrize("left", [0, 1, 9, 17])
def test_too_few_ticks_give_no_score(score: Score, left: int) -> None:
    ticks = noise(2)
    ticks[left:] = np.nan
    assert np.isnan(score(ticks, np.array([0.6 * T]))).all()


@pytest.mark.parametrize(("score", "least"), [(spread, 10), (both_sides, 10), (oscillation, 20)])
def test_a_score_has_a_least_number_of_ticks_of_its_own(score: Score, least: int) -> None:
    ticks = noise(1)
    ticks[least:] = np.nan
    assert np.isfinite(score(ticks, NONE)).all()
    ticks[least - 1] = np.nan
    assert np.isnan(score(ticks, NONE)).all()


@SCORES
@given(
    st.lists(st.floats(-1e30, 1e30), min_size=T, max_size=T),
    st.lists(st.booleans(), min_size=T, max_size=T),
)
def test_no_finite_ticks_give_an_infinity_and_enough_of_them_no_nan(
    score: Score, values: list[float], lost: list[bool]
) -> None:
    ticks = np.where(lost, np.nan, values)[:, None, None]
    found = score(ticks, NONE)
    assert not np.isinf(found).any()
    if T - sum(lost) >= 20:
        assert np.isfinite(found).all()


@SCORES
@pytest.mark.parametrize("level", [0.0, 1.0, -700.0])
def test_ticks_that_are_all_equal_have_a_value(score: Score, level: float) -> None:
    assert np.isfinite(score(np.full((T, 2, 1), level), NONE)).all()


def test_the_spread_is_the_logarithm_of_the_standard_deviation() -> None:
    ticks = noise(5)
    expected = np.log(ticks.std(axis=0, ddof=1))
    np.testing.assert_allclose(spread(ticks, NONE), expected)


def test_a_collapse_to_a_constant_is_as_low_as_float32_resolves_the_level() -> None:
    assert spread(np.full((T, 1, 1), 700.0), NONE)[0, 0] == np.log(RESOLUTION * 700.0)


def test_a_missing_tick_is_left_out_of_a_spread_and_a_spike() -> None:
    ticks = noise(2)
    ticks[3] = np.nan
    rest = np.delete(ticks, 3, axis=0)
    np.testing.assert_allclose(spread(ticks, NONE), spread(rest, NONE))
    np.testing.assert_allclose(spike(ticks, NONE, BOTH), spike(rest, NONE, BOTH))


def test_a_spike_counts_on_its_bad_side_alone() -> None:
    ticks = np.zeros((T, 1, 1))
    ticks[::2] = 1.0  # the median is one half
    ticks[4] = 9.5
    high, low, any_side = (spike(ticks, NONE, side)[0, 0] for side in (UP, DOWN, BOTH))
    assert (high, low, any_side) == (np.log(9.0), np.log(0.5), np.log(9.0))


def test_one_wild_tick_moves_the_spike_further_than_the_spread() -> None:
    calm = noise(400)
    wild = calm.copy()
    wild[7] += 6.0
    moved = [
        (score(wild, NONE) - score(calm, NONE)).mean() / score(calm, NONE).std()
        for score in (both_sides, spread, oscillation)
    ]
    assert moved[0] > 1.5 * moved[1] > 0
    assert moved[0] > 4.0
    assert abs(moved[2]) < 1.0


@pytest.mark.parametrize("period", [3, 4, 5.3, 7, 10])
def test_a_wave_moves_the_oscillation_further_than_the_spread(period: float) -> None:
    drift = np.cumsum(noise(400), axis=0)  # slow noise, as most counters have
    moving = drift + wave(period, 2.5)
    moved = [
        (score(moving, NONE) - score(drift, NONE)).mean() / score(drift, NONE).std()
        for score in (oscillation, spread)
    ]
    assert moved[0] > 2.0
    assert moved[0] > 2 * abs(moved[1])


def test_a_straight_line_is_no_oscillation() -> None:
    ticks = noise(50)
    slope = np.linspace(-500, 500, T)[:, None, None]
    np.testing.assert_allclose(oscillation(ticks + slope, NONE), oscillation(ticks, NONE))


def test_the_oscillation_is_the_logit_of_the_share_that_the_best_wave_has_of_the_variance() -> None:
    ticks = noise(1)
    time = np.arange(T)
    rest = ticks[:, 0, 0] - np.polyval(np.polyfit(time, ticks[:, 0, 0], 1), time)
    turns = np.arange(3.0, 10.5, 0.5)  # in a block: periods of 10 to 3 ticks
    power = np.abs(np.exp(-2j * np.pi * np.outer(turns, time) / T) @ rest) ** 2
    share = power.max() / (T**2 * rest.var() / 2)
    assert oscillation(ticks, NONE)[0, 0] == pytest.approx(np.log(share / (1 - share)))


def test_a_block_without_a_frequency_to_look_at_has_no_oscillation() -> None:
    assert np.isnan(oscillation(np.zeros((2, 1, 1)), NONE)).all()
