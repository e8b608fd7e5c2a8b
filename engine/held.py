"""What streams had learned some time ago, so that an ill one can go back to before its fault.

Apart from the channel, which learns: here is what is kept of the past and which of it comes back.
Null: a copy restored at once changes nothing.  Power: what was learned since the onset is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, only_rows, put_rows, take_rows
from .memory import Memory
from .ranks import Ranks
from .recursive import Recursive

KEPT_EVERY: Final = 256  # counted residuals between two copies of a stream
FIRST_KEPT: Final = 16  # of a young one: at 16, 32, 64 and 128; fewer say nothing of a tail
NO_COPY: Final = -1
_FARTHEST: Final = 1e30  # of a pair: float32 holds it
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
        self._early = np.zeros(n, dtype=np.bool_)  # the older one is what was set aside
        self._older = Learned.start(n)
        self._newer = Learned.start(n)

    def take(self, now: Learned, block: int, learned: Bools) -> None:
        """Copy the streams that ``learned`` (n,) in this ``block`` and whose turn it is."""
        rows = np.flatnonzero(learned & (now.ranks.total % FIRST_KEPT == 0))
        total = now.ranks.total[rows]
        young = (total < KEPT_EVERY) & (total & (total - 1) == 0)
        rows = rows[(total > 0) & (young | (total % KEPT_EVERY == 0))]
        if len(rows) == 0:
            return
        generations = (self._older.parts(), self._newer.parts(), now.parts())
        for older, newer, present in zip(*generations, strict=True):
            put_rows(older, rows, take_rows(newer, rows))
            put_rows(newer, rows, take_rows(present, rows))
        self.taken[rows, 0] = self.taken[rows, 1]
        self.taken[rows, 1] = block

    def set_aside(self, now: Learned, rows: Ints, before: Ints) -> None:
        """Choose for ``rows`` what they knew before block ``before`` (r,), or as early as is kept.

        A stream of which nothing is kept has what it knows ``now``. Nothing of theirs is to be
        taken before they are restored.
        """
        bare = rows[self.taken[rows, 1] == NO_COPY]
        for newer, present in zip(self._newer.parts(), now.parts(), strict=True):
            put_rows(newer, bare, take_rows(present, bare))
        older, newer_than = self.taken[rows].T
        self._early[rows] = (older != NO_COPY) & (newer_than >= before)

    def line(self, rows: Ints) -> Floats:
        """Return intercept and slope (r, 2) of what was set aside for ``rows``."""
        older, newer = self._older.regression.theta[rows], self._newer.regression.theta[rows]
        return np.where(self._early[rows][:, None], older, newer)

    def restore(self, now: Learned, rows: Ints) -> None:
        """Let ``rows`` know what was set aside for them, and no more.

        The last pair of a regression is no knowledge: it stays that of the block before.
        """
        last_x, last_c = now.regression.last_x[rows], now.regression.last_c[rows]
        early = self._early[rows]
        for chosen, copies in ((rows[early], self._older), (rows[~early], self._newer)):
            for present, copy in zip(now.parts(), copies.parts(), strict=True):
                put_rows(present, chosen, take_rows(copy, chosen))
        now.regression.last_x[rows], now.regression.last_c[rows] = last_x, last_c

    def forget(self, rows: Ints) -> None:
        """Have no copy of ``rows``."""
        self.taken[rows] = NO_COPY

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``."""
        self.taken, self._early = self.taken[rows], self._early[rows]
        for part in _every_part(self._older, self._newer):
            for field in fields(part):
                setattr(part, field.name, only_rows(getattr(part, field.name), rows))


class Recent:
    """The last 32 pairs of each stream, in the units of its regression; NaN = none."""

    def __init__(self, n: int) -> None:
        """Remember nothing of ``n`` streams."""
        self._pairs = np.full((RECENT, n, 2), np.nan, dtype=np.float32)  # written block by block
        self._block = NO_COPY

    def note(self, block: int, y: Floats, c: Floats) -> None:
        """Take the values ``y`` and references ``c`` (n,) of ``block``, later than all before."""
        for passed in range(max(self._block + 1, block - RECENT + 1), block):
            self._pairs[passed % RECENT] = np.nan
        self._pairs[block % RECENT, :, 0] = np.clip(y, -_FARTHEST, _FARTHEST)
        self._pairs[block % RECENT, :, 1] = np.clip(c, -_FARTHEST, _FARTHEST)
        self._block = block

    def last(self, block: int, line: Floats, phi: Floats, rows: Ints) -> Floats:
        """Return how far ``block`` lies above ``line`` (r, 2); NaN where it is not the last."""
        if block != self._block:
            return np.full(len(rows), np.nan)
        return distance(line, phi, self._pairs[block % RECENT, rows])

    def effect(self, line: Floats, phi: float, row: int, since: int) -> float:
        """Return the median distance of ``row`` from ``line`` (1, 2) since block ``since``.

        NaN where there is none.
        """
        blocks = np.arange(max(since, self._block - RECENT + 1, 0), self._block + 1)
        found = distance(line, np.array([phi]), self._pairs[blocks % RECENT, row])
        found = found[np.isfinite(found)]
        return float(np.median(found)) if len(found) else float("nan")

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``."""
        self._pairs = self._pairs[:, rows]


def distance(line: Floats, phi: Floats, pairs: npt.NDArray[np.float32]) -> Floats:
    """Return how far ``pairs`` (r, 2) of values and references lie above ``line`` (r, 2).

    In the line's units; a regression of quasi-differenced pairs has the intercept (1 − φ) a of the
    line a + b c.
    """
    y, c = pairs.astype(np.float64).T
    apart: Floats = y - line[:, 0] / (1.0 - phi) - line[:, 1] * c
    return apart


def _every_part(*generations: Learned) -> Iterator[_Part]:
    for learned in generations:
        yield from learned.parts()
