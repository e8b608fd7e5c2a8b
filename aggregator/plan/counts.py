"""The plan of counts: margin, rung and class of every group and counted metric.

Apart from the level channel's plan, because its question is another one: not whether signs have
memory but whether errors come one by one. It is asked of the counts themselves, which no gate that
raises a class may read: this one only lowers it, and e = 0 is safe however it was decided (G4).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ...engine.counts import ODDS
from ...engine.dispersion import dispersion, surely_above
from ...engine.evalue import Validity
from ...engine.peers import FEWEST
from ...proto.messages import CountsPlan
from ..state.fleet import Fleet
from ..state.move import GONE, Move
from .cell import HIGH
from .epochs import BY_THE_CLOCK, Epochs

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int8]

REMEMBERED: Final = 512  # blocks with two errors or more
LOOK_EACH: Final = 20  # of them
COUNTED: Final = 2  # first axis of the parts: where level evidence stands
OVER, FAR_OVER = 1.1, 2.0  # dispersion beyond which counts are ranked only, and make no claim


@dataclass(slots=True)
class CountCell:
    """What the plan holds of one group and counted metric.

    ``past`` are blocks with two errors or more: the rows that had any, and how many.
    """

    group: int
    column: int
    rung: int
    validity: Validity = Validity.CONSTRUCTION
    epoch: int = 0
    reason: str = ""
    past: deque[tuple[Ints, Floats]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    heard: int = 0

    def hear(self, rows: Ints, counted: Floats) -> bool:
        """Take one block's errors ``counted`` (k,) of ``rows`` (k,); say if a look is due."""
        some = np.flatnonzero(counted > 0)
        if counted[some].sum() < 2.0:  # noqa: PLR2004 - a single one is always dealt out evenly
            return False
        self.past.append((rows[some], counted[some]))
        self.heard += 1
        return self.heard % LOOK_EACH == 0

    def look(self, healthy: Ints) -> bool:
        """Look how the errors of the rows ``healthy`` (h,) were dealt out; say if the class fell.

        It only ever falls: that errors came one by one for a while proves nothing of the next.
        """
        place = {row: i for i, row in enumerate(healthy.tolist())}
        x = np.zeros((len(self.past), len(healthy)))
        for block, (rows, counted) in enumerate(self.past):
            for row, count in zip(rows.tolist(), counted.tolist(), strict=True):
                if row in place:
                    x[block, place[row]] = count
        found = Validity.EMPIRICAL if surely_above(x, OVER) else Validity.CONSTRUCTION
        if surely_above(x, FAR_OVER):
            found = Validity.NONE
        if found >= self.validity:
            return False
        self.validity = found
        self.reason = f"errors come in clumps: dispersion {dispersion(x)[0]:.1f} among the healthy"
        return True


class CountsBook:
    """All count cells of a fleet; inner nodes have none, their shards are counted."""

    def __init__(self, fleet: Fleet, shortest: int) -> None:
        """Open a cell for each group of three shards or more and each counted metric."""
        self._fleet = fleet
        self._rows = fleet.group_rows()
        self.cells: dict[tuple[int, int], CountCell] = {}
        counted = [j for j, metric in enumerate(fleet.metrics) if metric.counted]
        for g, rows in enumerate(self._rows):
            if len(rows) >= FEWEST and rows[0] < fleet.shard_count:
                for j in counted:
                    rung = max(fleet.metrics[j].fast, shortest)
                    self.cells[g, j] = CountCell(g, j, rung)

    def inherit(self, former: "CountsBook", move: Move) -> None:
        """Take over the cells of groups and metrics that are still there."""
        groups, columns, to = move.to_group(), move.to_column(), move.to_row()
        for (g, j), held in former.cells.items():
            key = int(groups[g]), int(columns[j])
            if key in self.cells:
                past = deque(_moved(held.past, to), maxlen=REMEMBERED)
                self.cells[key] = replace(held, group=key[0], column=key[1], past=past)

    def renew(self, column: int, epochs: Epochs) -> None:
        """Begin an epoch by the clock for the cells of a metric: M = 1, a lost class stays lost."""
        for cell in [c for c in self.cells.values() if c.column == column]:
            group, metric = self._fleet.groups[cell.group], self._fleet.metrics[column].name
            cell.epoch = epochs.begin(f"{group},metric={metric},counts", BY_THE_CLOCK)

    def plans(self) -> Iterable[CountsPlan]:
        """Yield what the agents must know of every cell."""
        for cell in self.cells.values():
            yield CountsPlan(
                metric=self._fleet.metrics[cell.column].name,
                group=self._fleet.groups[cell.group],
                rung=cell.rung,
                odds=ODDS,
                epoch=cell.epoch,
            )

    def reason(self, group: int, column: int) -> str:
        """Return why a cell has no better class, "" where nothing is held against it."""
        return self.cells[group, column].reason

    def rungs(self) -> Ints:
        """Return the rung (R, M) whose counts are evidence, 0 where there are none."""
        return self._table({key: cell.rung for key, cell in self.cells.items()})

    def epochs(self) -> Ints:
        """Return the epoch (R, M) of counts, 0 where there are none."""
        return self._table({key: cell.epoch for key, cell in self.cells.items()})

    def validity(self) -> Classes:
        """Return the class (R, M) that the dispersion leaves to counts."""
        return self._table({key: cell.validity for key, cell in self.cells.items()}).astype(np.int8)

    def abstaining(self) -> Bools:
        """Return which counts (R, M) are of a group whose errors come in clumps."""
        given_up = {key: cell.validity == Validity.NONE for key, cell in self.cells.items()}
        return self._table(given_up).astype(np.bool_)

    def hear(
        self,
        rung: int,
        x: Float32s,
        eligible: Bools,
        open_rows: Bools,
        log_m: Callable[[], Floats],
    ) -> bool:
        """Take a block's values ``x`` (S, M); say if a class fell.

        Of rows that are not ``eligible`` (S,) nothing is taken. ``open_rows`` (R,) and whoever is
        under suspicion by its ``log_m`` (3, M, R) are not part of "healthy", nor is who leads.
        """
        fell = False
        for cell in (c for c in self.cells.values() if c.rung == rung):
            rows = self._rows[cell.group]
            known = rows[eligible[rows] & np.isfinite(x[rows, cell.column])]
            if cell.hear(known, x[known, cell.column].astype(np.float64)):
                said = log_m()[COUNTED, cell.column, rows]
                well = ~open_rows[rows] & (said < HIGH)
                well[said.argmax()] = False
                fell |= cell.look(rows[well])
        return fell

    def _table(self, of: Mapping[tuple[int, int], int]) -> Ints:
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for (g, j), value in of.items():
            out[self._rows[g], j] = value
        return out


def _moved(past: Iterable[tuple[Ints, Floats]], to: Ints) -> Iterator[tuple[Ints, Floats]]:
    """Yield ``past`` under the rows' new numbers, without those that are gone."""
    for rows, counted in past:
        here = to[rows] != GONE
        yield to[rows][here], counted[here]
