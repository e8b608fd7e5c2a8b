import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.baseline import (
    ROUNDING,
    Settled,
    lag_sums,
    moved,
    only,
    robust_sd,
    signed_scores,
    without,
)

STREAMS, BLOCKS = 400, 150


def kept(noise: Floats, seed: int = 1) -> Floats:
    """Return values and references (r, b, 2) of streams on lines of their own, plus ``noise``."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=noise.shape)
    slope, level = 1.0 + rng.random((len(noise), 1)), rng.normal(size=(len(noise), 1))
    return np.stack([level + slope * reference + noise, reference], axis=2)


def white(seed: int = 2) -> Floats:
    return np.random.default_rng(seed).normal(size=(STREAMS, BLOCKS))


def with_memory(phi: float) -> Floats:
    noise = white(3)
    for b in range(1, BLOCKS):
        noise[:, b] += phi * noise[:, b - 1]
    return noise


def lag_one(sums: Floats) -> float:
    return float(np.median(sums[:, 1] / sums[:, 2]))


NO_GAP = np.zeros((STREAMS, BLOCKS), dtype=np.bool_)


def test_null_white_noise_about_any_line_has_no_lag() -> None:
    assert lag_one(lag_sums(kept(white()), NO_GAP)) == pytest.approx(0.0, abs=0.03)


def test_power_memory_shows_in_the_lag() -> None:
    assert lag_one(lag_sums(kept(with_memory(0.6)), NO_GAP)) == pytest.approx(0.6, abs=0.05)


def test_a_gap_takes_one_pair_and_nothing_else() -> None:
    values, gap = kept(white()), NO_GAP.copy()
    gap[:, 70] = True
    whole, broken = lag_sums(values, NO_GAP), lag_sums(values, gap)
    assert (whole[:, 0] == BLOCKS - 1).all()
    assert (broken[:, 0] == BLOCKS - 2).all()
    assert (broken[:, 2] < whole[:, 2]).all()


def test_a_value_that_differs_by_its_last_digits_only_has_not_moved() -> None:
    still = np.full((2, 3, 2), 700.0)
    still[0, 1, 0] *= 1.0 + ROUNDING / 2
    still[1, 1, 0] *= 1.0 + ROUNDING * 2
    assert moved(still, np.zeros(2)).tolist() == [False, True]


def test_what_was_taken_from_a_value_counts_to_its_size() -> None:
    small = np.zeros((1, 2, 2))
    small[0, 1, 0] = 1e-4
    assert moved(small, np.zeros(1)).tolist() == [True]
    assert moved(small, np.full(1, 700.0)).tolist() == [False]


def test_scores_have_the_sign_and_the_order_of_the_residuals_and_unit_variance() -> None:
    heavy = np.random.default_rng(4).standard_t(1.5, size=(20, 1000))
    scores = signed_scores(heavy)
    assert (np.sign(scores) == np.sign(heavy)).all()
    for row, score in zip(heavy, scores, strict=True):
        assert (np.diff(score[np.argsort(row)]) > 0).all()
    assert scores.var(axis=1) == pytest.approx(np.ones(20), abs=0.02)


def test_scores_may_have_a_mean_and_none_is_made_of_nothing() -> None:
    scores = signed_scores(np.array([[1.0, 2.0, np.nan, 3.0]]))
    assert scores[0, [0, 1, 3]].min() > 0.0
    assert np.isnan(scores[0, 2])


def test_the_scale_is_that_of_most_values_and_of_all_where_most_are_equal() -> None:
    rough = white()
    rough[:, :30] *= 1000.0
    assert np.median(robust_sd(rough)) == pytest.approx(1.3, abs=0.15)
    rare = np.zeros((1, 100))
    rare[0, :10] = 1.0
    assert robust_sd(rare)[0] == pytest.approx(0.3)
    assert robust_sd(np.zeros((1, 5)))[0] == 0.0


def test_what_is_said_of_some_streams_is_kept_under_their_new_numbers() -> None:
    settled = Settled(np.array([1, 4, 6]), np.arange(3.0)[:, None])
    found = only(settled, np.array([6, 0, 1]), 8)
    assert found.rows.tolist() == [2, 0]
    assert found.scores[:, 0].tolist() == [0.0, 2.0]


def test_what_is_said_of_others_is_left_as_it_is() -> None:
    settled = Settled(np.array([1, 4, 6]), np.arange(3.0)[:, None])
    found = without(settled, np.array([4, 5]))
    assert found.rows.tolist() == [1, 6]
    assert found.scores[:, 0].tolist() == [0.0, 2.0]
