"""Turn monotone counters into rates: what moved between two ticks, over the time between them.

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

    def __init__(self, counters: Sequence[int], interval: float) -> None:
        """Take the columns that hold counters and the usual seconds between two ticks."""
        self._columns = np.array(counters, dtype=np.int64)
        self._interval = interval
        self._last: tuple[float, Floats] | None = None

    def push(self, at: float, values: Floats) -> Floats:
        """Return ``values`` with rates in the counter columns, NaN where there is none.

        None is: the first tick, a counter that fell (reset), a missing neighbour, and a
        distance in time outside half to twice the usual one.
        """
        if len(self._columns) == 0:
            return values
        now = values[:, self._columns]
        rate = np.full_like(now, np.nan)
        if self._last is not None:
            before, then = self._last
            seconds = at - before
            if SHORTEST * self._interval <= seconds <= LONGEST * self._interval:
                moved = now - then
                rate = np.where(moved >= 0, moved, np.nan) / seconds
        self._last = (at, now)
        out = values.copy()
        out[:, self._columns] = rate
        return out
