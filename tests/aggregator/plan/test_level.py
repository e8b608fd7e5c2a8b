from dataclasses import fields, replace
from math import inf

import numpy as np
import numpy.typing as npt
import pytest

from tessera.adapters.metric import JobMargin
from tessera.aggregator.plan.epochs import Epochs
from tessera.aggregator.plan.level import LevelBook
from tessera.aggregator.plan.level_cell import LevelCell
from tessera.aggregator.state.fleet import Fleet
from tessera.engine.evalue import Validity
from tessera.engine.level import REVIEWS, LevelChannel, LevelReport
from tessera.engine.margin import LEVEL_LAMBDAS

from ..fleets import POWER, STEP_TIME, flat, fleet_of, graph, notes, tree, worker

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

SHARDS = 12  # they are group 0, their cluster is group 1


def book_of(fleet: Fleet) -> LevelBook:
    return LevelBook(fleet, Epochs(), 1)


def twelve() -> LevelBook:
    return book_of(fleet_of(flat(SHARDS)))


def cell_of(book: LevelBook) -> LevelCell:
    return book.cells[0, 0]


def nobody(rows: int = SHARDS + 1) -> Bools:
    return np.zeros(rows, dtype=np.bool_)


def spread(size: float, rows: int = SHARDS + 1) -> LevelReport:
    """Return notes of streams whose medians lie ``size`` (robust sd) around their peers'."""
    places = np.linspace(-2, 2, rows)
    return notes(rows, median=size / 1.4826 * places)


def with_runs(report: LevelReport, p: float, runs: int = 1000) -> LevelReport:
    """Return ``report`` with so many runs of every length a stream, continued with chance ``p``."""
    count = np.full_like(report.runs, runs)
    return replace(report, runs=count, plusses=np.round(p * count).astype(np.int64))


def test_only_metrics_with_a_margin_and_a_bad_side_are_judged() -> None:
    metrics = [POWER, STEP_TIME, replace(STEP_TIME, name="both_sides_seconds", direction=0)]
    book = book_of(fleet_of(flat(SHARDS), metrics=metrics))
    assert set(book.cells) == {(0, 1)}


def test_a_job_is_judged_by_its_own_margin_or_not_at_all() -> None:
    own = (JobMargin("eval", 0.2, 0.3), JobMargin("dev", None, None))
    jobs = ["train"] * 4 + ["eval"] * 4 + ["dev"] * 4
    shards = [worker(f"gpu-{i}", job=job) for i, job in enumerate(jobs)]
    fleet = fleet_of(flat(12), shards, [replace(STEP_TIME, jobs=own)])
    book = book_of(fleet)
    margins = {
        shards[int(np.flatnonzero(fleet.group == g)[0])].job: p.margin
        for (g, _), p in zip(book.cells, book.plans(), strict=True)
    }
    assert margins == {"train": STEP_TIME.margin, "eval": 0.2}


def test_groups_of_fewer_than_three_are_not_judged() -> None:
    assert set(book_of(fleet_of(tree(2, 4, 8))).cells) == {(0, 0), (1, 0), (2, 0)}


def test_nothing_is_claimed_before_the_first_review() -> None:
    book = twelve()
    assert cell_of(book).validity == Validity.NONE
    assert cell_of(book).reason == "not yet reviewed"


def test_a_quiet_group_is_construction_after_its_first_review() -> None:
    book = twelve()
    assert book.review(1, notes(SHARDS + 1), nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION
    assert (cell_of(book).margin, cell_of(book).epoch) == (0.05, 0)


def test_a_group_of_seven_is_empirical_at_best() -> None:
    book = book_of(fleet_of(flat(7)))
    book.review(1, notes(8), nobody(8))
    assert cell_of(book).validity == Validity.EMPIRICAL


def test_reviews_come_after_the_stated_blocks_and_then_no_more() -> None:
    book = twelve()
    blocks = (19, 20, 21, 59, 60, 61, 199, 200, 599, 600, 1999, 2000, 9000)
    done = [b for b in blocks if book.review(1, notes(SHARDS + 1, observed=b), nobody())]
    assert tuple(done) == REVIEWS


def test_a_review_waits_for_four_fifths_of_the_group() -> None:
    book, report = twelve(), notes(SHARDS + 1)
    report.observed[:3] = 19
    assert not book.review(1, report, nobody())
    report.observed[2] = 20
    assert book.review(1, report, nobody())


def test_shards_that_never_had_a_contrast_are_not_waited_for() -> None:
    book, report = twelve(), notes(SHARDS + 1)
    report.observed[:6] = 0
    report.median[:6] = np.nan
    assert book.review(1, report, nobody())


def test_another_rung_reviews_nothing() -> None:
    assert not twelve().review(5, notes(SHARDS + 1), nobody())


def test_the_margin_widens_to_four_times_the_spread_in_a_new_epoch() -> None:
    book = twelve()
    book.review(1, spread(0.03), nobody())
    assert cell_of(book).margin == pytest.approx(0.12, rel=0.2)
    assert cell_of(book).epoch == 1


def test_a_widened_margin_is_judged_at_the_next_review() -> None:
    book = twelve()
    book.review(1, spread(0.03), nobody())
    assert cell_of(book).validity == Validity.NONE
    assert "not yet reviewed" in cell_of(book).reason
    book.review(1, replace(spread(0.03), observed=np.full((SHARDS + 1, 1), 60)), nobody())
    assert (cell_of(book).validity, cell_of(book).epoch) == (Validity.CONSTRUCTION, 1)


def test_what_signs_said_of_the_old_margin_does_not_move_the_widened_one() -> None:
    book = twelve()
    book.review(1, with_runs(spread(0.03), 0.9), nobody())
    assert (cell_of(book).rung, cell_of(book).largest_lambda) == (1, LEVEL_LAMBDAS[-1])


def test_a_margin_never_narrows() -> None:
    book = twelve()
    book.review(1, spread(0.03), nobody())
    wide = cell_of(book).margin
    book.review(1, notes(SHARDS + 1, observed=60), nobody())
    assert cell_of(book).margin == wide


def test_a_group_of_unequals_abstains_for_good() -> None:
    book = twelve()
    book.review(1, spread(0.08), nobody())
    assert cell_of(book).margin is None
    assert cell_of(book).validity == Validity.NONE
    assert cell_of(book).reason.startswith("heterogeneous_group")
    assert next(iter(book.plans())).largest_lambda == 0.0
    assert not book.review(1, notes(SHARDS + 1, observed=60), nobody())


def test_memory_moves_the_channel_to_a_longer_block() -> None:
    book = twelve()
    book.review(1, notes(SHARDS + 1, lag_one=0.6), nobody())
    assert (cell_of(book).rung, cell_of(book).validity) == (5, Validity.NONE)
    assert "lag one" in cell_of(book).reason
    assert book.rungs()[0, 0] == 5
    assert book.review(5, notes(SHARDS + 1), nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION


def test_power_medians_apart_by_memory_move_to_longer_blocks_and_the_first_margin() -> None:
    book = twelve()
    first = cell_of(book).margin
    remembering = replace(spread(0.08), lag_one=np.full(spread(0.08).median.shape, 0.8))
    book.review(1, remembering, nobody())
    assert (cell_of(book).rung, cell_of(book).margin) == (5, first)
    assert "remember" in cell_of(book).reason
    assert book.review(5, notes(SHARDS + 1), nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION


def test_null_unequals_without_memory_still_abstain_at_the_block_they_have() -> None:
    book = twelve()
    book.review(1, replace(spread(0.08), lag_one=np.full(spread(0.08).median.shape, 0.2)), nobody())
    assert (cell_of(book).rung, cell_of(book).margin) == (1, None)


def test_memory_beyond_the_longest_block_ends_the_channel() -> None:
    book, tried = twelve(), []
    while cell_of(book).margin is not None:
        tried.append(cell_of(book).rung)
        book.review(tried[-1], notes(SHARDS + 1, lag_one=0.9), nobody())
    assert tried == [1, 5, 30, 300]
    assert cell_of(book).validity == Validity.NONE


def test_runs_of_plusses_cut_the_grid_in_a_new_epoch() -> None:
    book = twelve()
    book.review(1, with_runs(notes(SHARDS + 1), 0.6), nobody())
    assert cell_of(book).validity == Validity.EMPIRICAL
    assert cell_of(book).largest_lambda == pytest.approx(0.9 / 0.6 - 1.0, abs=0.01)
    assert cell_of(book).epoch == 1


def test_a_share_that_wavers_within_one_grid_begins_no_epoch() -> None:
    book = twelve()
    book.review(1, with_runs(notes(SHARDS + 1), 0.6), nobody())
    book.review(1, with_runs(notes(SHARDS + 1, observed=60), 0.59), nobody())
    assert (cell_of(book).validity, cell_of(book).epoch) == (Validity.EMPIRICAL, 1)


def test_fair_runs_of_plusses_keep_the_class() -> None:
    book = twelve()
    book.review(1, with_runs(notes(SHARDS + 1), 0.45), nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION
    assert cell_of(book).largest_lambda == LEVEL_LAMBDAS[-1]


def test_runs_that_go_on_and_on_need_a_longer_block() -> None:
    book = twelve()
    book.review(1, with_runs(notes(SHARDS + 1), 0.8), nobody())
    assert cell_of(book).rung == 5


def test_an_ill_shard_does_not_close_the_channel_that_found_it() -> None:
    book, report = twelve(), notes(SHARDS + 1)
    report.median[0] = 0.3  # far beyond the margin
    report.noise_ratio[0] = 1e6
    ill = with_runs(report, 0.0)
    ill.plusses[0] = 100 * ill.runs[0]  # plusses without end: they would outweigh all others
    assert book.review(1, ill, nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION
    assert cell_of(book).margin == 0.05


def test_rows_with_an_open_verdict_are_not_part_of_healthy() -> None:
    book, report = twelve(), spread(0.03)
    open_rows = nobody()
    open_rows[[0, 1, 2, 9, 10, 11]] = True  # all but the six in the middle
    book.review(1, report, open_rows)
    narrow = cell_of(book).margin
    other = twelve()
    other.review(1, report, nobody())
    wide = cell_of(other).margin
    assert narrow is not None
    assert wide is not None
    assert narrow < wide


def quartets() -> LevelBook:
    """Return three stages of four shards in one job, each a group too small for a spread."""
    topology = flat(12)
    shards = [worker(s, role=f"pp{i % 3}") for i, s in enumerate(topology.shards)]
    return book_of(fleet_of(topology, shards))


def test_small_groups_of_a_job_share_their_spread() -> None:
    book, report = quartets(), notes(13)
    first = book.cells[0, 0]
    rows = np.flatnonzero(book.settings(1)[2][:, 0] >= 0)
    report.median[rows, 0] = np.where(np.arange(len(rows)) % 3 == 0, 0.0, 0.03 * (rows % 2 * 2 - 1))
    book.review(1, report, nobody(13))
    assert first.margin == pytest.approx(4 * 1.4826 * 0.03, rel=0.01)


def test_a_group_of_five_stands_on_its_own_spread() -> None:
    topology = flat(10)
    shards = [worker(s, role=f"pp{i % 2}") for i, s in enumerate(topology.shards)]
    book, report = book_of(fleet_of(topology, shards)), notes(11)
    odd = np.array([s.role == "pp1" for s in shards] + [False])
    report.median[odd, 0] = [-0.06, -0.03, 0.0, 0.03, 0.06]
    book.review(1, report, nobody(11))
    margins = [cell.margin for cell in book.cells.values()]
    assert margins == [0.05, pytest.approx(4 * 1.4826 * 0.03, rel=0.01)]


def test_contrasts_across_roles_have_the_wide_margin() -> None:
    topology = graph({f"host-{i}": f"gpu-{i}-0 gpu-{i}-1 gpu-{i}-2" for i in range(3)})
    shards = [worker(s, role=f"pp{s.split('-')[1]}") for s in topology.shards]
    book = book_of(fleet_of(topology, shards))
    assert [cell.margin for cell in book.cells.values()] == [0.05, 0.05, 0.05, 0.1]


def test_the_plan_tells_the_agents_margin_grid_and_epoch() -> None:
    book = twelve()
    book.review(1, spread(0.03), nobody())
    plan = next(iter(book.plans()))
    margin, largest, epoch = book.settings(1)
    assert (margin[0, 0], largest[0, 0], epoch[0, 0]) == (
        plan.margin,
        plan.largest_lambda,
        plan.epoch,
    )
    assert np.isnan(margin[-1, 0])  # the cluster has no siblings
    assert epoch[-1, 0] == -1


def test_a_better_class_than_at_first_begins_a_new_epoch() -> None:
    book = twelve()
    book.review(1, notes(SHARDS + 1, noise_ratio=0.8), nobody())
    assert cell_of(book).validity == Validity.EMPIRICAL
    book.review(1, notes(SHARDS + 1, observed=60), nobody())
    assert (cell_of(book).validity, cell_of(book).epoch) == (Validity.CONSTRUCTION, 1)


def reviewed(book: LevelBook, *noise_ratios: float) -> LevelCell:
    """Hold the next reviews, one for each noise ratio: at most 1/3 is construction."""
    for ratio in noise_ratios:
        observed = REVIEWS[cell_of(book).reviewed]
        book.review(1, notes(SHARDS + 1, observed=observed, noise_ratio=ratio), nobody())
    return cell_of(book)


def test_the_third_review_may_still_raise_a_class_and_the_fourth_not() -> None:
    assert reviewed(twelve(), 0.8, 0.8, 0.1).validity == Validity.CONSTRUCTION
    late = reviewed(twelve(), 0.8, 0.8, 0.8, 0.1, 0.1)
    assert (late.validity, late.epoch) == (Validity.EMPIRICAL, 0)


def test_a_late_review_may_lower_a_class_for_good() -> None:
    book = twelve()
    assert reviewed(book, 0.1, 0.1, 0.1, 0.8).validity == Validity.EMPIRICAL
    assert reviewed(book, 0.1).validity == Validity.EMPIRICAL


def test_a_late_review_does_not_give_back_a_cut_grid() -> None:
    book = twelve()
    for observed, p in zip(REVIEWS, (0.6, 0.6, 0.6, 0.45), strict=False):
        book.review(1, with_runs(notes(SHARDS + 1, observed=observed), p), nobody())
    assert cell_of(book).largest_lambda == pytest.approx(0.5, abs=0.01)
    assert (cell_of(book).validity, cell_of(book).epoch) == (Validity.EMPIRICAL, 1)


def test_a_late_review_may_lengthen_the_block_where_all_is_judged_anew() -> None:
    book = twelve()
    reviewed(book, 0.8, 0.8, 0.8)
    book.review(1, notes(SHARDS + 1, observed=600, lag_one=0.6), nobody())
    assert (cell_of(book).rung, cell_of(book).validity) == (5, Validity.NONE)
    book.review(5, notes(SHARDS + 1), nobody())
    assert cell_of(book).validity == Validity.CONSTRUCTION


def test_a_late_review_may_widen_and_the_next_gives_no_better_class_than_before() -> None:
    book = twelve()
    reviewed(book, 0.8, 0.8, 0.8)
    book.review(1, replace(spread(0.03), observed=np.full((SHARDS + 1, 1), 600)), nobody())
    assert cell_of(book).validity == Validity.NONE
    book.review(1, replace(spread(0.03), observed=np.full((SHARDS + 1, 1), 2000)), nobody())
    assert cell_of(book).validity == Validity.EMPIRICAL


def test_a_stream_with_a_memory_of_its_own_is_empirical_and_the_others_are_not() -> None:
    book, report = twelve(), notes(SHARDS + 1, observed=60)
    report.lag_one[3] = 0.9
    report.runs[5], report.plusses[5] = [60, 12, 10, 8, 6], [12, 10, 8, 6, 5]
    book.review(1, report, nobody())
    lowered = np.flatnonzero(book.validity()[:SHARDS, 0] == Validity.EMPIRICAL)
    assert lowered.tolist() == [3, 5]
    assert cell_of(book).validity == Validity.CONSTRUCTION


def test_memory_once_seen_in_a_stream_holds_until_the_next_epoch() -> None:
    book, report = twelve(), notes(SHARDS + 1)
    report.lag_one[3] = 0.9
    book.review(1, report, nobody())
    reviewed(book, 0.1)
    assert book.validity()[3, 0] == Validity.EMPIRICAL
    book.review(1, replace(spread(0.03), observed=np.full((SHARDS + 1, 1), 200)), nobody())
    reviewed(book, 0.1)
    assert book.validity()[3, 0] == Validity.CONSTRUCTION


def test_memory_at_a_short_block_is_not_held_against_a_stream_at_the_longer_one() -> None:
    book = twelve()
    book.review(1, with_runs(notes(SHARDS + 1, lag_one=0.9), 0.8), nobody())
    book.review(5, notes(SHARDS + 1), nobody())
    assert (book.validity()[:SHARDS, 0] == Validity.CONSTRUCTION).all()


def test_a_group_of_noisy_signs_is_not_left_out_for_a_quiet_one_of_its_pool() -> None:
    topology = flat(16)
    shards = [worker(s, role=f"pp{i % 2}") for i, s in enumerate(topology.shards)]
    book, report = book_of(fleet_of(topology, shards)), notes(17, observed=60)
    odd = np.array([s.role == "pp1" for s in shards] + [False])
    report.runs[odd], report.plusses[odd] = [60, 40, 36, 33, 30], [40, 36, 33, 30, 27]
    book.review(1, report, nobody(17))
    assert {cell.rung for cell in book.cells.values()} == {5}  # 8 × 30 runs of four, p4 = .9


FLEET = 32


def of_shards(report: LevelReport) -> LevelReport:
    """Return the notes of the whole fleet, of which only the shards have a ``report`` (32,)."""
    whole = notes(FLEET + 1, observed=0)
    for field in fields(LevelReport):
        getattr(whole, field.name)[:FLEET, 0] = getattr(report, field.name)
    return whole


def opened(contrasts: Floats, margin: float) -> tuple[LevelBook, int | None]:
    """Let a book review channels of ``contrasts`` (T, 32); return when one has M above 1000."""
    book, made = book_of(fleet_of(flat(FLEET))), LevelChannel(np.full(FLEET, margin), 10_000)
    every = np.ones(FLEET, dtype=np.bool_)
    for block, row in enumerate(contrasts):
        made.step(block, row, every)
        if made.due.any():
            epoch = cell_of(book).epoch
            book.review(1, of_shards(made.report()), nobody(FLEET + 1))
            if cell_of(book).rung > 1:
                return book, None
            if cell_of(book).epoch > epoch:
                margins, largest, _ = book.settings(1)
                made.restart(np.arange(FLEET), margins[:FLEET, 0], largest[:FLEET, 0], 10_000)
        if cell_of(book).validity > Validity.NONE and made.log_m().max() > np.log(1000.0):
            return book, block
    return book, None


def with_memory(phi: float, blocks: int) -> Floats:
    """Return AR(1) contrasts (blocks, 32) whose sd is the margin of .05."""
    rng = np.random.default_rng([15, round(100 * phi)])
    out = 0.05 * rng.standard_normal((blocks, FLEET))
    for b in range(1, blocks):
        out[b] = phi * out[b - 1] + np.sqrt(1.0 - phi**2) * out[b]
    return out


def test_null_memory_at_the_scale_of_the_margin_is_refused() -> None:
    book, when = opened(with_memory(0.9, 700), 0.05)
    assert (cell_of(book).rung, when) == (5, None)


def test_null_little_memory_passes_every_review_and_nothing_opens() -> None:
    book, when = opened(with_memory(0.3, 700), 0.05)
    assert (cell_of(book).rung, cell_of(book).reviewed, when) == (1, 4, None)
    assert cell_of(book).validity > Validity.NONE


@pytest.mark.parametrize("phi", [0.9, 0.99])
def test_null_a_quarter_with_memory_is_empirical_and_the_quiet_rest_construction(
    phi: float,
) -> None:
    book, made = book_of(fleet_of(flat(FLEET))), LevelChannel(np.full(FLEET, 0.05), 10_000)
    contrasts = with_memory(phi, 60)
    contrasts[:, 8:] = 0.01 * np.random.default_rng(17).standard_normal((60, FLEET - 8))
    for block, row in enumerate(contrasts):
        made.step(block, row, np.ones(FLEET, dtype=np.bool_))
        if made.due.any():
            book.review(1, of_shards(made.report()), nobody(FLEET + 1))
    classes = book.validity()[:FLEET, 0]
    assert (classes[:8] == Validity.EMPIRICAL).all()
    assert (classes[8:] == Validity.CONSTRUCTION).all()


@pytest.mark.parametrize("onset", [30, 35, 40, 45, 50, 55, 58, 65, 185, 195])
@pytest.mark.parametrize("sd", [0.012, 0.02])
def test_power_a_quarter_that_falls_ill_before_a_review_is_opened_soon(
    onset: int, sd: float
) -> None:
    contrasts = sd * np.random.default_rng([16, onset]).standard_normal((onset + 40, FLEET))
    contrasts[onset:, :8] += 0.08
    _, when = opened(contrasts, 0.05)
    assert when is not None
    assert onset < when < onset + 40


def test_noise_that_is_not_known_yet_keeps_the_channel_closed() -> None:
    book = twelve()
    book.review(1, notes(SHARDS + 1, noise_ratio=np.nan, lag_one=np.nan), nobody())
    assert cell_of(book).validity == Validity.NONE


def test_readings_that_come_seldom_lengthen_the_block() -> None:
    book = LevelBook(fleet_of(flat(SHARDS)), Epochs(), 60)
    assert cell_of(book).rung == 60
    assert cell_of(book).margin != inf
