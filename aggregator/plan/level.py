"""The plan of the level channel: margin, grid, block length and class of every group and metric.

Apart from the change channel's plan, because its questions are other ones: how alike the group
really is, and whether its signs have memory (statistics.md G1).
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...engine.calibration import LADDER
from ...engine.evalue import Validity
from ...engine.level import REMEMBERED, LevelReport
from ...engine.margin import (
    LEVEL_LAMBDAS,
    MOST_LAG_ONE,
    Gate,
    effective_margin,
    gate,
    group_lag,
    healthy_spread,
    in_company,
    own_lag,
    own_memory,
)
from ...engine.peers import FEWEST
from ...proto.messages import LevelPlan
from ..state.fleet import Fleet
from ..state.move import Move
from .epochs import BY_THE_CLOCK, Epochs
from .level_cell import LevelCell

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

POOL_BELOW = 5  # members below which the spread is pooled over the groups of the same job
LONGER = 5  # "next longer block" is the next of the ladder at least so many times as long
WIDENED = 1.05  # a margin that grows by less is left alone


class LevelBook:
    """All level cells of a fleet, and the reviews that change them."""

    def __init__(self, fleet: Fleet, epochs: Epochs, shortest: int) -> None:
        """Open a cell for each group of three or more and each metric with a margin."""
        self._fleet = fleet
        self._epochs = epochs
        self._remembers = np.zeros((len(fleet.rows), len(fleet.metrics)), dtype=np.bool_)
        self.cells: dict[tuple[int, int], LevelCell] = {}
        sizes = fleet.group_sizes()
        self._rows = fleet.group_rows()
        for g in range(len(fleet.groups)):
            for j, metric in enumerate(fleet.metrics):
                margin = self._own_margin(g, j)
                if margin is None or metric.direction == 0 or sizes[g] < FEWEST:
                    continue
                rung = max(metric.level or metric.slow, shortest)
                self.cells[g, j] = LevelCell(g, j, rung, margin)

    def inherit(self, former: "LevelBook", move: Move) -> None:
        """Take over the cells of groups and metrics that are still there."""
        groups, columns = move.to_group(), move.to_column()
        for (g, j), held in former.cells.items():
            key = int(groups[g]), int(columns[j])
            if key in self.cells:
                self.cells[key] = replace(held, group=key[0], column=key[1])
        move.table(former._remembers, self._remembers)  # noqa: SLF001 - of this class

    def plans(self) -> Iterable[LevelPlan]:
        """Yield what the agents must know; an abstaining group keeps its last parameters."""
        for cell in self.cells.values():
            yield LevelPlan(
                metric=self._fleet.metrics[cell.column].name,
                group=self._fleet.groups[cell.group],
                rung=cell.rung,
                margin=self._margin(cell),
                largest_lambda=0.0 if cell.margin is None else cell.largest_lambda,
                epoch=cell.epoch,
            )

    def reason(self, group: int, column: int) -> str:
        """Return why a cell has no better class, "" where nothing is held against it."""
        cell = self.cells[group, column]
        return "" if cell.validity >= Validity.CONSTRUCTION else cell.reason

    def settings(self, rung: int) -> tuple[Floats, Floats, Ints]:
        """Return margin, largest λ and epoch (R, M) at ``rung``; epoch −1 = no stream."""
        shape = (len(self._fleet.rows), len(self._fleet.metrics))
        margin, largest = np.full((2, *shape), np.nan)
        epoch = np.full(shape, -1, dtype=np.int64)
        for cell in (c for c in self.cells.values() if c.rung == rung):
            rows = self._rows[cell.group]
            margin[rows, cell.column] = self._margin(cell)
            largest[rows, cell.column] = 0.0 if cell.margin is None else cell.largest_lambda
            epoch[rows, cell.column] = cell.epoch
        return margin, largest, epoch

    def validity(self) -> npt.NDArray[np.int8]:
        """Return the class (R, M) of every level stream: its group's, or less by its own memory."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int8)
        for (g, j), cell in self.cells.items():
            out[self._rows[g], j] = cell.validity
        return np.where(self._remembers, np.minimum(out, np.int8(Validity.EMPIRICAL)), out)

    def rungs(self) -> Ints:
        """Return the rung (R, M) whose level evidence counts, 0 where there is none."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for (g, j), cell in self.cells.items():
            out[self._rows[g], j] = cell.rung
        return out

    def epochs(self) -> Ints:
        """Return the epoch (R, M) of the level part, 0 where there is none."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for (g, j), cell in self.cells.items():
            out[self._rows[g], j] = cell.epoch
        return out

    def renew(self, column: int) -> None:
        """Begin an epoch by the clock for the cells of a metric: M = 1, all else goes on."""
        for cell in [c for c in self.cells.values() if c.column == column]:
            group, metric = self._fleet.groups[cell.group], self._fleet.metrics[column].name
            cell.epoch = self._epochs.begin(f"{group},metric={metric},level", BY_THE_CLOCK)

    def forget(self, rows: Ints) -> None:
        """Hold nothing against single ``rows``, which begin anew."""
        self._remembers[rows] = False

    def abstaining(self) -> Bools:
        """Return which level parts (R, M) are of a group that abstains."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.bool_)
        for (g, j), cell in self.cells.items():
            out[self._rows[g], j] = cell.margin is None
        return out

    def review(self, rung: int, notes: LevelReport, open_rows: Bools) -> bool:
        """Look at every cell of ``rung`` that has come far enough; say whether one changed.

        ``notes`` (R, M) as last heard; rows with an open verdict are not part of "healthy".
        """
        due = [c for c in self.cells.values() if c.rung == rung and c.due(self._observed(c, notes))]
        company = self._company(rung, notes) if due else open_rows
        for cell in due:
            self._review(cell, notes, open_rows, company)
        return bool(due)

    def _company(self, rung: int, notes: LevelReport) -> Bools:
        """Return which streams (R, M) make no more plusses than the others of their group."""
        alike = np.ones(notes.observed.shape, dtype=np.bool_)
        for cell in (c for c in self.cells.values() if c.rung == rung):
            rows = self._rows[cell.group]
            alike[rows, cell.column] = in_company(notes.plusses[rows, cell.column])
        return alike

    def _observed(self, cell: LevelCell, notes: LevelReport) -> Ints:
        observed: Ints = notes.observed[self._rows[cell.group], cell.column]
        return observed

    def _review(
        self, cell: LevelCell, notes: LevelReport, open_rows: Bools, company: Bools
    ) -> None:
        if open_rows[self._rows[cell.group]].all():
            return  # nobody here is well: what there is to see is the fault
        cell.reviewed += 1
        j, now = cell.column, self._margin(cell)
        spread = healthy_spread(notes.median[self._spread_rows(cell) & ~open_rows, j])
        margin = effective_margin(self._default(cell), spread)
        wider = margin is None or margin > WIDENED * now
        well = ~open_rows & np.isfinite(notes.median[:, j])
        if wider and self._longer(cell) and self._remembering(cell, notes, well):
            why = "medians of blocks that remember are apart without any spread"
            self._lengthen(cell, why)
        elif margin is None:
            why = f"heterogeneous_group: spread {spread:.3g} asks for more than four margins"
            self._close(cell, why)
            cell.margin = None
        elif margin > WIDENED * now:
            self._close(cell, f"margin widened to {margin:.3g}: not yet reviewed")
            cell.margin = margin
        else:
            well = ~open_rows & ~(notes.median[:, j] > now)
            self._apply(cell, self._judge(cell, notes, well, company[:, j]))
            if cell.validity > Validity.NONE:  # else it was moved, and is judged anew there
                self._note_memory(cell, notes, well, ~open_rows)

    def _judge(self, cell: LevelCell, notes: LevelReport, well: Bools, company: Bools) -> Gate:
        """Ask the gate, without rows that make far more plusses than both group and pool."""
        j, group = cell.column, self._fleet.group == cell.group
        well = well & self._pool_rows(cell)
        rows = np.flatnonzero(well)
        counted = rows[company[rows] | in_company(notes.plusses[rows, j])]
        verdict = gate(
            members=int(np.isfinite(notes.median[group, j]).sum()),
            runs=notes.runs[counted, j].sum(axis=0),
            plusses=notes.plusses[counted, j].sum(axis=0),
            noise_ratio=_typical(notes.noise_ratio[well, j]),
            lag_one=group_lag(notes.lag_one[well, j], _remembered(notes)[well, j]),
        )
        return cell.allowed(verdict)

    def _note_memory(
        self, cell: LevelCell, notes: LevelReport, well: Bools, not_open: Bools
    ) -> None:
        """Lower the class of single rows, until the next epoch, whose own past shows memory.

        Who stands beyond the margin for long is not judged by plusses: they are what is claimed.
        """
        j, rows = cell.column, self._rows[cell.group]
        by_lag = own_lag(notes.lag_one[rows, j], _remembered(notes)[rows, j])
        by_plusses = own_memory(notes.runs[rows, j], notes.plusses[rows, j])
        self._remembers[rows, j] |= (by_lag & not_open[rows]) | (by_plusses & well[rows])

    def _apply(self, cell: LevelCell, verdict: Gate) -> None:
        if verdict.validity == Validity.NONE:
            self._lengthen(cell, verdict.reason)
            return
        if cell.needs_epoch(verdict):
            self._close(cell, verdict.reason)
            cell.largest_lambda = verdict.largest_lambda
        cell.validity = cell.best = verdict.validity
        cell.reason = verdict.reason

    def _remembering(self, cell: LevelCell, notes: LevelReport, well: Bools) -> bool:
        """Say whether the contrasts of a cell's ``well`` rows (R,) plainly follow one another."""
        rows = np.flatnonzero(well & self._pool_rows(cell))
        lag = group_lag(notes.lag_one[rows, cell.column], _remembered(notes)[rows, cell.column])
        return bool(lag > MOST_LAG_ONE)

    def _longer(self, cell: LevelCell) -> list[int]:
        return [rung for rung in LADDER if rung >= LONGER * cell.rung]

    def _lengthen(self, cell: LevelCell, reason: str) -> None:
        """Move to the next longer block and judge it anew, or abstain when there is none."""
        longer = self._longer(cell)
        self._close(cell, reason)
        if longer:
            cell.rung, cell.reviewed, cell.margin = longer[0], 0, self._default(cell)
            cell.best, cell.largest_lambda = Validity.CONSTRUCTION, LEVEL_LAMBDAS[-1]
        else:
            cell.margin = None

    def _close(self, cell: LevelCell, reason: str) -> None:
        """Begin a new epoch of class none, with nothing held against a single row."""
        metric, group = self._fleet.metrics[cell.column].name, self._fleet.groups[cell.group]
        cell.validity, cell.reason = Validity.NONE, reason
        cell.epoch = self._epochs.begin(f"{group},metric={metric},level", reason)
        self._remembers[self._rows[cell.group], cell.column] = False

    def _margin(self, cell: LevelCell) -> float:
        return self._default(cell) if cell.margin is None else cell.margin

    def _default(self, cell: LevelCell) -> float:
        margin = self._own_margin(cell.group, cell.column)
        assert margin is not None  # noqa: S101 - a cell is only opened where it is not
        return margin

    def _own_margin(self, group: int, column: int) -> float | None:
        """Return the margin that the catalogue, or a site's word on the job, gives a group."""
        rows = self._rows[group]
        equals = bool(self._fleet.equals[rows].all())
        return self._fleet.metrics[column].margin_of(self._job(int(rows[0])), equals=equals)

    def _job(self, row: int) -> str:
        """Return the job of a shard, or of a node all of whose shards have the same, else ""."""
        fleet = self._fleet
        shards = [row] if row < fleet.shard_count else fleet.shards_beneath[row - fleet.shard_count]
        jobs = {fleet.shards[int(shard)].job for shard in shards}
        return jobs.pop() if len(jobs) == 1 else ""

    def _pool_rows(self, cell: LevelCell) -> Bools:
        """Return the rows whose signs tell the memory: all of the SKU at the same rung."""
        pool = self._fleet.pool[self._rows[cell.group][0]]
        at_rung = [
            g for (g, j), c in self.cells.items() if j == cell.column and c.rung == cell.rung
        ]
        rows: Bools = (self._fleet.pool == pool) & np.isin(self._fleet.group, at_rung)
        return rows

    def _spread_rows(self, cell: LevelCell) -> Bools:
        """Return the rows whose contrasts tell the spread: the group, or small groups together."""
        fleet = self._fleet
        rows: Bools = fleet.group == cell.group
        shards = fleet.shards
        first = int(np.flatnonzero(rows)[0])
        if rows.sum() >= POOL_BELOW or first >= len(shards):
            return rows
        job = shards[first].job
        alike = np.array([s.job == job for s in shards] + [False] * len(fleet.nodes))
        small = fleet.group_sizes()[fleet.group] < POOL_BELOW
        return alike & small


def _remembered(notes: LevelReport) -> Ints:
    """Return how many contrasts the medians and autocorrelations (R, M) are of."""
    return np.clip(notes.observed, 0, REMEMBERED)


def _typical(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
