"""Keep the plan: hear what agents report, decide parameters, and say what they are.

Apart from the books it keeps, because agents obey one plan and merging needs one table of
parts: which stream at which rung counts, with which weight and class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...engine.level import LevelReport
from ...engine.streams import Outcome
from ...proto.messages import Plan
from ..combine.peers import Summaries
from ..state.fleet import Fleet
from .change import ChangeBook
from .level import LevelBook
from .members import Members

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int8]

CHANGE_SHARE = 0.5  # weight of the change channel where a row has both channels
FAST_SHARE = 0.5  # of the change channel's weight


@dataclass(frozen=True, slots=True)
class Parts:
    """What is merged into each row: ``weights``, ``validity``, ``rungs``, each (3, M, R).

    The first axis is fast change, slow change, level; rung 0 is a part that does not exist.
    """

    weights: Floats
    validity: Classes
    rungs: Ints


class Planner:
    """The plan of one fleet, from catalogue defaults to what the fleet shows."""

    def __init__(self, fleet: Fleet, *, shortest: int, horizon: float) -> None:
        """Take the shortest rung that readings allow and the seconds of an epoch."""
        self._fleet = fleet
        self._horizon = horizon
        self._id = 0
        self.change = ChangeBook(fleet, shortest)
        self.level = LevelBook(fleet, shortest)
        self.members = Members(fleet)
        self._weights = _weights(self._rungs())
        shape = (len(fleet.rows), len(fleet.metrics))
        self._long_run: dict[int, tuple[Floats, Ints]] = {}
        self._notes: dict[int, LevelReport] = {}
        self._shape = shape

    def plan(self) -> Plan:
        """Return the plan as it stands, under a new id."""
        self._id += 1
        fleet, needed = self._fleet, self.members.needed()
        return Plan(
            id=self._id,
            groups={name: fleet.groups[g] for name, g in zip(fleet.rows, fleet.group, strict=True)},
            pools={name: fleet.pools[p] for name, p in zip(fleet.rows, fleet.pool, strict=True)},
            needed={
                name: (int(needed[0, g]), int(needed[1, g])) for g, name in enumerate(fleet.groups)
            },
            change=tuple(self.change.plans()),
            level=tuple(self.level.plans()),
            horizon=self._horizon,
        )

    def rungs(self) -> tuple[int, ...]:
        """Return every rung at which some stream counts, ascending."""
        return tuple(int(r) for r in np.unique(self._rungs()) if r > 0)

    def parts(self) -> Parts:
        """Return the parts of every row as the plan stands; weights never change."""
        group = self._fleet.group
        by_members = self.members.classes()[:, group]  # (2, R)
        validity = np.stack(
            [
                np.minimum(self.change.validity(slow=False), by_members[0][:, None]),
                np.minimum(self.change.validity(slow=True), by_members[0][:, None]),
                np.minimum(self.level.validity(), by_members[1][:, None]),
            ]
        )
        return Parts(self._weights, validity.transpose(0, 2, 1), self._rungs())

    def hear_counts(self, summaries: Summaries) -> bool:
        """Take the members of each group in one block; say whether the plan changed."""
        return self.members.hear(
            summaries.count_demeaned.max(axis=1), summaries.count_raw.max(axis=1)
        )

    def hear(self, rung: int, rows: Ints, outcome: Outcome, open_rows: Bools) -> bool:
        """Take what ``outcome`` reports of ``rows`` (S,); say whether the plan changed.

        ``open_rows`` (R,) have an open verdict: they are not part of "healthy".
        """
        changed = False
        if outcome.lags is not None:
            changed |= self.change.hear_lags(rung, outcome.block, rows, outcome.lags)
        if outcome.baseline is not None:
            changed |= self.change.hear_baseline(rung, outcome.block, rows, outcome.baseline)
        if outcome.windows:
            self.change.hear_windows(rung, outcome.block, rows, dict(outcome.windows))
        if outcome.long_run is not None and outcome.long_run_scores is not None:
            variance, scores = self._long_run.setdefault(
                rung, (np.full(self._shape, np.nan), np.zeros(self._shape, dtype=np.int64))
            )
            variance[rows], scores[rows] = outcome.long_run, outcome.long_run_scores
            changed |= self.change.hear_long_run(rung, variance, scores)
        if outcome.review is not None:
            notes = self._keep_notes(rung, rows, outcome.review)
            changed |= self.level.review(rung, notes, open_rows)
        return changed

    def _keep_notes(self, rung: int, rows: Ints, notes: LevelReport) -> LevelReport:
        """Write the host's notes into the fleet's table of that rung."""
        held = self._notes.get(rung)
        if held is None:
            held = self._notes[rung] = LevelReport(
                observed=np.zeros(self._shape, dtype=np.int64),
                median=np.full(self._shape, np.nan),
                noise_ratio=np.full(self._shape, np.nan),
                lag_one=np.full(self._shape, np.nan),
                runs=np.zeros((*self._shape, notes.runs.shape[2]), dtype=np.int64),
                plusses=np.zeros((*self._shape, notes.runs.shape[2]), dtype=np.int64),
            )
        held.observed[rows] = notes.observed
        held.median[rows] = notes.median
        held.noise_ratio[rows] = notes.noise_ratio
        held.lag_one[rows] = notes.lag_one
        held.runs[rows] = notes.runs
        held.plusses[rows] = notes.plusses
        return held

    def _rungs(self) -> Ints:
        """Return the rung (3, M, R) of every part."""
        rungs = [
            self.change.rungs(slow=False),
            self.change.rungs(slow=True),
            self.level.rungs(),
        ]
        return np.stack(rungs).transpose(0, 2, 1)


def _weights(rungs: Ints) -> Floats:
    """Return the weights (3, M, R) of the parts, fixed for good: they add up to 1 for each row.

    Half for each channel that the row has, within the change channel half for each rung, and
    the metrics of a channel share alike.
    """
    share = np.array([CHANGE_SHARE * FAST_SHARE, CHANGE_SHARE * (1 - FAST_SHARE), 1 - CHANGE_SHARE])
    exists = rungs > 0
    metrics = np.maximum(exists.sum(axis=1, keepdims=True), 1)
    weights = np.where(exists, share[:, None, None] / metrics, 0.0)
    total = weights.sum(axis=(0, 1), keepdims=True)
    return np.where(total > 0, weights / np.where(total > 0, total, 1.0), 0.0)
