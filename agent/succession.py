"""What of one inventory stands where in the next one, and what of it is something else by now.

Apart from what is carried over, because evidence, ticks and values on their way all move by it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ..proto.messages import Inventory, ShardRow

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Float32s = npt.NDArray[np.float32]

GONE: Final = -1


@dataclass(frozen=True, slots=True)
class Succession:
    """Two inventories of one host, and where what is the same in both stands in the later one.

    ``rows`` (S,) and ``columns`` (M,) are places after of what was before, −1 = gone or another:
    a shard is another if its SKU, job or role is, a column if it is read or judged otherwise.
    """

    before: Inventory
    after: Inventory
    rows: Ints
    columns: Ints

    @classmethod
    def of(cls, before: Inventory, after: Inventory) -> Self:
        """Return the step from one to the other."""
        was, now = _alike(before.shards), _alike(after.shards)
        return cls(before, after, _places(was, now), _places(_read(before), _read(after)))

    @property
    def shape(self) -> tuple[int, int]:
        """Return (S, M) after."""
        return len(self.after.shards), len(self.after.metrics)

    @property
    def nothing(self) -> bool:
        """Say whether rows and columns are the same, wherever the shards hang by now."""
        same = (range(len(self.rows)), range(len(self.columns)))
        return self.shape == (len(self.rows), len(self.columns)) and all(
            np.array_equal(places, here)
            for places, here in zip((self.rows, self.columns), same, strict=True)
        )

    @property
    def place(self) -> Ints:
        """Return the flat place after of each flat place (S·M,) before, −1 = none."""
        flat = self.rows[:, None] * self.shape[1] + self.columns[None, :]
        return np.where(self.ended, GONE, flat).ravel().astype(np.int64)

    @property
    def ended(self) -> Bools:
        """Return which streams (S, M) before do not go on."""
        ended: Bools = (self.rows == GONE)[:, None] | (self.columns == GONE)[None, :]
        return ended

    def table(self, values: Float32s) -> Float32s:
        """Return ``values`` (S, M) before as they stand after, NaN for what is new."""
        out = np.full(self.shape, np.nan, dtype=np.float32)
        rows, columns = self.rows >= 0, self.columns >= 0
        out[np.ix_(self.rows[rows], self.columns[columns])] = values[np.ix_(rows, columns)]
        return out

    def reasons(self) -> Iterator[str]:
        """Yield, in a line each, what came, went, and is another."""
        was = {shard.id: _likeness(shard) for shard in self.before.shards}
        now = {shard.id: _likeness(shard) for shard in self.after.shards}
        yield from _come_and_gone("shard", list(was), list(now))
        for name in (n for n in now if was.get(n, now[n]) != now[n]):
            yield f"shard {name} is {now[name]}, it was {was[name]}"
        read, reads = dict(_read(self.before)), dict(_read(self.after))
        yield from _come_and_gone("metric", list(read), list(reads))
        for name in (n for n in reads if read.get(n, reads[n]) != reads[n]):
            yield f"metric {name} is {reads[name]}, it was {read[name]}"


def _come_and_gone(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    come, gone = [n for n in after if n not in before], [n for n in before if n not in after]
    if come:
        yield f"new {what}s: {', '.join(come)}"
    if gone:
        yield f"{what}s gone: {', '.join(gone)}"


def _alike(shards: Sequence[ShardRow]) -> list[tuple[str, str]]:
    return [(shard.id, _likeness(shard)) for shard in shards]


def _likeness(shard: ShardRow) -> str:
    return f"sku={shard.sku},job={shard.job},role={shard.role}"


def _read(inventory: Inventory) -> list[tuple[str, str]]:
    """Return each column and its schema, "" where the inventory says none."""
    schemas = inventory.schemas or ("",) * len(inventory.metrics)
    return list(zip(inventory.metrics, schemas, strict=True))


def _places(before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> Ints:
    place = {name: (i, what) for i, (name, what) in enumerate(after)}
    found = [place.get(name, (GONE, "")) for name, _ in before]
    same = [i if what == was else GONE for (i, what), (_, was) in zip(found, before, strict=True)]
    return np.array(same, dtype=np.int64)
