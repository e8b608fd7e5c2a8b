import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Floats
from tessera.engine.moments import Moments


def moments_of(rows: Floats) -> Moments:
    moments = Moments.start(rows.shape[1])
    for row in rows:
        moments.update(row)
    return moments


@settings(max_examples=30, derandomize=True)
@given(st.integers(2, 30), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_any_split_merges_to_the_moments_of_the_whole(n: int, cut: int, seed: int) -> None:
    rows = 1e6 + np.random.default_rng(seed).standard_normal((n, 3))
    merged = moments_of(rows[:cut]).merged(moments_of(rows[cut:]))
    assert merged.count == n
    assert np.allclose(merged.mean, rows.mean(axis=0), rtol=1e-14)
    covariance = merged.covariance()
    assert covariance is not None
    assert np.allclose(covariance, np.cov(rows.T), atol=1e-6)
    assert (covariance == covariance.T).all()


def test_a_far_offset_does_not_swallow_the_variance() -> None:
    rows = 1e9 + np.random.default_rng(2).standard_normal((500, 1))
    covariance = moments_of(rows).covariance()
    assert covariance is not None
    assert covariance[0, 0] == pytest.approx(np.var(rows, ddof=1), rel=1e-6)


def test_two_empty_streams_merge_to_an_empty_one() -> None:
    merged = Moments.start(2).merged(Moments.start(2))
    assert (merged.count, merged.mean.tolist()) == (0, [0.0, 0.0])
    assert merged.covariance() is None


def test_a_missing_number_skips_the_vector_and_poisons_nothing() -> None:
    moments = moments_of(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert moments.update(np.array([np.nan, 9.0]), "other") is False
    assert (moments.count, moments.mean.tolist(), moments.baseline) == (2, [2.0, 3.0], None)


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0, 3.0]])
def test_a_vector_of_another_dimension_is_refused(x: list[float]) -> None:
    with pytest.raises(ValueError, match="a vector"):
        Moments.start(2).update(np.array(x))


def test_an_infinite_vector_is_refused() -> None:
    moments = Moments.start(1)
    with pytest.raises(ValueError, match="infinite"):
        moments.update(np.array([np.inf]))
    assert moments.count == 0


def test_a_new_baseline_drops_the_past_and_the_first_is_only_noted() -> None:
    moments = moments_of(np.array([[1.0], [3.0]]))
    moments.update(np.array([5.0]), "first")
    assert (moments.count, moments.mean.tolist()) == (3, [3.0])
    moments.update(np.array([7.0]), "first")
    moments.update(np.array([9.0]), "second")
    assert (moments.count, moments.mean.tolist(), moments.m2.tolist()) == (1, [9.0], [[0.0]])
    assert moments.baseline == "second"


def test_streams_of_different_baselines_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one baseline"):
        Moments.start(1, "a").merged(Moments.start(1, "b"))
    with pytest.raises(ValueError, match="one dimension"):
        Moments.start(1).merged(Moments.start(2))
