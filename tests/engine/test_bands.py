from math import inf, isnan

import numpy as np
import pytest

from tessera.engine.bands import MISSES, MOST_KEPT, Band, fewest


def ever_missed(median: float, draws: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Say whether the band of ``draws``, looked at after each, ever leaves ``median`` out."""
    band = Band()
    for value in draws:
        band.update(float(value))
        found = band.interval()
        if not found.low <= median <= found.high:
            return True
    return False


@pytest.mark.parametrize("law", ["normal", "skewed", "coarse"])
def test_null_over_all_times_together_at_most_one_band_in_twenty_misses(law: str) -> None:
    rng = np.random.default_rng(11)
    normal = rng.normal(size=(300, 120))
    draws = {"normal": normal, "skewed": np.exp(normal), "coarse": np.round(normal)}[law]
    median = {"normal": 0.0, "skewed": 1.0, "coarse": 0.0}[law]
    missed = np.mean([ever_missed(median, row) for row in draws])
    assert missed <= MISSES


def test_the_coverage_test_can_fail_fixed_time_bands_miss_far_more_often() -> None:
    rng = np.random.default_rng(12)
    steps = np.arange(1, 201)
    mean = np.cumsum(rng.normal(size=(400, 200)), axis=1) / steps
    missed = (np.abs(mean) > 1.96 / np.sqrt(steps)).any(axis=1).mean()
    assert missed > 0.3


def test_power_five_hundred_blocks_narrow_it_to_half_a_standard_deviation() -> None:
    rng = np.random.default_rng(13)
    widths = []
    for row in rng.normal(3.0, 1.0, size=(50, MOST_KEPT)):
        band = Band()
        for value in row:
            band.update(float(value))
        found = band.interval()
        widths.append(found.high - found.low)
    assert np.median(widths) < 0.5


def test_there_are_no_bounds_before_seven_blocks_and_nothing_before_one() -> None:
    band = Band()
    assert isnan(band.interval().middle)
    for value in range(6):
        band.update(float(value))
    found = band.interval()
    assert (found.low, found.middle, found.high) == (-inf, 2.5, inf)
    band.update(6.0)
    found = band.interval()
    assert (found.low, found.middle, found.high) == (0.0, 3.0, 6.0)


def test_missing_values_and_those_after_the_last_kept_change_nothing() -> None:
    band = Band()
    for value in range(MOST_KEPT):
        band.update(float(value))
    before = band.interval()
    band.update(float("nan"))
    band.update(1e9)
    assert band.interval() == before


def test_fewer_of_a_longer_row_may_lie_beneath_than_half_and_never_more() -> None:
    counts = [fewest(count) for count in range(1, 200)]
    assert all(0 <= few <= (count + 1) // 2 for count, few in enumerate(counts, 1))
    assert (np.diff(counts) >= 0).all()
