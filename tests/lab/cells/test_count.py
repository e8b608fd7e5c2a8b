from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from tessera.lab.cells.count import (
    Count,
    Tally,
    Target,
    clustered_median,
    clustered_share,
    counts,
    joined,
    median_interval,
    seed_of,
    share_interval,
    text_of,
)

TWENTY = np.full(20, 8.0)


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_interval_of_a_share_is_wilsons(n: int, share: float) -> None:
    k = round(share * n)
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert share_interval(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(6, 300))
def test_the_interval_of_a_median_covers_95_percent_and_not_a_rank_more(n: int) -> None:
    low, high = median_interval(n)
    assert low + high == n - 1
    assert 2 * binom.cdf(low, n, 0.5) <= 0.05 < 2 * binom.cdf(low + 1, n, 0.5)


def test_streams_that_rise_together_in_one_fleet_widen_the_interval() -> None:
    together, apart = np.zeros(20), np.zeros(20)
    together[0], apart[:8] = 8.0, 1.0
    value, _, high = clustered_share(together, TWENTY)
    other, _, less = clustered_share(apart, TWENTY)
    assert value == other
    assert high > less


def test_no_stream_above_is_no_more_certain_than_there_are_fleets() -> None:
    assert clustered_share(np.zeros(20), TWENTY)[2] == pytest.approx(share_interval(0.0, 20)[1])


def test_independent_streams_count_as_so_many() -> None:
    hits = np.random.default_rng(1).binomial(50, 0.3, 400).astype(np.float64)
    value, low, high = clustered_share(hits, np.full(400, 50.0))
    least, most = share_interval(value, 400 * 50)
    assert high - low == pytest.approx(most - least, rel=0.15)


def test_a_median_of_many_streams_has_the_interval_of_its_fleets() -> None:
    random = np.random.default_rng(2)
    apart = random.normal(100.0, 10.0, (30, 64))
    alike = apart[:, :1] + random.normal(0.0, 0.1, (30, 64))
    _, low, high = clustered_median(apart)
    _, wide_low, wide_high = clustered_median(alike)
    assert low < 100.0 < high
    assert wide_high - wide_low > 3.0 * (high - low)


def test_what_is_never_found_is_infinitely_late() -> None:
    delays = np.full((10, 4), inf)
    delays[:, 0] = 5.0
    assert clustered_median(delays)[0] == inf


def test_a_number_is_held_against_its_target_on_the_right_side() -> None:
    tally = Tally({"few": np.array([[1.0], [10.0]])}, means={"mean": np.array([1.0, 1.2])})
    few, enough, mean, shown = (
        *counts(tally, {"few": Target(0.2)}),
        *counts(tally, {"few": Target(0.2, at_most=False)}),
        *counts(tally, {"mean": Target(1.0, errors=3.0)}),
        *counts(tally, {"few": Target(None)}),
    )
    assert (few.met, enough.met, mean.met, shown.met) == (True, False, True, True)
    assert mean.target == pytest.approx(1.3)


def test_parts_of_a_cell_join_fleet_by_fleet() -> None:
    one = Tally({"a": np.array([[1.0], [4.0]])}, {"d": np.ones((1, 3))}, {"m": np.array([2.0])})
    both = joined([one, one])
    assert both.shares["a"].tolist() == [[1.0, 1.0], [4.0, 4.0]]
    assert (both.delays["d"].shape, both.means["m"].shape) == ((2, 3), (2,))


def test_a_target_without_a_count_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        counts(Tally(), {"nothing": Target(0.1)})


def test_seeds_depend_on_every_word() -> None:
    words = [("a", "null", 1), ("a", "null", 2), ("a", "power", 1), ("b", "null", 1)]
    assert len({seed_of(*w) for w in words}) == 4


def test_numbers_are_told_as_people_read_them() -> None:
    assert text_of(0.0123, share=True) == "1.23 %"
    assert [text_of(v, share=False) for v in (inf, -inf, None, 40.0)] == ["∞", "−∞", "–", "40"]


def test_an_exact_target_is_met() -> None:
    assert Count("x", 0.05, 0, 1, 0.05).met
