"""Find the first faulty line of a table of readings and say what is wrong with it.

Apart, because naming the line needs a slow careful pass that a sound recording never pays for.
"""

import csv
import gzip
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from math import isfinite, nan
from pathlib import Path
from typing import IO

from .document import is_tellable
from .recording import BadRecording

HEADER = ("t", "shard", "metric", "value")
FAILED = "error:"
_WRITE_VALUE = "write a number, leave it empty for unsupported, or error:CODE"


class FaultSomewhere(Exception):  # noqa: N818 - a message between the two passes, never shown alone
    """Some row is wrong; :func:`name_the_line` finds out which."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], TextIOWrapper]]:
    """Open a .csv or .csv.gz file: yield its raw bytes and its text; raise ``BadRecording``."""
    with _bytes_of(path) as raw:
        plain = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        text = TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        try:
            yield raw, text
        except EOFError:
            raise BadRecording(path.name, None, "ends in the middle", "copy it again") from None
        except (gzip.BadGzipFile, zlib.error):
            raise BadRecording(path.name, None, "is not sound gzip", "copy it again") from None
        except UnicodeDecodeError:
            raise BadRecording(path.name, None, "is not UTF-8 text", "write it as UTF-8") from None
        except csv.Error:
            raise FaultSomewhere from None


def _bytes_of(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as fault:
        what = f"cannot be read ({fault.strerror})"
        raise BadRecording(path.name, None, what, "make it a readable file") from None


def check_header(path: Path, found: list[str] | None) -> None:
    """Raise ``BadRecording`` unless ``found`` is the header of a table of readings."""
    if found is None:
        raise BadRecording(path.name, None, "is empty", f"begin with {','.join(HEADER)}")
    if tuple(name.strip() for name in found) != HEADER:
        what = f"the header is {','.join(found)!r:.80}"
        raise BadRecording(path.name, 1, what, f"write {','.join(HEADER)}")


def name_the_line(path: Path, shards: Container[str]) -> None:
    """Raise ``BadRecording`` naming the first faulty or repeated line, if there is one."""
    seen: set[tuple[float, str, str]] = set()
    with opened(path) as (_, text):
        rows = csv.reader(text, strict=True)
        try:
            next(rows)
            faults = (_fault(row, seen, shards) for row in rows if row)
            fault = next(filter(None, faults), None)
        except csv.Error as broken:
            fault = f"is not sound CSV ({broken})", "balance the quotes"
    if fault is not None:
        raise BadRecording(path.name, rows.line_num, *fault)


def _fault(
    row: list[str], seen: set[tuple[float, str, str]], shards: Container[str]
) -> tuple[str, str] | None:
    if len(row) != len(HEADER):
        return f"has {len(row)} columns", f"write the four: {','.join(HEADER)}"
    time, shard, metric, value = row
    fault = None
    if wrong := _not_a_number(time):
        fault = f"time {time!r:.60} {wrong}", "write seconds as a number"
    elif shard not in shards:
        fault = f"{shard!r:.60} is not a shard of topology.json", "add it there"
    elif not metric:
        fault = "the metric has no name", "write its name"
    elif not is_tellable(metric):
        fault = f"metric {metric!r:.60} holds a control character", "write it as plain text"
    elif value and not value.startswith(FAILED) and (wrong := _not_a_number(value)):
        fault = f"value {value!r:.60} {wrong}", _WRITE_VALUE
    elif (float(time), shard, metric) in seen:
        fault = f"{metric} of {shard!r} at t = {time} was read before", "keep one of the two"
    else:
        seen.add((float(time), shard, metric))
    return fault


def _not_a_number(text: str) -> str:
    """Return what is wrong with ``text`` as a finite number, or nothing."""
    try:
        number = nan if "_" in text else float(text)  # float() takes 1_000 for a number
    except ValueError:
        number = nan
    if isfinite(number):
        return ""
    return "is infinite" if abs(number) > 0 else "is not a number"
