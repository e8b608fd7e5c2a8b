"""What streams had learned some time ago, so that an ill one can go back to before its fault.

Apart from the channel, which learns: here is what is kept of the past and which of it comes back.
Null: a copy restored at once changes nothing.  Power: what was learned after the onset is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from .arrays import Bools, Floats, Ints, only_rows, put_rows, take_rows
from .memory import Memory
from .ranks import Ranks
from .recursive import Recursive

KEPT_EVERY: Final = 256  # counted residuals between two copies of a stream
FIRST_KEPT: Final = 16  # of a young one: at 16, 32, 64 and 128; fewer say nothing of a tail
NO_COPY: Final = -1
RECENT: Final = 32  # blocks whose distances say how large a fault is when its verdict opens

_Part = Recursive | Ranks | Memory


@dataclass(frozen=True, slots=True)
class Learned:
    """All that the streams of a channel have learned, rows first in every part."""

    regression: Recursive
    ranks: Ranks
    memory: Memory

    @classmethod
    def start(cls, n: int) -> "Learned":
        """Return ``n`` streams that know nothing."""
        return cls(Recursive.start(n), Ranks.start(n), Memory.start(n))

    def parts(self) -> tuple[_Part, ...]:
        """Return the parts in a fixed order."""
        return self.regression, self.ranks, self.memory


class Baselines:
    """Two generations of copies a stream: of the older one 256 to 512 residuals have come since.

    Source: statistics.md G5 (an open shard's regression, knots and counts are those of before).
    """

    def __init__(self, n: int) -> None:
        """Keep nothing yet of ``n`` streams."""
        self.taken = np.full((n, 2), NO_COPY, dtype=np.int64)  # last block in each: older, newer
        self._older = Learned.start(n)
        self._newer = Learned.start(n)

    def take(self, now: Learned, block: int, learned: Bools) -> None:
        """Copy the streams that ``learned`` (n,) in this ``block`` and whose turn it is."""
        total = now.ranks.total
        young = (total < KEPT_EVERY) & (total >= FIRST_KEPT) & (total & (total - 1) == 0)
        rows = np.flatnonzero(learned & (young | ((total > 0) & (total % KEPT_EVERY == 0))))
        if len(rows) == 0:
            return
        generations = (self._older.parts(), self._newer.parts(), now.parts())
        for older, newer, present in zip(*generations, strict=True):
            put_rows(older, rows, take_rows(newer, rows))
            put_rows(newer, rows, take_rows(present, rows))
        self.taken[rows, 0] = self.taken[rows, 1]
        self.taken[rows, 1] = block

    def restore(self, now: Learned, rows: Ints, before: Ints) -> None:
        """Let ``rows`` know what they knew before block ``before`` (r,), or as early as is kept.

        A stream of which nothing is kept stays as it is. The last pair of a regression is no
        knowledge: it stays that of the block before.
        """
        older, newer = self.taken[rows].T
        early = (newer != NO_COPY) & ((newer < before) | (older == NO_COPY))
        late = ~early & (older != NO_COPY)
        last_x, last_c = now.regression.last_x[rows], now.regression.last_c[rows]
        for chosen, copies in ((rows[early], self._newer), (rows[late], self._older)):
            for present, copy in zip(now.parts(), copies.parts(), strict=True):
                put_rows(present, chosen, take_rows(copy, chosen))
        now.regression.last_x[rows], now.regression.last_c[rows] = last_x, last_c

    def forget(self, rows: Ints) -> None:
        """Have no copy of ``rows``."""
        self.taken[rows] = NO_COPY

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``."""
        self.taken = self.taken[rows]
        for part in _every_part(self._older, self._newer):
            for field in fields(part):
                setattr(part, field.name, only_rows(getattr(part, field.name), rows))


class Recent:
    """The last 32 pairs of each stream, in the units of its regression; NaN = none."""

    def __init__(self, n: int) -> None:
        """Remember nothing of ``n`` streams."""
        self._pairs = np.full((n, RECENT, 2), np.nan)
        self._block = NO_COPY

    def note(self, block: int, y: Floats, c: Floats) -> None:
        """Take the values ``y`` and references ``c`` (n,) of ``block``, later than all before."""
        for passed in range(max(self._block + 1, block - RECENT + 1), block):
            self._pairs[:, passed % RECENT] = np.nan
        self._pairs[:, block % RECENT, 0] = y
        self._pairs[:, block % RECENT, 1] = c
        self._block = block

    def last(self, block: int, regression: Recursive, phi: Floats) -> Floats:
        """Return the distance (n,) of ``block`` from the lines; NaN where it is not the last."""
        if block != self._block:
            return np.full(len(phi), np.nan)
        at = block % RECENT
        return distance(regression, phi, self._pairs[:, at, 0], self._pairs[:, at, 1])

    def effect(self, regression: Recursive, phi: Floats, row: int, since: int) -> float:
        """Return the median distance of ``row`` from its line since block ``since``, NaN = none."""
        blocks = np.arange(max(since, self._block - RECENT + 1), self._block + 1)
        pairs = self._pairs[row, blocks % RECENT]
        one = take_rows(regression, np.array([row]))
        found = distance(one, phi[row], pairs[:, 0], pairs[:, 1])
        found = found[np.isfinite(found)]
        return float(np.median(found)) if len(found) else float("nan")

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``."""
        self._pairs = self._pairs[rows]


def distance(regression: Recursive, phi: Floats, y: Floats, c: Floats) -> Floats:
    """Return how far ``y`` stands above the line at ``c``, all broadcast, in the line's units.

    A regression of quasi-differenced pairs has the intercept (1 − φ) a of the line a + b c.
    """
    intercept, slope = regression.theta.T
    apart: Floats = y - intercept / (1.0 - phi) - slope * c
    return apart


def _every_part(*generations: Learned) -> Iterator[_Part]:
    for learned in generations:
        yield from learned.parts()
