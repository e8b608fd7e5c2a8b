"""What hosts report of their streams now and then, newest first heard, in tables of the fleet.

Apart from the planner, which decides from it: reports come host by host and block by block, and
what is decided is decided of all rows together.
"""

from dataclasses import astuple
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...engine.level import LevelReport
from ...engine.margin import RUN
from ...engine.outcome import Outcome
from ..state.move import Move

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Arrays = TypeVar("Arrays", bound=tuple[npt.NDArray[np.generic], ...])


class Reports:
    """The newest V_i(25) and level notes of every row and metric, by rung."""

    def __init__(self, rows: int, metrics: int) -> None:
        """Start with nothing heard of R ``rows`` and M ``metrics``."""
        self._shape = (rows, metrics)
        self._long_run: dict[int, tuple[Floats, Ints]] = {}
        self._notes: dict[int, LevelReport] = {}

    def inherit(self, former: "Reports", move: Move) -> None:
        """Take over what was heard of rows and metrics that are still there."""
        self._long_run = {
            rung: _moved_arrays(held, self._no_long_run(), move)
            for rung, held in former._long_run.items()  # noqa: SLF001 - of this class
        }
        self._notes = {
            rung: LevelReport(*_moved_arrays(astuple(held), astuple(self._no_notes()), move))
            for rung, held in former._notes.items()  # noqa: SLF001 - of this class
        }

    def has_long_run(self, rung: int) -> bool:
        """Say whether anything was heard of V_i at ``rung``."""
        return rung in self._long_run

    def long_run(self, rung: int) -> tuple[Floats, Ints]:
        """Return V_i (R, M) at ``rung``, NaN where there is none, and the scores behind each."""
        return self._long_run[rung]

    def notes(self, rung: int) -> LevelReport:
        """Return the level notes of all rows at ``rung``, (R, M, …)."""
        return self._notes[rung]

    def hear_long_run(self, rung: int, rows: Ints, outcome: Outcome) -> bool:
        """Write a host's V_i into the table of that rung; say if there were any."""
        if outcome.long_run is None or outcome.long_run_scores is None:
            return False
        variance, scores = self._long_run.setdefault(rung, self._no_long_run())
        variance[rows], scores[rows] = outcome.long_run, outcome.long_run_scores
        return True

    def hear_notes(self, rung: int, rows: Ints, outcome: Outcome) -> bool:
        """Write a host's notes into the table of that rung; say if there were any."""
        notes = outcome.review
        if notes is None:
            return False
        held = self._notes.get(rung)
        if held is None:
            held = self._notes[rung] = self._no_notes()
        held.observed[rows] = notes.observed
        held.median[rows] = notes.median
        held.noise_ratio[rows] = notes.noise_ratio
        held.lag_one[rows] = notes.lag_one
        held.runs[rows] = notes.runs
        held.plusses[rows] = notes.plusses
        return True

    def _no_long_run(self) -> tuple[Floats, Ints]:
        return np.full(self._shape, np.nan), np.zeros(self._shape, dtype=np.int64)

    def _no_notes(self) -> LevelReport:
        return LevelReport(
            observed=np.full(self._shape, -1, dtype=np.int64),  # not heard of yet
            median=np.full(self._shape, np.nan),
            noise_ratio=np.full(self._shape, np.nan),
            lag_one=np.full(self._shape, np.nan),
            runs=np.zeros((*self._shape, RUN + 1), dtype=np.int64),
            plusses=np.zeros((*self._shape, RUN + 1), dtype=np.int64),
        )


def _moved_arrays(was: Arrays, now: Arrays, move: Move) -> Arrays:
    """Return ``now``, arrays (R, M, …) of a new fleet, with what stays of ``was`` in them."""
    for old, new in zip(was, now, strict=True):
        move.table(old, new)
    return now
