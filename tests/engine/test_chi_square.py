import numpy as np
import pytest
from scipy import stats

from tessera.engine.chi_square import probability, quantile
from tessera.engine.chi_square_table import QUANTILES

DEGREES = (1, 2, 3, 5, 12, 14, 64, 300)


@pytest.mark.parametrize("df", DEGREES)
def test_probabilities_agree_with_scipy_in_both_tails(df: int) -> None:
    x = np.concatenate([np.logspace(-12, 3.3, 200), df + np.linspace(-1, 1, 41) * 0.9 * df])
    ours = [probability(float(value), df) for value in x]
    np.testing.assert_allclose(ours, stats.chi2.cdf(x, df), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("df", DEGREES)
def test_quantiles_agree_with_scipy_at_any_level(df: int) -> None:
    p = np.concatenate([np.logspace(-9, -0.01, 40), 1.0 - np.logspace(-9, -1, 20)])
    ours = [quantile(float(level), df) for level in p]
    np.testing.assert_allclose(ours, stats.chi2.ppf(p, df), rtol=1e-8)


def test_quantiles_agree_with_the_table_of_fixed_levels() -> None:
    for p, row in QUANTILES.items():
        assert [quantile(p, df) for df in range(1, 65)] == pytest.approx(row, rel=1e-10)


def test_the_ends_of_the_law_are_exact() -> None:
    assert probability(0.0, 3) == 0.0
    assert probability(float("inf"), 3) == 1.0
    assert probability(1e6, 3) == 1.0


@pytest.mark.parametrize(("x", "df"), [(-1.0, 2), (1.0, 0), (float("nan"), 2)])
def test_a_number_outside_the_law_is_refused(x: float, df: int) -> None:
    with pytest.raises(ValueError, match="no chi-square probability"):
        probability(x, df)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, float("nan")])
def test_a_level_outside_the_open_interval_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="0 < p < 1"):
        quantile(p, 2)
