import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.autoregression import autocovariance, fit, levinson, whitened


def ar2(n: int, seed: int) -> Floats:
    """Return 0.5 x(t−1) − 0.6 x(t−2) + noise of sd 2, about 10."""
    rng, x = np.random.default_rng(seed), np.zeros(n)
    for t in range(2, n):
        x[t] = 0.5 * x[t - 1] - 0.6 * x[t - 2] + 2.0 * rng.normal()
    return x + 10.0


def test_null_white_noise_keeps_small_coefficients_and_its_variance() -> None:
    x = np.random.default_rng(1).normal(size=4000)
    model = fit(x, 5)
    assert np.abs(model.coefficients).max() < 0.05
    assert model.variance == pytest.approx(1.0, abs=0.05)


def test_power_the_coefficients_of_an_ar_process_are_found_and_taken_out() -> None:
    x = ar2(4000, 2)
    model = fit(x)
    assert model.coefficients[:2] == pytest.approx([0.5, -0.6], abs=0.05)
    assert np.abs(model.coefficients[2:]).max(initial=0.0) < 0.06
    assert model.variance == pytest.approx(4.0, rel=0.06)
    white = autocovariance(whitened(x, float(x.mean()), model), 3)
    assert np.abs(white[1:] / white[0]).max() < 0.04
    before = autocovariance(x, 3)
    assert np.abs(before[1:] / before[0]).max() > 0.4


def test_the_recursion_solves_the_equations_of_yule_and_walker() -> None:
    gamma = autocovariance(ar2(500, 3), 6)
    for model in levinson(gamma)[1:]:
        p = model.order
        matrix = gamma[np.abs(np.subtract.outer(np.arange(p), np.arange(p)))]
        expected = np.linalg.solve(matrix, gamma[1 : p + 1])
        assert model.coefficients == pytest.approx(expected, rel=1e-9)
        assert model.variance == pytest.approx(gamma[0] - expected @ gamma[1 : p + 1], rel=1e-9)


def test_a_series_that_does_not_move_has_no_order_and_is_left_as_it_is() -> None:
    x = np.full(50, 3.0)
    model = fit(x)
    assert (model.order, model.variance) == (0, 0.0)
    assert whitened(x, 3.0, model).tolist() == x.tolist()


def test_the_recursion_stops_where_nothing_is_left_to_explain() -> None:
    assert [m.order for m in levinson(np.array([1.0, 1.0, 1.0]))] == [0, 1]
    assert fit(np.array([1.0, -1.0] * 20), 5).order >= 1


def test_a_missing_value_stays_missing_and_predicts_nothing() -> None:
    x = ar2(200, 4)
    model, gap = fit(x, 2), x.copy()
    gap[100] = np.nan
    white, expected = whitened(gap, 10.0, model), whitened(x, 10.0, model)
    assert np.flatnonzero(np.isnan(white)).tolist() == [100]
    changed = np.flatnonzero(white != expected)
    assert changed.tolist() == [100, 101, 102]


def test_a_series_shorter_than_the_order_is_whitened_by_what_there_is() -> None:
    model = fit(ar2(400, 5), 3)
    x = np.array([11.0, 9.0])
    expected = [11.0, 9.0 - model.coefficients[0] * 1.0]
    assert whitened(x, 10.0, model) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gap_or_an_infinity_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite values"):
        autocovariance(np.array([1.0, bad, 2.0]), 1)


def test_an_order_beyond_the_series_is_refused() -> None:
    with pytest.raises(ValueError, match="order 3"):
        autocovariance(np.arange(3.0), 3)
