"""Hosts for tests: sources that play seeded numbers, and agents that are driven tick by tick.

Apart, because tests of the runtime, the journal and the link drive the same small host.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import numpy as np

from tessera.adapters.base import CounterSource, Reading, Shard
from tessera.agent.config import AgentSettings
from tessera.agent.runtime import Agent
from tessera.settings.clock import ManualClock

PATIENCE = 10.0  # seconds after which a test that waits has failed
SHARDS = tuple(f"gpu-{i}" for i in range(5))
METRICS = ("power_watts", "step_time_seconds")
STARTED = 1_000_000.0  # Unix seconds, the beginning of a block of any rung up to 600 s


class Seeded:
    """Numbers of a tick that depend on the tick alone; the last shard falls ill at tick ``ill``."""

    def __init__(self, ill: float = np.inf, name: str = "seeded") -> None:
        self.name = name
        self._ill = ill

    def shards(self) -> Sequence[Shard]:
        return [Shard(name, "gpu_shard", "h200", "train") for name in SHARDS]

    def read(self, at: float) -> Iterator[Reading]:
        noise = np.random.default_rng(int(at)).normal(size=(len(SHARDS), len(METRICS)))
        noise[-1] += 4.0 * (at - STARTED >= self._ill)
        for shard, row in zip(SHARDS, noise, strict=True):
            yield Reading(shard, METRICS[0], 500.0 + 5.0 * float(row[0]))
            yield Reading(shard, METRICS[1], float(np.exp(0.02 * row[1])))


def settings(address: str, **said: object) -> AgentSettings:
    return AgentSettings.model_validate(
        {
            "aggregator": address,
            "agent_http": "127.0.0.1:0",
            "host": "host-0",
            "scores": (),  # their blocks would take a minute of ticks
            **said,
        }
    )


@asynccontextmanager
async def driven(
    address: str, folder: Path, clock: ManualClock, source: CounterSource | None = None
) -> AsyncIterator[Agent]:
    """An agent that ticks when it is told to, started and in the end stopped."""
    agent = Agent(
        settings(address),
        [source or Seeded()],
        clock,
        Random(1),  # noqa: S311  chance, not secrets
        folder=folder,
        paced=False,
    )
    try:
        await agent.start()
        yield agent
    finally:
        await agent.stop()


async def ticks(agent: Agent, clock: ManualClock, count: int) -> int:
    """Take ``count`` ticks a second apart; return how many blocks were sent up."""
    sent = 0
    for _ in range(count):
        sent += await agent.tick()
        clock.advance(1.0)
    return sent


async def until(agent: Agent, met: Callable[[], bool]) -> None:
    """Wait until something that the link brought makes ``met`` true; fail after ten seconds."""
    news = asyncio.Event()
    agent.uplink.on_change = news.set
    async with asyncio.timeout(PATIENCE):
        while not met():
            news.clear()
            await news.wait()


async def planned(agent: Agent, number: int = 1) -> None:
    """Wait until the agent follows plan ``number``."""

    def follows() -> bool:
        plan = agent.evidence.plan
        return agent.uplink.up and plan is not None and plan.id >= number

    await until(agent, follows)
