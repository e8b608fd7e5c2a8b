"""Block values as history in the database: each block once, in blobs of a minute, for some hours.

Apart from the store, whose rows are few and kept for good: these are many, and they go.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from .records import GapRecord, Past, PastRecord

CHUNK = 512  # blocks of which one row says which are there
LEVEL = 1  # of zlib: noise does not become smaller by trying harder
WIDTH = 4  # bytes of a value

_MARK = """
INSERT INTO history_marks (host, rung, chunk, bits, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (host, rung, chunk) DO UPDATE SET bits = excluded.bits, at = excluded.at
"""
_BLOB = """
INSERT INTO history (host, rung, first, last, blocks, inventory, rows, columns, body, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_INVENTORY = """
INSERT INTO inventories (host, digest, message, used) VALUES (?, ?, ?, ?)
ON CONFLICT (host, digest) DO UPDATE SET used = excluded.used RETURNING id
"""
_GAP = """
INSERT OR IGNORE INTO gaps (host, rung, first, last, reason, at) VALUES (?, ?, ?, ?, ?, ?)
"""
_FOUND = """
SELECT first, last, blocks, message, rows, columns, body
FROM history JOIN inventories ON inventories.id = history.inventory
WHERE history.host = ? AND rung = ? AND last >= ? AND first <= ? ORDER BY first, history.id
"""


@dataclass(frozen=True, slots=True)
class PastValues:
    """Values ``x`` (rows, columns) f32 of one ``block``, NaN = none.

    ``columns`` (u16) of the ``inventory`` message, None = all of them.
    """

    block: int
    inventory: bytes
    columns: npt.NDArray[np.uint16] | None
    x: npt.NDArray[np.float32]


def write_past(connection: sqlite3.Connection, past: Past) -> None:
    """Add what is not there yet, inside the transaction that is open, and let go what is old."""
    for record in past.records:
        values = _new(connection, record, past.at)
        if values:
            _write_blob(connection, record, values, past.at)
    connection.executemany(
        _GAP,
        [(g.host, g.rung, g.first, g.last, g.reason, past.at) for g in past.gaps],
    )
    for old in (
        "DELETE FROM history WHERE at < ?",
        "DELETE FROM history_marks WHERE at < ?",
        "DELETE FROM gaps WHERE at < ?",
        "DELETE FROM inventories WHERE used < ?",
    ):
        connection.execute(old, (past.since,))


def values_of(
    connection: sqlite3.Connection, host: str, rung: int, first: int, last: int
) -> list[PastValues]:
    """Return the blocks ``first`` … ``last`` of a host and rung that are there, in order."""
    rows = connection.execute(_FOUND, (host, rung, first, last))
    found = [values for row in rows for values in _opened(*row)]
    return sorted((v for v in found if first <= v.block <= last), key=lambda v: v.block)


def gaps_of(connection: sqlite3.Connection, host: str) -> list[GapRecord]:
    """Return the gaps of a host by rung and first block."""
    query = "SELECT rung, first, last, reason FROM gaps WHERE host = ? ORDER BY rung, first"
    return [GapRecord(host, *row) for row in connection.execute(query, (host,))]


def _new(connection: sqlite3.Connection, record: PastRecord, at: float) -> dict[int, bytes]:
    """Return the values of ``record`` that are not there yet, and mark them as there."""
    new: dict[int, bytes] = {}
    for chunk, blocks in _by_chunk(record.values):
        key = record.host, record.rung, chunk
        query = "SELECT bits FROM history_marks WHERE host = ? AND rung = ? AND chunk = ?"
        held = connection.execute(query, key).fetchone()
        bits = int.from_bytes(held[0], "little") if held else 0
        for block in blocks:
            bit = 1 << (block % CHUNK)
            if not bits & bit:
                new[block] = record.values[block]
            bits |= bit
        connection.execute(_MARK, (*key, bits.to_bytes(CHUNK // 8, "little"), at))
    return new


def _by_chunk(values: Mapping[int, bytes]) -> Iterator[tuple[int, list[int]]]:
    chunks: dict[int, list[int]] = {}
    for block in sorted(values):
        chunks.setdefault(block // CHUNK, []).append(block)
    return iter(chunks.items())


def _write_blob(
    connection: sqlite3.Connection, record: PastRecord, values: Mapping[int, bytes], at: float
) -> None:
    digest = sha256(record.inventory).digest()
    (inventory,) = connection.execute(
        _INVENTORY, (record.host, digest, record.inventory, at)
    ).fetchone()
    blocks = sorted(values)
    row = (
        *(record.host, record.rung, blocks[0], blocks[-1], _numbers(blocks), inventory),
        *(record.rows, record.columns, _packed(values[block] for block in blocks), at),
    )
    connection.execute(_BLOB, row)


def _numbers(blocks: list[int]) -> bytes | None:
    """Return the numbers of blocks as they are kept: None where none is missing between."""
    whole = blocks[-1] - blocks[0] + 1 == len(blocks)
    return None if whole else np.array(blocks, dtype="<i8").tobytes()


def _packed(values: Iterable[bytes]) -> bytes:
    """Return f32 values made small: first bytes together, then second ones, and so on."""
    laid = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, WIDTH)
    return zlib.compress(laid.T.tobytes(), LEVEL)


def _opened(  # noqa: PLR0913, PLR0917 - one for each column
    first: int,
    last: int,
    blocks: bytes | None,
    inventory: bytes,
    rows: int,
    columns: bytes | None,
    body: bytes,
) -> Iterator[PastValues]:
    """Yield the blocks of one row."""
    numbers = (
        np.arange(first, last + 1) if blocks is None else np.frombuffer(blocks, dtype="<i8")
    ).tolist()
    laid = np.frombuffer(zlib.decompress(body), dtype=np.uint8).reshape(WIDTH, -1)
    x = laid.T.copy().view("<f4").astype(np.float32, copy=False)
    each = (
        x.reshape(len(numbers), rows, -1) if rows and x.size else x.reshape(len(numbers), rows, 0)
    )
    told = None if columns is None else np.frombuffer(columns, dtype="<u2")
    for number, of_block in zip(numbers, each, strict=True):
        yield PastValues(number, inventory, told, of_block)
