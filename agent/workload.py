"""What programs on this host say of themselves, as a source of counters: step times above all.

Apart from the sources of hardware, because its values come when a step ends and not when they are
asked for, and because it is these programs' word: it is bounded, and never believed without a look.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..adapters.base import Absent, Event, Reading, Shard
from ..adapters.catalogue import default_catalogue
from ..adapters.metric import Metric
from .bearing import shard_of
from .datagram import LONGEST_NAME, EventNote, JobNote, Note, PauseNote, Push
from .mailbox import Mailbox, opened

NAME: Final = "workload"
MOST_METRICS: Final = 32  # of names that programs make up; those of work have room always
OF_WORK: Final = frozenset(
    {"step_time_seconds", "collective_time_seconds", "samples_per_second", "tokens_per_second"}
)
_OF_PROGRAMS: Final = OF_WORK | {
    *("nic_bytes_per_second", "nic_errors", "host_cpu_ratio", "host_memory_available_bytes"),
}
_OF_DEVICES: Final = default_catalogue().rows.keys() - _OF_PROGRAMS  # only their vendor's word
_THROTTLED: Final = "throttled_"  # begins further names of theirs
FORGOTTEN: Final = 7 * 86_400.0  # seconds after which a metric that nobody pushes has no column
COUNTED_FOR: Final = 30.0  # seconds after the last increment in which a total still stands still
LARGEST: Final = 1e30
OLDEST, NEWEST = 3600.0, 300.0  # seconds before and after now that an event may lie
MOST_EVENTS: Final = 1000
MOST_JOBS: Final = 8  # of a shard: more have ended without a word
TENDED: Final = 30.0  # seconds between two looks whether we can still be heard


@dataclass(slots=True)
class Memory:
    """What outlives a restart: when each metric was pushed last, and the jobs of each shard."""

    metrics: dict[str, float] = field(default_factory=dict)
    jobs: dict[str, list[str]] = field(default_factory=dict)  # oldest first


class Workload:
    """Serve what is pushed, by shards that others serve; keep jobs and events until asked.

    Of the values that come for one shard in one tick the mean is the reading: steps that end in one
    second are one reading of how long steps take. ``counts`` are pushes for no shard (strangers),
    metrics that are devices' own, or made up beyond the 32nd (``metrics_refused``), and events of
    another time (``events_refused``).
    """

    def __init__(self, mailbox: Mailbox, memory: Memory | None = None) -> None:
        """Take where it listens and what it knew; nothing is opened before ``shards``."""
        self.name = NAME
        self.mailbox = mailbox
        self.memory = Memory() if memory is None else memory
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        self._catalogue = default_catalogue()
        self._order: tuple[str, ...] = ()
        self._totals: dict[tuple[str, str], tuple[float, float]] = {}  # sum, when added to last
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._pauses: deque[float] = deque(maxlen=MOST_EVENTS)
        self._tended = 0.0

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the metrics that were ever pushed, sorted; more may come."""
        return tuple(sorted(self.memory.metrics))

    @property
    def pushed(self) -> Sequence[str]:
        """The names of those that have a value when a step ends, and none in other ticks."""
        return tuple(name for name in self.metrics if not _is_total(self._catalogue.of(name)))

    @property
    def said(self) -> Mapping[str, int]:
        """How many lines were taken, and how many not, by the reason."""
        return {**self.mailbox.counts, **self.counts}

    def place(self, shards: Iterable[Shard]) -> None:
        """Take the shards of this host, in their vendor's order."""
        self._order = tuple(dict.fromkeys(shard.id for shard in shards))

    def shards(self) -> Sequence[Shard]:
        """Begin to listen; return no shard, for they are served by others."""
        opened(self.mailbox)
        return ()

    def read(self, at: float) -> list[Reading]:
        """Return what was pushed since the last call; ``at`` is the tick in Unix seconds."""
        self._tend(at)
        values: dict[tuple[str, str], list[float]] = {}
        impossible: set[tuple[str, str]] = set()
        for note in self.mailbox.take():
            if not isinstance(note, Push):
                self._hear(note, at)
                continue
            cell = self._cell(note, at)
            if cell is None:
                continue
            if not _possible(self._catalogue.of(cell[1]), note.value):
                self.rejected[cell] += 1
                impossible.add(cell)
            elif note.added:
                self._totals[cell] = self._totals.get(cell, (0.0, at))[0] + note.value, at
            else:
                values.setdefault(cell, []).append(note.value)
        return self._readings(at, values, impossible)

    def jobs(self) -> Mapping[str, str]:
        """Return the job of each shard that has one, the newest where there are several."""
        return {shard: jobs[-1] for shard, jobs in tuple(self.memory.jobs.items()) if jobs}

    def take_events(self) -> list[Event]:
        """Return the events told since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def take_pauses(self) -> list[float]:
        """Return for how many seconds profiling is to pause, as told since the last call."""
        return [self._pauses.popleft() for _ in range(len(self._pauses))]

    def close(self) -> None:
        """Stop listening."""
        self.mailbox.close()

    def _tend(self, at: float) -> None:
        if abs(at - self._tended) >= TENDED:
            self._tended = at
            self.mailbox.tend()

    def _hear(self, note: Note, at: float) -> None:
        match note:
            case JobNote():
                self._hear_job(note)
            case EventNote():
                self._hear_event(note, at)
            case PauseNote():
                self._pauses.append(note.seconds)

    def _hear_job(self, note: JobNote) -> None:
        for shard in self._scope(note.devices) if note.devices else self._order:
            held = [job for job in self.memory.jobs.get(shard, []) if job != note.job]
            self.memory.jobs[shard] = held if note.over else [*held, note.job][-MOST_JOBS:]

    def _hear_event(self, note: EventNote, at: float) -> None:
        when = at if note.at is None else note.at
        scope = self._scope(note.devices)
        if not at - OLDEST <= when <= at + NEWEST or (note.devices and not scope):
            self.counts["events_refused"] += 1
            return
        self._events.append(Event(note.kind, when, note.detail, scope))

    def _scope(self, devices: Sequence[str]) -> tuple[str, ...]:
        found = [shard_of(self._order, device) for device in devices if device]
        self.counts["strangers"] += found.count(None)
        return tuple(shard for shard in found if shard is not None)

    def _cell(self, push: Push, at: float) -> tuple[str, str] | None:
        """Return the shard and the metric that a value is of, None where it is nobody's."""
        shard = shard_of(self._order, push.device, push.among)
        if shard is None:
            self.counts["strangers"] += 1
            return None
        metric = push.metric
        if push.added and not _is_total(self._catalogue.of(metric)):
            metric += "_total"
        known = self.memory.metrics
        if not may_be_pushed(metric) or (metric not in known and not _has_room(known, metric)):
            self.counts["metrics_refused"] += 1
            return None
        known[metric] = at
        return shard, metric

    def _readings(
        self,
        at: float,
        values: Mapping[tuple[str, str], Sequence[float]],
        impossible: Iterable[tuple[str, str]],
    ) -> list[Reading]:
        found = {cell: Reading(*cell, Absent("error", "impossible")) for cell in impossible}
        for cell, several in values.items():
            total = _is_total(self._catalogue.of(cell[1]))
            value = several[-1] if total else sum(several) / len(several)
            found[cell] = Reading(*cell, value)
        for cell, (total_, added) in tuple(self._totals.items()):
            if not 0 <= at - added <= COUNTED_FOR:
                del self._totals[cell]  # whoever counted has gone: a new count begins at 0
            else:
                found[cell] = Reading(*cell, total_)
        return list(found.values())


def kept(memory: Memory, now: float) -> Memory:
    """Return ``memory`` without the metrics that nobody has pushed for a week."""
    fresh: dict[str, float] = {}
    for name, at in sorted(memory.metrics.items()):
        if abs(now - at) <= FORGOTTEN and may_be_pushed(name) and _has_room(fresh, name):
            fresh[name] = at
    return Memory(fresh, memory.jobs)


def may_be_pushed(metric: str) -> bool:
    """Say whether programs may say what ``metric`` is: not where a device's vendor does."""
    return metric not in _OF_DEVICES and not metric.startswith(_THROTTLED)


def _has_room(known: Mapping[str, float], metric: str) -> bool:
    """Say whether one more is not too many: nobody can crowd out how long steps take."""
    return metric in OF_WORK or (
        len(known.keys() - OF_WORK) < MOST_METRICS and len(metric) <= LONGEST_NAME
    )


def _is_total(row: Metric) -> bool:
    return row.kind in {"counter", "counts"}


def _possible(row: Metric, value: float) -> bool:
    """Say whether anything measured as ``row`` says can have this value."""
    if abs(value) > LARGEST:
        return False
    if _is_total(row) or row.transform == "log1p":
        return value >= 0
    if row.transform == "log":
        return value > 0
    return 0 <= value <= 1 if row.transform == "logit" else True
