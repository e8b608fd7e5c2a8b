"""Summaries of every peer group for one block: what DOWN carries.

Apart from the arithmetic in the engine: here rows meet groups, and float32 meets the wire.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...engine.peers import central

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Summaries:
    """Per group: members with a value ``count`` (G, M) and central order statistics (G, M, 3)."""

    count_raw: Ints
    s3_raw: Float32s
    count_demeaned: Ints
    s3_demeaned: Float32s


def summarise(
    x: Float32s, offset: Float32s, eligible: Bools, members: tuple[Ints, ...], columns: Ints
) -> Summaries:
    """Return the summaries of ``members`` (rows of each group) over ``columns``.

    ``x`` and ``offset`` (R, M), NaN = none; rows that are not ``eligible`` (R,) stay out.
    """
    m = x.shape[1]
    counts = np.zeros((2, len(members), m), dtype=np.int64)
    s3 = np.full((2, len(members), m, 3), np.nan, dtype=np.float32)
    seen = np.where(eligible[:, None], x, np.float32(np.nan))[:, columns]
    demeaned = seen - offset[:, columns]
    for g, rows in enumerate(members):
        for which, values in enumerate((seen[rows], demeaned[rows])):
            found = central(values)
            counts[which, g, columns] = found.count
            s3[which, g, columns] = found.s3
    return Summaries(counts[0], s3[0], counts[1], s3[1])
