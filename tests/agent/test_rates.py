import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.rates import Floats, Rates, counter_rate

VECTORS = Path(__file__).resolve().parents[1] / "engine" / "vectors.json"
COUNTERS: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))["15_counter_rate"]


def play(times: list[float], counter: list[float], interval: float = 1.0) -> list[float]:
    """Return the rates of one counter of one shard."""
    rates = Rates([0], interval)
    ticks = zip(times, counter, strict=True)
    return [float(rates.push(at, np.array([[value]]))[0, 0]) for at, value in ticks]


def test_what_moved_is_divided_by_the_time_it_took() -> None:
    assert play([0.0, 1.0, 2.5], [10.0, 13.0, 16.0])[1:] == [3.0, 2.0]


def test_the_first_tick_has_no_rate() -> None:
    assert np.isnan(play([0.0], [10.0])[0])


def test_a_counter_that_fell_has_no_rate_then_and_a_right_one_after() -> None:
    found = play([0.0, 1.0, 2.0, 3.0], [100.0, 104.0, 3.0, 8.0])
    np.testing.assert_array_equal(found, [np.nan, 4.0, np.nan, 5.0])


def test_a_counter_that_stands_still_has_the_rate_zero() -> None:
    assert play([0.0, 1.0], [7.0, 7.0])[1] == 0.0


def test_after_one_missing_value_the_rate_is_what_moved_since_the_last_one() -> None:
    found = play([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0, np.nan, 5.0, 6.0])
    np.testing.assert_array_equal(found, [np.nan, 1.0, np.nan, 2.0, 1.0])


def test_a_longer_gap_is_not_bridged() -> None:
    found = play([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, np.nan, np.nan, 3.0, 4.0])
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, np.nan, 1.0])


def test_a_counter_read_more_seldom_than_the_clock_ticks_has_rates_when_it_is_read() -> None:
    rates = Rates([0, 1], [1.0, 15.0])
    found = []
    for t in range(31):
        seldom = 60.0 * t if t % 15 == 0 else np.nan
        found.append(rates.push(float(t), np.array([[2.0 * t, seldom]]))[0])
    quick, slow = np.array(found).T
    np.testing.assert_array_equal(quick[1:], 2.0)
    assert np.flatnonzero(np.isfinite(slow)).tolist() == [15, 30]
    assert slow[15] == slow[30] == 60.0


@pytest.mark.parametrize(
    ("seconds", "known"), [(0.4, False), (0.5, True), (2.0, True), (2.1, False), (3600.0, False)]
)
def test_only_a_usual_distance_in_time_makes_a_rate(seconds: float, known: bool) -> None:  # noqa: FBT001  a table's column
    assert np.isfinite(play([100.0, 100.0 + seconds], [0.0, 9.0])[1]) == known


def test_what_is_usual_follows_the_interval() -> None:
    found = play([0.0, 10.0, 14.0, 35.0], [0.0, 20.0, 30.0, 40.0], interval=10.0)
    np.testing.assert_array_equal(found, [np.nan, 2.0, np.nan, np.nan])


@pytest.mark.parametrize("later", [5.0, 4.0])
def test_a_clock_that_stood_or_went_back_makes_no_rate(later: float) -> None:
    found = play([4.0, 5.0, later, later + 1.0], [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(found, [np.nan, 1.0, np.nan, 1.0])


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=20))
def test_rates_add_up_to_what_the_counter_moved(steps: list[int]) -> None:
    counter = [float(total) for total in np.cumsum([0, *steps])]
    found = play([float(t) for t in range(len(counter))], counter)
    assert sum(found[1:]) == sum(steps)


def test_other_columns_pass_and_the_tick_itself_is_not_changed() -> None:
    rates = Rates([1], 1.0)
    first: Floats = np.array([[5.0, 100.0], [6.0, 200.0]])
    second: Floats = np.array([[7.0, 101.0], [8.0, 210.0]])
    rates.push(0.0, first)
    np.testing.assert_array_equal(rates.push(1.0, second), [[7.0, 1.0], [8.0, 10.0]])
    np.testing.assert_array_equal(second, [[7.0, 101.0], [8.0, 210.0]])


def test_a_reset_of_one_shard_is_not_a_reset_of_another() -> None:
    rates = Rates([0], 1.0)
    rates.push(0.0, np.array([[5.0], [5.0]]))
    np.testing.assert_array_equal(rates.push(1.0, np.array([[1.0], [6.0]])), [[np.nan], [1.0]])


def test_without_counters_every_value_passes() -> None:
    values = np.array([[1.0, np.nan]])
    np.testing.assert_array_equal(Rates([], 1.0).push(0.0, values), values)


def transformed(case: list[Any]) -> float:
    """Return the rate of one recorded pair; its gauges are no counters and pass."""
    _, before, after, about = case
    if about["semantic_type"] != "counter":
        return float(after["value"])
    seconds = np.array([float(after["ts_seconds"]) - before["ts_seconds"]])
    first, second = (np.array([float(reading["value"])]) for reading in (before, after))
    size = 2.0 ** about.get("counter_width", 64)
    return float(counter_rate(first, second, seconds, np.array([10.0]), size)[0])


@pytest.mark.parametrize("number", range(11))
def test_pairs_make_the_rates_of_the_reference_but_where_it_is_wrong(number: int) -> None:
    # missed_scrape: three usual intervals may hide a reset. out_of_order: its gauge is refused
    # by the grid of ticks before it comes here. nan_*: a missing value, never a NaN called normal.
    case, result = COUNTERS["inputs"]["cases"][number], COUNTERS["outputs"]["results"][number][1]
    ours = transformed(case)
    if case[0] in {"missed_scrape", "nan_next", "nan_ts"}:
        assert result["value"] is not None
        assert np.isnan(ours)
    elif result["value"] is None:
        assert np.isnan(ours) or case[0] == "out_of_order"
    else:
        assert ours == pytest.approx(result["value"], rel=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_reading_that_is_no_number_makes_no_rate_and_the_next_ones_do(bad: float) -> None:
    found = play([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 5.0, bad, 15.0, 20.0])
    np.testing.assert_array_equal(found, [np.nan, 5.0, np.nan, 5.0, 5.0])


def test_a_time_that_is_no_number_makes_no_rate_and_the_next_ones_do() -> None:
    found = play([0.0, 1.0, np.nan, 3.0, 4.0], [0.0, 5.0, 10.0, 15.0, 20.0])
    np.testing.assert_array_equal(found, [np.nan, 5.0, np.nan, np.nan, 5.0])


def test_only_a_fall_from_nearly_full_is_a_wrap() -> None:
    before, after, ten = (np.array([v, v]) for v in (0.0, 700.0, 10.0))
    before[:] = 2.0**32 - 300.0, 2.0**31
    found = counter_rate(before, after, ten, ten, size=2.0**32)
    np.testing.assert_array_equal(found, [100.0, np.nan])
    assert np.isnan(counter_rate(before, after, ten, ten)).all()
