"""Summaries of every peer group for one block: what DOWN carries.

Apart from the arithmetic in the engine: here rows meet groups, and float32 meets the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...engine.peers import central

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SMALLEST = 8  # members that a class of groups is at least laid out for


@dataclass(frozen=True, slots=True)
class Summaries:
    """Per group: members with a value ``count`` (G, M) and central order statistics (G, M, 3).

    ``total`` (G, M) is the sum of the members' values in counted columns, NaN elsewhere; None =
    nothing is counted.
    """

    count_raw: Ints
    s3_raw: Float32s
    count_demeaned: Ints
    s3_demeaned: Float32s
    total: Float32s | None = None


class Summariser:
    """Summaries of many groups at once: groups of similar size are sorted in one go."""

    def __init__(self, members: Sequence[Ints], rows: int, counted: Ints | None = None) -> None:
        """Take the rows of each group, out of ``rows``, and the columns that are ``counted``."""
        self._groups = len(members)
        self._counted = np.zeros(0, dtype=np.int64) if counted is None else counted
        self._group = np.zeros(rows, dtype=np.int64)
        for g, mine in enumerate(members):
            self._group[mine] = g
        self._classes: list[tuple[Ints, Ints]] = []
        size = np.array([len(m) for m in members], dtype=np.int64)
        width = np.maximum(SMALLEST, 2 ** np.ceil(np.log2(np.maximum(size, 1)))).astype(np.int64)
        for w in np.unique(width):
            chosen = np.flatnonzero(width == w)
            table = np.full((int(w), len(chosen)), rows, dtype=np.int64)  # one past: no value
            for k, g in enumerate(chosen.tolist()):
                table[: size[g], k] = members[g]
            self._classes.append((chosen, table))

    def summarise(
        self, x: Float32s, demeaned: Float32s, eligible: Bools, columns: Ints
    ) -> Summaries:
        """Return the summaries over ``columns``; ``x`` and ``demeaned`` (R, M), NaN = none.

        Rows that are not ``eligible`` (R,) stay out.
        """
        both = np.concatenate([x[:, columns], demeaned[:, columns]], axis=1)
        both[~eligible] = np.nan
        both = np.vstack([both, np.full((1, both.shape[1]), np.nan, dtype=np.float32)])
        c, m = len(columns), x.shape[1]
        counts = np.zeros((2, self._groups, m), dtype=np.int64)
        s3 = np.full((2, self._groups, m, 3), np.nan, dtype=np.float32)
        for chosen, table in self._classes:
            values = both[table]  # (W, G, 2C)
            found = central(values.reshape(len(values), -1))
            place = np.ix_(chosen, columns)
            shape = (len(chosen), 2 * c)  # c is 0 in a block without any value
            count, three = found.count.reshape(shape), found.s3.reshape(*shape, 3)
            counts[0][place], counts[1][place] = count[:, :c], count[:, c:]
            s3[0][place], s3[1][place] = three[:, :c], three[:, c:]
        total = self._totals(x, eligible, counts[0]) if self._counted.size else None
        return Summaries(counts[0], s3[0], counts[1], s3[1], total)

    def _totals(self, x: Float32s, eligible: Bools, count: Ints) -> Float32s:
        out = np.full(count.shape, np.nan, dtype=np.float32)
        for j in self._counted:
            known = np.flatnonzero(eligible & np.isfinite(x[:, j]))
            total = np.bincount(self._group[known], x[known, j], minlength=self._groups)
            out[:, j] = np.where(count[:, j] > 0, total, np.nan)
        return out
