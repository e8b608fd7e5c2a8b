"""Whatever way block values come, they are history once, and the Ack comes after the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tessera.aggregator.ingest.past import SELDOM, SOON, Past
from tessera.aggregator.ingest.sessions import Sessions
from tessera.aggregator.ledger import Ledger
from tessera.aggregator.runtime import Aggregator
from tessera.aggregator.state.past import PastValues, gaps_of, values_of
from tessera.aggregator.state.records import GapRecord
from tessera.aggregator.state.store import Store
from tessera.aggregator.state.writer import Writer
from tessera.proto import encode
from tessera.proto.messages import Inventory
from tessera.proto.pack import pack
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from ..agents import START, Agent, inventory, received, serving, until, up1

NOW = int(START // 5)  # block


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with Store(folder / "tessera.db").open_read() as opened:
        yield opened


def history(folder: Path, host: str = "h0") -> list[PastValues]:
    with database(folder) as opened:
        return values_of(opened, host, 5, 0, 2**60)


def gaps(folder: Path, host: str = "h0") -> list[GapRecord]:
    with database(folder) as opened:
        return gaps_of(opened, host)


def kept(
    *blocks: int, version: int = 1, shards: int = 2, told: Inventory | None = None
) -> ingest.History:
    """Return history of ``blocks`` whose values are their numbers."""
    return ingest.History(
        inventory=version,
        told=None if told is None else encode.inventory(told),
        blocks=[
            ingest.PastBlock(
                rung=5,
                block=block,
                x=pack(np.full((shards, 1), block, dtype=np.float32), np.float32),
            )
            for block in blocks
        ],
    )


def spans(ack: ingest.Ack) -> list[tuple[int, int, int]]:
    return [(span.rung, span.from_block, span.to_block) for span in ack.blocks]


async def acked(
    aggregator: Aggregator, clock: ManualClock, agent: Agent, seconds: float
) -> ingest.Ack:
    """Let the aggregator come to write; return the Ack that follows."""
    clock.advance(seconds)
    await aggregator.step()
    return (await agent.next("ack")).ack


async def test_live_values_are_history_within_minutes_and_acknowledged_together(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        for block in (NOW - 3, NOW - 2, NOW):
            await agent.say(up1=encode.up1(up1("h0", block)))
        await until(received(aggregator, "h0", 5))
        clock.advance(SELDOM / 2 - 1)
        await aggregator.step()
        assert history(tmp_path) == []
        ack = await acked(aggregator, clock, agent, SELDOM / 2 + 1)
        assert spans(ack) == [(5, NOW - 3, NOW - 2), (5, NOW, NOW)]
        found = history(tmp_path)
    assert [values.block for values in found] == [NOW - 3, NOW - 2, NOW]
    assert found[0].inventory == encode.inventory(inventory("h0")).SerializeToString()


async def test_kept_values_are_history_before_they_are_acknowledged(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(history=kept(11, 12))
        await until(received(aggregator, "h0", 3))
        assert [m for m in agent.heard if m.HasField("ack")] == []
        ack = await acked(aggregator, clock, agent, SOON)
        assert spans(ack) == [(5, 11, 12)]
        assert [float(values.x[0, 0]) for values in history(tmp_path)] == [11.0, 12.0]


async def test_what_comes_twice_is_history_once_also_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(START)
    for _ in range(2):
        async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
            await agent.report()
            await agent.say(up1=encode.up1(up1("h0", NOW)))
            await agent.say(history=kept(NOW, NOW - 1))
            await agent.say(history=kept(NOW - 1))
            await until(received(aggregator, "h0", 5))
            assert spans(await acked(aggregator, clock, agent, SELDOM)) == [(5, NOW - 1, NOW)]
    assert [values.block for values in history(tmp_path)] == [NOW - 1, NOW]


async def test_an_aggregator_that_stops_in_good_order_writes_what_came_live(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(up1=encode.up1(up1("h0", NOW)))
        await until(received(aggregator, "h0", 3))
    assert [values.block for values in history(tmp_path)] == [NOW]


async def test_history_of_a_former_inventory_is_kept_under_it(tmp_path: Path) -> None:
    clock, former = ManualClock(START), inventory("h0", shards=3, version=1)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report(inventory("h0", shards=2, version=2))
        await agent.say(history=kept(11, version=1, shards=3, told=former))
        await agent.say(history=kept(12, version=2))
        await until(received(aggregator, "h0", 4))
        await acked(aggregator, clock, agent, SOON)
        found = history(tmp_path)
    assert [len(values.x) for values in found] == [3, 2]
    assert found[0].inventory == encode.inventory(former).SerializeToString()
    assert found[1].inventory != found[0].inventory


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (kept(11, shards=3), "has shape"),
        (kept(NOW + 10), "it begins in 50 s"),
        (kept(11, told=inventory("h1")), "inventory is not known"),
        (kept(11, told=Inventory("", 1, (), ())), "inventory is not known"),
    ],
)
async def test_a_block_that_makes_no_sense_becomes_a_gap_and_does_not_come_for_ever(
    tmp_path: Path, bad: ingest.History, why: str
) -> None:
    clock = ManualClock(START)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(history=bad)
        await until(received(aggregator, "h0", 3))
        block = bad.blocks[0].block
        assert spans(await acked(aggregator, clock, agent, SOON)) == [(5, block, block)]
        assert history(tmp_path) == []
        (gap,) = gaps(tmp_path)
    assert (gap.rung, gap.first, gap.last) == (5, block, block)
    assert why in gap.reason


async def test_history_under_an_inventory_that_this_stream_has_not_is_refused_and_counted(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        await agent.say(history=kept(11, version=9))
        await until(received(aggregator, "h0", 3))
        session = aggregator.sessions.of("h0")
        assert session is not None
        assert session.refused == 1


async def test_a_gap_is_kept_audited_and_acknowledged_once_it_is(tmp_path: Path) -> None:
    clock = ManualClock(START)
    gap = ingest.Gap(id=7, rung=5, from_block=100, to_block=180, reason="spool full")
    async with serving(tmp_path, clock) as aggregator, Agent(aggregator.address, "h0") as agent:
        await agent.report()
        for _ in range(2):
            await agent.say(history=ingest.History(gaps=[gap]))
        await until(received(aggregator, "h0", 4))
        ack = await acked(aggregator, clock, agent, SOON)
        assert set(ack.gaps) == {7}
        assert gaps(tmp_path) == [GapRecord("h0", 5, 100, 180, "spool full")]
        await aggregator.step()
        with database(tmp_path) as opened:
            query = "SELECT text FROM audit WHERE node = 'h0' AND kind = 'history'"
            (text,) = set(opened.execute(query).fetchall())
    assert text == ("no history of blocks 100 to 180 of 5 s: spool full",)


async def test_history_is_kept_for_so_many_hours(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, history_hours=1.0) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await agent.report()
        await agent.say(history=kept(11))
        await until(received(aggregator, "h0", 3))
        await acked(aggregator, clock, agent, SOON)
        clock.advance(3601.0)
        await agent.say(history=kept(12))
        await until(received(aggregator, "h0", 4))
        await acked(aggregator, clock, agent, SOON)
        assert [values.block for values in history(tmp_path)] == [12]


async def test_beyond_what_may_wait_hosts_keep_what_they_have_until_there_is_room(
    tmp_path: Path,
) -> None:
    clock, held = ManualClock(START), inventory("h0")
    sessions = Sessions(clock)
    session = sessions.open("h0", 1)
    writer = Writer(Store(tmp_path / "tessera.db"), lambda _: None)
    await writer.start()
    ledger = Ledger(writer, clock)
    past = Past(clock, sessions, ledger, 3600.0, most=24)  # three blocks of two values
    past.tell("h0", held, kept(1, 2))
    past.live("h0", held, encode.up1(up1("h0", 3)))
    past.tell("h0", held, kept(4))
    past.live("h0", held, encode.up1(up1("h0", 5)))
    for stored in ([(5, 1, 3)], [(5, 4, 5)]):
        clock.advance(SELDOM)
        past.flush()
        await ledger.settled()
        ack = await session.next()
        assert ack is not None
        assert spans(ack.ack) == stored
        past.tell("h0", held, kept(4, 5))  # what nobody acknowledged comes again
    await ledger.close()
    await writer.stop()
    assert [values.block for values in history(tmp_path)] == [1, 2, 3, 4, 5]


async def test_what_could_not_be_stored_is_not_acknowledged(tmp_path: Path) -> None:
    clock, strange = ManualClock(START), "\ud800"  # half of a character, which no database takes
    sessions = Sessions(clock)
    opened = {host: sessions.open(host, 1) for host in ("h0", strange)}
    writer = Writer(Store(tmp_path / "tessera.db"), lambda _: None)
    await writer.start()
    ledger = Ledger(writer, clock)
    past = Past(clock, sessions, ledger, 3600.0)
    for host in opened:
        past.tell(host, inventory("h0"), kept(1))
        clock.advance(SOON)
        past.flush()
        await ledger.settled()
    assert (opened["h0"].sent, opened[strange].sent, ledger.lost) == (1, 0, 1)
    await ledger.close()
    await writer.stop()
