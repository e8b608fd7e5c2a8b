"""What this host has: its shards and the metrics that its sources yield, as one inventory.

Apart, because rows and columns of every message follow it, and its version must grow with it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from ..adapters.base import Absent, CounterSource, Reading, Schematic, Shard
from ..adapters.catalogue import Catalogue
from ..adapters.metric import JOINT, Metric, split
from ..adapters.scored import with_scores
from ..engine.snapshot import named, restored, snapshot
from ..proto.messages import Inventory, PathNode, ShardRow
from .identity import Identity
from .packed import packed, unpacked

INVENTORY: Final = "inventory"  # the file in the agent's folder
_USUAL: Final = 1.0  # seconds that a catalogue's row says of a source that is new at each tick
NO_WAYS: Final[Mapping[str, str]] = MappingProxyType({})
_CLASSES: Final = named(Inventory, ShardRow, PathNode)


@runtime_checkable
class Described(Protocol):
    """A source that says itself what its readings mean."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue, with the source's own overrides: ``refresh`` too, where it is slow."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A source that is played, or cannot be asked more often."""

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        ...


@runtime_checkable
class Listed(Protocol):
    """A source that says which metrics it yields, now or later."""

    @property
    def metrics(self) -> Sequence[str]:
        """The names of its metrics."""
        ...


@runtime_checkable
class Pushed(Protocol):
    """A source some of whose metrics have a value when something ends, and none in other ticks."""

    @property
    def pushed(self) -> Sequence[str]:
        """The names of these metrics."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A source that has no shards of its own and speaks of those of others."""

    def place(self, shards: Sequence[Shard]) -> None:
        """Take the shards of this host; told before it is first read, and whenever they change."""
        ...


@runtime_checkable
class Employed(Protocol):
    """Who knows which jobs run on this host's shards."""

    def jobs(self) -> Mapping[str, str]:
        """Return the job of each shard that has one, by the shard's id."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """What settings say of all shards of this host; "" = what the source says."""

    job: str = ""
    role: str = ""
    sku: str = ""


def survey(  # noqa: PLR0913, PLR0917 - one parameter for each thing that it tells of the host
    identity: Identity,
    shards: Sequence[Shard],
    metrics: Sequence[Metric],
    said: Named,
    interval: float = 1.0,
    ways: Mapping[str, str] = NO_WAYS,
) -> Inventory:
    """Return the inventory, version 1, of ``shards`` in their order and ``metrics`` by name.

    ``metrics`` are all columns, read each ``interval`` seconds in the ``ways`` that sources say.
    Where several sources serve one shard the first says what it is, the others what that leaves
    open. Raises ``ValueError`` (one line) where they mean things of two kinds.
    """
    found: dict[str, Shard] = {}
    for shard in shards:
        before = found.get(shard.id)
        found[shard.id] = shard if before is None else _united(before, shard)
    rows = sorted(metrics, key=lambda metric: metric.name)
    return Inventory(
        host=identity.host,
        version=1,
        shards=tuple(_row(shard, said) for shard in found.values()),
        metrics=tuple(metric.name for metric in rows),
        units=tuple(metric.unit for metric in rows),
        boot_id=identity.boot_id,
        interval=interval,
        schemas=tuple(_schema(metric, ways) for metric in rows),
        refreshes=_refreshes(rows, interval),
    )


def _refreshes(rows: Sequence[Metric], interval: float) -> tuple[float, ...]:
    """Return how seldom each is new, 0 for those of each tick; nothing where all of them are."""
    usual = max(interval, _USUAL)
    found = tuple(row.refresh if row.refresh > usual else 0.0 for row in rows)
    return found if any(found) else ()


def ways_of(sources: Iterable[CounterSource]) -> Mapping[str, str]:
    """Return what the sources say of how they read their metrics, by metric."""
    told = [source.schemas for source in sources if isinstance(source, Schematic)]
    return {metric: way for of_source in told for metric, way in of_source.items()}


def judged_metrics(names: Iterable[str], catalogue: Catalogue) -> tuple[Metric, ...]:
    """Return the rows of the ``names`` that evidence can judge, sorted by name.

    A name that means a score is no metric that a source can yield.
    """
    rows = (catalogue.of(name) for name in sorted(set(names)))
    return tuple(row for row in rows if row.judged and row.score == "mean")


def columns_of(
    metrics: Iterable[Metric], interval: float, *, jointly: bool = True
) -> tuple[Metric, ...]:
    """Return the columns of ``metrics`` that are read each ``interval`` s, sorted by name."""
    made = with_scores(metrics, interval, jointly=jointly)
    return tuple(sorted(made, key=lambda column: column.name))


def yielded(readings: Iterable[Reading], sources: Sequence[CounterSource]) -> set[str]:
    """Return the metrics of a tick's ``readings`` and those that ``sources`` list themselves.

    One that no shard supports is left out.
    """
    seen = {
        reading.metric
        for reading in readings
        if not (isinstance(reading.value, Absent) and reading.value.kind == "unsupported")
    }
    return seen.union(*(source.metrics for source in sources if isinstance(source, Listed)))


def catalogue_of(sources: Sequence[CounterSource], shipped: Catalogue) -> Catalogue:
    """Return the shipped catalogue with what the sources say themselves laid over it."""
    rows = dict(shipped.rows)
    for source in sources:
        if isinstance(source, Described):
            rows |= {
                name: row
                for name, row in source.catalogue.rows.items()
                if shipped.rows.get(name) != row
            }
    return replace(shipped, rows=rows)


def interval_of(sources: Sequence[CounterSource], told: float) -> float:
    """Return the seconds between two ticks: ``told``, or a source's own where that is longer."""
    return max([told, *(s.interval for s in sources if isinstance(s, Paced))])


def intervals_of(
    columns: Iterable[Metric], interval: float, pushed: Collection[str] = ()
) -> tuple[float, ...]:
    """Return the seconds between two values of each metric (R,) that is read for ``columns``.

    A source that is refreshed more seldom than each ``interval`` s has a value then, and no other.
    Those that are ``pushed`` come when they come (infinite): one is enough for a block. Were a
    share of its ticks asked for, a shard whose steps take long would be missing because it is slow.
    """
    read = [column for column in columns if column.score == "mean"]
    own = [max(interval, row.refresh) if row.refresh > 1.0 else interval for row in read]
    return tuple(inf if row.name in pushed else t for row, t in zip(read, own, strict=True))


def pushed_of(sources: Sequence[CounterSource]) -> frozenset[str]:
    """Return the metrics of ``sources`` that have a value when something ends."""
    told = (source.pushed for source in sources if isinstance(source, Pushed))
    return frozenset(name for names in told for name in names)


def with_jobs(shards: Iterable[Shard], sources: Sequence[CounterSource]) -> list[Shard]:
    """Return ``shards`` with the jobs that ``sources`` know, the first of them where several do."""
    told: dict[str, str] = {}
    for source in reversed(sources):
        if isinstance(source, Employed):
            told |= source.jobs()
    return [replace(shard, job=told.get(shard.id, shard.job)) for shard in shards]


def with_version(inventory: Inventory, file: Path, above: int = 0) -> Inventory:
    """Return ``inventory`` with its version: the one's in ``file``, or the next if it differs.

    It is larger than ``above``. Writes the file if need be; raises ``OSError`` where that cannot
    be. A file that is not an inventory counts as none.
    """
    before = _stored(file)
    last = 0 if before is None else before.version
    if before is not None and last > above and replace(before, version=1) == inventory:
        return before
    now = replace(inventory, version=max(last, above) + 1)
    draft = file.with_suffix(".new")
    draft.write_bytes(packed(snapshot(now)))
    draft.replace(file)
    return now


def metrics_before(file: Path, shards: Iterable[Shard]) -> set[str]:
    """Return the metrics that were read when ``file`` was written, if it is of these ``shards``.

    One that has no value now may only not have come yet: a workload's, or a driver's that starts.
    """
    before = _stored(file)
    if before is None or not {row.id for row in before.shards} & {shard.id for shard in shards}:
        return set()
    return {split(name)[0] for name in before.metrics if name != JOINT}


def _stored(file: Path) -> Inventory | None:
    try:
        found = restored(unpacked(file.read_bytes()), _CLASSES)
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, Inventory) else None


def _schema(column: Metric, ways: Mapping[str, str]) -> str:
    """Return in a line how a column is read and judged: all that its numbers hang on."""
    told = [column.unit, column.kind, column.transform, ways.get(column.base, "")]
    told += [f"times {column.scale:g}"] if column.scale != 1.0 else []
    return ", ".join(word for word in told if word)


def _united(first: Shard, other: Shard) -> Shard:
    if first.kind != other.kind:
        kinds = f"{first.kind} and {other.kind}"
        message = f"two sources serve {first.id!r} as {kinds}: leave one of them out"
        raise ValueError(message)
    placed = first if first.path else other
    return replace(
        first,
        sku=first.sku or other.sku,
        job=first.job or other.job,
        role=first.role or other.role,
        path=placed.path,
        path_kinds=placed.path_kinds,
    )


def _row(shard: Shard, said: Named) -> ShardRow:
    kinds = shard.path_kinds or ("",) * len(shard.path)
    return ShardRow(
        id=shard.id,
        kind=shard.kind,
        sku=said.sku or shard.sku,
        job=said.job or shard.job,
        role=said.role or shard.role,
        path=tuple(PathNode(*node) for node in zip(shard.path, kinds, strict=True)),
    )
