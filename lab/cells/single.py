"""One stream in white noise against the two-sided CUSUM that knows the shift and the common mode.

Apart from the other tables of speed, because the rival is an oracle: how far from the best
possible is a detector that is told nothing (statistics.md C, power targets)?
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from ...engine.bets import normal_score_bets, normal_scores, side_weights
from ...engine.onset import OnsetMixture
from ...engine.peers import central, leave_one_out_median
from ...engine.ranks import BASELINE, Ranks, uniforms
from ...engine.recursive import Recursive
from .count import SHOWN, Tally, Target
from .generate import Cell, Fleets
from .grid import Planned

Floats = npt.NDArray[np.float64]

PEERS, LEARNED, HORIZON = 64, 2000, 1000  # blocks before the epoch and of it
WARM = 200  # regression steps before the first rank counts
ONSET = 100  # blocks of the epoch before the shift
ALPHA = 0.01  # of a false alarm in H: M ≥ 1/α for ours, tuned for the oracle
SHIFTS = (1.0, 2.0)  # own sd
DEADBANDS = {0.0: 1.5, 0.1: 1.7}  # d to the largest multiple of the oracle's delay
PATHS = 20_000  # healthy paths on which the oracle is tuned

FALSE = "ours, d = {d:g}: false alarms in H"
OURS = "ours, d = {d:g}, {size:g} sd: median blocks"
ORACLE = "oracle CUSUM, {size:g} sd: median blocks"
TIMES = "ours, d = {d:g}, {size:g} sd: times the oracle"


class Scores:
    """Normal scores z (peers, fleets) of every shard against its peers, as the channel makes them.

    The channel itself always bets with d = 0.1; here the same steps, so that d may be 0.
    """

    def __init__(self, fleets: int, seed: int) -> None:
        """Start streams without a past."""
        n = PEERS * fleets
        self._keys = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)
        self._regression, self._ranks = Recursive.start(n), Ranks.start(n)
        self._first: list[Floats] = []
        self._block = -1

    def step(self, x: Floats, shift: float) -> Floats:
        """Return z (n,) of block ``x`` (peers, fleets), each shard shifted as if it alone were."""
        self._block += 1
        middle = central(x)
        peers = leave_one_out_median(x, middle.count, middle.s3).ravel()
        every = np.ones(len(peers), dtype=np.bool_)
        w = self._regression.step(x.ravel() + shift, peers, np.zeros(len(peers)), every)
        if self._block < WARM:
            self._first.append(w)
            if self._block == WARM - 1:
                rows = np.arange(len(peers))
                self._ranks.set_knots(rows, np.stack(self._first[-BASELINE:], axis=1))
        return normal_scores(self._ranks.rank(w, uniforms(self._keys, self._block), every))


def play(size: float, fleets: int, seed: int) -> Tally:
    """Return the delays of every shard shifted alone by ``size`` sd, and of the oracle's.

    Healthy, ``size`` is 0: then nothing but the false alarms of an epoch is counted.
    """
    drawn = Fleets(Cell("iid"), np.random.default_rng(seed), fleets, PEERS)
    scores = Scores(fleets, seed % 2**63)
    for block in drawn.blocks(LEARNED):
        scores.step(block, 0.0)
    n = PEERS * fleets
    weights = side_weights(np.zeros(n, dtype=np.int64))
    mixtures = {d: OnsetMixture.start(weights, np.full(n, HORIZON)) for d in DEADBANDS}
    crossed = {d: np.full(n, np.inf) for d in DEADBANDS}
    for number, x in enumerate(drawn.blocks(HORIZON)):
        z = scores.step(x, size if number >= ONSET else 0.0)
        for d, mixture in mixtures.items():
            mixture.step(normal_score_bets(z, np.ones(n), d), number)
            new = np.isinf(crossed[d]) & (mixture.log_m() >= -np.log(ALPHA))
            crossed[d][new] = number + 1 - ONSET
    by_fleet = {d: c.reshape(PEERS, fleets).T for d, c in crossed.items()}
    if size == 0.0:
        return Tally({FALSE.format(d=d): _alarms(c) for d, c in by_fleet.items()})
    return _against_oracle(size, by_fleet, seed)


def _against_oracle(size: float, by_fleet: dict[float, Floats], seed: int) -> Tally:
    fleets = len(by_fleet[0.0])
    oracle = oracle_delays(size, fleets * PEERS, seed).reshape(fleets, PEERS)
    delays = {ORACLE.format(size=size): oracle}
    means = {}
    for d, found in by_fleet.items():
        late = np.where(found > 0, found, np.inf)  # an alarm before the shift is no detection
        delays[OURS.format(d=d, size=size)] = late
        ours = np.array([within_block(fleet) for fleet in late])
        means[TIMES.format(d=d, size=size)] = ours / within_block(oracle)
    return Tally({}, delays, means)


def within_block(delays: Floats) -> float:
    """Return the median of ``delays`` (any shape, whole blocks), interpolated within its block.

    Of a shift by 2 sd half the oracle's delays are at most 5 and half at least 6: the plain median
    would be the one or the other by the toss of a coin.
    """
    middle = float(np.quantile(delays, 0.5, method="inverted_cdf"))
    below, inside = float((delays < middle).mean()), float((delays == middle).mean())
    return middle - 1.0 + (0.5 - below) / inside


def oracle_delays(size: float, paths: int, seed: int) -> Floats:
    """Return delays (paths,) of Page's CUSUM that knows ``size`` and the noise, at level α in H."""
    random = np.random.default_rng([seed % 2**63, 1])
    bar = _oracle_bar(size)
    up, down, delay = np.zeros(paths), np.zeros(paths), np.full(paths, np.inf)
    for block in range(1, ONSET + HORIZON):
        z = random.standard_normal(paths) + (size if block > ONSET else 0.0)
        up, down = _page(up, size, z), _page(down, size, -z)
        if block > ONSET:
            delay[np.isinf(delay) & (np.maximum(up, down) >= bar)] = block - ONSET
    return delay


def _oracle_bar(size: float) -> float:
    """Return the threshold that a share α of healthy paths ever crosses in H blocks."""
    random = np.random.default_rng(20_261_123)  # of the tuning alone, which is part of the rival
    up, down, highest = np.zeros((3, PATHS))
    for _ in range(HORIZON):
        z = random.standard_normal(PATHS)
        up, down = _page(up, size, z), _page(down, size, -z)
        np.maximum(highest, np.maximum(up, down), out=highest)
    return float(np.quantile(highest, 1.0 - ALPHA))


def _page(total: Floats, size: float, z: Floats) -> Floats:
    """Return Page's sum of log likelihood ratios of a shift by ``size`` (Biometrika 41:100)."""
    grown: Floats = np.maximum(total + size * z - size * size / 2.0, 0.0)
    return grown


def _alarms(crossed: Floats) -> Floats:
    hits = np.isfinite(crossed).sum(axis=1)
    return np.array([hits, np.full_like(hits, crossed.shape[1])], dtype=np.float64)


def planned() -> list[Planned]:
    """Return the cells of this family: the false alarms, and each shift."""
    silent = {FALSE.format(d=d): Target(ALPHA) for d in DEADBANDS}
    family, cells = "oracle", []
    for size in SHIFTS:
        name = f"iid, baseline 2,000, H = 1,000, {size:g} sd"
        cells.append(Planned(family, name, "null", partial(play, 0.0), 40, 40, silent))
        targets = {ORACLE.format(size=size): SHOWN}
        targets |= {OURS.format(d=d, size=size): SHOWN for d in DEADBANDS}
        targets |= {TIMES.format(d=d, size=size): Target(most) for d, most in DEADBANDS.items()}
        cells.append(Planned(family, name, "power", partial(play, size), 40, 40, targets))
    return cells
