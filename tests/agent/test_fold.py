import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.metric import Metric
from tessera.adapters.scored import with_scores
from tessera.agent.columns import Columns
from tessera.agent.fold import Block, Floats, Fold, block_value, errored, on_the_clock
from tessera.engine.scores import oscillation, spike, spread

NUMBERS = st.floats(-1e6, 1e6, width=32)


def fold(*rungs: int, interval: float = 1.0) -> Fold:
    """Return a fold of one shard and one metric at each of ``rungs``."""
    made = Fold((1, 1), interval)
    made.watch({rung: np.array([0]) for rung in rungs})
    return made


def tick(value: float) -> Floats:
    return np.array([[value]])


def play(made: Fold, times: list[float], values: list[float] | None = None) -> list[Block]:
    """Push ``values``, or the times themselves, and return all blocks in order."""
    found = []
    for at, value in zip(times, values or times, strict=True):
        found += made.push(at, tick(value))
    return found


def seconds(start: int, stop: int) -> list[float]:
    return [float(t) for t in range(start, stop)]


def column(ticks: list[float]) -> Floats:
    return np.array(ticks)[:, None, None]


def test_blocks_are_aligned_to_the_wall_clock_and_not_to_the_first_tick() -> None:
    blocks = play(fold(5), seconds(1_700_000_001, 1_700_000_016))
    assert [b.index for b in blocks] == [340_000_000, 340_000_001, 340_000_002]
    assert [float(b.x[0, 0]) for b in play(fold(5), seconds(2, 10))] == [3.0, 7.0]


def test_a_block_is_given_back_by_its_last_tick_and_not_one_later() -> None:
    made = fold(5)
    assert [len(made.push(at, tick(1.0))) for at in seconds(0, 10)] == [0, 0, 0, 0, 1] * 2


@given(NUMBERS, st.integers(1, 40), st.integers(1, 40))
def test_the_mean_of_a_constant_is_the_constant(value: float, ticks: int, expected: int) -> None:
    found = block_value(column([value] * ticks), expected)[0, 0]
    if ticks >= 0.6 * expected:
        assert np.float32(found) == np.float32(value)
    else:
        assert np.isnan(found)


@given(st.lists(NUMBERS, min_size=10, max_size=30))
def test_the_value_lies_within_what_is_left_when_both_extremes_are_gone(
    values: list[float],
) -> None:
    found, kept = block_value(column(values), len(values))[0, 0], sorted(values)[1:-1]
    assert kept[0] - 1e-6 <= found <= kept[-1] + 1e-6
    assert found == pytest.approx(np.mean(kept), abs=1e-6)


def test_from_ten_ticks_on_one_wild_tick_is_left_out_and_below_ten_it_is_not() -> None:
    assert block_value(column([1.0] * 9 + [1e6]), 10)[0, 0] == pytest.approx(1.0)
    assert block_value(column([1.0] * 8 + [1e6]), 9)[0, 0] > 1e5


def test_nothing_is_trimmed_from_a_long_block_of_which_nine_ticks_are_left() -> None:
    assert block_value(column([1.0] * 8 + [1e6] + [np.nan] * 6), 15)[0, 0] > 1e5


@pytest.mark.parametrize(
    ("present", "expected", "enough"), [(3, 5, True), (2, 5, False), (6, 10, True), (5, 10, False)]
)
def test_sixty_percent_of_the_ticks_make_a_value(present: int, expected: int, enough: bool) -> None:  # noqa: FBT001  a table's column
    ticks = column([2.0] * present + [np.nan] * (expected - present))
    assert np.isfinite(block_value(ticks, expected)[0, 0]) == enough


def test_ticks_that_never_came_count_as_missing_like_those_that_came_empty() -> None:
    absent = play(fold(5), [0.0, 1.0, 5.0])
    empty = play(fold(5), seconds(0, 6), [1.0, 1.0, np.nan, np.nan, np.nan, 1.0])
    assert np.isnan(absent[0].x[0, 0])
    assert np.isnan(empty[0].x[0, 0])


def test_a_shard_without_any_tick_has_no_value_beside_one_that_is_trimmed() -> None:
    ticks = np.ones((10, 2, 1))
    ticks[:, 1] = np.nan
    np.testing.assert_array_equal(block_value(ticks, 10), [[1.0], [np.nan]])


def test_a_gap_seals_what_stood_open_and_makes_no_block_of_itself() -> None:
    blocks = play(fold(5), [0.0, 1.0, 2.0, 3.0, 47.0, 48.0, 49.0])
    assert [b.index for b in blocks] == [0, 9]
    assert [float(b.x[0, 0]) for b in blocks] == [1.5, 48.0]


def test_several_rungs_come_shortest_first_each_with_its_own_index() -> None:
    blocks = play(fold(10, 2, 5), seconds(0, 10))
    assert [(b.rung, b.index) for b in blocks] == [
        *((2, 0), (2, 1), (5, 0), (2, 2), (2, 3)),
        *((2, 4), (5, 1), (10, 0)),
    ]


def test_a_tick_after_a_gap_can_close_the_old_block_and_its_own() -> None:
    blocks = play(fold(1, 2), [0.0, 3.0])
    assert [(b.rung, b.index) for b in blocks] == [(1, 0), (1, 3), (2, 0), (2, 1)]


@pytest.mark.parametrize(
    ("interval", "rung", "ticks"), [(0.1, 1, 10), (0.25, 5, 20), (2.5, 10, 4), (10.0, 60, 6)]
)
def test_other_intervals_than_a_second_fill_the_same_blocks(
    interval: float, rung: int, ticks: int
) -> None:
    times = [k * interval for k in range(3 * ticks)]
    blocks = play(
        fold(rung, interval=interval), times, [float(k // ticks) for k in range(3 * ticks)]
    )
    assert [(b.index, float(b.x[0, 0])) for b in blocks] == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_an_interval_longer_than_the_rung_leaves_blocks_out_and_invents_none() -> None:
    blocks = play(fold(5, interval=15.0), [0.0, 15.0, 30.0])
    assert [(b.index, float(b.x[0, 0])) for b in blocks] == [(0, 0.0), (3, 15.0), (6, 30.0)]


@given(st.sampled_from([0.1, 0.3, 0.7, 1.1]), st.integers(0, 10**6))
def test_rounding_of_the_clock_puts_no_tick_into_the_block_before(
    interval: float, first: int
) -> None:
    tenths = round(interval * 10)
    made, found = fold(1, interval=interval), []
    for k in range(first, first + 20):
        found += [b.index for b in made.push(k * interval, tick(1.0))]
    expected = {k * tenths // 10 for k in range(first, first + 20)}
    assert found == sorted(set(found))
    assert set(found) <= expected
    assert len(expected) - len(found) <= 1  # the last may still stand open


@given(st.lists(st.floats(0.0, 60.0), min_size=1, max_size=40))
def test_no_block_is_given_back_twice_or_after_a_later_one(times: list[float]) -> None:
    blocks = play(fold(5), times)
    indices = [b.index for b in blocks]
    assert indices == sorted(set(indices))


def test_a_clock_that_trembles_makes_no_second_block_of_the_same_second() -> None:
    blocks = play(fold(1), [4.01, 4.99, 6.0], [1.0, 2.0, 3.0])
    assert [(b.index, float(b.x[0, 0])) for b in blocks] == [(4, 1.0), (6, 3.0)]


def test_each_rung_folds_its_own_columns_and_leaves_the_others_empty() -> None:
    made = Fold((2, 3))
    made.watch({1: np.array([2]), 2: np.array([0, 1])})
    values = np.arange(6.0).reshape(2, 3)
    first, second = made.push(0.0, values), made.push(1.0, values + 10.0)
    np.testing.assert_array_equal(first[0].x, [[np.nan, np.nan, 2.0], [np.nan, np.nan, 5.0]])
    np.testing.assert_array_equal(second[1].x, [[5.0, 6.0, np.nan], [8.0, 9.0, np.nan]])


def test_to_watch_the_same_columns_again_loses_no_tick() -> None:
    made = fold(5)
    play(made, seconds(0, 3))
    made.watch({5: np.array([0])})
    assert float(play(made, [3.0, 4.0])[0].x[0, 0]) == 2.0


def test_new_columns_begin_the_open_block_anew_and_reopen_none() -> None:
    made = Fold((1, 2))
    made.watch({5: np.array([0])})
    values = np.array([[1.0, 2.0]])
    for at in range(7):
        made.push(float(at), values)
    made.watch({5: np.array([0, 1])})
    assert made.push(4.5, values) == []  # of a block that was given back before
    later = [block for at in range(7, 10) for block in made.push(float(at), values)]
    assert [(b.index, b.x.tolist()) for b in later] == [(1, [[1.0, 2.0]])]


def test_a_rung_that_is_left_gives_no_more_blocks_and_none_twice_when_it_comes_back() -> None:
    made = Fold((1, 1))
    made.watch({1: np.array([0]), 2: np.array([0])})
    tick = np.ones((1, 1))
    assert [b.rung for b in made.push(1.0, tick)] == [1, 2]
    made.watch({2: np.array([0])})
    assert [b.rung for t in (2.0, 3.0) for b in made.push(t, tick)] == [2]
    made.watch({1: np.array([0]), 2: np.array([0])})
    assert [b.rung for b in made.push(1.5, tick)] == []
    assert [(b.rung, b.index) for b in made.push(4.0, tick)] == [(1, 4)]


def test_a_fold_that_watches_nothing_gives_nothing() -> None:
    assert Fold((3, 2)).push(0.0, np.zeros((3, 2))) == []


def seldom(rung: int, every: int, stop: int, lost: frozenset[int] = frozenset()) -> list[float]:
    """Return the blocks of a metric read each ``every`` s beside one that is read each second."""
    made = Fold((1, 2), 1.0, [1.0, float(every)])
    made.watch({rung: np.array([0, 1])})
    found = []
    for t in range(stop):
        value = float(t) if t % every == 0 and t not in lost else np.nan
        found += made.push(float(t), np.array([[1.0, value]]))
    assert all(block.x[0, 0] == 1.0 for block in found)
    return [float(block.x[0, 1]) for block in found]


def test_a_metric_is_held_against_its_own_interval_and_not_the_clock() -> None:
    assert seldom(30, 15, 90) == [7.5, 37.5, 67.5]


def test_a_block_in_which_a_seldom_metric_misses_half_its_values_has_none() -> None:
    np.testing.assert_array_equal(seldom(30, 15, 90, frozenset({45})), [7.5, np.nan, 67.5])


def test_an_interval_that_does_not_divide_the_rung_leaves_no_block_out() -> None:
    assert seldom(30, 20, 120) == [10.0, 40.0, 70.0, 100.0]


def test_a_rung_shorter_than_a_metrics_interval_has_a_value_where_one_falls() -> None:
    np.testing.assert_array_equal(seldom(5, 15, 30), [0.0, np.nan, np.nan, 15.0, np.nan, np.nan])


@given(st.sampled_from([1, 2, 5, 7, 15, 20, 29]), st.sampled_from([30, 60, 120]))
def test_a_metric_that_loses_nothing_has_a_value_in_every_block(every: int, rung: int) -> None:
    assert np.isfinite(seldom(rung, every, 4 * rung)).all()


def test_what_is_beyond_float32_becomes_infinite_and_is_not_hidden() -> None:
    (block,) = fold(1).push(0.0, tick(1e39))
    assert np.isposinf(block.x[0, 0])


def test_of_what_is_counted_errored_ticks_are_the_value_however_many_errors_one_holds() -> None:
    rates = np.zeros((60, 2, 1))
    rates[[3, 30, 31], 0, 0] = [1.0, 10_000.0, 0.5]
    assert errored(rates, 60).tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize(("present", "enough"), [(36, True), (35, False)])
def test_a_block_with_too_few_ticks_counts_nothing(present: int, enough: bool) -> None:  # noqa: FBT001  a table's column
    rates = np.full((60, 1, 1), np.nan)
    rates[:present] = 1.0
    assert np.array_equal(errored(rates, 60), [[present if enough else np.nan]], equal_nan=True)


def test_a_fold_counts_the_columns_that_are_counted_and_takes_the_mean_of_the_others() -> None:
    gauge, counts = Metric("power", "W"), Metric("replays", "1", kind="counts")
    made = Fold((1, 2), columns=Columns.of([gauge, counts]))
    made.watch({5: np.array([0, 1])})
    sealed = [b for t in range(5) for b in made.push(float(t), np.array([[4.0, 7.0 * (t % 2)]]))]
    assert [block.x.tolist() for block in sealed] == [[[4.0, 2.0]]]


POWER = default_catalogue().of("power_watts")


def scoring(interval: float = 1.0, intervals: list[float] | None = None) -> Fold:
    """Return a fold of two shards, one metric and all that is made of it, at rung 30."""
    columns = Columns.of(with_scores([POWER]))
    made = Fold((2, 4), interval, intervals, columns)
    made.watch({30: np.arange(4), 5: np.array([0])})
    return made


def restless(ticks: int) -> Floats:
    """Return ticks (T, S, R) of two shards."""
    return np.random.default_rng(3).normal(700.0, 8.0, size=(ticks, 2, 1))


def test_a_block_of_scores_is_made_of_the_ticks_of_their_metric() -> None:
    made, ticks = scoring(), restless(30)
    blocks = [block for at, tick in enumerate(ticks) for block in made.push(float(at), tick)]
    (block,) = [block for block in blocks if block.rung == 30]
    least = np.array([18.0])
    expected = [
        block_value(ticks, 30),
        oscillation(ticks, least),
        spike(ticks, least, np.array([0])),
        spread(ticks, least),
    ]
    assert block.x.tobytes() == np.concatenate(expected, axis=1).astype(np.float32).tobytes()
    assert all(np.isnan(b.x[:, 1:]).all() for b in blocks if b.rung == 5)


def test_a_fold_holds_the_ticks_of_a_metric_once_however_many_scores_are_made_of_them() -> None:
    made = scoring()
    plain = Fold((2, 1))
    plain.watch({30: np.array([0])})
    assert made._open[30].ticks.shape == plain._open[30].ticks.shape  # noqa: SLF001  what memory hangs on


def test_a_score_of_a_block_that_lost_too_many_ticks_is_none() -> None:
    made, ticks = scoring(), restless(30)
    ticks[5:, 0] = np.nan
    blocks = [block for at, tick in enumerate(ticks) for block in made.push(float(at), tick)]
    assert np.isnan(blocks[-1].x[0]).all()
    assert np.isfinite(blocks[-1].x[1]).all()


def test_the_scores_of_a_metric_read_seldom_are_those_of_its_own_clock() -> None:
    seldom, usual, ticks = scoring(0.5, [1.0]), scoring(), restless(30)
    empty = np.full((2, 1), np.nan)
    expected: list[Block] = []
    found: list[Block] = []
    for at in range(30):
        expected += usual.push(float(at), ticks[at])
        assert seldom.push(float(at), ticks[at]) == []
        found += seldom.push(at + 0.5, empty)
    assert [block.rung for block in found[-2:]] == [5, 30]
    assert found[-1].x.tobytes() == expected[-1].x.tobytes()


def test_a_lost_tick_does_not_shift_those_behind_it_on_the_clock() -> None:
    ticks = restless(30)
    at = np.delete(np.arange(30.0), 7)
    laid = on_the_clock(np.delete(ticks, 7, axis=0), 990.0 + at, 1.0, 30)
    assert np.isnan(laid[7]).all()
    assert np.delete(laid, 7, axis=0).tobytes() == np.delete(ticks, 7, axis=0).tobytes()


def test_of_two_ticks_in_one_place_the_last_value_stays() -> None:
    ticks = np.array([1.0, 2.0, np.nan, 4.0])[:, None, None]
    laid = on_the_clock(ticks, np.array([0.0, 1.0, 1.2, 3.9]), 1.0, 4)[:, 0, 0]
    np.testing.assert_array_equal(laid, [1.0, 2.0, np.nan, 4.0])


def test_a_metric_that_comes_when_it_comes_has_a_value_in_each_block_in_which_there_is_one() -> (
    None
):
    made = Fold((1, 2), 1.0, [1.0, np.inf])
    made.watch({5: np.array([0, 1])})
    blocks = []
    for at in range(10):
        once = 3.0 if at == 2 else np.nan
        blocks += made.push(float(at), np.array([[once, once]]))
    assert [block.x[0].tolist() for block in blocks[:1]] == [
        [pytest.approx(np.nan, nan_ok=True), 3.0]
    ]
    assert np.isnan(blocks[1].x).all()
