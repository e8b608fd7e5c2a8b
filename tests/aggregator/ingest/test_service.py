import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tessera.aggregator.ingest.sessions import BURST
from tessera.proto import encode
from tessera.proto.schema import MAJOR, MINOR, ingest
from tessera.settings.clock import ManualClock

from ..agents import START, Agent, inventory, received, serving, until, up1, up2


async def test_a_hello_is_answered_by_a_welcome(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.hello()
        welcome = (await agent.next("welcome")).welcome
        assert (welcome.major, welcome.heartbeat_seconds) == (MAJOR, 5.0)
        assert welcome.instance != 0


async def test_another_major_version_is_refused_in_one_line_that_names_both(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.hello(major=MAJOR + 1)
        reason = (await agent.next("refused")).refused.reason
        assert f"{MAJOR + 1}.0" in reason
        assert f"{MAJOR}.{MINOR}" in reason
        assert "\n" not in reason
        await asyncio.wait_for(agent.ended.wait(), 20)
        assert len(aggregator.sessions) == 0


@pytest.mark.parametrize("host", ["", "a\nb", "x" * 600])
async def test_a_host_without_a_usable_name_is_refused(tmp_path: Path, host: str) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, host) as agent:
        await agent.hello()
        assert "`host`" in (await agent.next("refused")).refused.reason


async def test_a_stream_that_begins_with_anything_else_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.say(heartbeat=ingest.Heartbeat(sent_ns=1))
        await agent.next("refused")
        assert len(aggregator.sessions) == 0


async def test_a_second_instance_supersedes_the_first(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as aggregator,
        Agent(aggregator.address, "h0", 1) as first,
        Agent(aggregator.address, "h0", 2) as second,
    ):
        await first.report()
        await second.report()
        assert (await first.next("superseded")).superseded.by_instance == 2
        await asyncio.wait_for(first.ended.wait(), 20)
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.instance == 2
        assert len(aggregator.sessions) == 1


async def test_the_same_instance_that_comes_again_takes_over_without_a_word(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as aggregator,
        Agent(aggregator.address, "h0", 1) as first,
        Agent(aggregator.address, "h0", 1) as again,
    ):
        await first.report()
        await again.report()
        await asyncio.wait_for(first.ended.wait(), 20)
        assert [m for m in first.heard if m.HasField("superseded")] == []


async def test_messages_of_an_unknown_inventory_are_dropped_and_it_is_asked_for_once(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        for block in (1, 2, 3):
            await agent.say(up1=encode.up1(up1("h0", block, version=9)))
        assert (await agent.next("need_inventory")).need_inventory.version == 9
        await until(received(aggregator, "h0", 5))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == 3
        assert [m for m in agent.heard if m.HasField("need_inventory")] == []
        await agent.say(inventory=encode.inventory(inventory("h0", version=9)))
        await agent.say(up1=encode.up1(up1("h0", 4, version=9)))
        await until(received(aggregator, "h0", 7))
        assert session.refused == 3


async def test_of_a_host_that_is_served_another_inventory_is_followed_with_its_plan(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        assert (await agent.plan()).inventory == 1
        await agent.say(inventory=encode.inventory(inventory("h0", shards=3, version=2)))
        await agent.say(up1=encode.up1(up1("h0", 1)))
        await until(received(aggregator, "h0", 4))
        await aggregator.step()
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == 0
        clock.advance(10.0)
        await aggregator.step()
        plan = await agent.plan()
        assert (plan.inventory, len(plan.shards)) == (2, 3)
        await agent.say(up1=encode.up1(up1("h0", 2, shards=3, version=2)))
        await agent.say(up1=encode.up1(up1("h0", 3)))
        await until(received(aggregator, "h0", 6))
        assert session.refused == 1  # the one of the former
        assert (await agent.next("need_inventory")).need_inventory.version == 1


async def test_a_former_inventory_says_what_messages_follow_and_claims_nothing(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.hello(resumed=True)
        await agent.next("welcome")
        await agent.say(inventory=encode.inventory(inventory("h0"), former=True))
        await agent.say(up2=encode.up2(up2("h0", 1)))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        assert aggregator.mind is None
        await agent.say(inventory=encode.inventory(inventory("h0", shards=3, version=2)))
        await until(received(aggregator, "h0", 4))
        await aggregator.step()
        plan = await agent.plan()
        assert (plan.inventory, len(plan.shards)) == (2, 3)
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == 0


async def test_numbers_of_a_host_that_waits_for_its_plan_are_heard(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.hello(resumed=True)
        await agent.next("welcome")
        await agent.say(inventory=encode.inventory(inventory("h0"), former=True))
        ahead = replace(up2("h0", 1), plan=900_000_000, inventory=1)
        await agent.say(up2=encode.up2(ahead))
        await agent.say(inventory=encode.inventory(inventory("h0", shards=3, version=2)))
        await until(received(aggregator, "h0", 4))
        await aggregator.step()
        await aggregator.step()
        plans = [await agent.plan()]
        while plans[-1].id <= ahead.plan:
            plans.append(await agent.plan())
        assert plans[-1].inventory == 2


async def test_a_host_whose_change_is_refused_is_served_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as one,
        Agent(aggregator.address, "h1") as other,
    ):
        for agent in (one, other):
            await agent.report()
            await until(received(aggregator, agent.host, 2))
        await aggregator.step()
        both = (*inventory("h0").shards, *inventory("h1").shards)
        stolen = replace(inventory("h0", version=2), shards=both)
        await one.say(inventory=encode.inventory(stolen))
        await one.say(up1=encode.up1(up1("h0", 1)))
        await until(received(aggregator, "h0", 4))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert not session.ended
        assert session.refused == 0
        clock.advance(20.0)
        await aggregator.step()
        assert aggregator.mind is not None
        assert aggregator.mind.fleet.shard_count == 4


async def test_a_bad_message_is_counted_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        bad = encode.up1(up1("h0", 1))
        bad.rung = 7
        await agent.say(up1=bad)
        await agent.say(up2=encode.up2(up2("h0", 1, shards=3)))  # of three shards, it has two
        await agent.say(heartbeat=ingest.Heartbeat(sent_ns=5))
        assert (await agent.next("ack")).ack.heartbeat_ns == 5
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == 2


@pytest.mark.parametrize(("late", "refused"), [(-5.0, 0), (1.0, 0), (2.0, 1), (3600.0, 1)])
async def test_a_block_that_has_not_begun_yet_is_refused_and_counted(
    tmp_path: Path, late: float, refused: int
) -> None:
    clock, block = ManualClock(START), int(START // 5)
    clock.step(-late)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(up1=encode.up1(up1("h0", block)))
        await until(received(aggregator, "h0", 3))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == refused


async def test_an_inventory_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.hello()
        twice = encode.inventory(inventory("h0"))
        twice.shards.append(twice.shards[0])
        await agent.say(inventory=twice)
        reason = (await agent.next("refused")).refused.reason
        assert "h0-gpu-0" in reason
        assert "\n" not in reason
        await asyncio.wait_for(agent.ended.wait(), 20)


async def test_an_inventory_of_another_host_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report(inventory("h1"))
        assert "h1" in (await agent.next("refused")).refused.reason


async def test_a_shard_that_another_host_has_claimed_is_refused_to_the_later(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path) as aggregator,
        Agent(aggregator.address, "h0") as first,
        Agent(aggregator.address, "h1") as second,
    ):
        await first.report()
        await until(received(aggregator, "h0", 2))
        stolen = inventory("h0").shards
        await second.report(inventory("h1").__class__("h1", 1, stolen, ("step_time_seconds",)))
        reason = (await second.next("refused")).refused.reason
        assert "h0-gpu-0" in reason
        assert "host h0" in reason
        assert aggregator.sessions.of("h0") is not None


async def test_a_heartbeat_is_answered_with_the_aggregators_clock(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(heartbeat=ingest.Heartbeat(sent_ns=123))
        ack = (await agent.next("ack")).ack
        assert (ack.heartbeat_ns, ack.received_ns) == (123, 1_700_000_000 * 10**9)


async def test_more_than_the_burst_is_dropped_and_counted(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        extra = 25
        for _ in range(int(BURST) + extra):
            await agent.say(event=ingest.Event())  # the clock stands still: none comes back
        await until(received(aggregator, "h0", int(BURST) + extra + 2))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.dropped == extra + 1  # the inventory took one of the burst


async def test_a_fact_is_acknowledged_once_it_is_stored(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(fact=ingest.Fact(id=7, shard="h0-gpu-0", code="xid_79", at_ns=10**18))
        await until(received(aggregator, "h0", 3))
        assert [m for m in agent.heard if m.HasField("ack")] == []
        await aggregator.step()
        assert list((await agent.next("ack")).ack.facts) == [7]


async def test_a_fact_that_comes_again_is_acknowledged_again_and_kept_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        for _ in range(2):
            await agent.say(fact=ingest.Fact(id=7, shard="h0-gpu-0", code="xid_79", at_ns=10**18))
        await until(received(aggregator, "h0", 4))
        await aggregator.step()
        assert list((await agent.next("ack")).ack.facts) == [7]
        assert list((await agent.next("ack")).ack.facts) == [7]


async def test_both_ends_agree_on_what_was_sent_and_received(tmp_path: Path) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(heartbeat=ingest.Heartbeat(sent_ns=1))
        await agent.next("ack")
        await until(received(aggregator, "h0", 3))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert (session.sent, session.received) == (2, 3)  # a welcome and an ack; three heard


async def test_three_hundred_that_connect_at_once_are_all_served(tmp_path: Path) -> None:
    async with serving(tmp_path, gather_seconds=0) as aggregator:
        agents = [Agent(aggregator.address, f"h{i:03}") for i in range(300)]

        async def connect(agent: Agent) -> None:
            async with agent:
                await agent.report()
                await agent.plan()

        storm = [asyncio.create_task(connect(agent)) for agent in agents]
        await until(lambda: len(aggregator.sessions) == 300)
        for agent in agents:
            await until(received(aggregator, agent.host, 2))
        await aggregator.step()
        await asyncio.gather(*storm)


async def test_a_shard_of_an_unknown_kind_is_refused_in_a_line_that_lists_the_kinds(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        held = inventory("h0")
        odd = replace(held.shards[1], kind="toaster")
        await agent.report(replace(held, shards=(held.shards[0], odd)))
        reason = (await agent.next("refused")).refused.reason
        assert reason.startswith("shard h0-gpu-1 is of kind 'toaster'; the kinds are gpu_shard, ")
        await aggregator.step()
        assert f"refused: {reason}" in audited(tmp_path)


async def test_a_second_instance_that_takes_the_place_of_the_first_is_audited(
    tmp_path: Path,
) -> None:
    async with (
        serving(tmp_path) as aggregator,
        Agent(aggregator.address, "h0", 5) as first,
        Agent(aggregator.address, "h0", 0x1B) as second,
    ):
        await first.report()
        await second.report()
        assert (await first.next("superseded")).superseded.by_instance == 0x1B
        await aggregator.step()
        text = "superseded: instance 0000000000000005 by instance 000000000000001b"
        assert audited(tmp_path).count(text) == 1


async def test_an_instance_that_comes_again_supersedes_nobody(tmp_path: Path) -> None:
    async with (
        serving(tmp_path) as aggregator,
        Agent(aggregator.address, "h0", 5) as first,
        Agent(aggregator.address, "h0", 5) as again,
    ):
        await first.report()
        await again.report()
        await aggregator.step()
        assert [text for text in audited(tmp_path) if "superseded" in text] == []


def audited(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "tessera.db") as connection:
        found = [str(text) for (text,) in connection.execute("SELECT text FROM audit")]
    connection.close()
    return found
