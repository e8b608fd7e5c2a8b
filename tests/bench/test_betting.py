"""The betting e-process against its formula, with a null, its plug-in fault and a power."""

import numpy as np
import numpy.typing as npt
import pytest
from rivals.betting import Betting, lag_coefficient

Floats = npt.NDArray[np.float64]

LEARNED = np.array([[1.0], [-1.0]]) / np.sqrt(2.0)  # of mean 0 and standard deviation 1


def wealth(*values: float) -> list[float]:
    log_wealth = Betting(whitened=False).path(LEARNED, np.array(values)[:, None])
    found: list[float] = np.exp(log_wealth[:, 0]).tolist()
    return found


def noise(seed: int, learned: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    z = np.random.default_rng(seed).standard_normal((learned + 1000, 200))
    return z[:learned], z[learned:] + shift


def crossed(learned: Floats, watched: Floats, *, whitened: bool = False) -> float:
    log_wealth = Betting(whitened=whitened).path(learned, watched)
    return float((log_wealth.max(axis=0) >= np.log(100.0)).mean())


def test_the_first_bet_is_nothing_and_the_second_is_nearly_all() -> None:
    # After z = ½ the ratio of moments is 2: outside, so that a step of 0.5 / 0.25 is cut to 1.
    assert wealth(1.5, 1.5) == pytest.approx([1.0, 1.5], rel=1e-5)


def test_a_bet_inside_is_the_ratio_of_past_moments() -> None:
    # z = ½, −½: mean 0, no bet; then z = ½ again leaves the wealth as it was.
    first, second, third = wealth(1.5, -1.5, 1.5)
    assert second == pytest.approx(0.5 * first, rel=1e-5)
    assert third == pytest.approx(second)


def test_a_deviation_beyond_three_sd_counts_as_three() -> None:
    assert wealth(30.0, 30.0) == wealth(3.0, 3.0)


def test_a_missing_block_changes_nothing() -> None:
    with_gap = wealth(1.5, np.nan, -0.7, 1.1)
    assert with_gap[1] == with_gap[0]
    assert with_gap[-1] == pytest.approx(wealth(1.5, -0.7, 1.1)[-1])


def test_the_lag_coefficient_of_noise_with_memory_is_found() -> None:
    z = np.random.default_rng(5).standard_normal((4000, 20))
    for block in range(1, len(z)):
        z[block] += 0.7 * z[block - 1]
    assert np.median(lag_coefficient(z)) == pytest.approx(0.7, abs=0.02)


def test_the_lag_coefficient_of_white_noise_is_small() -> None:
    z = np.random.default_rng(6).standard_normal((4000, 20))
    assert np.median(lag_coefficient(z)) <= 0.02


@pytest.mark.parametrize("whitened", [False, True])
def test_noise_about_a_long_baseline_seldom_makes_rich(whitened: bool) -> None:  # noqa: FBT001  a table's column
    assert crossed(*noise(7, 10_000), whitened=whitened) <= 0.02


def test_noise_about_a_short_baseline_makes_rich_too_often() -> None:
    assert crossed(*noise(8, 60)) >= 0.2


@pytest.mark.parametrize("whitened", [False, True])
def test_a_shift_makes_rich(whitened: bool) -> None:  # noqa: FBT001  a table's column
    assert crossed(*noise(9, 10_000, shift=1.0), whitened=whitened) >= 0.99
