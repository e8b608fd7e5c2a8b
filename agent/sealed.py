"""A sealed block as it lies on the disk and as it travels as history.

Apart from the spool, which moves such records and does not look into them.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from ..proto.schema import ingest
from .fold import Block
from .packed import packed, unpacked

INVENTORY: Final = "inventory"
BLOCK: Final = "block"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Values of block ``block`` of ``rung`` seconds, of ``rows`` shards of an ``inventory``.

    ``values`` are little-endian f32 (rows, columns), NaN = none, of the ``columns`` (u16, bytes)
    of which one row has a value; None = all of them.
    """

    inventory: int
    rung: int
    block: int
    rows: int
    columns: bytes | None
    values: bytes

    @classmethod
    def of(cls, block: Block, inventory: int) -> Self:
        """Return ``block``, whose rows and columns follow version ``inventory``."""
        told = ~np.isnan(block.x).all(axis=0)
        columns = None if told.all() else np.flatnonzero(told).astype("<u2").tobytes()
        values = block.x[:, told].astype("<f4").tobytes()
        return cls(inventory, block.rung, block.index, len(block.x), columns, values)

    @property
    def ended(self) -> int:
        """Return the Unix second in which the block was over."""
        return (self.block + 1) * self.rung

    def record(self) -> bytes:
        """Return the record of a segment."""
        shape = [self.inventory, self.rung, self.block, self.rows]
        return packed([BLOCK, *shape, self.columns, self.values])

    def message(self) -> ingest.PastBlock:
        """Return the block as it travels."""
        count = len(self.values) // (4 * self.rows) if self.rows else 0
        kinds = ingest.Array
        x = kinds(kind=kinds.FLOAT32, shape=(self.rows, count), data=self.values)
        told = ingest.PastBlock(rung=self.rung, block=self.block, x=x)
        if self.columns is not None:
            of = kinds(kind=kinds.UINT16, shape=(len(self.columns) // 2,), data=self.columns)
            told.columns.CopyFrom(of)
        return told


def inventory_record(version: int, message: bytes) -> bytes:
    """Return the record that says what the blocks after it follow."""
    return packed([INVENTORY, version, message])


def read_record(record: bytes) -> Sealed | tuple[int, bytes]:
    """Return a block, or version and message of an inventory; raise ``ValueError`` for neither."""
    match unpacked(record):
        case [
            "block",
            int(version),
            int(rung),
            int(block),
            int(rows),
            bytes() | None as columns,
            bytes(values),
        ]:
            return Sealed(version, rung, block, rows, columns, values)
        case ["inventory", int(version), bytes(message)]:
            return version, message
        case _:
            text = "a segment holds what none of ours does"
            raise ValueError(text)
