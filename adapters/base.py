"""What a source of readings or of topology must offer: two small protocols and their values.

Apart, because agents, replays and tests talk to vendors only through what stands here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from .topology.model import Topology


class SourceUnavailable(Exception):  # noqa: N818 - absence of hardware is an answer, not an error
    """Say that this host has nothing for a source to read; carries ``source`` and ``reason``."""

    def __init__(self, source: str, reason: str) -> None:
        """Keep the name of the source and one line on why it has nothing to read."""
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.source} is not available here: {self.reason}"


@dataclass(frozen=True, slots=True)
class Absent:
    """No number: the source does not support the metric, or failed with a vendor's ``code``."""

    kind: Literal["unsupported", "error"]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of one metric of one shard in the metric's base unit, or its absence."""

    shard: str
    metric: str
    value: float | Absent


@dataclass(frozen=True, slots=True)
class Shard:
    """One accelerator rank and what decides its peers; ``path`` leads from the root to its parent.

    ``path_kinds`` are the kinds of the nodes of ``path``, one for each. ``sku``, ``job`` and
    ``role`` are empty where nobody said: empty equals empty.
    """

    id: str
    kind: str
    sku: str = ""
    job: str = ""
    role: str = ""
    path: tuple[str, ...] = ()
    path_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A hard event of ``shard`` ("" = the host): it ``stands`` since ``at``, or has ended then.

    ``at`` is Unix seconds, ``code`` a short lower-case word (``xid_79``, ``device_lost``) by which
    it is one fact with ``shard`` until it ends, ``detail`` one line for a person.
    """

    shard: str
    code: str
    at: float
    stands: bool = True
    detail: str = ""


EventKind: TypeAlias = Literal[
    "firmware_push",
    "model_redeploy",
    "capacity_change",
    "config_change",
    "env_change",
    "chaos_experiment",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done to this host at ``at`` (Unix seconds) and may explain what follows.

    ``scope`` holds ids of its shards, none = all of the host.
    """

    kind: EventKind
    at: float
    detail: str
    scope: tuple[str, ...] = ()


class CounterSource(Protocol):
    """Read the counters of some shards."""

    @property
    def name(self) -> str:
        """The name by which settings and logs know the source."""
        ...

    def shards(self) -> Sequence[Shard]:
        """Return the shards that it reads; raise ``SourceUnavailable`` where there are none."""
        ...

    def read(self, at: float) -> Iterable[Reading]:
        """Return the readings of the tick ``at`` (seconds); never a made-up number."""
        ...


@runtime_checkable
class Witness(Protocol):
    """A source that sees facts beside its counters."""

    def facts(self, at: float) -> Iterable[Fact]:
        """Return what began or ended since the last call; asked after ``read``, in its thread."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A source that can end the facts which a former process of this agent has told."""

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> Sequence[tuple[str, str]]:
        """Take up, and return, those facts, (shard, code), whose end it will tell.

        They stood when that process ended, and are not told again. Asked once, at ``at`` (Unix
        seconds), in the thread of ``read`` and after the first. ``rebooted``: this host has booted
        since.
        """
        ...


@runtime_checkable
class Marking(Protocol):
    """A source whose devices have totals by which a later process sees that they were reset."""

    @property
    def marks(self) -> Mapping[str, float]:
        """The totals of now, by device; asked from another thread."""
        ...

    def remember(self, marks: Mapping[str, float]) -> None:
        """Take the totals that a former process saw last; asked once, before ``resume``."""
        ...


@runtime_checkable
class Identified(Protocol):
    """A source that knows what its devices run on: a change of it is an event of this host."""

    def identity(self) -> Mapping[str, str]:
        """Return elements of the identity vector, ``driver`` or ``UUID/vbios``, as last read.

        Asked after ``read``, in its thread, each tick: it costs no call of a vendor's library.
        What cannot be known now is left out, which is no change.
        """
        ...


@runtime_checkable
class Schematic(Protocol):
    """A source that reads a metric in several ways, whose numbers are not to be compared."""

    @property
    def schemas(self) -> Mapping[str, str]:
        """A few words by metric on how it is read since the last call of ``shards``.

        Other words for the same metric end its evidence. Metrics read in one way are left out.
        """
        ...


@runtime_checkable
class Rejecting(Protocol):
    """A source that refuses values which no device can have."""

    @property
    def rejected(self) -> Mapping[tuple[str, str], int]:
        """How many it refused since it was opened, by (shard, metric)."""
        ...


@runtime_checkable
class Losing(Protocol):
    """A source that hears more than it can hold."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """How much was lost since it was opened, by what; asked from other threads."""
        ...


@runtime_checkable
class Busy(Protocol):
    """A source that says which call is under way; asked from other threads."""

    @property
    def doing(self) -> str:
        """The vendor's call that has not returned yet and its device; "" between calls."""
        ...


@runtime_checkable
class Profiling(Protocol):
    """A source some of whose counters use a device's profiler, which one program can have."""

    def pause(self, *, paused: bool) -> None:
        """Stop reading these counters, or go on; asked from another thread."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A source that cannot read all that it could, and knows why."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know now, each one line; asked from another thread."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A source that holds something until it is closed."""

    def close(self) -> None:
        """Give it back; asked in the thread of ``read``, once, last."""
        ...


class TopologySource(Protocol):
    """Say what is wired to what."""

    @property
    def name(self) -> str:
        """The name by which settings and logs know the source."""
        ...

    def fetch(self) -> Topology:
        """Return the topology of now; raise ``BadTopology`` or ``SourceUnavailable``."""
        ...


def shards_of(topology: Topology) -> tuple[Shard, ...]:
    """Return the shards of ``topology`` in graph order, peer keys taken from their metadata."""
    return tuple(_shard(topology, name) for name in topology.shards)


def _shard(topology: Topology, name: str) -> Shard:
    node = topology.node(name)
    about = node.metadata
    path = topology.path(name)
    return Shard(
        id=name,
        kind=node.kind,
        sku=about.get("sku", ""),
        job=about.get("job", ""),
        role=about.get("role", ""),
        path=path,
        path_kinds=tuple(topology.node(above).kind for above in path),
    )
