"""Take out of each shard's value how far it follows the common movement of its like.

Apart from roll-up, because a node's median must not change when a shared step or a lost member
makes another shard the middle one: so shards are put on one line first, each by its own past.
Null: shards of unequal loadings give residuals about 0 wherever the common level goes.  Power: a
shift that others do not share stays in the residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from ...engine.arrays import put_rows, take_rows
from ..state.move import Move

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SETTLED_AFTER = 20  # blocks before a line is worth a residual


@dataclass(slots=True)
class _Lines:
    """Running least squares of y − c on (1, c), metrics first: count, means and sums (M, S)."""

    count: Floats
    mean_c: Floats
    mean_d: Floats
    square: Floats
    cross: Floats
    offset: Float32s

    @classmethod
    def start(cls, metrics: int, shards: int) -> Self:
        """Return lines that have seen nothing."""
        count, mean_c, mean_d, square, cross = np.zeros((5, metrics, shards))
        unknown = np.full((metrics, shards), np.nan, dtype=np.float32)
        return cls(count, mean_c, mean_d, square, cross, unknown)

    def step(self, y: Floats, c: Floats, offset: Float32s) -> Floats:
        """Return the residual of ``y`` given ``c``, then learn from both; all are (M, S)."""
        self._forget(offset != self.offset)
        self.offset[:] = offset
        from_c, from_d = c - self.mean_c, y - c - self.mean_d
        slope = self.cross / np.where(self.square > 0, self.square, 1.0)
        residual = np.where(self.count >= SETTLED_AFTER, from_d - slope * from_c, np.nan)
        known = np.isfinite(from_d)
        self.count += known
        weight = 1.0 / np.maximum(self.count, 1.0)
        self.mean_c += np.where(known, weight * from_c, 0.0)
        self.mean_d += np.where(known, weight * from_d, 0.0)
        self.square += np.where(known, from_c * (c - self.mean_c), 0.0)
        self.cross += np.where(known, from_d * (c - self.mean_c), 0.0)
        return residual

    def _forget(self, moved: Bools) -> None:
        """Begin anew where the offset is another one: what was learned was of other values."""
        for sums in (self.count, self.mean_c, self.mean_d, self.square, self.cross):
            sums[moved] = 0.0


class Loadings:
    """The lines of all shards of a fleet, rung by rung; ``like`` names what should move alike.

    The common movement is the median of all that are alike, wherever they stand, and not that of
    the peer group: a rack that is a group of its own would take its own fault for common.
    """

    def __init__(self, like: Sequence[str], metrics: int) -> None:
        """Take for each shard what it is like (SKU, job, role), and the number of metrics."""
        names = np.array(like, dtype=np.str_)
        self._classes = [np.flatnonzero(names == name) for name in np.unique(names)]
        self._shape = (metrics, len(like))
        self._lines: dict[int, _Lines] = {}

    def inherit(self, former: "Loadings", move: Move) -> None:
        """Take over the lines of the shards and metrics that are still there."""
        (was, now), (left, here) = move.shards, move.columns
        for rung, held in former._lines.items():  # noqa: SLF001 - of this class
            lines = self._lines[rung] = _Lines.start(*self._shape)
            for field in fields(_Lines):
                values = getattr(held, field.name)[np.ix_(left, was)]
                getattr(lines, field.name)[np.ix_(here, now)] = values

    def residuals(self, rung: int, x: Float32s, offset: Float32s, columns: Ints) -> Float32s:
        """Return what is left of ``x`` (S, M) beyond ``offset`` and the common movement.

        NaN where either is, in the first blocks, and outside ``columns``.
        """
        held = self._lines.get(rung)
        if held is None:
            held = self._lines[rung] = _Lines.start(*self._shape)
        y = (x - offset).T[columns].astype(np.float64)
        common = np.full_like(y, np.nan)
        for rows in self._classes:
            common[:, rows] = _medians(y[:, rows])[:, None]
        lines = take_rows(held, columns)
        out = np.full(x.shape, np.nan, dtype=np.float32)
        out[:, columns] = lines.step(y, common, offset.T[columns]).T
        put_rows(held, columns, lines)
        return out


def _medians(values: Floats) -> Floats:
    """Return the median of each row (m, k) over what is not NaN; NaN of nothing."""
    ordered = np.sort(values, axis=1)  # NaN goes last
    count = np.count_nonzero(~np.isnan(values), axis=1)[:, None]
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[1] - 1), axis=1)
    middle: Floats = ((low + high) / 2.0)[:, 0]
    return middle
