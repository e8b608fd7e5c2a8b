import numpy as np
import pytest
from scipy import stats

from tessera.engine.arrays import Floats
from tessera.engine.scatter import consistency, fit, shrinkage, squared_distances


def gaussian(n: int, p: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, p))


@pytest.mark.parametrize("p", [1, 2, 5, 11])
def test_clean_rows_give_back_their_variance(p: int) -> None:
    seeds = range(40 + 360 // p)  # the trace of few columns varies more
    ratios = [np.trace(fit(gaussian(1000, p, seed)).covariance) / p for seed in seeds]
    assert np.median(ratios) == pytest.approx(1.0, abs=0.02)


def test_the_consistency_factor_is_the_exact_one() -> None:
    assert consistency(0.75, 2) == pytest.approx(1.8590751173689644, rel=1e-12)
    assert consistency(1.0, 2) == 1.0
    for share, p in ((0.975, 2), (0.975, 11), (0.75, 5)):
        expected = share / stats.chi2.cdf(stats.chi2.ppf(share, p), p + 2)
        assert consistency(share, p) == pytest.approx(expected, rel=1e-10)


def test_distances_of_fresh_rows_follow_the_chi_square_law() -> None:
    scatter = fit(gaussian(1000, 5, 0))
    beyond = squared_distances(gaussian(20_000, 5, 1), scatter) > stats.chi2.ppf(0.95, 5)
    assert np.mean(beyond) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("p", [2, 5, 12])
@pytest.mark.parametrize("shape", ["cluster", "scattered", "point"])
def test_a_fifth_of_outliers_is_left_out_and_moves_nothing(p: int, shape: str) -> None:
    rows = gaussian(250, p, 3)
    far = {"cluster": (0.5, 6.0), "scattered": (30.0, 0.0), "point": (1e-3, 6.0)}[shape]
    rows[:50] = gaussian(50, p, 4) * far[0] + far[1]
    scatter = fit(rows)
    assert scatter.method == "mcd"
    assert scatter.kept[:50].sum() <= (5 if shape == "scattered" else 0)
    assert scatter.kept[50:].mean() > 0.9
    assert np.abs(scatter.centre).max() < 0.4
    assert 0.8 < np.trace(scatter.covariance) / p < 1.25
    assert squared_distances(np.full((1, p), 6.0), scatter)[0] > stats.chi2.ppf(0.999, p)


def test_the_plain_covariance_would_be_moved_by_them() -> None:
    rows = gaussian(250, 5, 3)
    rows[:50] += 6.0
    assert np.trace(np.cov(rows.T)) / 5 > 3.0


def test_correlation_and_units_are_followed() -> None:
    mixing = np.array([[1.0, 0.0, 0.0], [0.9, 0.4, 0.0], [0.0, 0.0, 1e6]])
    rows = gaussian(2000, 3, 5)
    scatter = fit(rows @ mixing.T + [100.0, -5.0, 1e9])
    np.testing.assert_allclose(scatter.centre, [100.0, -5.0, 1e9], rtol=0.02)
    np.testing.assert_allclose(np.diag(scatter.covariance), [1.0, 0.97, 1e12], rtol=0.1)
    assert scatter.covariance[0, 1] == pytest.approx(0.9, abs=0.1)


def test_the_same_rows_in_another_order_have_the_same_scatter() -> None:
    rows = gaussian(200, 4, 6)
    order = np.random.default_rng(7).permutation(200)
    one, other = fit(rows), fit(rows[order])
    np.testing.assert_allclose(other.covariance, one.covariance, rtol=1e-9)
    assert np.array_equal(one.kept[order], other.kept)


def test_few_rows_are_shrunk_and_all_kept() -> None:
    scatter = fit(gaussian(24, 5, 8))
    assert scatter.method == "ledoit_wolf"
    assert scatter.kept.all()
    assert np.linalg.eigvalsh(scatter.covariance).min() > 0.05


def test_shrinkage_of_many_rows_is_hardly_any() -> None:
    _, few = shrinkage(gaussian(20, 5, 9) * [1.0, 2.0, 3.0, 4.0, 5.0])
    _, many = shrinkage(gaussian(5000, 5, 9) * [1.0, 2.0, 3.0, 4.0, 5.0])
    assert many < 0.01 < few <= 1.0


@pytest.mark.parametrize("case", ["constant", "twice", "all constant", "mostly constant", "one"])
def test_rows_in_a_plane_are_shrunk_and_have_finite_distances(case: str) -> None:
    rows = gaussian(100, 3, 10)
    if case == "constant":
        rows[:, 1] = 7.0
    elif case == "twice":
        rows[:, 1] = 2.0 * rows[:, 0]
    elif case == "all constant":
        rows[:] = 7.0
    elif case == "mostly constant":
        rows[5:, 1] = 0.0
    else:
        rows = rows[:1]
    scatter = fit(rows)
    assert scatter.method == "ledoit_wolf"
    distances = squared_distances(np.vstack([rows, [[1.0, 2.0, 1e3]]]), scatter)
    assert np.isfinite(distances).all()
    assert distances[-1] > distances[:-1].max()


def test_a_row_with_a_gap_has_no_distance_and_the_others_keep_theirs() -> None:
    scatter = fit(gaussian(100, 3, 11))
    rows = gaussian(4, 3, 12)
    expected = squared_distances(rows, scatter)
    rows[2, 1] = np.nan
    distances = squared_distances(rows, scatter)
    assert np.isnan(distances[2])
    assert distances[[0, 1, 3]] == pytest.approx(expected[[0, 1, 3]], rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_named(bad: float) -> None:
    rows = gaussian(50, 2, 13)
    rows[3, 1] = bad
    with pytest.raises(ValueError, match=r"rows\[3, 1\] is .*finite numbers"):
        fit(rows)


def test_numbers_of_any_size_are_outliers_with_a_finite_distance() -> None:
    rows = gaussian(50, 2, 14)
    rows[3, 1] = -1e300
    scatter = fit(rows)
    assert not scatter.kept[3]
    distances = squared_distances(np.array([[1e300, -1e300], rows[3], [0.0, 0.0]]), scatter)
    assert np.isfinite(distances).all()
    assert distances[:2].min() > 1e50 > distances[2]


def test_a_matrix_without_rows_or_columns_is_refused() -> None:
    for shape in ((0, 2), (2, 0), (4,)):
        with pytest.raises(ValueError, match=r"rows \(n, p\), not to shape"):
            fit(np.empty(shape))
