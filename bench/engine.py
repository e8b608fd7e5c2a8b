"""Time the change machine stage by stage, beside a plain copy of the same state.

Apart, because a figure is only worth quoting as a ratio to a floor measured in the same run.
Run as ``python bench/engine.py``, pinned to one core for quiet figures.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from tessera.engine.arrays import Bools, Floats, Words
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


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a stage, its cost, and the cost of copying its state."""

    stage: str
    nanoseconds: float
    floor: float


class Machine:
    """One fleet in its steady state, with the inputs of the next block."""

    def __init__(self) -> None:
        """Draw the fleet and fix its knots."""
        rng = np.random.default_rng(SEED)
        self.rng = rng
        self.values = rng.normal(size=(PEERS, STREAMS // PEERS))
        self.on: Bools = np.ones(STREAMS, dtype=np.bool_)
        self.phi, self.kappa = np.full(STREAMS, 0.3), np.ones(STREAMS)
        self.keys: Words = rng.integers(0, 2**63, STREAMS).astype(np.uint64)
        self.regression, self.ranks = Recursive.start(STREAMS), Ranks.start(STREAMS)
        self.ranks.set_knots(np.arange(STREAMS), rng.normal(size=(STREAMS, BASELINE)))
        weights = side_weights(np.zeros(STREAMS, dtype=np.int64))
        self.mixture = OnsetMixture.start(weights, np.full(STREAMS, HORIZON))
        self.block = 0
        self.medians, self.w, self.u = self.peers(), np.zeros(STREAMS), np.zeros(STREAMS)

    def next_block(self) -> None:
        """Draw the values of another block, outside every clock."""
        self.values = self.rng.normal(size=self.values.shape)
        self.block += 1

    def peers(self) -> Floats:
        """Form every stream's leave-one-out median."""
        centre = central(self.values)
        self.medians = leave_one_out_median(self.values, centre.count, centre.s3)
        return self.medians

    def recursive(self) -> None:
        """Form the residuals."""
        x, c = self.values.ravel(), self.medians.ravel()
        self.w = self.regression.step(x, c, self.phi, self.on)

    def rank(self) -> None:
        """Rank the residuals, with the randomisation of the block."""
        self.u = self.ranks.rank(self.w, uniforms(self.keys, self.block), self.on)

    def bet(self) -> None:
        """Bet, mix over onsets and read the evidence."""
        bets = normal_score_bets(normal_scores(self.u), self.kappa)
        self.mixture.step(bets, self.block)
        self.mixture.log_m()


def state_copy(state: object) -> Callable[[], None]:
    """Return a plain copy of every array of ``state`` into memory that is already there."""
    arrays = [getattr(state, f.name) for f in fields(state)]  # type: ignore[arg-type]  # a state
    targets = [np.empty_like(array) for array in arrays]

    def copy() -> None:
        for target, array in zip(targets, arrays, strict=True):
            np.copyto(target, array)

    return copy


def seconds(run: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the median duration of ``run``; ``before`` is called outside the clock."""
    took = []
    for _ in range(ROUNDS + 1):
        before()
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return float(np.median(took[1:]))  # the first warms the caches


def machine_lines() -> list[Line]:
    """Time the stages in the order of a block."""
    machine = Machine()
    values = machine.values
    copy_of_values = np.empty_like(values)
    stages: list[tuple[str, Callable[[], object], Callable[[], None]]] = [
        ("peers (floor: its input)", machine.peers, lambda: np.copyto(copy_of_values, values)),
        ("recursive", machine.recursive, state_copy(machine.regression)),
        ("ranks", machine.rank, state_copy(machine.ranks)),
        ("bets + onset", machine.bet, state_copy(machine.mixture)),
    ]
    took: dict[str, list[float]] = {name: [] for name, _, _ in stages}
    for _ in range(ROUNDS + 1):
        machine.next_block()
        for name, run, _copy in stages:
            start = time.perf_counter()
            run()
            took[name].append(time.perf_counter() - start)
    per_stream = 1e9 / STREAMS
    lines = [
        Line(name, float(np.median(took[name][1:])) * per_stream, seconds(copy) * per_stream)
        for name, _, copy in stages
    ]
    total = Line("sum", sum(x.nanoseconds for x in lines), sum(x.floor for x in lines))
    return [*lines, total]


def selection_lines() -> list[Line]:
    """Time e-BH with a hundredth of the nodes ill, beside one sort of the same numbers."""
    lines = []
    for n in (10_000, 100_000):
        log_e = np.random.default_rng(SEED).normal(-2.0, 1.5, n)
        log_e[: n // 100] += 20.0
        values = EValues(log_e, np.full(n, Validity.CONSTRUCTION, dtype=np.int8))
        sort = seconds(lambda log_e=log_e: np.sort(log_e))  # type: ignore[misc]  # bound now
        chosen = seconds(lambda values=values: e_bh(values, 0.1))  # type: ignore[misc]  # bound now
        lines.append(Line(f"e-BH, {n:,} nodes (floor: a sort)", chosen * 1e9 / n, sort * 1e9 / n))
    return lines


def main() -> None:
    """Print both tables."""
    head = f"{SHARDS:,} shards x {METRICS} metrics, float64, median of {ROUNDS}"
    rows = [head, f"{'stage':<36}{'ns/stream':>10}{'floor ns':>9}{'ratio':>7}"]
    rows += [
        f"{x.stage:<36}{x.nanoseconds:>10.2f}{x.floor:>9.2f}{x.nanoseconds / x.floor:>7.1f}"
        for x in [*machine_lines(), *selection_lines()]
    ]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
