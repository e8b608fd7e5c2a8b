"""`tessera-agent check`: what can be read here, shard by shard and metric by metric.

Apart from the daemon, because a person asks it before there is a daemon.
"""

from collections.abc import Iterable, Iterator, Sequence

from ..adapters.base import Absent, CounterSource, Reading, SourceUnavailable
from ..adapters.catalogue import default_catalogue
from .inventory import catalogue_of
from .remarks import remarks

HEAD = ("source", "shard", "metric", "value", "unit")
Row = tuple[str, ...]


def check(sources: Sequence[CounterSource], absent: Sequence[SourceUnavailable], at: float) -> str:
    """Return a table of one reading of everything at ``at`` (Unix seconds), and what is absent."""
    rows = list(_rows(sources, at))
    lines = [f"absent: {reason}" for reason in absent]
    lines += remarks(sources)
    if not sources:
        lines.append("no accelerator is readable here; name a source to read something else")
    elif not rows:
        names = ", ".join(source.name for source in sources)
        lines.append(f"{names}: no reading at this moment")
    return "\n".join([*(_table([HEAD, *rows]) if rows else ()), *lines])


def _rows(sources: Sequence[CounterSource], at: float) -> Iterator[Row]:
    catalogue = catalogue_of(sources, default_catalogue())
    for source in sources:
        try:
            readings = sorted(source.read(at), key=_place)
        except SourceUnavailable as unavailable:
            yield (source.name, "", "", unavailable.reason, "")
            continue
        for reading in readings:
            unit = "" if isinstance(reading.value, Absent) else catalogue.of(reading.metric).unit
            yield (source.name, reading.shard, reading.metric, _value(reading.value), unit)


def _place(reading: Reading) -> tuple[str, str]:
    return reading.shard, reading.metric


def _value(value: float | Absent) -> str:
    if isinstance(value, Absent):
        return f"{value.kind}: {value.code}" if value.code else value.kind
    return f"{value:.6g}"


def _table(rows: Sequence[Row]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
