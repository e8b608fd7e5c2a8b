"""Parse the table of readings into columns of numbers, a million rows in about a second.

Apart, because speed wants whole columns at once, while a fault wants a line (``faulty_line``).
"""

import csv
from collections.abc import Callable, Container
from dataclasses import dataclass
from itertools import islice
from math import nan
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .document import is_tellable
from .faulty_line import FAILED, HEADER, FaultSomewhere, check_header, name_the_line, opened
from .recording import ERROR, UNSUPPORTED, VALUE, BadRecording, Codes, Floats

Ints = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]

_CHUNK = 5_000  # rows parsed at once; few enough that their texts stay in the cache


@dataclass(frozen=True, slots=True)
class ReadingTable:
    """N rows as columns: index of tick, shard and metric; value and code; vendor codes by row.

    ``times`` ascend; ``shards`` and ``metrics`` stand in the order of their first row.
    """

    times: Floats
    shards: tuple[str, ...]
    metrics: tuple[str, ...]
    tick: Ints
    shard: Ints
    metric: Ints
    value: Floats
    code: Codes
    errors: dict[int, str]


def read_table(path: Path, shards: Container[str], progress: Progress | None) -> ReadingTable:
    """Return the table in a .csv or .csv.gz file; raise ``BadRecording``.

    Every row's shard must be in ``shards``. ``progress`` is told bytes read and bytes in all.
    """
    try:
        return _Columns(shards).fill(path, progress)
    except FaultSomewhere:
        name_the_line(path, shards)
        raise  # not reached: the careful pass refuses whatever the quick one does


class _Numbers(dict[str, int]):
    """Number each text in the order of its first use."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


class _Columns:
    """The growing columns of one file."""

    def __init__(self, shards: Container[str]) -> None:
        self._known = shards
        self._names = _Numbers(), _Numbers(), _Numbers()
        self._indices: tuple[list[Ints], ...] = ([], [], [])
        self._values: list[Floats] = []
        self._codes: list[Codes] = []
        self._errors: dict[int, str] = {}
        self._rows = 0

    def fill(self, path: Path, progress: Progress | None) -> ReadingTable:
        with opened(path) as (raw, text):
            total = path.stat().st_size
            rows = csv.reader(text, strict=True)
            check_header(path, next(rows, None))
            while chunk := list(islice(rows, _CHUNK)):
                self._take(chunk)
                if progress is not None:
                    progress(min(raw.tell(), total), total)
        return self._table(path)

    def _take(self, rows: list[list[str]]) -> None:
        try:
            columns = list(zip(*rows, strict=True))
        except ValueError:
            columns = list(zip(*filter(None, rows), strict=False))  # blank lines, or a fault
            if any(len(row) not in {0, len(HEADER)} for row in rows):
                raise FaultSomewhere from None
        if len(columns) != len(HEADER):
            if not any(rows):
                return
            raise FaultSomewhere
        count = len(columns[0])
        for names, found, texts in zip(self._names, self._indices, columns[:3], strict=True):
            found.append(np.fromiter(map(names.__getitem__, texts), np.int64, count))
        self._take_values(columns[3])
        self._rows += count

    def _take_values(self, texts: tuple[str, ...]) -> None:
        codes = np.zeros(len(texts), dtype=np.int8)
        try:
            values = np.fromiter(map(float, texts), np.float64, len(texts))
        except ValueError:
            values = self._mixed(texts, codes)
        if not np.isfinite(values[codes == VALUE]).all() or _underlined(texts):
            raise FaultSomewhere
        self._values.append(values)
        self._codes.append(codes)

    def _mixed(self, texts: tuple[str, ...], codes: Codes) -> Floats:
        for row, text in enumerate(texts):
            if not text:
                codes[row] = UNSUPPORTED
            elif text.startswith(FAILED):
                codes[row] = ERROR
                self._errors[self._rows + row] = text.removeprefix(FAILED)
        try:
            numbers = (nan if code else float(t) for t, code in zip(texts, codes, strict=True))
            return np.fromiter(numbers, np.float64, len(texts))
        except ValueError:
            raise FaultSomewhere from None

    def _table(self, path: Path) -> ReadingTable:
        if not self._rows:
            raise BadRecording(path.name, None, "holds no readings", "record at least one tick")
        ticks, shards, metrics = self._names
        known = all(name in self._known for name in shards)
        if not known or "" in metrics or not all(map(is_tellable, metrics)):
            raise FaultSomewhere
        times, number = np.unique(_times(ticks), return_inverse=True)
        tick, shard, metric = (np.concatenate(found) for found in self._indices)
        return ReadingTable(
            times=times,
            shards=tuple(shards),
            metrics=tuple(metrics),
            tick=number.astype(np.int64)[tick],
            shard=shard,
            metric=metric,
            value=np.concatenate(self._values),
            code=np.concatenate(self._codes),
            errors=self._errors,
        )


def _times(texts: dict[str, int]) -> Floats:
    try:
        times = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        raise FaultSomewhere from None
    if not np.isfinite(times).all() or "_" in "".join(texts):
        raise FaultSomewhere
    return times


def _underlined(texts: tuple[str, ...]) -> bool:
    # float() takes 1_000 for a number; a recording does not
    return "_" in "".join(texts) and any(
        "_" in text and not text.startswith(FAILED) for text in texts
    )
