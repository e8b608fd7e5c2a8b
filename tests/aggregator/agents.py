"""Aggregators on a free port with a clock that is moved by hand, and agents that say what is asked.

Apart, because every test of the live path needs one of each, over a real socket.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Literal, Self

import grpc.aio
import numpy as np

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.topology.model import Topology
from tessera.aggregator.config import AggregatorSettings
from tessera.aggregator.mind import Minds
from tessera.aggregator.runtime import Aggregator
from tessera.proto import encode
from tessera.proto.messages import Inventory, Plan, ShardRow, Up1, Up2
from tessera.proto.schema import MAJOR, ingest, ingest_stub
from tessera.settings.clock import ManualClock
from tessera.settings.folder import Folder

LONG = 20.0  # seconds after which a test gives up; nothing is measured by it
START = 1_700_000_000.0  # Unix seconds at which the hand-moved clocks stand
METRICS = ("step_time_seconds",)

Body = Literal["hello", "inventory", "up1", "up2", "fact", "event", "heartbeat", "raw_ticks"]


@asynccontextmanager
async def serving(
    folder: Path,
    clock: ManualClock | None = None,
    *,
    minds: Callable[[AggregatorSettings], Minds] | None = None,
    **settings: object,
) -> AsyncIterator[Aggregator]:
    """Lend an aggregator on a free port, driven by ``step``, or by itself if ``minds`` are given.

    Those make its pipelines, in real time; the clock is moved by hand in either case.
    """
    held = Folder(folder, "aggregator")
    held.hold()
    chosen = AggregatorSettings.model_validate({"listen": "127.0.0.1:0", **settings})
    made = Aggregator(
        chosen,
        held,
        clock or ManualClock(START),
        Random(1),  # noqa: S311 - an instance, not a secret
        catalogue=default_catalogue(),
        topology=Topology((), ()),
        paced=minds is not None,
        minds=minds(chosen) if minds else None,
    )
    await made.start()
    running = asyncio.create_task(made.run()) if minds else None
    try:
        yield made
    finally:
        if running is None:
            await made.stop()
        else:
            made.ask_to_stop()
            await running
        held.release()


def inventory(host: str, shards: int = 2, version: int = 1) -> Inventory:
    """Return the inventory of a host of equal workers."""
    rows = tuple(
        ShardRow(f"{host}-gpu-{i}", "gpu_shard", "h100", "train", "worker") for i in range(shards)
    )
    return Inventory(host, version, rows, METRICS)


def up1(host: str, block: int, shards: int = 2, *, rung: int = 5, version: int = 1) -> Up1:
    """Return block values that say nothing."""
    shape = (shards, 1)
    return Up1(
        host,
        rung,
        block,
        np.zeros(shape, dtype=np.float32),
        np.zeros(shape, dtype=np.float32),
        np.ones(shards, dtype=np.bool_),
        inventory=version,
    )


def up2(host: str, block: int, shards: int = 2, *, rung: int = 5, log_m: float = 0.0) -> Up2:
    """Return evidence of a level channel that has come to ``log_m`` everywhere."""
    shape = (shards, 1)
    none = np.full(shape, -1, dtype=np.int64)
    return Up2(
        host,
        rung,
        block,
        change=np.full(shape, np.nan, dtype=np.float32),
        level=np.full(shape, log_m, dtype=np.float32),
        change_epoch=none,
        level_epoch=np.zeros(shape, dtype=np.int64),
        change_onset=none,
        level_onset=none,
        learned=none,
    )


class Agent:
    """One stream to an aggregator; ``heard`` is everything that came down it."""

    def __init__(self, address: str, host: str, instance: int = 1) -> None:
        """Keep who it is; nothing is said before the stream is entered."""
        self.host, self.instance, self.heard = host, instance, list[ingest.FromAggregator]()
        self.ended = asyncio.Event()
        self.said = 0
        self._channel = grpc.aio.insecure_channel(address)
        self._stream = ingest_stub(self._channel).Exchange()
        self._news = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.cancel()
        if self._hearing is not None:
            await asyncio.gather(self._hearing, return_exceptions=True)
        await self._channel.close()

    async def say(self, **body: object) -> None:
        """Send one message, given as its body by name."""
        self.said += 1
        await self._stream.write(ingest.FromAgent(**body))  # type: ignore[arg-type]  # by name

    async def hello(self, *, major: int = MAJOR, resumed: bool = False, lost: str = "") -> None:
        greeting = ingest.Hello(
            major=major, host=self.host, instance=self.instance, resumed=resumed, lost=lost
        )
        await self.say(hello=greeting)

    async def report(self, held: Inventory | None = None) -> None:
        """Say hello and what it has, and wait for the welcome."""
        await self.hello()
        await self.next("welcome")
        await self.say(inventory=encode.inventory(held or inventory(self.host)))

    async def next(self, body: str) -> ingest.FromAggregator:
        """Return the first message of that kind that nobody has taken yet."""
        found = await self._until(lambda: self._first(body))
        self.heard.remove(found)
        return found

    async def plan(self) -> ingest.Plan:
        return (await self.next("plan")).plan

    async def close(self) -> None:
        """Say that there is no more to come."""
        await self._stream.done_writing()

    def _first(self, body: str) -> ingest.FromAggregator | None:
        return next((m for m in self.heard if m.WhichOneof("body") == body), None)

    async def _until(
        self, look: Callable[[], ingest.FromAggregator | None]
    ) -> ingest.FromAggregator:
        async with asyncio.timeout(LONG):
            while (found := look()) is None:
                self._news.clear()
                await self._news.wait()
        return found

    async def _hear(self) -> None:
        try:
            async for message in self._stream:
                self.heard.append(message)
                self._news.set()
        except grpc.aio.AioRpcError:
            pass
        finally:
            self.ended.set()


async def until(look: Callable[[], bool]) -> None:
    """Wait until ``look`` says yes; the other side of a socket takes its time."""
    async with asyncio.timeout(LONG):
        while not look():  # noqa: ASYNC110 - it looks at plain numbers, which tell nobody
            await asyncio.sleep(0.002)


def received(aggregator: Aggregator, host: str, count: int) -> Callable[[], bool]:
    """Return a look at whether ``count`` messages of ``host`` have been dealt with."""

    def look() -> bool:
        session = aggregator.sessions.of(host)
        return session is not None and session.received >= count

    return look


__all__ = ["Agent", "Plan", "inventory", "received", "serving", "until", "up1", "up2"]
