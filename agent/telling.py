"""What a host says beside its blocks: facts and events of its sources, and what hangs or fails.

Apart from the runtime, which knows when: here is what of a sample is news, and to whom.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from ..adapters.base import CounterSource, Fact, Losing, Rejecting
from ..proto.schema import ingest
from ..settings.clock import Clock
from .changes import Changes
from .events import Events
from .facts import Facts
from .freshness import Freshness
from .identity import boot_id
from .inherited import orphaned, replaced
from .pauses import Pauses
from .remarks import Remarks
from .sampler import Sample, Sampler

UNRESPONSIVE: Final = "driver_unresponsive"


class Telling:
    """Facts and events of a host, as its samples tell them.

    :attr:`send` is set by who has a link; ``sample`` is the last one that was noted.
    """

    def __init__(
        self, sources: Sequence[CounterSource], clock: Clock, say: Callable[..., None]
    ) -> None:
        """Take the sources, and who logs a line seldom."""
        self.send: Callable[[ingest.FromAgent], bool] = lambda _message: False
        self.facts, self.events, self.fresh = Facts(), Events(), Freshness()
        self.sample = Sample()
        self._sources, self._clock, self._say = sources, clock, say
        self._changes, self._pauses = Changes(sources), Pauses(sources)
        self._remarks = Remarks(sources)
        self._failed = 0
        self._log = structlog.get_logger("agent")

    def begin(self, folder: Path) -> None:
        """Take up from ``folder`` what a former process knew of this host."""
        self._changes.begin(folder, self._clock.now(), boot_id())

    def finish(self) -> None:
        """Write down what the next process needs."""
        self._changes.finish(self._clock.now())

    async def inherit(self, sampler: Sampler, here: Collection[str]) -> None:
        """Let sources take up what a former process said, and end what nobody can end any more.

        ``here`` are the shards of now.
        """
        at, before = self._clock.now(), self._changes.before
        known = [fact for fact in self.facts.known if fact[1] != UNRESPONSIVE]
        for fact in replaced(known, here, before.shards, at):
            self._tell(fact)
        known = [fact for fact in known if fact in self.facts.known]
        taken = await sampler.resume(known, at, rebooted=before.rebooted, marks=before.marks)
        for fact in () if taken is None else orphaned(known, here, taken, at):
            self._tell(fact)

    def note(self, at: float, sample: Sample) -> None:
        """Tell the aggregator of facts and of sources that hang, and the log of those that fail."""
        self.sample = sample
        self.fresh.note(sample.readings, self._clock.monotonic())
        hung = tuple(f"{name}: {call}" if call else name for name, call in sample.silent.items())
        self._tell(Fact("", UNRESPONSIVE, at, stands=bool(hung), detail=", ".join(hung)))
        for fact in sample.facts:
            self._tell(fact)
            self._changes.is_due |= fact.stands
        for remark in self._remarks.new():
            self._log.warning(remark)
        for name, error in sample.failed:
            self._failed += 1
            self._say(f"source {name} failed: {type(error).__name__}: {error}")

    def look(self, at: float, sample: Sample, shards: tuple[str, ...]) -> bool:
        """Tell what has changed on this host as events; say whether anything has.

        Pauses profiling too, if that was asked.
        """
        events = self._changes.look(at, sample.identity, shards)
        for event in events:
            self.send(ingest.FromAgent(event=self.events.say(event)))
            self._log.info("event", kind=event.kind, detail=event.detail, shards=event.scope)
        self._pauses.tick(self._clock.monotonic())
        return bool(events)

    def counters(self) -> Mapping[str, int]:
        """Return what was counted, by name."""
        lost = Counter[str]()
        for source in self._sources:
            lost.update(source.dropped if isinstance(source, Losing) else {})
        return {
            "facts_dropped": self.facts.dropped,
            "events_dropped": self.events.dropped,
            "sources_failed": self._failed,
            **self._changes.counts,
            **{f"{name}_dropped": count for name, count in lost.items()},
        }

    def states(self) -> Mapping[str, str]:
        """Return of each source whether it answers."""
        silent = self.sample.silent
        return {s.name: "silent" if s.name in silent else "ok" for s in self._sources}

    def rejected(self) -> Mapping[str, int]:
        """Return how many impossible values were refused, by metric."""
        counts: Counter[str] = Counter()
        for source in _rejecting(self._sources):
            for (_, metric), count in tuple(source.rejected.items()):
                counts[metric] += count
        return counts

    def _tell(self, fact: Fact) -> None:
        """Send a fact that is news, and log it."""
        said = self.facts.say(
            fact.code, fact.at, stands=fact.stands, shard=fact.shard, detail=fact.detail
        )
        if said is not None:
            self.send(ingest.FromAgent(fact=said))
            about = {"shard": fact.shard} if fact.shard else {}
            self._log.warning(fact.code, **about, detail=fact.detail, cleared=not fact.stands)


def _rejecting(sources: Iterable[CounterSource]) -> Iterable[Rejecting]:
    return (source for source in sources if isinstance(source, Rejecting))
