"""Time the change machine stage by stage, beside a plain copy of the same state.

Apart, because a figure is only worth quoting as a ratio to a floor measured in the same run.
Run as ``python bench/engine.py``, pinned to one core for quiet figures.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Protocol

import numpy as np
from first.bets import normal_score_bets as first_bets
from first.bets import normal_scores as first_scores
from first.onset import OnsetMixture as FirstMixture
from first.ranks import Ranks as FirstRanks
from first.ranks import uniforms as first_uniforms
from first.recursive import Recursive as FirstRecursive

from tessera.engine.arrays import Floats, Words, parts
from tessera.engine.bets import normal_score_bets, normal_scores, side_weights
from tessera.engine.evalue import EValues, Validity
from tessera.engine.onset import OnsetMixture
from tessera.engine.peers import central, leave_one_out_median
from tessera.engine.ranks import BASELINE, Ranks, uniforms
from tessera.engine.recursive import Recursive
from tessera.engine.selection import e_bh

SHARDS, METRICS, PEERS = 10_000, 12, 40
STREAMS = SHARDS * METRICS
ROUNDS = 15
HORIZON = 120_960  # blocks of 5 s in seven days
SEED = 20261123
STAGES = ("regression", "ranks", "bets + onset")
FOOT = """
A multiple is time / plain copy of the same state, whose speed is the machine's. The state has
changed with the code, and a smaller one lowers its own yardstick: the third multiple is the time
of now over the copy of the first state. All columns are taken in the same rounds, in
turn, in processor time: what else runs still shares the caches and the memory.
"""


class Kind(Protocol):
    """One version of the change machine: three states, and a step of each."""

    def states(self) -> tuple[object, object, object]:
        """Return the states in the order of the stages."""
        ...

    def regress(self, x: Floats, c: Floats) -> Floats:
        """Form the residuals."""
        ...

    def rank(self, w: Floats, block: int) -> Floats:
        """Rank the residuals, with the randomisation of the block."""
        ...

    def bet(self, u: Floats, block: int) -> Floats:
        """Bet, mix over onsets and read the evidence."""
        ...


class Given:
    """What both versions are given: the keys, knots and parameters of one fleet."""

    def __init__(self) -> None:
        """Draw the fleet."""
        rng = np.random.default_rng(SEED)
        self.keys: Words = rng.integers(0, 2**63, STREAMS).astype(np.uint64)
        self.baseline = rng.normal(size=(STREAMS, BASELINE))
        self.every = np.arange(STREAMS)
        self.on = np.ones(STREAMS, dtype=np.bool_)
        self.phi, self.kappa = np.full(STREAMS, 0.3), np.ones(STREAMS)
        self.weights = side_weights(np.zeros(STREAMS, dtype=np.int64))
        self.horizon = np.full(STREAMS, HORIZON)


class First:
    """The version of bench/first, called as it was."""

    def __init__(self, given: Given) -> None:
        """Fix the knots of the fleet."""
        self.given = given
        self.regression, self.ranks = FirstRecursive.start(STREAMS), FirstRanks.start(STREAMS)
        self.ranks.set_knots(given.every, given.baseline)
        self.mixture = FirstMixture.start(given.weights, given.horizon)

    def states(self) -> tuple[object, object, object]:
        """Return the states in the order of the stages."""
        return self.regression, self.ranks, self.mixture

    def regress(self, x: Floats, c: Floats) -> Floats:
        """Form the residuals."""
        return self.regression.step(x, c, self.given.phi, self.given.on)

    def rank(self, w: Floats, block: int) -> Floats:
        """Rank the residuals, with the randomisation of the block."""
        return self.ranks.rank(w, first_uniforms(self.given.keys, block), self.given.on)

    def bet(self, u: Floats, block: int) -> Floats:
        """Bet, mix over onsets and read the evidence."""
        self.mixture.step(first_bets(first_scores(u), self.given.kappa), block)
        return self.mixture.log_m()


class Now:
    """The version of engine/, called as its change channel calls it."""

    def __init__(self, given: Given) -> None:
        """Fix the knots of the fleet."""
        self.given = given
        self.regression, self.ranks = Recursive.start(STREAMS), Ranks.start(STREAMS)
        self.ranks.set_knots(given.every, given.baseline)
        self.mixture = OnsetMixture.start(given.weights, given.horizon)

    def states(self) -> tuple[object, object, object]:
        """Return the states in the order of the stages."""
        return self.regression, self.ranks, self.mixture

    def regress(self, x: Floats, c: Floats) -> Floats:
        """Form the residuals."""
        return self.regression.step(x, c, self.given.phi, self.given.on)

    def rank(self, w: Floats, block: int) -> Floats:
        """Rank the residuals, with the randomisation of the block."""
        return self.ranks.rank(w, uniforms(self.given.keys, block), self.given.on)

    def bet(self, u: Floats, block: int) -> Floats:
        """Bet, mix over onsets and read the evidence."""
        z, kappa = normal_scores(u), self.given.kappa
        for rows in parts(STREAMS):
            self.mixture.step(normal_score_bets(z[rows], kappa[rows]), block, rows)
        return self.mixture.log_m()


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds a stream: of each stage, and of a plain copy of the stage's state."""

    stages: Floats  # (3,)
    copies: Floats  # (3,)


def state_copy(state: object) -> Callable[[], None]:
    """Return a plain copy of every array of ``state`` into memory that is already there."""
    arrays = [getattr(state, f.name) for f in fields(state)]  # type: ignore[arg-type]  # a state
    targets = [np.empty_like(array) for array in arrays]

    def copy() -> None:
        for target, array in zip(targets, arrays, strict=True):
            np.copyto(target, array)

    return copy


def clocked(run: Callable[[], Floats | None]) -> tuple[float, Floats | None]:
    """Return the seconds that ``run`` took and what it returned."""
    start = time.thread_time()
    result = run()
    return time.thread_time() - start, result


def seconds(run: Callable[[], object]) -> float:
    """Return the median duration of ``run``; the first call warms the caches."""
    return float(np.median([clocked(lambda: (run(), None)[1])[0] for _ in range(ROUNDS + 1)][1:]))


def one_block(kind: Kind, x: Floats, c: Floats, block: int) -> tuple[list[float], list[Floats]]:
    """Return the seconds and the results of the three stages of ``block``."""
    stages: tuple[Callable[[Floats], Floats], ...] = (
        lambda x: kind.regress(x, c),
        lambda w: kind.rank(w, block),
        lambda u: kind.bet(u, block),
    )
    took, results, last = [], [], x
    for stage in stages:
        start = time.thread_time()
        last = stage(last)
        took.append(time.thread_time() - start)
        results.append(last)
    return took, results


def machine_times() -> tuple[Times, Times, float]:
    """Time both versions block by block, in turn; also return the largest difference of ln M.

    Raises ``ValueError`` if residuals or ranks differ in a single bit.
    """
    given = Given()
    kinds: tuple[Kind, Kind] = First(given), Now(given)
    copies = [[state_copy(state) for state in kind.states()] for kind in kinds]
    rng, apart = np.random.default_rng(SEED + 1), 0.0
    took = np.empty((ROUNDS + 1, 2, 2, len(STAGES)))
    for block in range(ROUNDS + 1):
        values = rng.normal(size=(PEERS, STREAMS // PEERS))
        centre = central(values)
        c = leave_one_out_median(values, centre.count, centre.s3).ravel()
        results = []
        for i in (0, 1) if block % 2 else (1, 0):
            took[block, i, 0], found = one_block(kinds[i], values.ravel(), c, block)
            took[block, i, 1] = [clocked(copy)[0] for copy in copies[i]]
            results.append(found)
        (first_w, first_u, first_m), (w, u, log_m) = results
        same_w = np.array_equal(first_w, w, equal_nan=True)
        if not (same_w and np.array_equal(first_u, u, equal_nan=True)):
            message = f"block {block}: the versions differ in a residual or a rank"
            raise ValueError(message)
        apart = max(apart, float(np.abs(first_m - log_m).max()))
    median = np.median(took[1:], axis=0) * 1e9 / STREAMS  # the first warms the caches
    return Times(*median[0]), Times(*median[1]), apart


def machine_table() -> list[str]:
    """Return the table of the change machine."""
    first, now, apart = machine_times()
    head = (
        f"{'':<14}{'first ns':>9}{'copy':>7}{'x':>6}{'now ns':>9}{'copy':>7}{'x':>6}"
        f"{'x first copy':>14}{'now/first':>11}"
    )
    rows = [f"{SHARDS:,} shards x {METRICS} metrics, float64, median of {ROUNDS}", head]
    columns = np.array([first.stages, first.copies, now.stages, now.copies])
    columns = np.column_stack([columns, columns.sum(axis=1)])
    for name, (a, b, c, d) in zip([*STAGES, "sum"], columns.T.tolist(), strict=True):
        rows.append(
            f"{name:<14}{a:>9.1f}{b:>7.1f}{a / b:>6.2f}{c:>9.1f}{d:>7.1f}{c / d:>6.2f}"
            f"{c / b:>14.2f}{(c / d) / (a / b):>11.2f}"
        )
    return [*rows, f"largest difference of ln M: {apart:.1e}; residuals and ranks: none", FOOT]


def selection_table() -> list[str]:
    """Return the table of e-BH beside one sort of the same numbers, by the share that passes."""
    rows = [f"{'e-BH':<36}{'us':>9}{'np.sort us':>12}{'ratio':>8}"]
    for n in (10_000, 100_000):
        for share, scattered in ((0.002, True), (0.01, False), (0.01, True)):
            rng = np.random.default_rng(SEED)
            log_e = rng.normal(-2.0, 1.0, n)
            log_e[: int(n * share)] += 20.0
            if scattered:
                rng.shuffle(log_e)
            values = EValues(log_e, np.full(n, Validity.CONSTRUCTION, dtype=np.int8))
            sort, chosen = seconds(partial(np.sort, log_e)), seconds(partial(e_bh, values, 0.1))
            how = "scattered" if scattered else "in one place"
            name = f"{n:,} nodes, {share:.1%} pass, {how}"
            rows.append(f"{name:<36}{chosen * 1e6:>9.1f}{sort * 1e6:>12.1f}{chosen / sort:>8.3f}")
    return rows


def main() -> None:
    """Print both tables."""
    sys.stdout.write("\n".join([*machine_table(), *selection_table()]) + "\n")


if __name__ == "__main__":
    main()
