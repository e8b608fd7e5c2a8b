"""Turn monotone counters into rates: what moved between two values, over the time between them.

Apart from fold, because a counter needs its predecessor and a block does not; resets and gaps
become missing values here and are never interpolated (statistics.md B1.1).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHORTEST, LONGEST = 0.5, 2.0  # of the usual interval: outside, the pair makes no rate


class Rates:
    """Replace the counter columns of ticks (S, M) by their rates per second."""

    def __init__(self, counters: Sequence[int], intervals: float | Sequence[float]) -> None:
        """Take the columns that hold counters and the usual seconds between two of their values.

        ``intervals`` is one number for all, or one for each of ``counters``.
        """
        self._columns = np.array(counters, dtype=np.int64)
        self._intervals = np.broadcast_to(np.array(intervals, dtype=np.float64), len(counters))
        self._last: tuple[Floats, Floats] | None = None

    def push(self, at: float, values: Floats) -> Floats:
        """Return ``values`` with rates in the counter columns, NaN where there is none.

        A value's predecessor is the last one of the same cell, so a metric that is read each 15
        ticks has a rate then. None is: the first value, a missing one, a counter that fell
        (reset), and a distance in time outside half to twice the usual one.
        """
        if len(self._columns) == 0:
            return values
        now = values[:, self._columns]
        if self._last is None:
            self._last = (np.full_like(now, np.nan), np.full_like(now, np.nan))
        since, before = self._last
        seconds, moved = at - since, now - before
        usual = (seconds >= SHORTEST * self._intervals) & (seconds <= LONGEST * self._intervals)
        rate = np.full_like(now, np.nan)
        np.divide(moved, seconds, out=rate, where=usual & (moved >= 0))
        known = np.isfinite(now)
        since[known] = at
        before[known] = now[known]
        out = values.copy()
        out[:, self._columns] = rate
        return out
