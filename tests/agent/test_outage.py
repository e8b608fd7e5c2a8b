"""An aggregator that is away for ten minutes costs bets, and nothing else."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tessera.agent.runtime import Agent
from tessera.proto import encode
from tessera.proto.messages import Up1
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, Aggregator, aggregator, downs_of
from .hosts import SHARDS, STARTED, Seeded, driven, planned, ticks

BEFORE, AWAY, AFTER = 300, 600, 300  # seconds
KILLS = (203, 411)  # seconds of the outage at which the agent is killed,
DOWN = 7  # and seconds that it is down then
ILL = 250  # seconds from which the last shard is ill
FIRST = int(STARTED // RUNG)


def evidence(up2: ingest.Up2) -> tuple[bytes, ...]:
    """Return all log M of a message, to the last bit."""
    return up2.change.data, up2.level.data, up2.learned.data


@dataclass
class Told:
    """What an aggregator has heard at the end."""

    stored: list[tuple[int, bytes]] = field(default_factory=list)
    bet: list[int] = field(default_factory=list)
    up2: list[ingest.Up2] = field(default_factory=list)


@asynccontextmanager
async def lived(address: str, folder: Path, clock: ManualClock) -> AsyncIterator[Agent]:
    async with driven(address, folder, clock, Seeded(ill=ILL)) as agent:
        yield agent


async def go_on(agent: Agent, clock: ManualClock, serving: Aggregator, seconds: int) -> None:
    """Let seconds pass, each block bet before the next tick."""
    for _ in range(seconds):
        heard = len(serving.up1)
        if await agent.tick():
            await serving.until(lambda heard=heard: len(serving.up1) > heard)  # type: ignore[misc]  # the number of now
            if serving.answers(serving.up1[-1]):
                await serving.until(lambda: newest(serving) == serving.up1[-1].block)
        clock.advance(1.0)


def newest(serving: Aggregator) -> int:
    """Return the block that was bet last."""
    return serving.up2[-1].block if serving.up2 else -1


async def disturbed(tmp_path: Path) -> Told:
    """Run with an outage in which the agent is killed twice; a kill is an image of its folder."""
    clock, folder = ManualClock(STARTED), tmp_path / "agent"
    async with aggregator() as serving:
        serving.stores = True
        async with AsyncExitStack() as lives:
            agent = await lives.enter_async_context(lived(serving.address, folder, clock))
            await planned(agent)
            await go_on(agent, clock, serving, BEFORE)
            await serving.stop()
            passed = 0
            for number, kill_at in enumerate(KILLS):
                await ticks(agent, clock, kill_at - passed)
                image = shutil.copytree(folder, tmp_path / f"killed-{number}")
                await lives.aclose()
                folder, passed = image, kill_at + DOWN
                clock.advance(DOWN)
                agent = await lives.enter_async_context(lived(serving.address, folder, clock))
            await ticks(agent, clock, AWAY - passed)
            await serving.start()
            await planned(agent)
            await go_on(agent, clock, serving, AFTER)
        return told(serving)


async def undisturbed(tmp_path: Path, bet: list[int]) -> Told:
    """Run without any outage, but for summaries that never come, so that only ``bet`` is bet."""
    clock = ManualClock(STARTED)

    def answers(up1: Up1) -> list[ingest.Down]:
        return [encode.downs(downs_of(up1))] if up1.block in bet else []

    async with aggregator() as serving:
        serving.stores, serving.answers = True, answers
        async with lived(serving.address, tmp_path / "whole", clock) as agent:
            await planned(agent)
            await go_on(agent, clock, serving, BEFORE + AWAY + AFTER)
        return told(serving)


def told(serving: Aggregator) -> Told:
    assert {rung for rung, _, _ in serving.stored} == {RUNG}
    stored = [(block, data) for _, block, data in serving.stored]
    return Told(stored, [up2.block for up2 in serving.up2], serving.up2)


def sealed() -> list[int]:
    """Return the blocks whose last second was taken: of all but those in which an agent was down.

    A block in which it started has too few ticks and is sealed all the same, without values.
    """
    missing = {
        second for kill_at in KILLS for second in range(BEFORE + kill_at, BEFORE + kill_at + DOWN)
    }
    whole = BEFORE + AWAY + AFTER
    return [FIRST + n for n in range(whole // RUNG) if (n + 1) * RUNG - 1 not in missing]


async def test_blocks_sealed_before_a_kill_are_history_once_and_evidence_is_as_if_undisturbed(
    tmp_path: Path,
) -> None:
    found = await disturbed(tmp_path)
    blocks = [block for block, _ in found.stored]
    assert sorted(blocks) == sealed()
    away = range(FIRST + BEFORE // RUNG, FIRST + (BEFORE + AWAY) // RUNG)
    bet = sorted(set(found.bet))
    assert bet == [block for block in sealed() if block not in away]

    whole = await undisturbed(tmp_path, bet)
    assert sorted(block for block, _ in whole.stored) == list(
        range(FIRST, FIRST + (BEFORE + AWAY + AFTER) // RUNG)
    )
    assert evidence(found.up2[-1]) == evidence(whole.up2[-1])
    assert found.up2[-1].block == whole.up2[-1].block
    level = np.frombuffer(found.up2[-1].level.data, dtype="<f4").reshape(len(SHARDS), -1)
    assert np.nanmax(level) > 0  # there is evidence that could differ

    values = dict(whole.stored)
    partial = {block for block, data in found.stored if data != values[block]}
    starts = {FIRST + (BEFORE + kill_at + DOWN) // RUNG for kill_at in KILLS}
    assert partial <= starts
