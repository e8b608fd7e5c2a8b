"""All detectors see the same streams, and our machine among them is the product's."""

from dataclasses import replace

import numpy as np
import pytest
from rivals import streams
from rivals.streams import (
    CONTRAST,
    HORIZON,
    OURS,
    OURS_ALONE,
    OURS_BELIEVED,
    OURS_EAGER,
    PEERS,
    SCORES,
    Listening,
    Overheard,
    found_after,
    play,
)

from tessera.engine.bets import normal_score_bets, side_weights
from tessera.lab.cells.generate import Cell, Fleets
from tessera.lab.cells.machine import Machine, Setting

IID = Cell("iid")
FEW = 300  # blocks: enough to bet, not to settle


def machine() -> Machine:
    return Machine(1, PEERS, Setting(horizon=HORIZON), 3)


def test_overhearing_leaves_the_evidence_of_the_machine_as_it_was() -> None:
    drawn = Fleets(IID, np.random.default_rng(1), 1, PEERS).blocks(FEW)
    plain, listening = machine(), Listening(machine())
    for x in drawn:
        plain.step(x)
    told = [listening.step(x, None) for x in drawn]
    scores, evidence, _ = told[-1]
    assert np.array_equal(evidence, plain.log_m())
    assert np.isfinite(scores).all()
    assert np.isnan(told[0][0]).all()


def test_the_scores_overheard_are_those_that_were_bet_on() -> None:
    scores, kappa = np.array([-3.0, 0.0, 0.7, np.nan]), np.array([1.0, 1.0, 4.0, 1.0])
    both = side_weights(np.zeros(4, dtype=np.int64))
    mixture = Overheard.start(both, np.full(4, HORIZON))
    mixture.scores = np.zeros(4)
    mixture.step(normal_score_bets(scores, kappa), 0)
    assert mixture.scores == pytest.approx([-3.0, 0.0, 0.35, np.nan], nan_ok=True)


def test_a_watch_does_not_begin_before_the_machine_has_settled() -> None:
    with pytest.raises(ValueError, match="has not settled"):
        Listening(machine()).begin()


def test_an_alarm_before_the_shift_has_found_nothing() -> None:
    assert found_after(np.array([100.0, 101.0, np.inf])).tolist() == [np.inf, 1.0, np.inf]


@pytest.mark.slow
def test_healthy_fleets_stay_below_our_bar_and_shifted_shards_reach_it() -> None:
    quiet = play(IID, 0.0, 2, 5, alone=False)
    shifted = play(IID, 2.0, 2, 6, alone=False)
    for name in (OURS, OURS_BELIEVED, OURS_EAGER):
        assert (quiet[name].watched.max(axis=0) >= np.log(100.0)).mean() <= 0.02
        assert (shifted[name].watched.max(axis=0) >= np.log(100.0)).mean() >= 0.98


@pytest.mark.slow
def test_a_shift_is_in_what_every_detector_reads_and_only_from_its_onset_on() -> None:
    feeds = play(IID, 3.0, 1, 7, alone=False)
    for name in (CONTRAST, SCORES):
        before = np.nanmean(feeds[name].watched[: streams.ONSET])
        at = np.nanmean(feeds[name].watched[streams.ONSET : streams.ONSET + 5])
        assert abs(before) <= 0.1
        assert at >= 1.5


@pytest.mark.slow
def test_without_peers_our_machine_does_not_find_what_it_finds_with_them() -> None:
    feeds = play(replace(IID, common=1.0), 2.0, 1, 8, alone=True)
    found = {
        name: (feeds[name].watched[: streams.ONSET + 50].max(axis=0) >= np.log(100.0)).mean()
        for name in (OURS, OURS_ALONE)
    }
    assert found[OURS] >= 0.98
    assert found[OURS_ALONE] <= 0.5
