"""Roll up: the value of an inner node in a block is a median over its shards.

Apart from peers, because a roll-up looks down the topology and a summary looks sideways.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PRESENT = 0.5  # share of a node's shards that must have a value


class Rollup:
    """Medians of many overlapping sets of rows, sets of similar size computed together."""

    def __init__(self, sets: Sequence[Ints], rows: int, wanted: Bools | None = None) -> None:
        """Take the rows beneath each node, out of ``rows`` shards.

        Nodes that are not ``wanted`` (I,), by default all are, have no value.
        """
        self._nodes = len(sets)
        self._classes: list[tuple[Ints, Ints, Ints]] = []
        size = np.array([len(s) for s in sets], dtype=np.int64)
        some = np.ones(len(sets), dtype=np.bool_) if wanted is None else wanted
        for width in np.unique(_ceiling(size[some])):
            chosen = np.flatnonzero((_ceiling(size) == width) & some)
            index = np.full((len(chosen), int(width)), rows, dtype=np.int64)  # one past: NaN
            for k, node in enumerate(chosen.tolist()):
                index[k, : size[node]] = sets[node]
            self._classes.append((chosen, index, size[chosen]))

    def medians(self, x: Float32s, columns: Ints) -> tuple[Float32s, Ints]:
        """Return the median (I, M) of each node's rows of ``x`` (S, M) and the rows behind it.

        NaN if more than half is missing. Only ``columns`` are looked at, the others are NaN and 0.
        """
        padded = np.vstack([x[:, columns], np.full((1, len(columns)), np.nan, dtype=np.float32)])
        out = np.full((self._nodes, x.shape[1]), np.nan, dtype=np.float32)
        behind = np.zeros(out.shape, dtype=np.int64)
        for chosen, index, size in self._classes:
            values = np.sort(padded[index], axis=1)  # NaN last
            count = np.isfinite(values).sum(axis=1)
            node, column = np.ogrid[: len(chosen), : len(columns)]
            low = values[node, np.maximum(count - 1, 0) // 2, column]
            high = values[node, np.minimum(count // 2, values.shape[1] - 1), column]
            enough = count >= np.maximum(1, PRESENT * size[:, None])
            place = np.ix_(chosen, columns)
            out[place] = np.where(enough, (low + high) / 2, np.nan)
            behind[place] = count
        return out, behind


def _ceiling(size: Ints) -> Ints:
    """Return the next power of two: at most half of a class's table is padding."""
    return (1 << np.ceil(np.log2(np.maximum(size, 1))).astype(np.int64)).astype(np.int64)
