from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.plan.cell import PATIENCE, ChangeCell
from tessera.aggregator.plan.change import JUDGED_EACH, ChangeBook
from tessera.aggregator.plan.epochs import Epochs
from tessera.aggregator.plan.reports import Reports
from tessera.engine.calibration import OWN_ENOUGH, WINDOWS, block_correlation
from tessera.engine.evalue import Validity
from tessera.engine.reason import Code, Reason

from ..fleets import POWER, flat, fleet_of, outcome, tree

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARDS = 10  # they are pool 0, their cluster is pool 1
ALL = np.arange(SHARDS)


def book_of(
    shards: int = SHARDS, *, fast: int = 5, slow: int = 30, shortest: int = 5
) -> ChangeBook:
    metric = replace(POWER, fast=fast, slow=slow)
    return ChangeBook(
        fleet_of(flat(shards), metrics=[metric]), Epochs(), shortest=shortest, horizon=7e5
    )


def decide(book: ChangeBook, rung: int, block: int) -> bool:
    rows = fast_of(book).rows
    return book.hear_learned(rung, block, rows, np.full((len(rows), 1), 200))


def tell_lags(book: ChangeBook, rung: int, block: int, rows: Ints, sums: Floats) -> bool:
    book.hear_lags(rung, rows, sums)
    return decide(book, rung, block)


def tell_baseline(book: ChangeBook, rung: int, block: int, rows: Ints, scores: Floats) -> bool:
    late = book.hear_baseline(rung, rows, scores)
    return decide(book, rung, block) or late


def fast_of(book: ChangeBook) -> ChangeCell:
    return book.cells[0, 0, 0]


def slow_of(book: ChangeBook) -> ChangeCell:
    return book.cells[0, 0, 1]


def lags(rho: Floats | float, streams: int = SHARDS) -> Floats:
    """Return the sums (S, 1, 3) of streams with lag-one autocorrelation ``rho``, 1e6 pairs each."""
    n, square = np.full(streams, 1e6), np.full(streams, 2.0)
    return np.stack([n, rho * square, square], axis=1)[:, None, :]


def white(streams: int = SHARDS, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((streams, 1, 100))


def with_memory(phi: float, streams: int, seed: int = 2) -> Floats:
    scores = white(streams, seed)
    for b in range(1, 100):
        scores[..., b] = phi * scores[..., b - 1] + np.sqrt(1 - phi**2) * scores[..., b]
    return scores


def betting(scores: Floats | None = None) -> ChangeBook:
    """Return a book whose fast cell knows φ and κ."""
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(block_correlation(9.5, 5)))
    tell_baseline(book, 5, 201, ALL, white() if scores is None else scores)
    return book


def windows(sd: float, seed: int = 3) -> dict[int, Floats]:
    """Return one completed window sum of each length and stream, with standard deviation ``sd``."""
    random = np.random.default_rng(seed)
    return {m: sd * random.standard_normal((SHARDS, 1)) for m in WINDOWS}


def test_phi_is_the_median_of_those_who_reported() -> None:
    book = book_of()
    rho = np.linspace(0.3, 0.5, SHARDS)
    assert tell_lags(book, 5, 200, ALL, lags(rho))
    assert fast_of(book).phi == pytest.approx(0.4, abs=1e-5)


def test_phi_waits_for_four_fifths_of_the_pool() -> None:
    book = book_of()
    assert not tell_lags(book, 5, 200, ALL[:7], lags(0.4, 7))
    assert tell_lags(book, 5, 200, ALL[7:8], lags(0.4, 1))


def test_the_rest_of_the_pool_is_not_waited_for_any_longer_than_patience() -> None:
    book = book_of()
    one = ALL[:1], lags(0.4, 1)
    tell_lags(book, 5, 200, *one)
    assert not tell_lags(book, 5, 200 + PATIENCE - 1, *one)
    assert tell_lags(book, 5, 200 + PATIENCE, *one)


def test_streams_without_lags_are_not_counted() -> None:
    book = book_of()
    some = lags(0.4)
    some[:5] = np.nan
    assert not tell_lags(book, 5, 200, ALL, some)
    assert np.isnan(fast_of(book).phi)


def test_phi_stays_what_it_became() -> None:
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(0.4))
    assert not tell_lags(book, 5, 260, ALL, lags(0.9))
    assert fast_of(book).phi == pytest.approx(0.4, abs=1e-5)


def test_lags_of_streams_that_did_not_move_fix_nothing() -> None:
    book = book_of()
    still = lags(0.4)
    still[..., 1:] = 0.0
    tell_lags(book, 5, 200, ALL, still)
    assert np.isnan(fast_of(book).phi)
    assert tell_lags(book, 5, 201, ALL, lags(0.4))


def test_the_slow_rung_is_plain_from_the_start() -> None:
    book = book_of()
    assert slow_of(book).phi == 0.0
    assert not tell_lags(book, 30, 200, ALL, lags(0.4))


@pytest.mark.parametrize(
    ("tau", "rungs"), [(1.4, (5, 30)), (9.5, (5, 30)), (33.0, (10, 120)), (400.0, (300, 600))]
)
def test_memory_decides_the_block_lengths(tau: float, rungs: tuple[int, int]) -> None:
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(block_correlation(tau, 5)))
    assert (fast_of(book).rung, slow_of(book).rung) == rungs


def test_a_part_that_moves_learns_anew_in_a_new_epoch() -> None:
    book = book_of()
    before = fast_of(book).epoch
    tell_lags(book, 5, 200, ALL, lags(block_correlation(33.0, 5)))
    assert np.isnan(fast_of(book).phi)
    assert fast_of(book).epoch > before
    assert book.settings(5)[2][:SHARDS].max() == -1  # nobody of the pool counts there any more


def test_a_rung_is_not_left_for_its_neighbour_and_back() -> None:
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(block_correlation(16.0, 5)))
    assert fast_of(book).rung == 10
    tell_lags(book, 10, 200, ALL, lags(block_correlation(12.0, 10)))
    assert fast_of(book).rung == 10
    assert np.isfinite(fast_of(book).phi)


@pytest.mark.parametrize(
    ("shortest", "rungs"), [(5, (60, 300)), (120, (120, 600)), (300, (300, 600))]
)
def test_slow_metrics_begin_with_blocks_that_readings_allow(
    shortest: int, rungs: tuple[int, int]
) -> None:
    book = book_of(fast=60, slow=300, shortest=shortest)
    assert (fast_of(book).rung, slow_of(book).rung) == rungs


def test_a_block_in_which_nothing_could_be_learned_in_time_is_not_begun() -> None:
    metric = replace(POWER, fast=60, slow=300)
    fleet = fleet_of(flat(SHARDS), metrics=[metric])
    book = ChangeBook(fleet, Epochs(), shortest=1, horizon=7200.0)
    assert fast_of(book).rung == 10  # 200 blocks end within half of the horizon
    fixed = ChangeBook(fleet, Epochs(), shortest=1, horizon=7200.0, fixed_rungs=True)
    assert fast_of(fixed).rung == 60


def test_inner_nodes_follow_the_shards_to_other_blocks() -> None:
    made = fleet_of(tree(1, 16, 2), metrics=[POWER])
    book = ChangeBook(made, Epochs(), shortest=5, horizon=7e5)
    sums = lags(block_correlation(33.0, 5), 32)
    book.hear_lags(5, np.arange(32), sums)
    assert book.hear_learned(5, 200, np.arange(32), np.full((32, 1), 200))
    of_hosts = [cell for cell in book.cells.values() if cell.rows[0] >= 32]
    assert {cell.rung for cell in of_hosts if not cell.slow} == {10}
    assert {cell.rung for cell in of_hosts if cell.slow} == {120}


def test_the_longest_block_stands_alone() -> None:
    book = book_of(shortest=600)
    assert [(cell.rung, cell.slow) for (pool, _, _), cell in book.cells.items() if pool == 0] == [
        (600, False)
    ]
    assert book.rungs(slow=True).max() == 0
    assert tell_lags(book, 600, 200, ALL, lags(0.9))
    assert fast_of(book).phi == pytest.approx(0.9, abs=1e-5)


def test_kappa_is_not_known_before_the_baselines_are() -> None:
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(0.4))
    assert np.isnan(fast_of(book).kappa)
    assert not tell_baseline(book, 5, 201, ALL[:7], white(7))
    assert tell_baseline(book, 5, 202, ALL[7:], white(3, seed=5))
    assert fast_of(book).kappa >= 1.0


def test_shared_memory_in_the_baselines_raises_kappa_and_lowers_the_class() -> None:
    good, bad = betting(), betting(with_memory(0.8, SHARDS))
    assert fast_of(bad).kappa > 2.0
    assert fast_of(bad).validity.max() == Validity.NONE
    assert fast_of(good).kappa < 1.3
    assert fast_of(good).validity.min() == Validity.EMPIRICAL  # too few windows for more


def large(scores: Floats) -> ChangeBook:
    """Return a book whose fast cell holds so many streams that their windows are enough."""
    book = book_of(len(scores))
    rows = np.arange(len(scores))
    tell_lags(book, 5, 200, rows, lags(0.4, len(scores)))
    tell_baseline(book, 5, 201, rows, scores)
    return book


def test_a_large_green_pool_is_of_class_construction_and_stays_so() -> None:
    book = large(white(8000))
    assert np.median(fast_of(book).validity) == Validity.CONSTRUCTION
    first = np.random.default_rng(4).standard_normal((8000, 1))
    assert not book.hear_windows(5, 211, np.arange(8000), {10: first})
    assert np.median(fast_of(book).validity) == Validity.CONSTRUCTION


def test_many_streams_with_memory_of_their_own_lower_the_class_of_all() -> None:
    scores = white(8000)
    scores[:240] = np.abs(scores[:240])
    cell = fast_of(large(scores))
    assert np.median(cell.validity) == Validity.EMPIRICAL
    assert any("have memory of their own" in reason for reason in cell.calibration.words)


def test_a_late_joiner_gets_its_own_kappa_and_changes_nobody_else() -> None:
    book = book_of()
    tell_lags(book, 5, 200, ALL, lags(0.4))
    tell_baseline(book, 5, 201, ALL[:9], white(9))
    before = fast_of(book).kappa
    others = book.settings(5)[1][:9, 0]
    assert tell_baseline(book, 5, 900, ALL[9:], with_memory(0.9, 1))
    assert fast_of(book).kappa == before
    np.testing.assert_array_equal(book.settings(5)[1][:9, 0], others)
    assert book.settings(5)[1][9, 0] > 2.0 * before


def one_with_memory() -> ChangeBook:
    """Return a book that bets, in which the scores of stream 3 all have one sign."""
    scores = white()
    scores[3] = np.abs(scores[3])
    return betting(scores)


def test_a_stream_with_memory_of_its_own_has_its_own_kappa_and_class() -> None:
    book = one_with_memory()
    cell = fast_of(book)
    assert cell.own[3] == max(cell.own.values()) > 5.0
    assert book.settings(5)[1][3, 0] == cell.own[3]
    assert cell.validity[3] == Validity.NONE
    assert (np.delete(cell.validity, 3) == Validity.EMPIRICAL).all()


def test_the_plan_names_the_streams_with_their_own_kappa() -> None:
    book = one_with_memory()
    plan = next(p for p in book.plans() if p.rung == 5 and p.pool == "sku=h100")
    assert plan.stream_kappa["gpu-3"] == fast_of(book).own[3]


def test_the_class_falls_when_the_monitor_turns_red_and_the_plan_changes() -> None:
    book = betting()
    fell = [book.hear_windows(5, 210 + b, ALL, windows(3.0, b)) for b in range(2 * JUDGED_EACH)]
    assert any(fell)
    assert fast_of(book).validity.max() == Validity.NONE


def test_the_class_does_not_rise_inside_its_epoch() -> None:
    book = betting()
    for b in range(2 * JUDGED_EACH):
        book.hear_windows(5, 210 + b, ALL, windows(3.0, b))
    for b in range(600):
        book.hear_windows(5, 400 + b, ALL, windows(1.0, b))
    assert fast_of(book).monitor.judgement().validity > Validity.NONE
    assert fast_of(book).validity.max() == Validity.NONE
    assert "kappa" in fast_of(book).calibration.words[0]  # why it was lost, not how it is now


def test_a_healthy_monitor_leaves_the_class_and_the_plan_alone() -> None:
    book = betting()
    assert not any(book.hear_windows(5, 210 + b, ALL, windows(1.0, b)) for b in range(200))
    assert fast_of(book).validity.min() == Validity.EMPIRICAL


def test_old_windows_are_forgotten_whoever_sent_them() -> None:
    whole, split = betting(), betting()
    for b in range(500):
        sums = windows(1.0, b)
        whole.hear_windows(5, 210 + b, ALL, sums)
        for row in ALL:
            split.hear_windows(
                5, 210 + b, ALL[row : row + 1], {m: s[row, None] for m, s in sums.items()}
            )
    assert fast_of(whole).monitor.kappa() == fast_of(split).monitor.kappa()
    for b in range(400):
        whole.hear_windows(5, 710 + b, ALL, windows(2.0, b))
    assert fast_of(whole).monitor.kappa() == pytest.approx(4.0, rel=0.1)


def long_run(v: float = 1.0, scores: int = OWN_ENOUGH) -> tuple[Floats, Ints]:
    """Return V_i (R, 1) and the scores behind it for all rows, the cluster's included."""
    n = np.full((SHARDS + 1, 1), scores, dtype=np.int64)
    return np.full((SHARDS + 1, 1), v), n


def test_four_hundred_scores_recalibrate_in_a_new_epoch_once() -> None:
    book = betting()
    for b in range(20):
        book.hear_windows(5, 210 + b, ALL, windows(1.2, b))
    before = fast_of(book).epoch
    assert not book.hear_long_run(5, *long_run(scores=OWN_ENOUGH - 1))
    assert book.hear_long_run(5, *long_run())
    after = fast_of(book).epoch
    assert after > before
    assert not book.hear_long_run(5, *long_run(scores=2 * OWN_ENOUGH))
    assert fast_of(book).epoch == after


def test_recalibration_takes_kappa_from_the_monitor() -> None:
    book = betting()
    for b in range(40):
        book.hear_windows(5, 202 + b, ALL, windows(1.3, b))
    book.hear_long_run(5, *long_run())
    assert fast_of(book).kappa == pytest.approx(1.69, rel=0.2)


def test_recalibration_gives_a_stream_its_own_kappa() -> None:
    book = betting()
    for b in range(40):
        book.hear_windows(5, 202 + b, ALL, windows(1.0, b))
    v, n = long_run()
    v[4] = 5.0
    book.hear_long_run(5, v, n)
    cell = fast_of(book)
    assert cell.own[4] > 4.0  # 5, shrunk a little towards its nine likes
    assert cell.validity[4] == Validity.NONE
    assert np.delete(cell.validity, 4).min() == Validity.EMPIRICAL


def test_epochs_are_never_used_twice() -> None:
    book = betting()
    seen = [fast_of(book).epoch]
    book.hear_long_run(5, *long_run())
    seen.append(fast_of(book).epoch)
    other = book_of()
    for rung, tau in ((5, 33.0), (10, 200.0)):
        tell_lags(other, rung, 200, ALL, lags(block_correlation(tau, rung)))
    assert len({*seen}) == 2
    assert len({cell.epoch for key, cell in other.cells.items() if key[0] == 0}) == 2


def standing(high: int, streams: int = SHARDS) -> Floats:
    """Return ln M (3, 1, R) in which so many streams of the fast part stand above 20."""
    log_m = np.zeros((3, 1, streams + 1))
    log_m[0, 0, :high] = 3.5
    return log_m


def test_when_a_tenth_of_a_pool_moves_at_once_the_null_is_wrong_and_not_the_shards() -> None:
    book = betting()
    nobody_open = np.zeros(SHARDS + 1, dtype=np.bool_)
    assert not book.hear_crossings(standing(3), nobody_open)
    assert book.hear_crossings(standing(4), nobody_open)
    assert fast_of(book).validity.max() == Validity.NONE
    assert "4 of 10 streams stand at M ≥ 20" in fast_of(book).calibration.words[0]
    (fallen,) = book.drain_fallen()
    assert fallen.scope == "sku=h100,metric=power_watts,rung=fast"
    assert fallen.calibration.reasons[0] == Reason(Code.CROSSINGS, (4, 10))
    assert book.drain_fallen() == ()
    assert not book.hear_crossings(standing(9), nobody_open)


def test_streams_with_an_open_verdict_do_not_speak_against_the_null() -> None:
    book = betting()
    known = np.arange(SHARDS + 1) < 2
    assert not book.hear_crossings(standing(5), known)
    assert fast_of(book).validity.max() == Validity.EMPIRICAL


def test_eight_ill_shards_of_one_host_leave_a_pool_of_64_its_class() -> None:
    book = large(white(64))
    assert not book.hear_crossings(standing(8, 64), np.zeros(65, dtype=np.bool_))
    assert book.hear_crossings(standing(9, 64), np.zeros(65, dtype=np.bool_))


def test_nodes_of_which_only_suspicion_could_come_have_no_change_streams() -> None:
    book = ChangeBook(fleet_of(tree(1, 15, 2), metrics=[POWER]), Epochs(), shortest=5, horizon=7e5)
    assert all(cell.rows.max() < 30 for cell in book.cells.values())


def test_by_the_clock_an_epoch_begins_with_all_that_was_learned_and_the_class_is_judged_anew() -> (
    None
):
    book = betting()
    for b in range(2 * JUDGED_EACH):
        book.hear_windows(5, 210 + b, ALL, windows(3.0, b))
    for b in range(600):
        book.hear_windows(5, 400 + b, ALL, windows(1.0, b))
    before = replace(fast_of(book))
    reports = Reports(SHARDS + 1, 1)
    news = replace(
        outcome(SHARDS + 1),
        long_run=np.ones((SHARDS + 1, 1)),
        long_run_scores=np.full((SHARDS + 1, 1), 900),
    )
    reports.hear_long_run(5, np.arange(SHARDS + 1), news)
    book.renew(0, reports)
    after = fast_of(book)
    assert after.epoch > before.epoch
    assert (after.phi, after.rung) == (before.phi, before.rung)
    assert before.validity.max() == Validity.NONE
    assert after.validity.max() > Validity.NONE
