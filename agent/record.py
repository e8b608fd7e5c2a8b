"""`tessera-agent record`: write what the sources say to a recording that can be replayed.

Apart from the daemon, because it needs no aggregator, and from the writer, because it knows time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import expm1
from pathlib import Path
from typing import Final

import numpy as np

from ..adapters.base import Absent, CounterSource, Reading, Shard
from ..adapters.catalogue import Catalogue, default_catalogue
from ..adapters.metric import Metric
from ..adapters.recording import ABSENT, ERROR, UNSUPPORTED, VALUE
from ..adapters.recording_write import Chunk, Outline, refuse_occupied, write_recording
from ..adapters.topology.model import Edge, Node, Topology
from ..settings.clock import Clock
from .grid import Grid
from .inventory import catalogue_of, yielded

TOLD_EACH: Final = 10.0  # seconds between two lines about progress
_FIELDS: Final = (  # of a row of the catalogue, as metrics.json writes them; margins are shares
    *("unit", "kind", "transform", "direction", "tau"),
    *("fast", "slow", "level", "refresh", "scale"),
)


@dataclass(frozen=True, slots=True)
class Pace:
    """When ticks are: at the places of ``grid``, ``count`` of them or until ``wait`` says enough.

    ``wait`` sleeps so many seconds and returns False when the recording is to end.
    """

    clock: Clock
    grid: Grid
    count: int | None
    wait: Callable[[float], bool]

    def times(self) -> Iterator[float]:
        """Yield Unix seconds of the wall clock's grid, each when it has come."""
        last = self.grid.number(self.clock.now())
        done = 0
        while self.count is None or done < self.count:
            now = self.clock.now()
            if self.grid.number(now) > last:
                last = self.grid.number(now)
                done += 1
                yield last * self.grid.interval
            elif not self.wait(self.grid.wait(now)):
                return


def record(
    out: Path, sources: Sequence[CounterSource], host: str, pace: Pace, say: Callable[[str], None]
) -> int:
    """Write a recording to the folder ``out`` and return its number of ticks.

    Its metrics are those of the first tick and those that a source lists itself; what ``say`` is
    told are lines about progress. Raises ``BadRecording`` if ``out`` is taken, ``ValueError`` where
    nothing can be read.
    """
    refuse_occupied(out)
    shards = [shard for source in sources for shard in source.shards()]
    first = [reading for source in sources for reading in source.read(pace.clock.now())]
    metrics = tuple(sorted(yielded(first, sources)))
    if not metrics:
        message = "nothing can be read here now; see tessera-agent check"
        raise ValueError(message)
    outline = Outline(
        topology=topology_of(host, shards),
        shards=tuple(shard.id for shard in shards),
        metrics=metrics,
        overrides=_overrides(metrics, catalogue_of(sources, default_catalogue())),
    )
    taken = _Taken(outline, sources, pace, say)
    write_recording(out, outline, taken.chunks())
    return taken.ticks


class _Taken:
    """The ticks as they are taken, and their number so far."""

    def __init__(
        self,
        outline: Outline,
        sources: Sequence[CounterSource],
        pace: Pace,
        say: Callable[[str], None],
    ) -> None:
        self.ticks = 0
        self._rows = {shard: i for i, shard in enumerate(outline.shards)}
        self._columns = {metric: j for j, metric in enumerate(outline.metrics)}
        self._sources = sources
        self._pace = pace
        self._say = say

    def chunks(self) -> Iterator[Chunk]:
        started = told = self._pace.clock.monotonic()
        for at in self._pace.times():
            readings = (reading for source in self._sources for reading in source.read(at))
            yield self._chunk(at, readings)
            self.ticks += 1
            now = self._pace.clock.monotonic()
            if now - told >= TOLD_EACH:
                told = now
                self._say(f"{self.ticks} ticks in {now - started:.0f} s")

    def _chunk(self, at: float, readings: Iterator[Reading]) -> Chunk:
        shape = (1, len(self._rows), len(self._columns))
        values = np.full(shape, np.nan)
        codes = np.full(shape, ABSENT, dtype=np.int8)
        errors: dict[tuple[int, int, int], str] = {}
        for reading in readings:
            i, j = self._rows.get(reading.shard), self._columns.get(reading.metric)
            if i is None or j is None:
                continue
            if not isinstance(reading.value, Absent):
                if np.isfinite(reading.value):
                    values[0, i, j], codes[0, i, j] = reading.value, VALUE
            elif reading.value.kind == "unsupported":
                codes[0, i, j] = UNSUPPORTED
            else:
                codes[0, i, j] = ERROR
                errors[0, i, j] = reading.value.code
        return Chunk(np.array([at]), values, codes, errors)


def topology_of(host: str, shards: Sequence[Shard]) -> Topology:
    """Return the shards beneath the path that each names, or beneath this host."""
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], Edge] = {}
    for shard in shards:
        kinds = shard.path_kinds or ("host",) * len(shard.path)
        path = tuple(zip(shard.path, kinds, strict=True)) or ((host, "host"),)
        for name, kind in path:
            nodes.setdefault(name, Node(name, kind))
        about = {"sku": shard.sku, "job": shard.job, "role": shard.role}
        nodes[shard.id] = Node(shard.id, shard.kind, {k: v for k, v in about.items() if v})
        names = [*(name for name, _ in path), shard.id]
        for above, below in pairwise(names):
            edges.setdefault((above, below), Edge(above, below, "contains"))
    return Topology(tuple(nodes.values()), tuple(edges.values()))


def _overrides(metrics: Sequence[str], catalogue: Catalogue) -> dict[str, object]:
    """Return what metrics.json must say of metrics that the shipped catalogue knows otherwise."""
    shipped = default_catalogue()
    rows = [(catalogue.of(name), shipped.of(name)) for name in metrics]
    return {row.name: _override(row, usual) for row, usual in rows if row != usual}


def _override(row: Metric, usual: Metric) -> dict[str, object]:
    names = [field for field in _FIELDS if getattr(row, field) != getattr(usual, field)]
    found: dict[str, object] = {name: getattr(row, name) for name in names}
    margins, known = (row.margin, row.role_margin), (usual.margin, usual.role_margin)
    if row.transform != usual.transform or margins != known:
        found |= {"margin": _share(row, row.margin), "role_margin": _share(row, row.role_margin)}
    return found


def _share(row: Metric, margin: float | None) -> float | None:
    return margin if margin is None or row.transform != "log" else expm1(margin)
