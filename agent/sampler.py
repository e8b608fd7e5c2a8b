"""Ask every source for its readings of a tick, and do not wait for one that hangs.

Apart, because a vendor's call may never return, and the agent has to go on and to say so.
"""

import asyncio
from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from concurrent.futures import Future as ThreadsFuture
from dataclasses import dataclass
from threading import Thread
from typing import TypeAlias

from ..adapters.base import CounterSource, Reading, Shard

Answer: TypeAlias = ThreadsFuture[list[Reading]]
Listing: TypeAlias = ThreadsFuture[tuple[Shard, ...]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a tick brought: ``readings``; sources that did not answer in time; those that failed."""

    readings: tuple[Reading, ...]
    silent: tuple[str, ...] = ()
    failed: tuple[tuple[str, BaseException], ...] = ()


class _Worker:
    """One source and the thread that asks it: a loop of its own, which a hanging call blocks."""

    def __init__(self, source: CounterSource) -> None:
        self.source = source
        self._asked: Answer | Listing | None = None
        self._loop: AbstractEventLoop | None = None

    def free(self) -> bool:
        """Say whether the last call has returned; what it brought since is dropped."""
        return self._asked is None or self._asked.done()

    def ask(self, at: float) -> Answer:
        """Ask for the readings of the tick ``at``."""
        self._asked = asyncio.run_coroutine_threadsafe(self._read(at), self._running())
        return self._asked

    def enumerate(self) -> Listing:
        """Ask which shards there are."""
        listing = asyncio.run_coroutine_threadsafe(self._shards(), self._running())
        self._asked = listing
        return listing

    def stop(self) -> None:
        """Let the thread end once its call returns; it does not keep the program alive."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    async def _read(self, at: float) -> list[Reading]:
        return list(self.source.read(at))

    async def _shards(self) -> tuple[Shard, ...]:
        return tuple(self.source.shards())

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

    def __init__(self, sources: Sequence[CounterSource], budget: float | None = 0.8) -> None:
        """Take the sources and the seconds that they have for an answer, None = wait for ever.

        Without a budget they are asked in this thread, one after the other.
        """
        self._workers = [_Worker(source) for source in sources]
        self._budget = budget

    async def ask(self, at: float) -> Sample:
        """Return the readings of the tick ``at`` (Unix seconds).

        A source that does not answer in time is *silent*, is left alone in the next ticks until
        its call returns, and what it then says of a tick that is over is dropped.
        """
        if self._budget is None:
            return Sample(tuple(r for w in self._workers for r in w.source.read(at)))
        asked: dict[Future[list[Reading]], _Worker] = {}
        readings: list[Reading] = []
        silent: list[str] = []
        failed: list[tuple[str, BaseException]] = []
        for worker in self._workers:
            if worker.free():
                answer = asyncio.wrap_future(worker.ask(at))
                answer.add_done_callback(_look_at)
                asked[answer] = worker
            else:
                silent.append(worker.source.name)
        if asked:
            await asyncio.wait(asked, timeout=self._budget)
        for answer, worker in asked.items():
            if not answer.done():
                silent.append(worker.source.name)
            elif (error := answer.exception()) is not None:
                failed.append((worker.source.name, error))
            else:
                readings += answer.result()
        return Sample(tuple(readings), tuple(silent), tuple(failed))

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

    def stop(self) -> None:
        """End the threads of sources that answer, and leave those that hang behind."""
        for worker in self._workers:
            worker.stop()


def _listed(source: CounterSource) -> tuple[Shard, ...] | None:
    try:
        return tuple(source.shards())
    except Exception:  # noqa: BLE001  whatever it is, the shards known so far stay
        return None


def _look_at(answer: Future[list[Reading]] | Future[tuple[Shard, ...]]) -> None:
    """Look at an error that comes too late for its tick, or asyncio complains that nobody did."""
    if not answer.cancelled():
        answer.exception()
