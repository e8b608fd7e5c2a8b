"""What changed on this host since the last tick: by what sources know, and by what was declared.

Apart from the runtime, which only sends what comes of it, and from the vector, which keeps no file:
what was known must outlive the agent, or a change behind its back would be none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard, cast

from ..adapters.base import CounterSource, Event, Marking
from .datagram import is_metric
from .inventory import Employed
from .vector import APART, Vector, events_of
from .workload import MOST_JOBS, Memory, Workload, kept

FILE: Final = "identity"  # in the agent's folder
SAVED_EACH: Final = 3600.0  # seconds, where nothing but the time of pushes has changed
LAST_SECOND: Final = 1e11  # of Unix time that is believed
LARGEST: Final = 1e300  # of a mark
LARGEST_FILE: Final = 8_000_000  # bytes
JOBS: Final = "jobs"  # the source that jobs are of in the vector


@dataclass(frozen=True, slots=True)
class Before:
    """What a former process left: its shards, and marks by source and device.

    ``rebooted``: the host has booted since.
    """

    shards: tuple[str, ...] = ()
    marks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rebooted: bool = False


class Changes:
    """The identity vector of a host, its jobs and the events that it was told."""

    def __init__(self, sources: Sequence[CounterSource]) -> None:
        """Take the sources of the host; nothing is read."""
        self.vector = Vector()
        self.before = Before()
        self.is_due = False  # to be written at the next look, whatever has changed
        self._marking = [source for source in sources if isinstance(source, Marking)]
        self._shards: tuple[str, ...] = ()
        self.unsaved = 0  # times that the file could not be written
        self._employed = [source for source in sources if isinstance(source, Employed)]
        self._workload = next((s for s in sources if isinstance(s, Workload)), None)
        self._file = Path()
        self._boot = ""
        self._saved: tuple[object, ...] = ()
        self._saved_at = 0.0

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted since the start, by name."""
        counts = {"changes_held": self.vector.held, "changes_unwritten": self.unsaved}
        if self._workload is not None:
            counts |= {f"socket_{name}": n for name, n in self._workload.said.items()}
        return counts

    def begin(self, folder: Path, now: float, boot: str) -> None:
        """Take up what is known in ``folder``; what cannot be read counts as nothing known.

        Jobs of an earlier ``boot`` (its id) are over: nobody would say that they ended.
        """
        self._file, self._boot = folder / FILE, boot
        found = _stored(self._file)
        self.vector.remember(_texts(found.get("elements")))
        last = found.get("boot")
        self.before = Before(
            _names(found.get("shards")),
            _marks(found.get("marks")),
            isinstance(last, str) and bool(boot) and last not in {"", boot},
        )
        if self._workload is not None:
            memory = kept(_memory(found), now)
            self._workload.memory = memory if found.get("boot") == boot else Memory(memory.metrics)

    def look(
        self, at: float, identity: Mapping[str, Mapping[str, str]], shards: Sequence[str]
    ) -> list[Event]:
        """Return the events of the tick ``at``: ``identity`` is what sources know, by source.

        Ids of ``shards`` are those of the host. What it returns is written down first.
        """
        elements = {
            f"{source}{APART}{name}": value
            for source, of_source in identity.items()
            for name, value in of_source.items()
        }
        elements |= self._jobs(shards)
        self._shards = tuple(shards)
        events = events_of(self.vector.see(at, elements), shards, at)
        if self._workload is not None:
            events += self._workload.take_events()
        self._save_if_need_be(at)
        return events

    def finish(self, at: float) -> None:
        """Write down at the end what has moved since it was written last: totals of devices."""
        self.is_due |= any(source.marks for source in self._marking)
        self._save_if_need_be(at)

    def save(self, at: float) -> None:
        """Write down what is known at ``at``; where that cannot be it is counted."""
        memory = self._memory()
        told = {
            "boot": self._boot,
            "elements": self.vector.told,
            "metrics": dict(memory.metrics),  # copies: sources work in threads of their own
            "jobs": dict(memory.jobs),
            "shards": self._shards or self.before.shards,
            "marks": {source.name: dict(source.marks) for source in self._marking},
        }
        draft = self._file.with_suffix(".new")
        try:
            draft.write_text(json.dumps(told), encoding="utf-8")
            draft.replace(self._file)
        except OSError:
            self.unsaved += 1
        self._saved, self._saved_at, self.is_due = self._content(), at, False

    def _save_if_need_be(self, at: float) -> None:
        late = not self._saved_at <= at < self._saved_at + SAVED_EACH
        content = self._content()
        if self.is_due or (any(content[1:]) and (late or content != self._saved)):
            self.save(at)

    def _content(self) -> tuple[object, ...]:
        """Return what is to be written as soon as it changes."""
        memory = self._memory()
        jobs = {shard: tuple(jobs) for shard, jobs in tuple(memory.jobs.items())}
        return self._shards, self.vector.told, frozenset(memory.metrics), jobs

    def _memory(self) -> Memory:
        return Memory() if self._workload is None else self._workload.memory

    def _jobs(self, shards: Sequence[str]) -> dict[str, str]:
        """Return the job of each shard as an element.

        One without a job is left out, for whoever knows may not have said yet; only before the
        first of all it is "", so that this one is a change too.
        """
        if not self._employed:
            return {}
        jobs: dict[str, str] = {}
        for source in reversed(self._employed):
            jobs |= source.jobs()
        named = {f"{JOBS}{APART}{shard}/job": jobs.get(shard, "") for shard in shards}
        told = self.vector.told
        return {name: job for name, job in named.items() if job or name not in told}


def _stored(file: Path) -> Mapping[str, object]:
    try:
        text = file.read_bytes()
        found = json.loads(text) if len(text) <= LARGEST_FILE else None
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _texts(found: object) -> dict[str, str]:
    known = cast("dict[object, object]", found) if isinstance(found, dict) else {}
    return {k: v for k, v in known.items() if isinstance(k, str) and isinstance(v, str)}


def _names(found: object) -> tuple[str, ...]:
    known = cast("list[object]", found) if isinstance(found, list) else []
    return tuple(name for name in known if isinstance(name, str))


def _marks(found: object) -> dict[str, dict[str, float]]:
    known = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    return {source: _numbers(marks) for source, marks in known.items()}


def _numbers(found: object) -> dict[str, float]:
    known = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    return {
        k: float(v) for k, v in known.items() if isinstance(v, int | float) and abs(v) < LARGEST
    }


def _memory(found: Mapping[str, object]) -> Memory:
    metrics, jobs = found.get("metrics"), found.get("jobs")
    pushed = cast("dict[str, object]", metrics) if isinstance(metrics, dict) else {}
    held = cast("dict[str, object]", jobs) if isinstance(jobs, dict) else {}
    return Memory(
        {name: at for name, at in pushed.items() if is_metric(name) and _is_time(at)},
        {shard: _jobs_of(of_shard) for shard, of_shard in held.items()},
    )


def _is_time(found: object) -> TypeGuard[float]:
    return isinstance(found, int | float) and abs(found) < LAST_SECOND


def _jobs_of(found: object) -> list[str]:
    several = cast("list[object]", found) if isinstance(found, list) else []
    return [job for job in several if isinstance(job, str) and job.isprintable()][-MOST_JOBS:]
