import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Floats
from tessera.engine.calibration import OWN_WINDOW, long_run_variance
from tessera.engine.memory import Memory


def remember(scores: Floats) -> Memory:
    """Return what is left of ``scores`` (blocks, streams)."""
    memory = Memory.start(scores.shape[1])
    for z in scores:
        memory.update(z)
    return memory


def ar_scores(seed: int, phi: float, blocks: int, streams: int) -> Floats:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(blocks, streams))
    for b in range(1, blocks):
        z[b] = phi * z[b - 1] + np.sqrt(1.0 - phi**2) * z[b]
    return z


def test_null_independent_scores_have_a_variance_near_one() -> None:
    variance = remember(ar_scores(61, 0.0, 1500, 40)).variance()
    assert np.median(variance) == pytest.approx(1.0, abs=0.05)
    assert variance.max() < 2.0


def test_power_scores_with_memory_left_in_them_have_more_than_three() -> None:
    variance = remember(ar_scores(62, 0.6, 1500, 40)).variance()
    assert np.median(variance) > 3.0


def test_scores_that_swing_about_zero_have_almost_none() -> None:
    swinging = np.where(np.arange(400) % 2, 1.0, -1.0)[:, None]
    assert remember(swinging).variance()[0] == pytest.approx(1.0 / OWN_WINDOW)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(0, 90), st.floats(0.0, 0.6))
def test_what_is_kept_score_by_score_equals_what_the_whole_past_says(
    seed: int, blocks: int, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(blocks, 3))
    scores[rng.random(scores.shape) < missing] = np.nan
    expected = long_run_variance(scores.T) if blocks >= OWN_WINDOW else np.full(3, np.nan)
    np.testing.assert_allclose(remember(scores).variance(), expected, rtol=1e-9)


def test_a_missing_score_is_skipped_so_a_window_is_scores_and_not_blocks() -> None:
    scores = ar_scores(63, 0.0, 60, 4)
    holed = np.insert(scores, [5, 5, 30, 59], np.nan, axis=0)
    np.testing.assert_array_equal(remember(holed).variance(), remember(scores).variance())
    np.testing.assert_array_equal(remember(holed).scores, 60)


def test_nothing_is_said_before_one_whole_window() -> None:
    assert np.isnan(remember(np.ones((OWN_WINDOW - 1, 2))).variance()).all()
    np.testing.assert_array_equal(remember(np.ones((OWN_WINDOW, 2))).variance(), OWN_WINDOW)


def test_one_streams_memory_is_not_anothers() -> None:
    scores = ar_scores(64, 0.0, 200, 2)
    scores[:, 1] += 2.0
    together, alone = remember(scores).variance(), remember(scores[:, :1]).variance()
    assert together[0] == alone[0]
    assert together[1] > 25.0
