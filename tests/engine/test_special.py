import numpy as np
import pytest
from scipy import stats

from tessera.engine.chi_square_table import QUANTILES
from tessera.engine.special import chi_square_quantile, normal_quantile


def test_normal_quantiles_agree_with_scipy_from_one_end_to_the_other() -> None:
    tails = np.logspace(-300, np.log10(0.5), 2000)
    body = np.linspace(1e-3, 1 - 1e-3, 2000)
    near_one = 1.0 - np.logspace(-15, -1, 200)
    p = np.concatenate([tails, body, near_one])
    np.testing.assert_allclose(normal_quantile(p), stats.norm.ppf(p), rtol=1e-12, atol=1e-14)


def test_normal_quantiles_keep_shape_and_missing_values() -> None:
    quantiles = normal_quantile(np.array([[0.5, np.nan], [0.25, 0.75]]))
    assert quantiles.shape == (2, 2)
    assert np.isnan(quantiles[0, 1])
    assert quantiles[1, 0] == -quantiles[1, 1]


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.5, np.inf])
def test_a_probability_outside_the_open_interval_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        normal_quantile(np.array([0.5, p]))


def test_every_tabulated_chi_square_quantile_is_scipys() -> None:
    for p, row in QUANTILES.items():
        expected = stats.chi2.ppf(p, np.arange(1, 65))
        np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_a_chi_square_quantile_is_read_from_the_table() -> None:
    assert chi_square_quantile(0.95, 12) == pytest.approx(21.02606982, rel=1e-9)


@pytest.mark.parametrize(("p", "df"), [(0.9, 3), (0.95, 0), (0.95, 65)])
def test_a_quantile_that_is_not_tabulated_is_refused_with_what_exists(p: float, df: int) -> None:
    with pytest.raises(ValueError, match=r"p in \{0.5, .*0.999\}, df in 1..64"):
        chi_square_quantile(p, df)
