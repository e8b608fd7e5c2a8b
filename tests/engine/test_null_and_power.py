"""The change machine as a whole, recursive to onset, on fleets with a harsh common mode."""

from dataclasses import dataclass

import numpy as np
import pytest

from tessera.engine.arrays import Floats, Ints
from tessera.engine.bets import normal_score_bets, normal_scores, side_weights
from tessera.engine.onset import OnsetMixture
from tessera.engine.peers import central, leave_one_out_median
from tessera.engine.ranks import BASELINE, Ranks, uniforms
from tessera.engine.recursive import Recursive

PEERS, FLEETS, BURN, EARLY, BLOCKS = 64, 20, 200, 500, 300
STREAMS = PEERS * FLEETS
ONSET = EARLY + 80


@dataclass(frozen=True)
class Outcome:
    highest: Floats  # largest ln M per stream
    crossed: Ints  # block of M >= 100, or -1
    onset: Ints  # as dated at that crossing, or -1


def fleet(seed: int, phi: float, shift: float = 0.0) -> Floats:
    """Blocks x peers x fleets: AR(1) own noise of unit variance, random walk, steps, offsets."""
    rng = np.random.default_rng(seed)
    total = EARLY + BLOCKS
    x = rng.normal(size=(total, PEERS, FLEETS))
    for t in range(1, total):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * x[t]
    common = np.cumsum(0.15 * rng.normal(size=(total, FLEETS)), axis=0)
    for t in rng.integers(0, total, 8):
        common[t:] += rng.normal(0, 5, FLEETS)
    x += common[:, None, :]
    x[ONSET:, 0] += shift
    return x


def watch(x: Floats, phi: float, deadband: float) -> Outcome:
    regression, ranks = Recursive.start(STREAMS), Ranks.start(STREAMS)
    weights = side_weights(np.zeros(STREAMS, dtype=np.int64))
    mix = OnsetMixture.start(weights, np.full(STREAMS, BLOCKS))
    keys, every = np.arange(STREAMS, dtype=np.uint64) << np.uint64(20), np.arange(STREAMS)
    on, ones = np.ones(STREAMS, dtype=np.bool_), np.ones(STREAMS)
    residuals, highest = [], np.zeros(STREAMS)
    crossed, onset = np.full(STREAMS, -1), np.full(STREAMS, -1)
    for t, values in enumerate(x):
        centre = central(values)
        peers = leave_one_out_median(values, centre.count, centre.s3)
        w = regression.step(values.ravel(), peers.ravel(), np.full(STREAMS, phi), on)
        residuals.append(w)
        if t == BURN - 1:
            ranks.set_knots(every, np.array(residuals[-BASELINE:]).T)
        z = normal_scores(ranks.rank(w, uniforms(keys, t), on))
        if t >= EARLY:
            mix.step(normal_score_bets(z, ones, deadband), t)
            log_m = mix.log_m()
            highest = np.maximum(highest, log_m)
            new = (crossed < 0) & (log_m >= np.log(100))
            crossed[new], onset[new] = t, mix.onset()[new]
    return Outcome(highest, crossed, onset)


@pytest.mark.parametrize(("seed", "phi"), [(41, 0.0), (42, 0.9)])
def test_null_a_healthy_fleet_stays_below_villes_bounds_even_without_a_deadband(
    seed: int, phi: float
) -> None:
    outcome = watch(fleet(seed, phi), phi, deadband=0.0)
    assert (outcome.highest >= np.log(20)).mean() <= 0.05
    assert (outcome.highest >= np.log(100)).mean() <= 0.01


def test_null_with_the_deadband_hardly_anything_is_ever_raised() -> None:
    outcome = watch(fleet(43, 0.0), 0.0, deadband=0.1)
    assert (outcome.highest >= np.log(20)).mean() <= 0.01


def test_power_a_shift_of_two_sd_is_found_dated_and_not_blamed_on_others() -> None:
    outcome = watch(fleet(44, 0.0, shift=2.0), 0.0, deadband=0.1)
    faulty = np.arange(FLEETS)
    assert (outcome.crossed[faulty] >= ONSET).all()
    assert np.median(outcome.crossed[faulty] - ONSET) <= 12
    assert np.abs(np.median(outcome.onset[faulty]) - ONSET) <= 3
    assert (outcome.crossed[FLEETS:] >= 0).mean() <= 0.01


def test_power_a_shift_of_four_sd_in_autocorrelated_noise_is_found() -> None:
    outcome = watch(fleet(45, 0.9, shift=4.0), 0.9, deadband=0.1)
    assert (outcome.crossed[:FLEETS] >= ONSET).mean() >= 0.8


def test_without_the_pooled_phi_autocorrelation_alarms_so_the_null_test_can_fail() -> None:
    outcome = watch(fleet(46, 0.9), 0.0, deadband=0.0)
    assert (outcome.highest >= np.log(100)).mean() > 0.5
