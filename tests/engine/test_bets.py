import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.bets import (
    DEADBAND,
    LAMBDAS,
    linear_bets,
    normal_score_bets,
    normal_scores,
    side_weights,
)

GRID = (np.arange(200_000) + 0.5) / 200_000  # the uniform law, exactly enough


@pytest.mark.parametrize("deadband", [0.0, 0.1])
@pytest.mark.parametrize("kappa", [1.0, 1.7])
def test_null_no_bet_on_uniform_ranks_gains_on_average(deadband: float, kappa: float) -> None:
    bets = normal_score_bets(normal_scores(GRID), np.full(GRID.size, kappa), deadband)
    assert (np.exp(bets).mean(axis=0) <= 1.0 + 1e-9).all()
    assert (np.exp(linear_bets(GRID, deadband)).mean(axis=0) <= 1.0 + 1e-9).all()


def test_power_ranks_pushed_to_one_end_gain_on_that_side_only() -> None:
    high = 0.9 + 0.1 * GRID
    bets = normal_score_bets(normal_scores(high), np.ones(high.size))
    assert (bets[:, :4].mean(axis=0) > 0.0).all()
    assert (bets[:, 4:].mean(axis=0) < 0.0).all()
    assert (linear_bets(high)[:, :3].mean(axis=0) > 0.0).all()


def test_the_deadband_takes_the_gain_from_what_is_too_small_to_care_about() -> None:
    slightly = normal_scores(GRID) + DEADBAND
    assert (np.exp(normal_score_bets(slightly, np.ones(GRID.size))).mean(axis=0) <= 1.0).all()


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.floats(-3.29, 3.29), st.floats(1.0, 5.0), st.floats(0.0, 0.5))
def test_a_bet_is_the_formula_and_down_mirrors_up(z: float, kappa: float, deadband: float) -> None:
    bets = normal_score_bets(np.array([z]), np.array([kappa]), deadband)[0]
    mirrored = normal_score_bets(np.array([-z]), np.array([kappa]), deadband)[0]
    expected = [lam * (z / kappa**0.5 - deadband) - lam**2 / 2 for lam in LAMBDAS]
    np.testing.assert_allclose(bets[:4], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(bets[4:], mirrored[:4])


def test_a_missing_rank_makes_no_bet_on_either_side() -> None:
    u = np.array([np.nan, 0.5])
    bets = normal_score_bets(normal_scores(u), np.ones(2))
    assert np.isnan(bets[0]).all()
    assert np.isfinite(bets[1]).all()
    assert np.isnan(linear_bets(u)[0]).all()


def test_no_single_rank_can_decide_anything() -> None:
    extreme = normal_scores(np.array([1e-12, 1 - 1e-12]))
    assert np.abs(extreme).max() == pytest.approx(3.2905, abs=1e-4)
    assert np.isfinite(linear_bets(np.array([1e-300, 1 - 1e-16]))).all()


@pytest.mark.parametrize("kappa", [0.99, np.nan])
def test_a_kappa_that_would_strengthen_a_bet_is_refused(kappa: float) -> None:
    with pytest.raises(ValueError, match="kappa"):
        normal_score_bets(np.zeros(2), np.array([1.0, kappa]))


def test_side_weights_sum_to_one_and_watch_the_named_side() -> None:
    weights = side_weights(np.array([-1, 0, 1]))
    np.testing.assert_array_equal(weights.sum(axis=1), 1.0)
    np.testing.assert_array_equal(weights[0], [0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_array_equal(weights[1], np.full(8, 0.125))
    np.testing.assert_array_equal(weights[2], weights[0][::-1])


def test_a_direction_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="direction"):
        side_weights(np.array([0, 2]))
