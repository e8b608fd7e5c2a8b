"""Hosts of real evidence that talk to one aggregator over sockets, block by block in lock-step.

Apart from the scripted agents, because verdicts need streams that were learned.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np

from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.runtime import Aggregator
from tessera.proto import decode, encode
from tessera.proto.schema import ingest  # noqa: TC001 - as everywhere here
from tessera.settings.clock import ManualClock

from .agents import Agent, inventory, until

RUNG = 5
SHARDS = 8


class Living:
    """One host: an agent's stream and the evidence behind it."""

    def __init__(self, address: str, host: str, before: "Living | None" = None) -> None:
        """Go on with the evidence of ``before``, or begin."""
        self.agent = Agent(address, host)
        self.evidence: Evidence = before.evidence if before else Evidence(inventory(host, SHARDS))
        self.last: ingest.Up2 | None = before.last if before else None
        self.resumed = before is not None
        self.heard = 0

    async def join(self) -> None:
        await self.agent.hello(resumed=self.resumed)
        await self.agent.say(inventory=encode.inventory(self.evidence.inventory))
        if self.last is not None:
            await self.agent.say(up2=self.last)

    async def offer(self, block: Block) -> None:
        """Send a block, unless it began before the first plan is obeyed."""
        try:
            up1 = self.evidence.offer(block)
        except ValueError:
            return
        await self.agent.say(up1=encode.up1(up1))

    async def hear(self) -> None:
        """Adopt plans, answer summaries, in the order in which they came."""
        for message in self.agent.heard[self.heard :]:
            self.heard += 1
            if message.HasField("plan"):
                self.evidence.adopt(decode.plan(message.plan))
            elif message.HasField("down"):
                made = self.evidence.answer(decode.downs(message.down, (SHARDS, 1)))
                if made is not None:
                    self.last = encode.up2(made)
                    await self.agent.say(up2=self.last)


class Live:
    """An aggregator and its hosts; ``play`` lets blocks pass and returns what was decided."""

    def __init__(
        self,
        aggregator: Aggregator,
        clock: ManualClock,
        hosts: Sequence[str],
        before: Sequence[Living] = (),
    ) -> None:
        """Take who takes part; ``before`` are agents that went on while it was away."""
        self.aggregator, self.clock = aggregator, clock
        former: Sequence[Living | None] = before or [None] * len(hosts)
        self.hosts = [Living(aggregator.address, h, b) for h, b in zip(hosts, former, strict=True)]

    async def __aenter__(self) -> Self:
        for host in self.hosts:
            await host.agent.__aenter__()
            await host.join()
        await self.rest()
        await self.aggregator.step()
        await self.rest()
        await asyncio.gather(*(host.hear() for host in self.hosts))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            await host.agent.__aexit__(kind, error, trace)

    async def play(
        self, blocks: int, rng: np.random.Generator, slow: Sequence[tuple[int, int]] = ()
    ) -> list[Transition]:
        """Let blocks of equal shards pass, ``slow`` (host, shard) being 30 % slower."""
        done: list[Transition] = []
        for _ in range(blocks):
            index = int(self.clock.now() // RUNG)
            self.clock.advance(float(RUNG))
            for i, host in enumerate(self.hosts):
                x = rng.normal(0.0, 0.01, (SHARDS, 1))
                x[[s for h, s in slow if h == i]] += 0.26
                await host.offer(Block(RUNG, index, x.astype(np.float32)))
            for _round in range(2):  # values up and summaries down, evidence up and plans down
                await self.rest()
                result = await self.aggregator.step()
                done += result.transitions if result else ()
                await self.rest()
                await asyncio.gather(*(host.hear() for host in self.hosts))
        await self.rest()
        return done

    async def rest(self) -> None:
        """Wait until both ends of every stream agree on what has passed."""

        def quiet() -> bool:
            for host in self.hosts:
                session = self.aggregator.sessions.of(host.agent.host)
                if session is None or session.received < host.agent.said:
                    return False
                if session.sent > len(host.agent.heard):
                    return False
            return True

        await until(quiet)
