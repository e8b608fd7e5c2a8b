"""A small aggregator that does what a test tells it, over a real socket.

Apart, because every test of the link needs the same handshake and none wants the real fleet.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc.aio
import numpy as np

from tessera.engine.peers import central
from tessera.proto import decode, encode
from tessera.proto.messages import ChangePlan, Down, Inventory, LevelPlan, Plan, Up1
from tessera.proto.schema import MAJOR, MINOR, ingest, ingest_grpc

GROUP, POOL, RUNG = "peers", "h200", 5
PATIENCE = 10.0  # seconds after which a test that waits has failed

Requests = AsyncIterator[ingest.FromAgent]
Context = grpc.aio.ServicerContext[ingest.FromAgent, ingest.FromAggregator]


def plan_of(inventory: Inventory, number: int = 1, *, epoch: int = 0, phi: float = 0.0) -> Plan:
    """Return a plan with both channels of all metrics at one rung, for one group."""
    ids = [shard.id for shard in inventory.shards]
    return Plan(
        id=number,
        groups=dict.fromkeys(ids, GROUP),
        pools=dict.fromkeys(ids, POOL),
        needed={GROUP: (3, 3)},
        change=tuple(ChangePlan(m, POOL, RUNG, phi, 1.0, epoch, {}) for m in inventory.metrics),
        level=tuple(LevelPlan(m, GROUP, RUNG, 0.05, 0.9, epoch) for m in inventory.metrics),
        horizon=10_000.0,
        direction=dict.fromkeys(inventory.metrics, 1),
    )


def downs_of(up1: Up1, offset: float = 0.0) -> tuple[Down, ...]:
    """Return what a group that consists of this host alone is told, moved by ``offset``."""
    raw, own = central(up1.x), central(up1.x - up1.offset)
    s3_raw = (raw.s3 + offset).astype(np.float32)
    s3_own = (own.s3 + offset).astype(np.float32)
    counts = raw.count, own.count
    return (
        Down(
            GROUP, up1.rung, up1.block, counts[0], s3_raw, counts[1], s3_own, up1.eligible, up1.plan
        ),
    )


class Aggregator(ingest_grpc.IngestServicer):
    """Greets, sends a plan for whatever inventory comes, and answers block values."""

    def __init__(self) -> None:
        self.hellos: list[ingest.Hello] = []
        self.inventories: list[ingest.Inventory] = []
        self.up1: list[Up1] = []
        self.up2: list[ingest.Up2] = []
        self.facts: list[ingest.Fact] = []
        self.events: list[ingest.Event] = []
        self.beats: list[ingest.Heartbeat] = []
        self.raw: list[ingest.RawTicks] = []
        self.plan = 1
        self.epoch = 0
        self.refusal = self.refusal_of_inventory = ""
        self.ahead = 0.0  # seconds by which its clock is ahead of the agent's
        self.acks_facts = True
        self.stores = False  # acknowledges block values, and takes history
        self.stored: list[tuple[int, int, bytes]] = []  # rung, block, values; as often as they came
        self.told: list[ingest.History] = []
        self.answers: Callable[[Up1], Sequence[ingest.Down]] = lambda up1: [
            encode.downs(downs_of(up1))
        ]
        self.port = 0
        self._contexts: set[Context] = set()
        self._writing = asyncio.Lock()  # a stream takes one message at a time
        self._server: grpc.aio.Server | None = None
        self._news = asyncio.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        ingest_grpc.add_IngestServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def say(self, message: ingest.FromAggregator) -> None:
        """Send ``message`` to every agent that is connected."""
        for context in tuple(self._contexts):
            await self._write(context, message)

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until something that came makes ``met`` true; fail after ten seconds."""
        async with asyncio.timeout(PATIENCE):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def _write(self, context: Context, message: ingest.FromAggregator) -> None:
        async with self._writing:
            await context.write(message)

    async def Exchange(self, requests: Requests, context: Context) -> None:  # type: ignore[override]  # noqa: N802  the generated names
        self._contexts.add(context)
        try:
            async for message in requests:
                if not await self._take(message, context):
                    return
                if self.stores and message.WhichOneof("body") in {"up1", "history"}:
                    await self._store(message, context)
                self._news.set()
        finally:
            self._contexts.discard(context)
            self._news.set()

    async def _take(self, message: ingest.FromAgent, context: Context) -> bool:
        kind = message.WhichOneof("body")
        if kind == "hello":
            self.hellos.append(message.hello)
            return await self._greet(context)
        if kind == "inventory":
            return await self._take_inventory(message.inventory, context)
        if kind == "up1":
            held = self._inventory(message.up1.inventory)
            up1 = decode.up1(message.up1, held.host, (len(held.shards), len(held.metrics)))
            self.up1.append(up1)
            for down in self.answers(up1):
                await self._write(context, ingest.FromAggregator(down=down))
        elif kind == "up2":
            self.up2.append(message.up2)
        elif kind in {"fact", "event"}:
            await self._store(message, context)
        elif kind == "heartbeat":
            self.beats.append(message.heartbeat)
            sent = message.heartbeat.sent_ns
            ack = ingest.Ack(heartbeat_ns=sent, received_ns=sent + round(self.ahead * 1e9))
            await self._write(context, ingest.FromAggregator(ack=ack))
        elif kind == "raw_ticks":
            self.raw.append(message.raw_ticks)
        return True

    async def _store(self, message: ingest.FromAgent, context: Context) -> None:
        """Keep what came and say so; blocks that came before stay as they were."""
        if message.HasField("history"):
            self.told.append(message.history)
        blocks: list[ingest.PastBlock | ingest.Up1] = list(message.history.blocks)
        blocks += [message.up1] if message.HasField("up1") else []
        ack = ingest.Ack(gaps=[gap.id for gap in message.history.gaps])
        if message.HasField("fact"):
            self.facts.append(message.fact)
            ack.facts.extend([message.fact.id] if self.acks_facts else [])
        if message.HasField("event"):
            self.events.append(message.event)
            ack.events.append(message.event.id)
        for one in blocks:
            if all(one.rung != rung or one.block != block for rung, block, _ in self.stored):
                self.stored.append((one.rung, one.block, one.x.data))
            ack.blocks.add(rung=one.rung, from_block=one.block, to_block=one.block)
        await self._write(context, ingest.FromAggregator(ack=ack))

    async def _take_inventory(self, inventory: ingest.Inventory, context: Context) -> bool:
        self.inventories.append(inventory)
        if self.refusal_of_inventory:
            refused = ingest.Refused(reason=self.refusal_of_inventory)
            await self._write(context, ingest.FromAggregator(refused=refused))
            return False
        if not inventory.former:
            await self._write(context, ingest.FromAggregator(plan=self._plan()))
        return True

    async def _greet(self, context: Context) -> bool:
        self._news.set()
        if self.refusal:
            refused = ingest.Refused(reason=self.refusal)
            await self._write(context, ingest.FromAggregator(refused=refused))
            return False
        welcome = ingest.Welcome(major=MAJOR, minor=MINOR, instance=7, heartbeat_seconds=5.0)
        await self._write(context, ingest.FromAggregator(welcome=welcome))
        return True

    def _inventory(self, version: int) -> Inventory:
        return decode.inventory(next(i for i in self.inventories if i.version == version))

    def _plan(self) -> ingest.Plan:
        held = self._inventory(self.inventories[-1].version)
        plan = replace(plan_of(held, self.plan, epoch=self.epoch))
        return encode.plan(plan, [shard.id for shard in held.shards], held.version)


@asynccontextmanager
async def aggregator() -> AsyncIterator[Aggregator]:
    """Serve for the length of a test."""
    serving = Aggregator()
    await serving.start()
    try:
        yield serving
    finally:
        await serving.stop()
