"""What an agent and an aggregator say to each other, over a real socket."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tessera.agent.runtime import Agent
from tessera.agent.uplink import BROKEN, MOST_WAITING
from tessera.proto import decode
from tessera.proto.messages import Up1
from tessera.proto.schema import MAJOR, MINOR, ingest
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, Aggregator, aggregator, downs_of
from .hosts import METRICS, SHARDS, STARTED, driven, planned, ticks, until

SHAPE = (len(SHARDS), len(METRICS))


async def blocks(agent: Agent, clock: ManualClock, serving: Aggregator, count: int) -> None:
    """Let ``count`` blocks go up, and wait for the evidence of each."""
    for _ in range(count):
        told = len(serving.up2)
        assert await ticks(agent, clock, RUNG) == 1
        await serving.until(lambda told=told: len(serving.up2) > told)  # type: ignore[misc]  # the number of now


async def test_an_agent_says_who_it_is_and_what_it_has(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        (hello,), (inventory,) = serving.hellos, serving.inventories
        assert (hello.major, hello.minor, hello.host) == (MAJOR, MINOR, "host-0")
        assert hello.instance > 0
        assert (hello.resumed, hello.lost) == (False, "")
        assert decode.inventory(inventory) == agent.inventory
        assert [stream.metric for stream in inventory.streams] == list(METRICS)
        assert [stream.unit for stream in inventory.streams] == ["W", "s"]


async def test_a_block_goes_up_its_summary_down_and_evidence_up(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        assert await ticks(agent, clock, 5) == 1
        await serving.until(lambda: bool(serving.up2))
        (up1,), (up2,) = serving.up1, serving.up2
        assert (up1.rung, up1.block, up1.plan) == (RUNG, int(STARTED) // RUNG, 1)
        assert up1.eligible.all()
        assert np.isfinite(up1.x).all()
        told = decode.up2(up2, "host-0", SHAPE)
        assert (told.rung, told.block) == (up1.rung, up1.block)
        assert np.isfinite(told.level).all()


async def test_both_ends_count_the_same_messages_when_all_is_at_rest(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        await blocks(agent, clock, serving, 6)
        greeting = 2  # Hello and inventory
        await serving.until(
            lambda: agent.uplink.sent == greeting + 2 * len(serving.up1) + len(serving.beats)
        )
        welcome_and_plan = 2
        expected = welcome_and_plan + len(serving.up1) + len(serving.beats)
        await until(agent, lambda: agent.uplink.received == expected)


async def test_a_repeated_down_is_bet_once(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        once = serving.answers
        serving.answers = lambda up1: [*once(up1), *once(up1)]
        await planned(agent)
        await blocks(agent, clock, serving, 4)
        await until(agent, lambda: agent.uplink.received >= 2 + 2 * 4)
        assert len(serving.up1) == 4
        assert [up2.block for up2 in serving.up2] == [up1.block for up1 in serving.up1]


async def test_a_down_that_comes_too_late_is_not_bet(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        kept: list[Up1] = []
        once = serving.answers
        serving.answers = lambda up1: kept.append(up1) or []  # type: ignore[func-returns-value]  # keep it, say nothing
        await planned(agent)
        await ticks(agent, clock, 5)
        await serving.until(lambda: len(kept) == 1)
        serving.answers = lambda up1: [*once(kept[0]), *once(up1)]
        await ticks(agent, clock, 5)
        await serving.until(lambda: len(serving.up2) == 1)
        await until(agent, lambda: agent.uplink.received >= 4)
        assert [up2.block for up2 in serving.up2] == [kept[0].block + 1]


@pytest.mark.parametrize("reason", ["speaks version 2; install the same major version of both"])
async def test_a_refused_agent_says_why_and_tries_again(tmp_path: Path, reason: str) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        serving.refusal = reason
        async with driven(serving.address, tmp_path, clock) as agent:
            await serving.until(lambda: len(serving.hellos) >= 2)
            await until(agent, lambda: reason in agent.uplink.state)
            assert not agent.uplink.up
            serving.refusal = ""
            await planned(agent)


async def test_a_refusal_is_logged_once_and_a_link_only_when_it_was_not_refused(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    reason = "shard gpu-0 is another host's; give each host its own"
    with capture_logs() as logs:
        async with aggregator() as serving:
            serving.refusal_of_inventory = reason
            async with driven(serving.address, tmp_path, clock) as agent:
                await serving.until(lambda: len(serving.inventories) >= 4)
                told = [entry["event"] for entry in logs if entry["event"].startswith("link")]
                assert told == ["link is down"]
                serving.refusal_of_inventory = ""
                await planned(agent)
                while logs[-1]["event"] != "link is up":  # noqa: ASYNC110  no event tells of logs
                    await asyncio.sleep(0.05)
    (down,) = (entry for entry in logs if entry["event"] == "link is down")
    assert reason in down["reason"]


async def test_an_error_that_nobody_foresaw_ends_the_link_and_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.agent.runtime.LINK_AGAIN", 0.01)
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        errors, states = [RuntimeError("nobody foresaw this")], []

        def fall_over() -> None:
            states.append(agent.uplink.state)
            if errors:
                raise errors.pop()

        with capture_logs() as logs:
            agent.uplink.on_change = fall_over
            await serving.say(ingest.FromAggregator())
            await serving.until(lambda: len(serving.hellos) == 2)
            await planned(agent)
        assert states[:2] == ["up", BROKEN]
        assert [entry["event"] for entry in logs].count("the link failed") == 1
        assert await ticks(agent, clock, RUNG) == 1
        await serving.until(lambda: len(serving.up2) == 1)


async def test_an_agent_that_is_superseded_ends_and_does_not_come_back(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        told = ingest.Superseded(by_instance=9)
        await serving.say(ingest.FromAggregator(superseded=told))
        await until(agent, lambda: agent.uplink.superseded)
        await serving.stop()
        await serving.start()
        await asyncio.wait(agent._tasks, timeout=20.0)  # noqa: SLF001  its link has ended
        assert all(task.done() for task in agent._tasks)  # noqa: SLF001  as above
        assert len(serving.hellos) == 1


async def test_what_an_aggregator_asks_for_is_sent_again(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        need = ingest.NeedInventory(version=agent.inventory.version)
        await serving.say(ingest.FromAggregator(need_inventory=need))
        await serving.until(lambda: len(serving.inventories) == 2)
        assert serving.inventories[0] == serving.inventories[1]


async def test_blocks_of_an_outage_are_not_bet_and_the_last_evidence_is_said_again(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        await blocks(agent, clock, serving, 4)
        await serving.stop()
        await until(agent, lambda: not agent.uplink.up)
        assert await ticks(agent, clock, 10) == 0
        assert agent.vitals().counters["blocks_without_link"] == 2
        await serving.start()
        await serving.until(lambda: len(serving.up2) == 5)
        assert serving.up2[4].block == serving.up2[3].block
        assert serving.up2[4].level.data == serving.up2[3].level.data
        assert serving.hellos[1].resumed
        assert serving.hellos[1].instance == serving.hellos[0].instance
        await planned(agent)
        assert await ticks(agent, clock, 5) == 1
        await serving.until(lambda: len(serving.up2) == 6)
        assert serving.up2[5].block == serving.up2[3].block + 3


async def test_raw_ticks_leave_the_host_when_they_are_asked_for(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        await ticks(agent, clock, 7)
        for number, shard in ((4, SHARDS[2]), (5, "gpu-99")):
            asked = ingest.RawTicksRequest(id=number, shard=shard)
            await serving.say(ingest.FromAggregator(raw_ticks_request=asked))
        await serving.until(lambda: len(serving.raw) == 2)
        told = decode.raw_ticks(serving.raw[0])
        assert serving.raw[0].id == 4
        assert told.at.tolist() == [STARTED + i for i in range(7)]
        assert told.values.shape == (7, 2)
        assert serving.raw[1].refused == "host host-0 has no shard 'gpu-99'"


async def test_rows_of_a_host_whose_clock_is_off_are_not_eligible(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        serving.ahead = 3.0
        await planned(agent)
        await agent.tick()
        await until(agent, lambda: agent.vitals().clock_offset == 3.0)
        assert np.isnan(serving.beats[0].clock_offset_seconds)
        clock.advance(1.0)
        await ticks(agent, clock, 4)
        await serving.until(lambda: bool(serving.up1))
        assert not serving.up1[0].eligible.any()


async def test_messages_that_make_no_sense_are_counted_and_the_link_stays(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        await planned(agent)
        before = agent.evidence.plan
        stranger = ingest.Plan(id=9, horizon_seconds=600.0)
        await serving.say(ingest.FromAggregator(plan=stranger))
        await serving.say(ingest.FromAggregator(down=ingest.Down(plan=1, rung=7, block=1)))
        await serving.say(ingest.FromAggregator())
        await until(agent, lambda: agent.vitals().counters["bad_messages"] == 2)
        assert agent.evidence.plan is before
        await ticks(agent, clock, 5)
        await serving.until(lambda: bool(serving.up2))


async def test_a_plan_that_lags_behind_is_not_taken_up_again(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving, driven(serving.address, tmp_path, clock) as agent:
        serving.plan = 3
        await planned(agent, 3)
        serving.plan = 2
        await serving.say(ingest.FromAggregator(need_inventory=ingest.NeedInventory(version=1)))
        await until(agent, lambda: agent.uplink.received >= 4)  # welcome, plan 3, the question, 2
        plan = agent.evidence.plan
        assert plan is not None
        assert plan.id == 3


def test_the_scripted_aggregator_answers_with_what_the_engine_calls_peers() -> None:
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    up1 = Up1("host-0", RUNG, 3, x, np.zeros_like(x), np.ones(5, dtype=np.bool_))
    (down,) = downs_of(up1)
    assert down.count_raw.tolist() == [5, 5]
    assert down.s3_raw[0].tolist() == [2.0, 4.0, 6.0]
    assert Aggregator().address == "127.0.0.1:0"


async def test_when_too_much_waits_history_goes_before_anything_live(tmp_path: Path) -> None:
    async with aggregator() as serving, driven(serving.address, tmp_path, ManualClock()) as agent:
        await planned(agent)
        uplink = agent.uplink
        up2 = ingest.FromAgent(up2=ingest.Up2(rung=RUNG))
        uplink.send(up2)
        uplink.send(ingest.FromAgent(history=ingest.History()))
        for _ in range(MOST_WAITING - 1):
            uplink.send(up2)
        assert uplink.dropped == {"history": 1}
        uplink.send(up2)
        assert uplink.dropped == {"history": 1, "up2": 1}
