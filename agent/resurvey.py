"""Look again, now and then, at what this host has: shards and metrics come, go and change.

Apart from the inventory, which is what was found once, and from the runtime, which asks the
sources: here is when a difference is believed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ..adapters.base import Absent, CounterSource, Reading, Shard
from ..adapters.catalogue import Catalogue
from ..adapters.metric import JOINT, Metric, split
from ..proto.messages import Inventory
from ..proto.refuse import MOST_METRICS, MOST_SHARDS
from ..settings.clock import Clock
from .identity import Identity
from .intake import Intake
from .inventory import (
    Listed,
    Named,
    Placed,
    catalogue_of,
    columns_of,
    intervals_of,
    judged_metrics,
    pushed_of,
    survey,
    ways_of,
    with_jobs,
)

EACH: Final = 10.0  # seconds between two looks,
SOON: Final = 1.0  # and once somebody has said that there is news
BELIEVED: Final = 2  # ticks with a value, from which on a metric is one
MOST_NEW: Final = MOST_METRICS // 4  # metrics, beyond which none is taken up while it runs
FORGOTTEN: Final = 7 * 86_400.0  # seconds without a value, after which it is none


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a host has, and the catalogue's rows of its columns; ``pushed`` are some of these."""

    inventory: Inventory
    columns: tuple[Metric, ...]
    pushed: frozenset[str] = frozenset()

    def intake(self) -> Intake:
        """Return what takes the readings of these rows and columns."""
        shards = tuple(shard.id for shard in self.inventory.shards)
        interval = self.inventory.interval
        own = intervals_of(self.columns, interval, self.pushed)
        return Intake(shards, self.columns, interval, own)


@dataclass(slots=True)
class Surveyor:
    """Makes an inventory of what the ``sources`` say; ``said`` is what is known of all shards."""

    identity: Identity
    sources: Sequence[CounterSource]
    said: Named
    shipped: Catalogue
    interval: float
    _placed: list[Shard] = field(default_factory=list)

    def place(self, there: Sequence[Shard]) -> None:
        """Tell the shards that are ``there`` to the sources that speak of others' shards."""
        if there != self._placed:
            self._placed = list(there)
            for source in self.sources:
                if isinstance(source, Placed):
                    source.place(there)

    def of(self, there: Sequence[Shard], names: Iterable[str]) -> Surveyed:
        """Return the inventory, version 1, of the shards ``there`` and the metrics ``names``.

        Raises ``ValueError`` (one line) where an aggregator would not take it.
        """
        self.place(there)  # who knows jobs may know them by a device's number
        shards = with_jobs(there, self.sources)
        read = judged_metrics(names, self.catalogue)
        columns = columns_of(read, self.interval, jointly=JOINT in self.shipped.scores)
        if len(shards) > MOST_SHARDS or len(columns) > MOST_METRICS:
            most = f"at most {MOST_SHARDS} and {MOST_METRICS} can be served"
            message = f"this host has {len(shards)} shards and {len(columns)} columns; {most}"
            raise ValueError(message)
        ways = ways_of(self.sources)
        found = survey(self.identity, shards, columns, self.said, self.interval, ways)
        return Surveyed(found, columns, pushed_of(self.sources))

    def again(self, inventory: Inventory) -> Surveyed:
        """Return an inventory of before with its columns as the catalogue has them now."""
        catalogue = self.catalogue
        rows = (catalogue.of(name, inventory.interval) for name in inventory.metrics)
        held = replace(inventory, interval=self.interval)
        return Surveyed(held, tuple(rows), pushed_of(self.sources))

    @property
    def catalogue(self) -> Catalogue:
        """Return what all readings mean: as shipped, and as the sources say."""
        return catalogue_of(self.sources, self.shipped)


class Resurvey:
    """The shards and metrics of now, as far as they are believed.

    A difference is believed when two looks in a row have found the same. Metrics without a value
    stay for a week: a workload that pauses, or a driver that restarts, ends no evidence.
    """

    def __init__(self, surveyor: Surveyor, clock: Clock, now: Surveyed) -> None:
        """Take who surveys, and what was found at the start."""
        self.surveyor = surveyor
        self._clock = clock
        self._believed = replace(now.inventory, version=1)
        self._candidate: Inventory | None = None
        self._shards: dict[str, tuple[Shard, ...]] = {}  # by source, as it last said
        start = clock.monotonic()
        self._seen = {split(name)[0]: start for name in now.inventory.metrics if name != JOINT}
        self._young: Counter[str] = Counter()  # ticks with a value of what is no metric yet
        self._due = start + EACH
        self._hurried = False

    @property
    def here(self) -> tuple[str, ...]:
        """Return the ids of the shards that are believed to be here."""
        return tuple(shard.id for shard in self._believed.shards)

    @property
    def due(self) -> bool:
        """Say whether it is time for a look."""
        return self._clock.monotonic() >= self._due

    def soon(self) -> None:
        """Look at the next tick, and once more after it: somebody knows of a change."""
        self._due, self._hurried = self._clock.monotonic(), True

    def note(self, readings: Iterable[Reading]) -> None:
        """Take the readings of a tick: which metrics have a value, or an error instead of one."""
        now = self._clock.monotonic()
        names = {r.metric for r in readings if not _unsupported(r)}
        self._seen.update(dict.fromkeys(names & self._seen.keys(), now))
        if len(self._young) > MOST_NEW:
            self._young.clear()  # names without end are no metrics
        self._young.update(names - self._seen.keys())
        for name in [name for name, ticks in self._young.items() if ticks >= BELIEVED]:
            if len(self._seen) < MOST_NEW:
                self._seen[name] = now
                del self._young[name]

    def look(self, shards: Mapping[str, tuple[Shard, ...]]) -> Surveyed | None:
        """Take the ``shards`` of the sources that answered; return what is new and believed.

        Of a source that did not answer the shards stay. Raises ``ValueError`` (one line) for what
        no inventory can be made of; the one before stays then.
        """
        self._due = self._clock.monotonic() + (SOON if self._hurried else EACH)
        self._hurried = False
        self._shards |= shards
        names = [source.name for source in self.surveyor.sources]
        if any(name not in self._shards for name in names):
            return None  # one that has never answered
        self._forget()
        found = self.surveyor.of([s for n in names for s in self._shards[n]], self._metrics())
        before, self._candidate = self._candidate, found.inventory
        if found.inventory == self._believed or found.inventory != before:
            return None
        return found

    def believe(self, found: Surveyed) -> None:
        """Take what a look returned for what the aggregator knows by now."""
        self._believed = replace(found.inventory, version=1)

    def _metrics(self) -> set[str]:
        listed = (s.metrics for s in self.surveyor.sources if isinstance(s, Listed))
        return set(self._seen).union(*listed)

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._seen = {name: at for name, at in self._seen.items() if now - at < FORGOTTEN}


def _unsupported(reading: Reading) -> bool:
    return isinstance(reading.value, Absent) and reading.value.kind == "unsupported"
