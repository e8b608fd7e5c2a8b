import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

import grpc.aio
import numpy as np
import pytest

from tessera.proto import encode
from tessera.proto.schema import console, console_stub, ingest
from tessera.settings.clock import ManualClock

from .agents import START, Agent, inventory, received, serving, until, up1, up2
from .live import RUNG, Live


async def newest(address: str) -> console.View:
    """Return the view that a terminal which comes now is shown."""
    async with grpc.aio.insecure_channel(address) as channel:
        watching = console_stub(channel).Watch(console.WatchRequest())
        return await asyncio.wait_for(anext(aiter(watching)), 20)


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "tessera.db") as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def audit(folder: Path, kind: str) -> list[str]:
    return [str(text) for text, of in rows(folder, "SELECT text, kind FROM audit") if of == kind]


async def test_a_slow_shard_is_named_to_the_terminal_and_kept(tmp_path: Path) -> None:
    clock, hosts = ManualClock(START), ["h0", "h1", "h2"]
    async with (
        serving(tmp_path, clock, expect_hosts=3) as aggregator,
        Live(aggregator, clock, hosts) as live,
    ):
        done = await live.play(60, np.random.default_rng(1), slow=[(1, 3)])
        view = await newest(aggregator.address)
        assert {t.node for t in done} == {"h1-gpu-3"}
        assert [(v.node, v.id) for v in view.open] == [("h1-gpu-3", "v1")]
        kept = rows(tmp_path, "SELECT id, node, state FROM verdicts")
        assert kept == [("v1", "h1-gpu-3", "open")]
        row = [r.id for r in view.layout.rows].index("h1-gpu-3")
        evidence = np.frombuffer(view.log_e, "<f2")
        assert int(evidence.argmax()) == row


async def test_hosts_that_are_all_alike_open_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=3) as aggregator,
        Live(aggregator, clock, ["h0", "h1", "h2"]) as live,
    ):
        assert await live.play(60, np.random.default_rng(1)) == []
        view = await newest(aggregator.address)
        assert list(view.open) == []
        assert len(view.state) == len(view.layout.rows) > 24


async def test_before_the_fleet_is_formed_the_view_says_who_is_waited_for(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=3) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        view = await newest(aggregator.address)
        assert (view.waiting_hosts, view.state) == (2, b"")
        assert [h.name for h in view.hosts] == ["h0"]


async def test_a_host_that_says_nothing_is_shown_as_silent_and_as_back(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, gather_seconds=0) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        clock.advance(16.0)
        await aggregator.step()
        silent = await newest(aggregator.address)
        assert [(h.silent, h.heard_seconds) for h in silent.hosts] == [(True, 16.0)]
        assert set(silent.state) == {console.SILENT}
        await agent.say(heartbeat=ingest.Heartbeat(sent_ns=1))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        back = await newest(aggregator.address)
        assert [h.silent for h in back.hosts] == [False]
        assert console.SILENT not in back.state
    assert audit(tmp_path, "host")[-2:] == [
        "silent: not heard of for 16 s",
        "back: not heard of for 16 s",
    ]


async def test_a_silent_host_is_not_waited_for(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as speaks,
        Agent(aggregator.address, "h1") as falls_silent,
    ):
        for agent in (speaks, falls_silent):
            await agent.report()
            await until(received(aggregator, agent.host, 2))
        await aggregator.step()
        await speaks.plan()
        block = int(START // RUNG) + 4
        clock.advance(20.0)
        await speaks.say(heartbeat=ingest.Heartbeat(sent_ns=1))
        await speaks.say(up1=_up1_of("h0", block))
        await until(received(aggregator, "h0", 4))
        result = await aggregator.step()
        assert result is not None
        assert list(result.downs) == ["h0"]
        assert (await speaks.next("down")).down.block == block


async def test_a_host_that_is_alive_is_waited_for(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as first,
        Agent(aggregator.address, "h1") as second,
    ):
        for agent in (first, second):
            await agent.report()
            await until(received(aggregator, agent.host, 2))
        await aggregator.step()
        block = int(START // RUNG)
        await first.say(up1=_up1_of("h0", block))
        await until(received(aggregator, "h0", 3))
        result = await aggregator.step()
        assert result is not None
        assert result.downs == {}
        await second.say(up1=_up1_of("h1", block))
        await until(received(aggregator, "h1", 3))
        result = await aggregator.step()
        assert result is not None
        assert sorted(result.downs) == ["h0", "h1"]


def _up1_of(host: str, block: int) -> ingest.Up1:

    return encode.up1(up1(host, block))


async def test_a_host_that_joins_later_gets_a_plan_that_knows_it(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=1, gather_seconds=10) as aggregator,
        Agent(aggregator.address, "h0") as first,
        Agent(aggregator.address, "h1") as later,
    ):
        await first.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        before = await first.plan()
        await later.report()
        await until(received(aggregator, "h1", 2))
        await aggregator.step()
        assert [m for m in later.heard if m.HasField("plan")] == []
        clock.advance(10.0)
        await aggregator.step()
        plan = await later.plan()
        assert {row.shard for row in plan.shards} == {s.id for s in inventory("h1").shards}
        assert (await first.plan()).id > before.id
        view = await newest(aggregator.address)
        assert view.layout_version == 2


async def test_a_shard_that_has_left_is_gone_on_the_screen(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()

        await agent.say(inventory=encode.inventory(inventory("h0", shards=1, version=2)))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        view = await newest(aggregator.address)
        state = dict(zip([r.id for r in view.layout.rows], view.state, strict=True))
        assert state["h0-gpu-1"] == console.GONE
        assert state["h0-gpu-0"] != console.GONE


async def test_evidence_that_was_lost_begins_new_epochs_and_the_audit_says_why(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, expect_hosts=1) as aggregator:
        async with Agent(aggregator.address, "h0", 1) as first:
            await first.report()
            await until(received(aggregator, "h0", 2))
            await aggregator.step()
            before = await first.plan()
        async with Agent(aggregator.address, "h0", 2) as second:
            await second.hello(lost="the checkpoint\nis damaged")
            await second.say(inventory=_inventory("h0"))
            await until(received(aggregator, "h0", 2))
            await aggregator.step()
            after = await second.next("plan")
            while after.plan.id == before.id:  # what it had, until the new one is on disk
                after = await second.next("plan")
        assert min(r.epoch for r in after.plan.shards) > max(r.epoch for r in before.shards)
    assert "evidence lost: the checkpoint is damaged" in audit(tmp_path, "host")
    assert any("the checkpoint is damaged" in text for text in audit(tmp_path, "epoch"))


@pytest.mark.parametrize(("instance", "resumed"), [(1, False), (2, True)])
async def test_an_agent_that_goes_on_keeps_its_epochs(
    tmp_path: Path, instance: int, *, resumed: bool
) -> None:
    async with serving(tmp_path, expect_hosts=1) as aggregator:
        async with Agent(aggregator.address, "h0", 1) as first:
            await first.report()
            await until(received(aggregator, "h0", 2))
            await aggregator.step()
            before = await first.plan()
        async with Agent(aggregator.address, "h0", instance) as again:
            await again.hello(resumed=resumed)
            await again.say(inventory=_inventory("h0"))
            assert (await again.plan()).id == before.id
            await aggregator.step()
    assert audit(tmp_path, "epoch") == []


def _inventory(host: str) -> ingest.Inventory:

    return encode.inventory(inventory(host))


async def test_a_mad_agent_does_not_use_up_all_numbers(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        await agent.plan()
        await agent.say(up2=encode.up2(replace(up2("h0", 3), plan=2**63 - 1)))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        await agent.say(inventory=encode.inventory(inventory("h0", shards=3, version=2)))
        await until(received(aggregator, "h0", 4))
        aggregator_clock = aggregator.clock
        assert isinstance(aggregator_clock, ManualClock)
        aggregator_clock.advance(10.0)
        await aggregator.step()
        assert (await agent.plan()).id < 100


async def test_a_refused_host_that_tries_again_is_audited_once(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as first,
    ):
        await first.report()
        await until(received(aggregator, "h0", 2))
        stolen = replace(inventory("h0"), host="h1")
        for _ in range(3):
            async with Agent(aggregator.address, "h1") as second:
                await second.report(stolen)
                await second.next("refused")
        await aggregator.step()
    assert len([text for text in audit(tmp_path, "host") if "refused" in text]) == 1


async def test_facts_and_events_are_kept_and_audited(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await agent.say(
            fact=ingest.Fact(id=1, shard="h0-gpu-0", code="xid_79", detail="off the bus", at_ns=5)
        )
        await agent.say(event=ingest.Event(id=2, kind="driver_update", at_ns=6))
        await until(received(aggregator, "h0", 4))
        await aggregator.step()
        assert list((await agent.next("ack")).ack.facts) == [1]
        assert list((await agent.next("ack")).ack.events) == [2]
    assert audit(tmp_path, "fact") == ["raised xid_79 off the bus"]
    assert audit(tmp_path, "event") == ["driver_update"]
    assert rows(tmp_path, "SELECT host, word, id FROM facts ORDER BY id") == [
        ("h0", "fact", 1),
        ("h0", "event", 2),
    ]


async def test_evidence_of_a_later_plan_than_ours_moves_our_numbers_on(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        await agent.plan()

        await agent.say(up2=encode.up2(replace(up2("h0", 3), plan=70)))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        assert (await agent.plan()).id > 70


async def taken_over(folder: Path, silent: float) -> list[str]:
    """Let another host come with the shards of one that is silent; return the audit of hosts."""
    clock = ManualClock(START)
    moved = replace(inventory("h0"), host="again")
    async with (
        serving(folder, clock, gather_seconds=10) as aggregator,
        Agent(aggregator.address, "h0") as dead,
        Agent(aggregator.address, "again") as alive,
    ):
        await dead.report()
        await until(received(aggregator, "h0", 2))
        clock.advance(10.0)
        await aggregator.step()
        await dead.plan()
        clock.advance(silent - 10.0)
        await alive.report(moved)
        # The one that is served no more is told so by the end of its stream.
        await asyncio.wait_for((dead if silent > 60.0 else alive).ended.wait(), 20)
        clock.advance(10.0)
        await aggregator.step()
        view = await newest(aggregator.address)
        assert [host.name for host in view.hosts] == ["again" if silent > 60.0 else "h0"]
        if silent > 60.0:
            assert len((await alive.plan()).shards) == 2
    return audit(folder, "host")


async def test_shards_of_a_host_that_is_silent_for_a_minute_move_to_one_that_has_them_now(
    tmp_path: Path,
) -> None:
    said = await taken_over(tmp_path, 61.0)
    assert "moved from h0" in said
    assert [text for text in said if "refused" in text] == []
    assert any(text.endswith("moved from h0") for text in audit(tmp_path, "epoch"))
    assert rows(tmp_path, "SELECT host FROM hosts") == [("again",)]


async def test_shards_of_a_host_that_is_silent_for_less_do_not_move(tmp_path: Path) -> None:
    said = await taken_over(tmp_path, 59.0)
    assert "moved from h0" not in said
    assert any("or wait a minute if that machine is gone" in text for text in said)
    assert rows(tmp_path, "SELECT host FROM hosts") == [("h0",)]


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_after_the_clock_was_set_the_plan_is_told_again(
    tmp_path: Path, seconds: float
) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        before = await agent.plan()
        clock.step(seconds)
        await aggregator.step()
        assert (await agent.plan()).id > before.id
        await aggregator.step()
    assert audit(tmp_path, "aggregator") == ["started", f"clock set by {seconds:+.0f} s", "stopped"]


async def test_a_clock_that_is_steered_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        clock.step(4.0)
        await aggregator.step()
    assert audit(tmp_path, "aggregator") == ["started", "stopped"]


async def test_a_host_that_is_long_gone_is_forgotten_while_nothing_else_happens(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=2) as aggregator,
        Agent(aggregator.address, "h0") as stays,
        Agent(aggregator.address, "h1") as goes,
    ):
        for agent in (stays, goes):
            await agent.report()
            await until(received(aggregator, agent.host, 2))
        await aggregator.step()
        clock.advance(8 * 86_400.0)
        await stays.say(heartbeat=ingest.Heartbeat(sent_ns=1))
        await until(received(aggregator, "h0", 3))
        await aggregator.step()
        clock.advance(10.0)
        await aggregator.step()
        view = await newest(aggregator.address)
        assert [host.name for host in view.hosts] == ["h0"]
        assert {r.id for r in view.layout.rows if r.id.startswith("h1-gpu")} == set()
    assert "forgotten: not heard of for a week" in audit(tmp_path, "host")
