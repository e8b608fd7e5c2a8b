from copy import deepcopy

import numpy as np
import pytest

from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.held import KEPT_EVERY, NO_COPY, Baselines, Learned, Recent

from .test_change import LATE, fleet, learned, play

ILL = np.arange(8, dtype=np.int64)
SURE = np.log(1e5)


def known(n: int, total: int) -> Learned:
    """Return what streams know that have counted ``total`` residuals, marked by that number."""
    made = Learned.start(n)
    made.ranks.below[:, -1] = total
    made.regression.theta[:, 0] = total
    return made


def kept(totals: range, n: int = 2) -> Baselines:
    """Return copies taken as ``totals`` residuals were counted, one a block of the same number."""
    made = Baselines(n)
    for total in totals:
        made.take(known(n, total), total, np.ones(n, dtype=np.bool_))
    return made


def intercept(made: Baselines, before: int, now: int) -> float:
    rows = np.array([0])
    made.set_aside(known(2, now), rows, np.array([before]))
    return float(made.line(rows)[0, 0])


@pytest.mark.parametrize("now", [1000, 1023, 1024, 1500, 5000])
def test_an_old_stream_always_has_a_copy_that_is_256_to_512_residuals_old(now: int) -> None:
    age = now - intercept(kept(range(1, now + 1)), now - KEPT_EVERY + 1, now)
    assert KEPT_EVERY <= age <= 2 * KEPT_EVERY


@pytest.mark.parametrize(("now", "copy"), [(20, 16), (40, 32), (100, 64), (200, 128)])
def test_a_young_stream_has_copies_closer_together(now: int, copy: int) -> None:
    assert intercept(kept(range(1, now + 1)), now, now) == copy


def test_the_newest_copy_from_before_the_onset_is_set_aside_or_else_the_oldest() -> None:
    assert intercept(kept(range(1, 1025)), 1025, 1024) == 1024
    assert intercept(kept(range(1, 1025)), 1024, 1024) == 768
    assert intercept(kept(range(1, 1025)), 3, 1024) == 768


def test_a_stream_without_a_copy_sets_aside_what_it_knows_now() -> None:
    made = kept(range(1, 10))
    assert made.taken[0, 1] == NO_COPY
    assert intercept(made, 5, 9) == 9


def test_null_a_copy_restored_at_once_changes_nothing() -> None:
    x = fleet(201, LATE + KEPT_EVERY + 40)
    made = learned(x, blocks=LATE)
    at = LATE
    while made._ranks.total[0] < KEPT_EVERY:  # noqa: SLF001 - by which copies are due
        play(made, x[at : at + 1], first=at)
        at += 1
    twin = deepcopy(made)
    rows = np.arange(len(made.keys))
    made.hold(rows, np.full(len(rows), at))
    made.release(rows, 1000)
    twin.restart(rows, 1000)
    np.testing.assert_array_equal(play(made, x[at:], first=at), play(twin, x[at:], first=at))


def closed_while_still_there(seed: int, *, hold: bool) -> float:
    """Return the share of 4 sd faults that are found again after their verdicts were closed."""
    onset, opened, closed = 1000, 1060, 1220
    x = fleet(seed, closed + 300, phi=0.6, unequal=0.4)
    x[onset:, ILL] += 4.0
    made = learned(x, blocks=LATE)
    play(made, x[LATE:opened], first=LATE)
    if hold:
        made.hold(ILL, np.full(len(ILL), onset))
    else:
        made.relearn(ILL)
    play(made, x[opened:closed], first=opened)
    if hold:
        made.release(ILL, 1000)
    else:
        made.phi[ILL], made.kappa[ILL] = 0.6, 1.0
        made.settle(np.intersect1d(made.ready(), ILL))
    assert made.settled[ILL].all()
    log_m = play(made, x[closed:], first=closed)
    return float((log_m[:, ILL].max(axis=0) >= SURE).mean())


def test_power_a_fault_that_is_still_there_is_found_again_from_the_baseline_set_aside() -> None:
    assert np.mean([closed_while_still_there(seed, hold=True) for seed in (0, 1)]) >= 0.74


def test_learned_anew_it_would_be_part_of_the_baseline_so_the_power_test_can_fail() -> None:
    assert np.mean([closed_while_still_there(seed, hold=False) for seed in (0, 1)]) <= 0.05


def test_a_healthy_fleet_that_was_held_and_released_stays_quiet() -> None:
    x = fleet(202, 1400, phi=0.6, unequal=0.4)
    made = learned(x, blocks=LATE)
    play(made, x[LATE:900], first=LATE)
    every = np.arange(len(made.keys))
    made.hold(every, np.full(len(every), 850))
    play(made, x[900:1000], first=900)
    made.release(every, 1000)
    assert play(made, x[1000:], first=1000).max() < np.log(100.0)


def test_what_a_held_stream_shows_is_not_taken_for_its_healthy_memory() -> None:
    x = fleet(203, LATE + 200)
    made = learned(x, blocks=LATE)
    rows = np.array([3])
    made.hold(rows, np.array([LATE]))
    before = made.long_run_variance()[1]
    windows = play(made, x[LATE:], first=LATE)
    after = made.long_run_variance()[1]
    assert np.isfinite(windows).all()
    assert after[3] == before[3]
    assert (np.delete(after, 3) > np.delete(before, 3)).all()


def test_a_stream_that_had_not_settled_when_it_was_held_learns_anew_when_it_is_released() -> None:
    x = fleet(204, LEARNING_BLOCKS + 60)
    made = learned(x, blocks=LEARNING_BLOCKS)
    made.relearn(np.array([5]))
    made.hold(np.array([4, 5]), np.array([10, 10]))
    made.release(np.array([4, 5]), 1000)
    assert (made.settled[4], made.settled[5]) == (True, False)


def test_the_distance_of_a_held_stream_is_in_its_own_unit_and_its_effect_their_median() -> None:
    x = fleet(205, 1100, n=40)
    x[1000:, 0] += 7.0
    made = learned(x, blocks=LATE)
    play(made, x[LATE:1030], first=LATE)
    assert made.effect(0, 1000) == pytest.approx(7.0, abs=0.8)
    made.hold(np.array([0]), np.array([1000]))
    apart = made.apart(1029)
    assert apart[0] == pytest.approx(7.0, abs=4.0)
    assert np.isnan(apart[1:]).all()
    assert np.isnan(made.apart(1030)).all()


def test_blocks_that_were_passed_over_are_not_taken_for_those_before_them() -> None:
    made = Recent(1)
    line, phi, row = np.zeros((1, 2)), np.zeros(1), np.array([0])
    for block in range(40):
        made.note(block, np.array([5.0]), np.array([0.0]))
    made.note(60, np.array([1.0]), np.array([0.0]))
    assert made.effect(line, 0.0, 0, 41) == 1.0
    assert made.last(60, line, phi, row).tolist() == [1.0]
