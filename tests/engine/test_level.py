import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Bools, Floats
from tessera.engine.level import REMEMBERED, REVIEWS, LevelChannel
from tessera.engine.margin import noise
from tessera.engine.onset import NEVER

MARGIN, CROSSING = 0.05, np.log(100.0)


def channel(n: int, horizon: int = 1000) -> LevelChannel:
    return LevelChannel(np.full(n, MARGIN), horizon)


def play(
    made: LevelChannel, contrasts: Floats, first: int = 0, may_bet: Bools | None = None
) -> Floats:
    """Feed ``contrasts`` (blocks, n); return ln M (blocks, n)."""
    every = np.ones(contrasts.shape[1], dtype=np.bool_)
    out = np.empty(contrasts.shape)
    for b, row in enumerate(contrasts):
        made.step(first + b, row, every if may_bet is None else may_bet)
        out[b] = made.log_m()
    return out


def contrasts(seed: int, blocks: int, n: int, level: float, sd: float = 0.01) -> Floats:
    return level + sd * np.random.default_rng(seed).standard_normal((blocks, n))


def delay(log_m: Floats) -> int:
    """Return the blocks until one stream's ln M (blocks,) crosses, the crossing one included."""
    assert log_m.max() >= CROSSING
    return int(np.argmax(log_m >= CROSSING)) + 1


@pytest.mark.parametrize("level", [0.0, 0.8 * MARGIN])
def test_null_an_offset_inside_the_margin_never_crosses(level: float) -> None:
    log_m = play(channel(200), contrasts(71, 700, 200, level, sd=0.02))
    assert log_m.max() < CROSSING


def test_null_an_offset_just_at_the_margin_keeps_villes_bounds() -> None:
    highest = play(channel(400), contrasts(71, 500, 400, MARGIN, sd=0.02)).max(axis=0)
    assert (highest >= np.log(20.0)).mean() <= 0.05
    assert (highest >= CROSSING).mean() <= 0.01


def test_memory_at_the_scale_of_the_margin_alarms_so_the_null_test_can_fail() -> None:
    past = contrasts(70, 500, 100, 0.0, sd=MARGIN * np.sqrt(1.0 - 0.9**2))
    for b in range(1, len(past)):
        past[b] += 0.9 * past[b - 1]  # what the gate of the plan is there to refuse
    assert (play(channel(100), past).max(axis=0) >= CROSSING).mean() > 0.2


def test_power_what_is_bad_from_the_first_block_is_found_and_dated_there() -> None:
    made = channel(3)
    bad = contrasts(72, 60, 3, 0.0)
    bad[:, 1] += 0.08
    log_m = play(made, bad, first=500)
    assert delay(log_m[:, 1]) <= 40
    assert made.mixture.onset()[1] == 500
    assert log_m[:, [0, 2]].max() < CROSSING


def test_power_seven_hundred_healthy_blocks_do_not_delay_what_comes_then() -> None:
    made = channel(1)
    healthy = play(made, contrasts(73, 700, 1, 0.0))
    log_m = play(made, contrasts(74, 60, 1, 0.08), first=700)
    assert healthy.max() < CROSSING
    assert delay(log_m[:, 0]) <= 40
    assert 698 <= made.mixture.onset()[0] <= 702


def test_the_good_side_is_never_blamed_however_far() -> None:
    assert play(channel(4), contrasts(75, 300, 4, -0.5)).max() <= 0.0


def test_a_contrast_that_stands_at_the_margin_is_inside() -> None:
    assert play(channel(1), np.full((60, 1), MARGIN)).max() <= 0.0


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_missing_contrast_makes_no_bet_and_changes_no_evidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain, holed = channel(2), channel(2)
    for b, row in enumerate(contrasts(seed, 40, 2, 0.06)):
        plain.step(10 * b, row, np.ones(2, dtype=np.bool_))
        holed.step(10 * b, row, np.ones(2, dtype=np.bool_))
        for gap in range(rng.integers(0, 3)):
            holed.step(10 * b + gap + 1, np.full(2, np.nan), np.ones(2, dtype=np.bool_))
    np.testing.assert_array_equal(plain.log_m(), holed.log_m())
    np.testing.assert_array_equal(plain.mixture.onset(), holed.mixture.onset())
    np.testing.assert_array_equal(plain.report().median, holed.report().median)


def test_a_stream_that_may_not_bet_is_remembered_and_not_judged() -> None:
    made = channel(2)
    play(made, contrasts(76, 50, 2, 0.2), may_bet=np.array([True, False]))
    told = made.report()
    assert made.log_m()[0] > CROSSING
    assert (made.log_m()[1], made.mixture.age[1], told.runs[1, 0]) == (0.0, 0, 0)
    assert told.observed.tolist() == [50, 50]
    assert told.median == pytest.approx([0.2, 0.2], abs=0.01)


def test_a_wider_margin_begins_a_new_epoch_and_keeps_the_past() -> None:
    made = channel(2)
    play(made, contrasts(77, 60, 2, 0.08))
    made.restart(np.array([1]), np.array([0.12]), np.array([0.9]), 500)
    assert made.log_m()[1] == 0.0
    assert made.mixture.onset()[1] == NEVER
    assert made.report().observed.tolist() == [60, 60]
    log_m = play(made, contrasts(78, 200, 2, 0.08), first=60)
    assert log_m[-1, 0] > log_m[0, 0] > CROSSING
    assert log_m[:, 1].max() < CROSSING


def test_a_margin_that_was_restarted_is_still_one_that_finds() -> None:
    made = channel(1)
    play(made, contrasts(79, 200, 1, 0.08))
    made.restart(np.array([0]), np.array([0.12]), np.array([0.9]), 500)
    log_m = play(made, contrasts(80, 60, 1, 0.16), first=200)
    assert delay(log_m[:, 0]) <= 40


def test_a_cut_grid_bets_less_and_an_empty_one_not_at_all() -> None:
    made = channel(3)
    grids = np.array([0.9, 0.25, 0.0])
    made.restart(np.arange(3), np.full(3, MARGIN), grids, 1000)
    log_m = play(made, np.full((60, 3), 0.2))
    assert log_m[-1, 0] > log_m[-1, 1] > 0.0 >= log_m[-1, 2]


def test_reviews_are_due_after_the_stated_numbers_of_contrasts_only() -> None:
    made, due = channel(1), []
    for b in range(2100):
        made.step(b, np.zeros(1), np.ones(1, dtype=np.bool_))
        if made.due[0]:
            due.append(b + 1)
    assert tuple(due) == REVIEWS == (20, 60, 200, 600, 2000)


def test_a_review_counts_contrasts_and_is_due_once_though_blocks_go_missing() -> None:
    made, due = channel(2), []
    values = np.zeros((45, 2))
    values[1::2, 1] = np.nan
    for b, row in enumerate(values):
        made.step(b, row, np.ones(2, dtype=np.bool_))
        due += [(b, int(i)) for i in np.flatnonzero(made.due)]
    assert due == [(19, 0), (38, 1)]


@pytest.mark.parametrize("blocks", [50, REMEMBERED, 300, 500])
def test_the_report_is_about_the_last_contrasts_in_their_order(blocks: int) -> None:
    past = contrasts(81, blocks, 3, 0.01)
    for b in range(1, blocks):
        past[b] += 0.7 * (past[b - 1] - 0.01)  # the order matters to the lag-one correlation
    made = channel(3)
    play(made, past)
    kept, told = past[-REMEMBERED:].T, made.report()
    ratio, lag_one = noise(kept, np.full(3, MARGIN))
    assert told.median == pytest.approx(np.median(kept, axis=1), rel=1e-9)
    assert told.noise_ratio == pytest.approx(ratio, rel=1e-9)
    assert told.lag_one == pytest.approx(lag_one, rel=1e-9)
    assert told.lag_one.min() > 0.3


def test_a_report_counts_the_runs_of_plusses_of_each_stream() -> None:
    made = channel(2)
    plus = np.array([[0.1, 0.0]] * 6 + [[0.0, 0.1]] + [[0.0, 0.0]])
    play(made, plus)
    told = made.report()
    assert told.runs.tolist() == [[8, 6, 5, 4, 3], [8, 1, 0, 0, 0]]
    assert told.plusses.tolist() == [[6, 5, 4, 3, 2], [1, 0, 0, 0, 0]]


def test_a_fault_under_way_changes_neither_counts_nor_noise_of_the_report() -> None:
    made, healthy = channel(2), contrasts(82, 50, 2, 0.0)
    play(made, healthy)
    before = made.report()
    play(made, np.full((9, 2), 0.1), first=50)
    after = made.report()
    assert after.observed.tolist() == [59, 59]
    np.testing.assert_array_equal(after.runs, before.runs)
    np.testing.assert_array_equal(after.plusses, before.plusses)
    np.testing.assert_allclose(after.noise_ratio, before.noise_ratio)
    np.testing.assert_allclose(after.lag_one, before.lag_one)


def test_signs_against_another_margin_are_forgotten() -> None:
    made = channel(3)
    play(made, np.tile([[0.1], [0.1], [0.0]], (10, 3)))
    made.restart(np.array([1, 2]), np.array([MARGIN, 0.2]), np.full(2, 0.9), 500)
    told = made.report()
    assert told.runs[0].tolist() == told.runs[1].tolist() == [30, 20, 10, 0, 0]
    assert told.runs[2].sum() == told.plusses[2].sum() == 0
    assert told.observed.tolist() == [30, 30, 30]


def test_the_noise_is_taken_against_the_margin_that_holds() -> None:
    made = channel(1)
    play(made, contrasts(83, 200, 1, 0.0, sd=0.04))
    narrow = made.report().noise_ratio[0]
    made.restart(np.array([0]), np.array([0.2]), np.array([0.9]), 500)
    assert made.report().noise_ratio[0] < 0.4 * narrow


def test_a_stream_without_a_contrast_is_reported_as_not_known() -> None:
    told = channel(1).report()
    assert np.isnan(told.median[0])
    assert np.isnan(told.noise_ratio[0])
    assert np.isnan(told.lag_one[0])
    assert (told.observed[0], told.runs.sum()) == (0, 0)


def test_a_report_is_a_copy_of_that_moment() -> None:
    made = channel(1)
    play(made, np.full((3, 1), 0.0))
    told = made.report()
    play(made, np.full((3, 1), 0.0), first=3)
    assert (told.observed[0], told.runs[0, 0]) == (3, 3)


def test_an_infinite_contrast_is_refused() -> None:
    with pytest.raises(ValueError, match="contrast is infinite at index"):
        channel(2).step(0, np.array([0.0, np.inf]), np.ones(2, dtype=np.bool_))
