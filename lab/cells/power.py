"""How soon a shifted shard is found by each resolution alone, and by all as they are shipped.

Apart from the nulls, because speed is quoted in ticks at the thresholds of a fleet of 10,000, from
a long baseline: the table of statistics.md G7.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ...engine.merging import log_weighted_mean
from ...engine.selection import sup_fdr_adjust
from .count import SHOWN, Tally, Target
from .generate import Cell, Fleets
from .grid import Planned
from .machine import Machine, Setting

Floats = npt.NDArray[np.float64]

PEERS, BASELINE = 64, 3000  # blocks of either rung before the epoch
FAST, SLOW = 5, 30  # ticks
RATIO = SLOW // FAST
WEEK = 604_800  # ticks
QUIET, WATCHED = 300, 5400  # ticks of the epoch before the onset, and after it
ALONE, FLEET = np.log(640.0), np.log(1.14e5)  # thresholds: one stream, and N/q of the fleet
SHIFTS = (1, 2, 4, 8)  # marginal sd of a tick
CELLS = (Cell("AR .9", phi=0.9, block=FAST), Cell("AR .9, loadings ±40 %", 0.9, FAST, loading=0.4))

# channel ½, rung ½, and of 12 metrics each the same, or ½ for the lead metric of a job
EQUAL, LEAD = 0.25 / 12.0, 0.25 * 0.5

# Median ticks of statistics.md G7 by row and shift.
MEASURED: Mapping[str, tuple[float, ...]] = {
    "fast alone": (1028, 190, 45, 20),
    "slow alone": (750, 240, 180, 180),
    "shipped": (2535, 490, 110, 40),
    "one-sided, lead metric": (2010, 420, 100, 40),
    "shipped, SupFDR": (3585, 575, 130, 45),
}
NEAR = 1.25
ISSUED = {2: 500.0, 4: 120.0, 8: 50.0}  # of the shipped weights, ranked
FEWEST_FOUND = 0.75  # of 1 sd, by the shipped weights


@dataclass(slots=True)
class _Pair:
    """A fast and a slow machine in the same epoch, and the slow one's last evidence."""

    fast: Machine
    slow: Machine
    log_slow: Floats

    @classmethod
    def begin(
        cls, machines: tuple[Machine, Machine], horizon: tuple[int, int], side: int
    ) -> "_Pair":
        """Return copies of ``machines`` in an epoch of ``horizon`` blocks each."""
        fast, slow = (deepcopy(machine) for machine in machines)
        for machine, blocks in zip((fast, slow), horizon, strict=True):
            machine.begin(blocks, side)
        return cls(fast, slow, np.zeros(slow.shape))

    def step(self, number: int, x: Floats, of_slow: Floats, shift: Floats, slow: Floats) -> None:
        """Take fast block ``number``; the last of a slow block brings ``of_slow`` with it."""
        self.fast.step(x, shift)
        if number % RATIO == RATIO - 1:
            self.slow.step(of_slow, slow)
            self.log_slow = self.slow.log_m()


def play(cell: Cell, fleets: int, seed: int) -> Tally:
    """Shift every shard in turn by each of the sizes, after a baseline of 3,000 blocks."""
    random = np.random.default_rng(seed)
    drawn = Fleets(cell, random, fleets, PEERS)
    machines = _baseline(drawn, fleets, seed % 2**63)
    quiet = drawn.blocks(QUIET // FAST + RATIO)
    watched = drawn.blocks(WATCHED // FAST + RATIO)
    onset = QUIET // FAST + int(random.integers(RATIO))  # at any place in a slow block
    x = np.concatenate([quiet, watched])
    delays: dict[str, Floats] = {}
    for size in SHIFTS:
        for row, ticks in _shifted(machines, x, onset, size * drawn.unit).items():
            delays[_median(row, size)] = ticks.T
    shares = {_found(row, size): _caught(delays[_median(row, size)]) for row, size in _rows()}
    return Tally(shares, delays)


def _baseline(drawn: Fleets, fleets: int, seed: int) -> tuple[Machine, Machine]:
    """Return both rungs after 3,000 blocks of their own, the fast one's being the last."""
    fast = Machine(fleets, PEERS, Setting(), seed)
    slow = Machine(fleets, PEERS, Setting(slow=True), seed + 1)
    for number in range(BASELINE):
        x = drawn.blocks(RATIO)
        slow.step(x.mean(axis=0))
        if number >= BASELINE - BASELINE // RATIO:
            for block in x:
                fast.step(block)
    return fast, slow


def _shifted(
    machines: tuple[Machine, Machine], x: Floats, onset: int, shift: Floats
) -> dict[str, Floats]:
    """Return the ticks from ``onset`` to crossing (peers, fleets) by row of the table."""
    alone = _Pair.begin(machines, (2000 // FAST, 4500 // SLOW), 0)
    shipped = _Pair.begin(machines, (WEEK // FAST, WEEK // SLOW), 0)
    sided = _Pair.begin(machines, (WEEK // FAST, WEEK // SLOW), 1)
    crossing = {row: np.full(shift.shape, np.inf) for row in MEASURED}
    highest = np.zeros(shift.shape)
    moved = np.zeros((len(x), *shift.shape))
    moved[onset:] = shift
    for number in range(len(x)):
        first = number - number % RATIO
        of_slow, slow = (a[first : first + RATIO].mean(axis=0) for a in (x, moved))
        for pair in (alone, shipped, sided):
            pair.step(number, x[number], of_slow, moved[number], slow)
        merged = _merged(shipped, EQUAL)
        highest = np.maximum(highest, merged)
        evidence = {
            "fast alone": alone.fast.log_m() - ALONE,
            "slow alone": alone.log_slow - ALONE,
            "shipped": merged - FLEET,
            "one-sided, lead metric": _merged(sided, LEAD) - FLEET,
            "shipped, SupFDR": _adjusted(highest) - FLEET,
        }
        ticks = (number + 1 - onset) * FAST
        for row, above in evidence.items():
            crossing[row][np.isinf(crossing[row]) & (above >= 0.0)] = ticks
    return {row: np.where(t <= WATCHED, t, np.inf) for row, t in crossing.items()}


def _merged(pair: _Pair, weight: float) -> Floats:
    """Return ln of both rungs' share of a shard's ranked value; all other parts count nothing."""
    parts = np.stack([pair.fast.log_m().ravel(), pair.log_slow.ravel()])
    return log_weighted_mean(parts, np.array([weight, weight])).reshape(pair.fast.shape)


def _adjusted(highest: Floats) -> Floats:
    return sup_fdr_adjust(highest.ravel()).reshape(highest.shape)


def _caught(ticks: Floats) -> Floats:
    found = np.isfinite(ticks).sum(axis=1)
    return np.array([found, np.full_like(found, ticks.shape[1])], dtype=np.float64)


def _rows() -> list[tuple[str, int]]:
    return [(row, size) for row in MEASURED for size in SHIFTS]


def _median(row: str, size: int) -> str:
    return f"{row}, {size} sd: median ticks"


def _found(row: str, size: int) -> str:
    return f"{row}, {size} sd: found within {WATCHED:,} ticks"


def _targets() -> dict[str, Target]:
    targets = {}
    for row, size in _rows():
        limit: float | None = NEAR * MEASURED[row][SHIFTS.index(size)]
        least = SHOWN
        if row == "shipped":
            limit = ISSUED.get(size)
            least = Target(FEWEST_FOUND, at_most=False) if size == 1 else SHOWN
        targets[_median(row, size)] = Target(limit)
        targets[_found(row, size)] = least
    return targets


def planned() -> list[Planned]:
    """Return the cells of this family; their nulls are those of AR .9 in the family "change"."""
    return [
        Planned("speed", cell.name, "power", partial(play, cell), 40, 10, _targets())
        for cell in CELLS
    ]
