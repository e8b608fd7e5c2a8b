import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import grpc.aio
import pytest

from tessera.aggregator.config import AggregatorSettings
from tessera.aggregator.pipeline import Pipeline, StepResult
from tessera.aggregator.pipelines import Pipelines
from tessera.aggregator.state.fleet import Fleet
from tessera.aggregator.state.records import Remembered
from tessera.proto import encode
from tessera.proto.messages import Up1, Up2
from tessera.proto.schema import console, console_stub, health, health_stub
from tessera.settings.clock import ManualClock

from .agents import START, Agent, received, serving, until, up1

BLOCK = int(START // 5)


class Stumbling(Pipelines):
    """Makes pipelines whose first steps fail."""

    failures: ClassVar = [3]  # still to come

    def fresh(self, fleet: Fleet, remembered: Remembered) -> tuple[Pipeline, str]:
        made, why = super().fresh(fleet, remembered)
        step = made.step

        def stumble(now: float, inbox: Iterable[Up1 | Up2]) -> StepResult:
            if self.failures[0]:
                self.failures[0] -= 1
                message = "a defect"
                raise RuntimeError(message)
            return step(now, inbox)

        made.step = stumble  # type: ignore[method-assign]  # of this one pipeline
        return made, why


def real(settings: AggregatorSettings) -> Pipelines:
    return Pipelines(settings, ManualClock(START), patient=False)


def stumbling(settings: AggregatorSettings) -> Pipelines:
    return Stumbling(settings, ManualClock(START), patient=False)


async def test_a_complete_block_is_answered_without_waiting_for_its_deadline(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, minds=real, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as first,
        Agent(aggregator.address, "h1") as second,
    ):
        for agent in (first, second):
            await agent.report()
        for agent in (first, second):
            await agent.plan()
            await agent.say(up1=encode.up1(up1(agent.host, BLOCK)))
        for agent in (first, second):  # and the clock stands still
            assert (await agent.next("down")).down.block == BLOCK


async def test_a_block_is_not_waited_for_beyond_its_deadline(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, minds=real, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as first,
        Agent(aggregator.address, "h1") as second,
    ):
        for agent in (first, second):
            await agent.report()
        for agent in (first, second):
            await agent.plan()
        await first.say(up1=encode.up1(up1("h0", BLOCK)))
        await until(received(aggregator, "h0", 3))
        assert [m for m in first.heard if m.HasField("down")] == []
        clock.advance(7.5)  # the end of the block, and half of it
        assert (await first.next("down")).down.block == BLOCK
        await second.say(up1=encode.up1(up1("h1", BLOCK)))
        await until(received(aggregator, "h1", 3))
        assert [m for m in second.heard if m.HasField("down")] == []


async def test_a_step_that_fails_does_not_end_the_loop(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, minds=stumbling, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        assert (await agent.plan()).id == 1
        assert Stumbling.failures == [0]


async def test_views_are_made_in_time_though_nothing_happens(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, minds=real) as aggregator,
        grpc.aio.insecure_channel(aggregator.address) as channel,
    ):
        watching = aiter(console_stub(channel).Watch(console.WatchRequest()))
        first = await asyncio.wait_for(anext(watching), 20)
        assert first.clock == "live"
        clock.advance(1.0)
        second = await asyncio.wait_for(anext(watching), 20)
        assert second.at_ns - first.at_ns == 10**9


async def test_while_the_disk_takes_nothing_nothing_is_published_and_the_loop_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.aggregator.state.store.LOCKED_FOR", 0.02)
    monkeypatch.setattr("tessera.aggregator.state.writer.RETRY", 0.02)
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, minds=real, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
        grpc.aio.insecure_channel(aggregator.address) as channel,
    ):
        await until(lambda: aggregator.health.serving)
        await aggregator.settled()
        other = sqlite3.connect(tmp_path / "tessera.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # for the writer this is a disk that takes nothing
        await agent.report()
        await until(lambda: not aggregator.health.serving)
        assert [m for m in agent.heard if m.HasField("plan")] == []
        check = health_stub(channel).Check
        assert (await check(health.HealthCheckRequest())).status == 2  # NOT_SERVING
        clock.advance(1.0)  # time for another view
        watching = aiter(console_stub(channel).Watch(console.WatchRequest()))
        while not (await asyncio.wait_for(anext(watching), 20)).notice:
            pass
        other.execute("ROLLBACK")
        other.close()
        assert (await agent.plan()).id == 1
        await until(lambda: aggregator.health.serving)
