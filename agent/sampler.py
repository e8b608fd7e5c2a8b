"""Ask every source for its readings of a tick, and do not wait for one that hangs.

Apart, because a vendor's call may never return, and the agent has to go on and to say so.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future as ThreadsFuture
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from time import perf_counter
from typing import Final, TypeAlias

import structlog

from ..adapters.base import (
    Busy,
    Closing,
    CounterSource,
    Fact,
    Identified,
    Marking,
    Reading,
    Resuming,
    Shard,
    Witness,
)

MOST_FACTS: Final = 1000  # of a source that wait to be taken up: the oldest go first
GOODBYE: Final = 2.0  # seconds that a source has to give back what it holds


@dataclass(frozen=True, slots=True)
class Answered:
    """What a source said of a tick, and the seconds that it took."""

    readings: list[Reading]
    identity: Mapping[str, str]
    took: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a tick brought: ``readings``, and ``facts`` that began or ended since the last.

    ``silent`` are the sources that did not answer in time, with the call that they are in ("" =
    not told), ``failed`` those that raised. ``identity`` is by source, for those that answered and
    know some; ``took`` seconds.
    """

    readings: tuple[Reading, ...] = ()
    facts: tuple[Fact, ...] = ()
    identity: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[tuple[str, BaseException], ...] = ()
    took: Mapping[str, float] = field(default_factory=dict)


Answer: TypeAlias = ThreadsFuture[Answered]
Listing: TypeAlias = ThreadsFuture[tuple[Shard, ...]]
Known: TypeAlias = tuple[str, str]  # shard and code of a fact
Marks: TypeAlias = Mapping[str, Mapping[str, float]]  # by source, then by device


class _Worker:
    """One source and the thread that asks it: a loop of its own, which a hanging call blocks."""

    def __init__(self, source: CounterSource, timer: Callable[[], float]) -> None:
        self.source = source
        self._timer = timer
        self._facts: deque[Fact] = deque(maxlen=MOST_FACTS)
        self._asked: Answer | Listing | None = None
        self._loop: AbstractEventLoop | None = None

    def free(self) -> bool:
        """Say whether the last call has returned; the readings that it brought since are lost."""
        return self._asked is None or self._asked.done()

    def doing(self) -> str:
        """Return the vendor's call that is under way, as far as the source tells."""
        return self.source.doing if isinstance(self.source, Busy) else ""

    def ask(self, at: float) -> Answer:
        """Ask for the readings of the tick ``at``."""
        answer = asyncio.run_coroutine_threadsafe(self._answered(at), self._running())
        self._asked = answer
        return answer

    def enumerate(self) -> Listing:
        """Ask which shards there are."""
        listing = asyncio.run_coroutine_threadsafe(self._shards(), self._running())
        self._asked = listing
        return listing

    def do(self, call: Callable[[], list[Known]]) -> ThreadsFuture[list[Known]]:
        """Let the source's thread ``call`` when it has nothing else to do."""

        async def called() -> list[Known]:
            return call()

        return asyncio.run_coroutine_threadsafe(called(), self._running())

    def answer(self, at: float) -> Answered:
        """Ask the source here and now."""
        began = self._timer()
        source = self.source
        try:
            readings = list(source.read(at))
        finally:  # a fact may be why it could not be read
            if isinstance(source, Witness):
                self._facts.extend(source.facts(at))
        identity = source.identity() if isinstance(source, Identified) else {}
        return Answered(readings, identity, self._timer() - began)

    def drain(self) -> list[Fact]:
        """Return the facts seen since the last call, of ticks that are over too."""
        return [self._facts.popleft() for _ in range(len(self._facts))]

    def stop(self) -> None:
        """Let the source give back what it holds and the thread end, unless its call hangs."""
        loop, self._loop = self._loop, None
        if loop is None:
            self._close()
            return
        ended = Event()

        def end() -> None:
            self._close()
            loop.stop()
            ended.set()

        loop.call_soon_threadsafe(end)
        if self.free():
            ended.wait(GOODBYE)

    async def _answered(self, at: float) -> Answered:
        return self.answer(at)

    async def _shards(self) -> tuple[Shard, ...]:
        return tuple(self.source.shards())

    def _close(self) -> None:
        if isinstance(self.source, Closing):
            try:
                self.source.close()
            except Exception:  # a vendor's goodbye must not keep the others' away
                log = structlog.get_logger("agent")
                log.warning("a source did not close", source=self.source.name, exc_info=True)

    def _running(self) -> AbstractEventLoop:
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()

            def work() -> None:
                loop.run_forever()
                loop.close()

            Thread(target=work, name=f"source {self.source.name}", daemon=True).start()
        return self._loop


class Sampler:
    """The sources of a host, asked together."""

    def __init__(
        self,
        sources: Sequence[CounterSource],
        budget: float | None = 0.8,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        """Take the sources and the seconds that they have for an answer, None = wait for ever.

        Without a budget they are asked in this thread, one after the other. ``timer`` (seconds)
        tells how long they take.
        """
        self._workers = [_Worker(source, timer) for source in sources]
        self._budget = budget

    async def ask(self, at: float) -> Sample:
        """Return the readings of the tick ``at`` (Unix seconds).

        A source that does not answer in time is *silent* and left alone in the next ticks until
        its call returns. The readings that it then gives are of a tick that is over and dropped;
        its facts are not.
        """
        asked: dict[str, Future[Answered]] = {}
        silent: dict[str, str] = {}
        if self._budget is None:
            return self._sample({w.source.name: w.answer(at) for w in self._workers}, {}, [])
        for worker in self._workers:
            if worker.free():
                answer = asyncio.wrap_future(worker.ask(at))
                answer.add_done_callback(_look_at)
                asked[worker.source.name] = answer
        if asked:
            await asyncio.wait(asked.values(), timeout=self._budget)
        answered: dict[str, Answered] = {}
        failed: list[tuple[str, BaseException]] = []
        for worker in self._workers:
            name = worker.source.name
            came = asked.get(name)
            if came is None or not came.done():
                silent[name] = worker.doing()
            elif (error := came.exception()) is not None:
                failed.append((name, error))
            else:
                answered[name] = came.result()
        return self._sample(answered, silent, failed)

    async def shards(self) -> dict[str, tuple[Shard, ...]]:
        """Return the shards of now by source, of those that answer in time and have any."""
        if self._budget is None:
            asked = [(w.source.name, _listed(w.source)) for w in self._workers]
            return {name: found for name, found in asked if found is not None}
        listings = {w.source.name: w.enumerate() for w in self._workers if w.free()}
        waiting = [asyncio.wrap_future(listing) for listing in listings.values()]
        for answer in waiting:
            answer.add_done_callback(_look_at)
        if waiting:
            await asyncio.wait(waiting, timeout=self._budget)
        pairs = zip(listings, waiting, strict=True)
        sound = [(n, a) for n, a in pairs if a.done() and a.exception() is None]
        return {name: answer.result() for name, answer in sound}

    async def resume(
        self, standing: Collection[Known], at: float, *, rebooted: bool, marks: Marks
    ) -> set[Known] | None:
        """Return those of the facts of a former process that sources have taken up.

        None if one of them did not answer in time: it takes them up when its call has returned.
        """
        calls = [
            partial(_resumed, worker.source, standing, at, marks, rebooted=rebooted)
            for worker in self._workers
        ]
        if self._budget is None:
            return {fact for call in calls for fact in call()}
        asked = zip(self._workers, calls, strict=True)
        waited = [asyncio.wrap_future(worker.do(call)) for worker, call in asked]
        if waited:
            await asyncio.wait(waited, timeout=self._budget)
        if not all(call.done() and call.exception() is None for call in waited):
            return None
        return {fact for call in waited for fact in call.result()}

    def stop(self) -> None:
        """Close the sources that answer and end their threads; leave those that hang behind."""
        for worker in self._workers:
            worker.stop()

    def _sample(
        self,
        answered: Mapping[str, Answered],
        silent: Mapping[str, str],
        failed: Sequence[tuple[str, BaseException]],
    ) -> Sample:
        return Sample(
            readings=tuple(r for answer in answered.values() for r in answer.readings),
            facts=tuple(fact for worker in self._workers for fact in worker.drain()),
            identity={name: a.identity for name, a in answered.items() if a.identity},
            silent=silent,
            failed=tuple(failed),
            took={name: answer.took for name, answer in answered.items()},
        )


def _listed(source: CounterSource) -> tuple[Shard, ...] | None:
    try:
        return tuple(source.shards())
    except Exception:  # noqa: BLE001  whatever it is, the shards known so far stay
        return None


def _resumed(
    source: CounterSource, standing: Collection[Known], at: float, marks: Marks, *, rebooted: bool
) -> list[Known]:
    if isinstance(source, Marking):
        source.remember(marks.get(source.name, {}))
    if not isinstance(source, Resuming):
        return []
    return list(source.resume(standing, at, rebooted=rebooted))


def _look_at(answer: Future[Answered] | Future[tuple[Shard, ...]]) -> None:
    """Look at an error that comes too late for its tick, or asyncio complains that nobody did."""
    if not answer.cancelled():
        answer.exception()
