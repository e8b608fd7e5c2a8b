from dataclasses import replace

import numpy as np

from tessera.adapters.catalogue import Metric, default_catalogue
from tessera.adapters.scored import judged_together, with_scores
from tessera.aggregator.plan.change import ChangeBook
from tessera.aggregator.plan.epochs import Epochs
from tessera.aggregator.plan.joint import joint_column, moved_together, shared_rungs
from tessera.aggregator.plan.parts import FAST
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.move import Move
from tessera.engine.arrays import Floats
from tessera.engine.calibration import block_correlation
from tessera.engine.evalue import Validity

from ..fleets import POWER, flat, fleet_of

WEEK = 604_800.0


def gauge(name: str, fast: int = 5, slow: int = 30) -> Metric:
    return replace(POWER, name=name, fast=fast, slow=slow)


def book_of(*metrics: Metric, shards: int = 40, horizon: float = WEEK) -> ChangeBook:
    fleet = fleet_of(flat(shards), metrics=[*metrics, judged_together()])
    return ChangeBook(fleet, Epochs(), shortest=5, horizon=horizon)


def joint_rung(book: ChangeBook) -> int:
    """Return the rung of the joint column of the shards, 0 where it has none."""
    return int(book.rungs(slow=False)[0, -1])


def test_the_joint_column_sits_where_most_means_do() -> None:
    assert joint_rung(book_of(gauge("a"), gauge("b", 5, 60), gauge("c", 10, 120))) == 5
    assert joint_rung(book_of(gauge("a"), gauge("b", 10, 30), gauge("c", 5, 30))) == 30


def test_of_two_rungs_alike_it_is_the_longer_one() -> None:
    assert joint_rung(book_of(gauge("a"), gauge("b"))) == 30


def test_means_that_share_no_rung_are_not_judged_together() -> None:
    assert joint_rung(book_of(gauge("a", 5, 30), gauge("b", 10, 60))) == 0


def test_a_horizon_in_which_it_could_not_learn_has_none() -> None:
    assert joint_rung(book_of(gauge("a"), gauge("b"), horizon=30.0 * 800)) == 30
    assert joint_rung(book_of(gauge("a"), gauge("b"), horizon=30.0 * 700)) == 0


def test_it_is_plain_and_has_one_part() -> None:
    book = book_of(gauge("a"), gauge("b"))
    (cell,) = (c for c in book.cells.values() if c.column == 2)
    assert (cell.phi, cell.slow, cell.epoch) == (0.0, False, 0)
    assert (book.rungs(slow=True)[:, -1] == 0).all()


def test_what_is_counted_or_a_score_does_not_draw_it() -> None:
    spread = replace(gauge("a/spread", 60, 60), score="spread")
    other = replace(spread, name="b/spread")
    replays = default_catalogue().of("pcie_replays")
    assert joint_rung(book_of(gauge("a"), gauge("b"), spread, other, replays)) == 30


def test_when_the_noise_moves_its_means_it_follows_in_a_new_epoch() -> None:
    book, rows = book_of(gauge("a"), gauge("b")), np.arange(40)
    moved = np.full((40, 3, 3), np.nan)
    square = np.full(40, 2.0)
    long_memory = block_correlation(95.0, 5)
    lags = np.stack([np.full(40, 1e6), long_memory * square, square], axis=1)
    moved[:, 0] = moved[:, 1] = lags
    book.hear_lags(5, rows, moved)
    book.hear_learned(5, 200, rows, np.full((40, 3), 200))
    assert book.cells[0, 0, 1].rung == book.cells[0, 1, 1].rung == 300
    assert joint_rung(book) == 300
    (cell,) = (c for c in book.cells.values() if c.column == 2)
    assert cell.epoch > 0


def test_its_weight_is_that_of_another_family_and_a_row_adds_up_to_one() -> None:
    metrics = with_scores([gauge("a"), gauge("b")])
    parts = Planner(fleet_of(flat(40), metrics=metrics), shortest=5, horizon=WEEK).parts()
    joint = joint_column(metrics)
    assert joint is not None
    assert parts.weights[FAST, joint, 0] == 0.5
    np.testing.assert_allclose(parts.weights[:, :, 0].sum(), 1.0)


def test_a_fleet_without_the_column_has_no_cell_of_it() -> None:
    fleet = fleet_of(flat(40), metrics=[gauge("a"), gauge("b")])
    assert joint_column(fleet.metrics) is None
    cells = ChangeBook(fleet, Epochs(), shortest=5, horizon=WEEK).cells
    assert {cell.column for cell in cells.values()} == {0, 1}
    rung, rows = shared_rungs(cells.values(), fleet.metrics)[0]
    assert (rung, rows.tolist()) == (30, list(range(40)))


def test_a_metric_that_comes_does_not_move_it_while_two_means_stay_with_it() -> None:
    before = fleet_of(flat(40), metrics=[gauge("a"), gauge("b"), judged_together()])
    more = [gauge("a"), gauge("b"), *(gauge(n, 5, 60) for n in "cd"), judged_together()]
    former = ChangeBook(before, Epochs(), shortest=5, horizon=WEEK)
    after = fleet_of(flat(40), metrics=more)
    heir = ChangeBook(after, Epochs(), shortest=5, horizon=WEEK)
    assert (joint_rung(former), joint_rung(heir)) == (30, 5)
    heir.inherit(former, Move.of(before, after))
    assert joint_rung(heir) == 30


def test_it_moves_where_the_means_that_it_sat_with_are_gone() -> None:
    before = fleet_of(flat(40), metrics=[gauge("a"), gauge("b"), judged_together()])
    after = fleet_of(flat(40), metrics=[gauge("a"), gauge("c", 5, 60), judged_together()])
    former, heir = (ChangeBook(f, Epochs(), shortest=5, horizon=WEEK) for f in (before, after))
    heir.inherit(former, Move.of(before, after))
    assert (joint_rung(former), joint_rung(heir)) == (30, 5)


def sums(rows: int, level: float = 0.0, seed: int = 1) -> Floats:
    return level + np.random.default_rng(seed).normal(size=rows)


def test_null_rows_that_stay_as_they_were_have_not_moved_together() -> None:
    group = np.repeat([0, 1], 32)
    looks = [{10: sums(64, seed=seed), 25: sums(64, seed=seed + 9999)} for seed in range(2000)]
    assert not any(moved_together(windows, group, 1.0) for windows in looks)


def test_power_a_group_that_moves_out_at_once_has_whatever_the_other_does() -> None:
    group = np.repeat([0, 1], 32)
    windows = {10: np.concatenate([sums(32), sums(32, 2.0)])}
    assert str(moved_together(windows, group, 1.0)).startswith("half of a group moved out together")
    assert moved_together({10: -windows[10]}, group, 1.0) is None


def test_a_few_rows_that_are_ill_and_few_that_completed_a_window_have_not() -> None:
    ill = sums(32)
    ill[:10] += 30.0
    assert moved_together({10: ill}, np.zeros(32, dtype=np.int64), 1.0) is None
    few = np.where(np.arange(32) < 7, 30.0, np.nan)
    assert moved_together({10: few}, np.zeros(32, dtype=np.int64), np.nan) is None


def test_more_memory_asks_for_more() -> None:
    windows = {10: sums(32, 1.5)}
    assert moved_together(windows, np.zeros(32, dtype=np.int64), 1.0) is not None
    assert moved_together(windows, np.zeros(32, dtype=np.int64), 2.0) is None


def test_a_joint_cell_whose_group_moved_together_claims_nothing_and_a_mean_does() -> None:
    book, rows = book_of(gauge("a"), gauge("b")), np.arange(40)
    for cell in book.cells.values():
        cell.kappa, cell.validity = 1.0, np.full(len(cell.rows), Validity.EMPIRICAL, dtype=np.int8)
    windows = {10: np.stack([sums(40, 3.0)] * 3, axis=1)}
    assert book.hear_windows(30, 5, rows, windows)
    assert (book.validity(slow=False)[:40, 2] == Validity.NONE).all()
    assert (book.validity(slow=True)[:40, :2] == Validity.EMPIRICAL).all()
    assert book.reason(0, 2, slow=False).startswith("half of a group moved out together")
