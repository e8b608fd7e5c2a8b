"""The file that carries a learned baseline from a recording to agents and aggregator.

Apart from the wire, because it outlives every connection, and what comes off a disk is not
believed before it was looked at: its size, its checksum, and every number in it.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from math import isfinite, prod
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

MAGIC: Final = b"tessera baseline 1\n"
LARGEST: Final = 1 << 28  # bytes of a file
LARGEST_OPEN: Final = 1 << 30  # and of what it holds
_CHECK: Final = 32  # bytes of a SHA-256
_LEVEL: Final = 6  # of zlib
MOST_COUNTED: Final = 2**21 - 1  # residuals of a stream, as engine/ranks.py counts
CLASSES: Final = 4  # of validity
_ID: Final = 16  # digits of the checksum that name it

Array = npt.NDArray[np.generic]

# Of each stream: layout and shape of what it knows, see engine/knowledge.py.
COLUMNS: Final[Mapping[str, tuple[str, tuple[int, ...]]]] = {
    "offset": ("<f4", ()),
    "origin": ("<f8", ()),
    "scale": ("<f8", ()),
    "theta": ("<f8", (2,)),
    "p": ("<f8", (3,)),
    "steps": ("<i8", ()),
    "knots": ("<f4", (63,)),
    "counts": ("<u4", (64,)),
    "ring": ("<f8", (25,)),
    "scores": ("<i8", ()),
    "window_total": ("<f8", ()),
    "square": ("<f8", ()),
}


Finding = tuple[str, tuple[float, ...], tuple[int, ...]]  # a code, its numbers, window lengths


def blocks_of(columns: Mapping[str, Array]) -> npt.NDArray[np.int64]:
    """Return the blocks (n,) in the counts of each stream's ranks, by which its tier is told."""
    counted: npt.NDArray[np.int64] = columns["counts"].astype(np.int64).sum(axis=1)
    return counted


class BadBaseline(ValueError):  # noqa: N818 - named for what it says
    """Why a baseline is not taken, in one line that starts with a verb."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One pool, metric and rung of the plan; ``phi`` and ``kappa`` None while they were unknown.

    ``peers`` K of its smallest group. ``validity`` 0 … 3, ``reasons`` against a better one, ``rho``
    and ``outlying`` of its scores. ``recalibrated``: κ is that of 400 scores a stream.
    """

    pool: str
    metric: str
    rung: int
    slow: bool
    phi: float | None
    kappa: float | None
    peers: int
    validity: int
    reasons: tuple[Finding, ...]
    rho: float | None
    outlying: float
    recalibrated: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """One settled change stream, what its shard was then, and κ_i and class of its own."""

    shard: str
    sku: str
    job: str
    role: str
    group: str
    metric: str
    rung: int
    phi: float
    kappa: float
    validity: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """A learned baseline: its ``window`` in seconds of the ``source``, cells and streams.

    ``columns`` by name as in :data:`COLUMNS`, a row for each stream; ``windows`` sums of scores by
    (cell, length), newest last; ``left_out`` why, by shard, where a shard is no baseline.
    """

    source: str
    window: tuple[float, float]
    cells: tuple[Cell, ...]
    streams: tuple[Stream, ...]
    columns: Mapping[str, Array]
    windows: Mapping[tuple[int, int], npt.NDArray[np.float32]]
    left_out: Mapping[str, str]
    id: str = ""


def write_baseline(baseline: Baseline) -> bytes:
    """Return the file of ``baseline``; the same content makes the same bytes and the same id."""
    body = _body(baseline)
    return MAGIC + sha256(body).digest() + zlib.compress(body, _LEVEL)


def load_baseline(path: Path) -> Baseline:
    """Return the baseline in the file at ``path``; raise ``BadBaseline`` that names it."""
    try:
        with path.open("rb") as file:
            return read_baseline(file.read(LARGEST + 1))
    except OSError as fault:
        what = f"cannot be read ({(fault.strerror or 'unknown').lower()})"
        message = f"{path}: {what}; name a file that curate-baseline wrote"
        raise BadBaseline(message) from None
    except BadBaseline as bad:
        message = f"{path}: {bad}; write it again with tessera curate-baseline"
        raise BadBaseline(message) from None


def read_baseline(data: bytes) -> Baseline:
    """Return what :func:`write_baseline` was given, with its id; raise ``BadBaseline``."""
    if len(data) > LARGEST:
        message = f"is larger than {LARGEST >> 20} MB"
        raise BadBaseline(message)
    if not data.startswith(MAGIC):
        message = "is not a baseline of this version"
        raise BadBaseline(message)
    start = len(MAGIC) + _CHECK
    body = _opened(data[start:])
    digest = sha256(body).digest()
    if digest != data[len(MAGIC) : start]:
        message = "is damaged or cut short, its checksum does not fit"
        raise BadBaseline(message)
    try:
        return _read(body, digest.hex()[:_ID])
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as bad:
        told = " ".join(str(bad).split())
        message = f"holds what no baseline does: {told:.120}"
        raise BadBaseline(message) from None


def _opened(packed: bytes) -> bytes:
    opener = zlib.decompressobj()
    try:
        body = opener.decompress(packed, LARGEST_OPEN)
    except zlib.error:
        message = "is damaged or cut short, it cannot be opened"
        raise BadBaseline(message) from None
    if opener.unconsumed_tail:
        message = f"holds more than {LARGEST_OPEN >> 20} MB"
        raise BadBaseline(message)
    if not opener.eof or opener.unused_data:
        message = "is damaged or cut short, it does not end where it should"
        raise BadBaseline(message)
    return body


def _body(baseline: Baseline) -> bytes:
    arrays = [baseline.columns[name].astype(layout) for name, (layout, _) in COLUMNS.items()]
    sums = sorted(baseline.windows.items())
    about = {
        "source": baseline.source,
        "window": list(baseline.window),
        "cells": [asdict(cell) for cell in baseline.cells],
        "streams": [list(asdict(stream).values()) for stream in baseline.streams],
        "windows": [[cell, length, len(values)] for (cell, length), values in sums],
        "left_out": dict(sorted(baseline.left_out.items())),
    }
    head = json.dumps(about, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    parts = [values.tobytes() for values in arrays]
    parts += [values.astype("<f4").tobytes() for _, values in sums]
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def _finding(read: tuple[str, list[float], list[int]]) -> Finding:
    code, numbers, windows = read
    return code, tuple(numbers), tuple(windows)


def _read(body: bytes, name: str) -> Baseline:
    size = int.from_bytes(body[:8], "little")
    about = json.loads(body[8 : 8 + size])
    cells = tuple(
        Cell(**{**cell, "reasons": tuple(map(_finding, cell["reasons"]))})
        for cell in about["cells"]
    )
    streams = tuple(Stream(*stream) for stream in about["streams"])
    rest = _Rest(body, 8 + size)
    columns = {
        column: rest.array(layout, (len(streams), *shape))
        for column, (layout, shape) in COLUMNS.items()
    }
    windows = {
        (int(cell), int(length)): rest.array("<f4", (int(count),)).astype(np.float32)
        for cell, length, count in about["windows"]
    }
    rest.refuse_more()
    began, ended = about["window"]
    found = Baseline(
        source=str(about["source"]),
        window=(float(began), float(ended)),
        cells=cells,
        streams=streams,
        columns=columns,
        windows=windows,
        left_out={str(k): str(v) for k, v in about["left_out"].items()},
        id=name,
    )
    for wrong in _wrong(found):
        raise ValueError(wrong)
    return found


class _Rest:
    """What follows the head: arrays, one after the other."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body, self._at = body, at

    def array(self, layout: str, shape: tuple[int, ...]) -> Array:
        count = prod(shape)
        values = np.frombuffer(self._body, np.dtype(layout), count, self._at)
        self._at += values.nbytes
        return values.reshape(shape).astype(np.dtype(layout).newbyteorder("="))

    def refuse_more(self) -> None:
        if self._at != len(self._body):
            message = "bytes behind the last array"
            raise ValueError(message)


def _wrong(baseline: Baseline) -> Iterator[str]:
    """Yield what no baseline of ours holds; :func:`read_baseline` wants only the first."""
    for cell in baseline.cells:
        yield from _wrong_types(cell)
        if not (_is_phi(cell.phi) and _is_kappa(cell.kappa) and _is_rho(cell.rho)):
            yield f"phi, kappa or rho of {cell.metric}"
    for stream in baseline.streams:
        yield from _wrong_types(stream)
        if not (_is_phi(stream.phi) and _is_kappa(stream.kappa)):
            yield f"phi or kappa of {stream.metric} of {stream.shard}"
    for (cell_at, _), sums in baseline.windows.items():
        if not (0 <= cell_at < len(baseline.cells) and np.isfinite(sums).all()):
            yield "window sums"
    yield from _wrong_columns(baseline.columns)


def _wrong_columns(columns: Mapping[str, Array]) -> Iterator[str]:
    for name, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values.astype(np.float64)).all():
            yield f"{name}: not finite"
        if values.dtype.kind == "i" and (values.astype(np.int64) < 0).any():
            yield f"{name}: negative"
    if not (columns["scale"].astype(np.float64) > 0).all():
        yield "scale: not above 0"
    yield from _wrong_counts(columns)


def _wrong_counts(columns: Mapping[str, Array]) -> Iterator[str]:
    knots = columns["knots"].astype(np.float64)
    if (blocks_of(columns) > MOST_COUNTED).any():
        yield f"counts: more than {MOST_COUNTED}"
    if (np.diff(knots, axis=1) < 0).any():
        yield "knots: not ascending"


def _wrong_types(record: Cell | Stream) -> Iterator[str]:
    """Yield the fields of a record that are of another kind than they are written."""
    kinds: Mapping[object, type | tuple[type, ...]] = {
        str: str,
        int: int,
        bool: bool,
        float: (int, float),
        float | None: (int, float, type(None)),
    }
    for field in fields(record):
        value, kind = getattr(record, field.name), kinds.get(field.type)
        odd = isinstance(value, bool) and kind is not bool
        if kind is not None and (odd or not isinstance(value, kind)):
            yield f"{field.name}: {value!r:.40}"
    if record.rung <= 0 or not 0 <= record.validity < CLASSES:
        yield f"rung {record.rung} or class {record.validity}"


def _is_phi(value: float | None) -> bool:
    return value is None or 0.0 <= value < 1.0


def _is_kappa(value: float | None) -> bool:
    return value is None or (isfinite(value) and value >= 1.0)


def _is_rho(value: float | None) -> bool:
    return value is None or isfinite(value)
