"""Turn monotone counters into rates: what moved between two values, over the time between them.

Apart from fold, because a counter needs its predecessor and a block does not; resets and gaps
become missing values here and are never interpolated (statistics.md B1.1).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHORTEST, LONGEST = 0.5, 2.0  # of the usual interval: outside, the pair makes no rate
NEARLY_FULL = 0.9  # of a counter's largest value: from here on a fall is a wrap, not a reset


def counter_rate(
    previous: Floats, following: Floats, seconds: Floats, usual: Floats, size: float = np.inf
) -> Floats:
    """Return what a counter moved per second from ``previous`` to ``following``, NaN for no rate.

    All of one shape; ``seconds`` lie between the two, ``usual`` (> 0) between most. There is no
    rate of a missing value, a counter that fell (reset), and a distance in time outside half to
    twice the usual one. A counter of ``size`` values (2**32) that fell from the last tenth of
    them has begun again at 0.
    """
    moved = following - previous
    if np.isfinite(size):
        moved = np.where((moved < 0) & (previous > NEARLY_FULL * (size - 1)), moved + size, moved)
    known = (seconds >= SHORTEST * usual) & (seconds <= LONGEST * usual) & (moved >= 0)
    known &= np.isfinite(moved)
    rate = np.full_like(moved, np.nan)
    np.divide(moved, seconds, out=rate, where=known)
    return rate


class Rates:
    """Replace the counter columns of ticks (S, M) by their rates per second."""

    def __init__(self, counters: Sequence[int], intervals: float | Sequence[float]) -> None:
        """Take the columns that hold counters and the usual seconds between two of their values.

        ``intervals`` is one number for all, or one for each of ``counters``.
        """
        self._columns = np.array(counters, dtype=np.int64)
        self._intervals = np.broadcast_to(np.array(intervals, dtype=np.float64), len(counters))
        self._last: tuple[Floats, Floats] | None = None

    def inherit(self, former: "Rates", count: int, rows: Ints, columns: Ints) -> None:
        """Take over the last values of ``former``: places of its ``rows`` and ``columns`` here.

        −1 = not here. There are ``count`` rows by now; what is new has no last value.
        """
        if former._last is None or len(self._columns) == 0:  # noqa: SLF001 - of this class
            return
        there = columns[former._columns]  # noqa: SLF001 - as above
        place = {column: k for k, column in enumerate(self._columns.tolist())}
        to = np.array([place.get(column, -1) for column in there.tolist()], dtype=np.int64)
        shape = count, len(self._columns)
        self._last = (np.full(shape, np.nan), np.full(shape, np.nan))
        for was, now in zip(former._last, self._last, strict=True):  # noqa: SLF001 - as above
            now[np.ix_(rows[rows >= 0], to[to >= 0])] = was[np.ix_(rows >= 0, to >= 0)]

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
        rate = counter_rate(before, now, at - since, np.broadcast_to(self._intervals, now.shape))
        known = np.isfinite(now)
        since[known] = at
        before[known] = now[known]
        out = values.copy()
        out[:, self._columns] = rate
        return out
