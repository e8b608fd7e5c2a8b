"""An agent from its start to its end, against a small aggregator."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

import pytest
from structlog.testing import capture_logs

from tessera.adapters.base import Reading
from tessera.agent.assembly import BadStart
from tessera.agent.runtime import SUPERSEDED, Agent
from tessera.proto.schema import ingest
from tessera.settings.clock import Clock, ManualClock, SystemClock
from tessera.settings.folder import BadFolder

from .aggregator import RUNG, Aggregator, aggregator
from .hosts import STARTED, Seeded, driven, planned, settings, ticks, until

RAISED = ("driver_unresponsive", STARTED * 1e9)
NOWHERE = "127.0.0.1:1"  # nobody listens there


async def blocks(agent: Agent, clock: ManualClock, serving: Aggregator, count: int) -> None:
    for _ in range(count):
        told = len(serving.up2)
        assert await ticks(agent, clock, RUNG) == 1
        await serving.until(lambda told=told: len(serving.up2) > told)  # type: ignore[misc]  # the number of now


def live(
    address: str, folder: Path, clock: Clock, source: Seeded | None = None, **said: object
) -> Agent:
    """Return an agent that keeps time itself."""
    chance = Random(1)  # noqa: S311  chance, not secrets
    return Agent(settings(address, **said), [source or Seeded()], clock, chance, folder=folder)


def names(folder: Path) -> list[str]:
    """Return the files of ``folder`` without their numbers."""
    return sorted(path.name.split("-")[0] for path in folder.iterdir())


def level(serving: Aggregator) -> bytes:
    return serving.up2[-1].level.data


async def evidence_of(folder: Path, count: int) -> bytes:
    """Return the evidence after so many blocks of a host whose last shard is slow."""
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, folder, clock, Ill()) as agent:
        await planned(agent)
        await blocks(agent, clock, serving, count)
        return level(serving)


class Ill(Seeded):
    """A source whose last shard takes twice as long as the others."""

    def read(self, at: float) -> Iterator[Reading]:
        for reading in super().read(at):
            slow = reading.shard == "gpu-4" and reading.metric == "step_time_seconds"
            assert isinstance(reading.value, float)
            yield Reading(reading.shard, reading.metric, reading.value * (2.0 if slow else 1.0))


class Stuck(Seeded):
    """A source whose calls hang while ``stuck`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = Event()
        self.let_go.set()

    def read(self, at: float) -> Iterator[Reading]:
        self.let_go.wait(10.0)
        return super().read(at)


class Broken(Seeded):
    """A source that fails each second time it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def read(self, at: float) -> Iterator[Reading]:
        self.asked += 1
        if self.asked % 2 == 0:
            message = "driver fell over"
            raise OSError(message)
        return super().read(at)


async def test_the_same_readings_make_the_same_evidence(tmp_path: Path) -> None:
    first = await evidence_of(tmp_path / "a", 12)
    assert await evidence_of(tmp_path / "b", 12) == first
    assert await evidence_of(tmp_path / "c", 11) != first


async def test_a_damaged_baseline_costs_one_line_and_every_stream_learns(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"tessera baseline 1\nnothing")
    clock, folder = ManualClock(STARTED), tmp_path / "agent"
    with capture_logs() as logs:
        async with aggregator() as serving:
            said = settings(serving.address, baseline=tmp_path / "b")
            chance = Random(1)  # noqa: S311  chance, not secrets
            agent = Agent(said, [Seeded()], clock, chance, folder=folder, paced=False)
            await agent.start()
            await agent.stop()
    (line,) = [log for log in logs if log["event"] == "every stream learns anew"]
    assert line["reason"].startswith(f"{tmp_path / 'b'}: is damaged or cut short")


async def test_an_agent_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = await evidence_of(tmp_path / "whole", 12)
    clock, folder = ManualClock(STARTED), tmp_path / "agent"
    async with aggregator() as serving:
        async with driven(serving.address, folder, clock, Ill()) as agent:
            await planned(agent)
            await blocks(agent, clock, serving, 7)
        async with driven(serving.address, folder, clock, Ill()) as agent:
            await planned(agent)
            await serving.until(lambda: len(serving.up2) == 8)  # the last evidence, again
            assert serving.up2[7].level == serving.up2[6].level
            await blocks(agent, clock, serving, 5)
        assert level(serving) == whole
        assert [hello.resumed for hello in serving.hellos] == [False, True]


async def test_an_agent_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = await evidence_of(tmp_path / "whole", 30)
    clock, folder = ManualClock(STARTED), tmp_path / "agent"
    async with aggregator() as serving:
        async with driven(serving.address, folder, clock, Ill()) as agent:
            await planned(agent)
            await blocks(agent, clock, serving, 25)
            shutil.copytree(folder, tmp_path / "killed")  # what a kill -9 would leave
        later = ManualClock(clock.now())
        async with driven(serving.address, tmp_path / "killed", later, Ill()) as agent:
            await planned(agent)
            await serving.until(lambda: len(serving.up2) == 26)
            await blocks(agent, later, serving, 5)
        assert level(serving) == whole
        assert serving.hellos[1].resumed


async def test_lost_evidence_is_said_with_its_reason_until_there_is_a_plan(tmp_path: Path) -> None:
    clock, folder = ManualClock(STARTED), tmp_path / "agent"
    async with aggregator() as serving:
        async with driven(serving.address, folder, clock) as agent:
            await planned(agent)
            await ticks(agent, clock, 10)
        for checkpoint in folder.glob("checkpoint-*"):
            checkpoint.write_bytes(b"nonsense")
        async with driven(serving.address, folder, clock) as agent:
            await planned(agent)
            assert not serving.hellos[1].resumed
            assert "is not a checkpoint of this version" in serving.hellos[1].lost
            await serving.stop()
            await until(agent, lambda: not agent.uplink.up)
            await serving.start()
            await serving.until(lambda: len(serving.hellos) == 3)
            assert (serving.hellos[2].resumed, serving.hellos[2].lost) == (True, "")


async def test_time_that_goes_back_discards_ticks_until_it_is_made_up_for(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        await ticks(agent, clock, 7)
        clock.step(-4.0)
        with capture_logs() as logs:
            assert await ticks(agent, clock, 4) == 0
        (line,) = (entry["event"] for entry in logs)
        until_ = "1970-01-12T13:46:47.000000Z"  # the eighth second
        assert line == f"time went back: ticks are discarded until {until_}"
        assert agent.vitals().counters["ticks_discarded"] == 4
        assert await ticks(agent, clock, 3) == 1
        await serving.until(lambda: len(serving.up1) == 2)
        assert [up1.block for up1 in serving.up1] == [200_000, 200_001]


async def test_a_clock_that_was_set_back_far_says_that_a_restart_helps_and_it_does(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        async with driven(serving.address, tmp_path, clock) as agent:
            await planned(agent)
            await blocks(agent, clock, serving, 2)
            clock.step(-3600.0)
            with capture_logs() as logs:
                await ticks(agent, clock, 3)
            (line,) = (entry["event"] for entry in logs)
            assert line.endswith("13:46:50.000000Z; a restart begins anew")
        async with driven(serving.address, tmp_path, clock) as agent:
            await planned(agent)
            lost = serving.hellos[1].lost
            assert lost.startswith("its evidence is of a time that has not come: 1970-01-12T13:46")
            clock.step(-clock.now() % RUNG)
            await blocks(agent, clock, serving, 1)


async def test_time_that_leaps_is_a_gap(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        await ticks(agent, clock, 2)
        clock.step(60.0)
        await ticks(agent, clock, 8)
        await serving.until(lambda: len(serving.up1) == 3)
        x = [bool((up1.x == up1.x).any()) for up1 in serving.up1]
        assert [up1.block - 200_000 for up1 in serving.up1] == [0, 12, 13]
        assert x == [False, True, True]


async def test_a_checkpoint_is_written_each_minute(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with driven(NOWHERE, tmp_path, clock) as agent:
        await ticks(agent, clock, 59)
        assert names(tmp_path).count("checkpoint") == 1
        assert agent.vitals().checkpoint_age == 59.0
        await ticks(agent, clock, 2)
        assert names(tmp_path).count("checkpoint") == 2
        assert agent.vitals().checkpoint_age == 1.0


async def test_a_driver_that_hangs_is_a_fact_and_so_is_its_return(tmp_path: Path) -> None:
    clock, source = ManualClock(STARTED), Stuck()
    async with aggregator() as serving:
        agent = live(serving.address, tmp_path, clock, source, budget=0.05)
        await agent.start()
        try:
            await planned(agent)
            source.let_go.clear()
            await ticks(agent, clock, 2)
            await serving.until(lambda: len(serving.facts) == 1)
            fact = serving.facts[0]
            assert (fact.code, fact.detail) == ("driver_unresponsive", "seeded")
            assert not fact.cleared
            assert fact.at_ns == STARTED * 1e9
            assert agent.vitals().sources == {"seeded": "silent"}
            source.let_go.set()
            while len(serving.facts) < 2:
                await ticks(agent, clock, 1)
            assert serving.facts[1].cleared
            assert agent.vitals().facts == ()
        finally:
            source.let_go.set()
            await agent.stop()


async def test_facts_that_nobody_stored_are_said_again_on_the_next_link(tmp_path: Path) -> None:
    clock, source = ManualClock(STARTED), Stuck()
    async with aggregator() as serving:
        serving.acks_facts = False
        agent = live(serving.address, tmp_path, clock, source, budget=0.05)
        await agent.start()
        try:
            await planned(agent)
            source.let_go.clear()
            await ticks(agent, clock, 1)
            await serving.until(lambda: len(serving.facts) == 1)
            await serving.stop()
            serving.acks_facts = True
            await serving.start()
            await serving.until(lambda: len(serving.facts) == 2)
            assert serving.facts[0] == serving.facts[1]
        finally:
            source.let_go.set()
            await agent.stop()


async def test_a_fact_outlives_a_kill_and_clears_under_another_id(tmp_path: Path) -> None:
    clock, source, folder = ManualClock(STARTED), Stuck(), tmp_path / "agent"
    killed = live(NOWHERE, folder, clock, source, budget=0.05)
    await killed.start()
    try:
        source.let_go.clear()
        await ticks(killed, clock, 1)
        shutil.copytree(folder, tmp_path / "killed")  # what a kill -9 would leave
    finally:
        source.let_go.set()
        await killed.stop()
    async with aggregator() as serving:
        serving.acks_facts = False
        async with driven(serving.address, tmp_path / "killed", clock) as agent:
            await planned(agent)
            await ticks(agent, clock, 1)
            await serving.until(lambda: len(serving.facts) == 2)
            raised, cleared = serving.facts
            assert (raised.code, raised.at_ns, raised.cleared) == (*RAISED, False)
            assert (cleared.code, cleared.id, cleared.cleared) == (RAISED[0], raised.id + 1, True)
            await serving.say(ingest.FromAggregator(ack=ingest.Ack(facts=[raised.id, cleared.id])))
            await until(agent, lambda: not list(agent.facts))
        async with driven(serving.address, tmp_path / "killed", clock) as agent:
            await planned(agent)
            assert (list(agent.facts), agent.vitals().facts) == ([], ())


async def test_a_live_agent_ticks_by_itself_and_ends_on_a_signal(tmp_path: Path) -> None:
    async with aggregator() as serving:
        agent = live(serving.address, tmp_path, SystemClock(), Broken(), tick_seconds=0.1)
        await agent.start()
        running = asyncio.create_task(agent.run())
        await serving.until(lambda: bool(serving.inventories))
        await serving.until(lambda: bool(serving.beats))
        while agent.vitals().counters.get("ticks", 0) < 4:  # noqa: ASYNC110  no event tells of ticks
            await asyncio.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 10.0) == 0
        assert agent.vitals().counters["sources_failed"] >= 1
    assert set(names(tmp_path)) == {"checkpoint", "journal", "inventory", "lock", "spool"}


async def test_a_live_agent_that_is_superseded_ends_with_a_status_of_its_own(
    tmp_path: Path,
) -> None:
    async with aggregator() as serving:
        agent = live(serving.address, tmp_path, SystemClock(), tick_seconds=0.1)
        await agent.start()
        running = asyncio.create_task(agent.run())
        await serving.until(lambda: bool(serving.inventories))
        await serving.say(ingest.FromAggregator(superseded=ingest.Superseded(by_instance=9)))
        assert await asyncio.wait_for(running, 10.0) == SUPERSEDED


async def test_two_agents_cannot_use_one_folder(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with driven(NOWHERE, tmp_path, clock):
        second = live(NOWHERE, tmp_path, clock)
        with pytest.raises(BadFolder, match="held by another agent"):
            await second.start()
        await second.stop()
    async with driven(NOWHERE, tmp_path, clock) as third:
        assert third.inventory.version == 1


async def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    agent = live(NOWHERE, tmp_path / "file" / "agent", ManualClock(STARTED))
    with pytest.raises(BadFolder, match="not a directory; make it writable"):
        await agent.start()
    await agent.stop()


class Mute(Seeded):
    def read(self, at: float) -> Iterator[Reading]:
        del at
        return iter(())


async def test_a_host_with_nothing_to_judge_does_not_start(tmp_path: Path) -> None:
    agent = live(NOWHERE, tmp_path, ManualClock(STARTED), Mute())
    with pytest.raises(BadStart, match="seeded: nothing that can be judged now"):
        await agent.start()
    await agent.stop()
