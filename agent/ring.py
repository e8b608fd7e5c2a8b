"""The last ten minutes of raw ticks, for a person who looks at one shard.

Apart from evidence, which never reads it: raw values leave the host only from here, only when
somebody asked, and never much of them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..proto.messages import RawTicks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TICKS: Final = 600
MOST_BYTES: Final = 256 * 1024  # of one answer, times and values together


class Ring:
    """Ticks of S shards and M metrics, the oldest overwritten by the newest."""

    def __init__(
        self, shards: tuple[str, ...], metrics: tuple[str, ...], ticks: int = TICKS
    ) -> None:
        """Take rows, columns and how many ``ticks`` are kept."""
        self._shards = shards
        self._rows = {shard: i for i, shard in enumerate(shards)}
        self._metrics = metrics
        self._at = np.full(ticks, np.nan)
        self._values = np.full((ticks, len(shards), len(metrics)), np.nan, dtype=np.float32)
        self._next = 0

    def carried(self, shards: tuple[str, ...], metrics: tuple[str, ...]) -> "Ring":
        """Return a ring of other rows and columns that holds the ticks of those in both."""
        made = Ring(shards, metrics, len(self._at))
        made._at[:], made._next = self._at, self._next
        every = np.arange(len(self._at))
        rows, to_rows = _common(self._shards, shards)
        columns, to_columns = _common(self._metrics, metrics)
        kept = self._values[np.ix_(every, rows, columns)]
        made._values[np.ix_(every, to_rows, to_columns)] = kept
        return made

    def push(self, at: float, values: Floats) -> None:
        """Keep the raw ``values`` (S, M) of the tick at ``at`` Unix seconds, growing."""
        place = self._next % len(self._at)
        self._at[place] = at
        with np.errstate(over="ignore"):  # beyond float32 there is nothing to show
            self._values[place] = values
        self._values[place][~np.isfinite(self._values[place])] = np.nan
        self._next += 1

    def ticks(self, shard: str, since: float = 0.0) -> RawTicks:
        """Return the ticks of ``shard`` from Unix second ``since`` on, the newest that fit 256 KB.

        Raises ``KeyError`` for a shard that is not here.
        """
        row = self._rows[shard]
        order = np.arange(max(0, self._next - len(self._at)), self._next) % len(self._at)
        order = order[self._at[order] >= since]
        size = self._at.itemsize + self._values.itemsize * len(self._metrics)
        order = order[-(MOST_BYTES // size) :]
        return RawTicks(shard, self._metrics, self._at[order], self._values[order, row])


def _common(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[Ints, Ints]:
    """Return where the names that both have stand in each."""
    place = {name: i for i, name in enumerate(after)}
    pairs = [(i, place[name]) for i, name in enumerate(before) if name in place]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
