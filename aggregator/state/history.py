"""Two hours of every node's merged evidence, for the curve beside a verdict.

Apart from the evidence itself, which is exact and of now: this is short and coarse, lies in memory
only, and nothing is decided from it.
"""

from collections.abc import Sequence
from math import floor
from typing import Self

import numpy as np
import numpy.typing as npt

from ...proto.pack import floored

Floats = npt.NDArray[np.float64]

NEVER = -1  # slot of a column that holds nothing


class History:
    """ln e of every row, one value each ``step`` seconds, as float16 rounded down.

    Of several values in a step the last one stands. The ring is laid out once: (R, seconds/step).
    """

    def __init__(self, rows: Sequence[str], seconds: int = 7200, step: int = 10) -> None:
        """Take the names of the rows; remember ``seconds``, a multiple of ``step`` seconds."""
        self.step = step
        self.seconds = seconds
        self._row = {name: i for i, name in enumerate(rows)}
        columns = seconds // step
        self._ring = np.full((len(self._row), columns), np.nan, dtype=np.float16)
        self._slots = np.full(columns, NEVER, dtype=np.int64)  # ⌊at/step⌋ of each column
        self._newest = NEVER

    def record(self, at: float, log_e: Floats) -> None:
        """Keep ``log_e`` (R,) of ``at`` seconds; what is older than the newest step is let go."""
        slot = floor(at / self.step)
        if slot < self._newest:
            return
        column = slot % len(self._slots)
        self._ring[:, column] = floored(log_e, np.float16)
        self._slots[column] = self._newest = slot

    def of(self, row: str, start: float, stop: float, step: float = 0.0) -> tuple[Floats, Floats]:
        """Return times and ln e of ``row`` from ``start`` to ``stop`` (s), NaN where none is kept.

        Both are cut to what can be kept. One value each ``step`` seconds, as kept if that is less:
        the last known of each step, under the time at which the step begins. Raises ``KeyError``
        for an unknown row.
        """
        kept = self._ring[self._row[row]]
        first = max(floor(start / self.step), self._newest - len(self._slots) + 1, 0)
        last = min(floor(stop / self.step), self._newest)
        slots = np.arange(first, last + 1)
        column = slots % len(self._slots)
        values = np.where(self._slots[column] == slots, kept[column].astype(np.float64), np.nan)
        width = max(1, round(step / self.step))
        starts = slots - slots % width
        at, at_first = np.unique(starts, return_index=True)
        runs = np.split(values, at_first[1:]) if len(slots) else []
        times: Floats = at.astype(np.float64) * self.step
        return times, np.array([_last(run) for run in runs], dtype=np.float64)

    def carried(self, rows: Sequence[str]) -> Self:
        """Return the history of ``rows``: what is known of a name goes with it."""
        after = type(self)(rows, self.seconds, self.step)
        common = [name for name in after._row if name in self._row]  # noqa: SLF001 - of this class
        after._ring[[after._row[name] for name in common]] = self._ring[  # noqa: SLF001 - as above
            [self._row[name] for name in common]
        ]
        after._slots, after._newest = self._slots.copy(), self._newest  # noqa: SLF001 - as above
        return after


def _last(run: Floats) -> float:
    known = run[~np.isnan(run)]
    return float(known[-1]) if len(known) else float("nan")
