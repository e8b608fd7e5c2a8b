import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tessera.aggregator.hosts import Hosts
from tessera.aggregator.ingest.bucket import Bucket
from tessera.aggregator.ingest.liveness import Liveness
from tessera.aggregator.ingest.session import Session
from tessera.aggregator.ingest.sessions import Sessions
from tessera.aggregator.ledger import Ledger
from tessera.aggregator.state.assembly import Assembly
from tessera.aggregator.state.store import Store
from tessera.aggregator.state.writer import Writer
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from .agents import START

UNSTORABLE = "\ud800"  # half of a character, which no database takes
FACT = ingest.Fact(id=7, shard="h0-gpu-0", code="xid_79", at_ns=5)


def nobody(*_: object) -> None:
    """Serve nobody."""


@asynccontextmanager
async def writing(folder: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    writer = Writer(Store(folder / "tessera.db"), nobody)
    await writer.start()
    ledger = Ledger(writer, clock)
    try:
        yield ledger
    finally:
        await ledger.close()
        await writer.stop()


async def test_what_follows_a_commit_is_done_though_something_before_it_failed(
    tmp_path: Path,
) -> None:
    done: list[str] = []

    def fail() -> None:
        message = "a defect"
        raise RuntimeError(message)

    async with writing(tmp_path, ManualClock(START)) as ledger:
        ledger.then(fail)
        ledger.then(lambda: done.append("beside it"))
        ledger.commit()
        await ledger.settled()
        ledger.then(lambda: done.append("after it"))
        ledger.commit()
        await ledger.settled()
    assert done == ["beside it", "after it"]


def desk(ledger: Ledger, clock: ManualClock) -> tuple[Hosts, Session]:
    """Return who takes facts, and the stream of a host that has some."""
    liveness, assembly, sessions = Liveness(clock, 15.0), Assembly(0, 10.0), Sessions(clock)
    hosts = Hosts(assembly, liveness, ledger, clock, sessions, served=nobody)
    return hosts, Session("h0", 1, Bucket(1.0, 1.0, 0.0), nobody)


async def test_a_fact_that_was_not_stored_is_stored_when_it_comes_again(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with writing(tmp_path, clock) as ledger:
        hosts, session = desk(ledger, clock)
        hosts.told(session, FACT)
        ledger.audit("host", "h0", UNSTORABLE)
        ledger.commit()
        await ledger.settled()
        assert (ledger.lost, session.sent) == (1, 0)
        hosts.told(session, FACT)
        ledger.commit()
        await ledger.settled()
        assert session.sent == 1
    with sqlite3.connect(tmp_path / "tessera.db") as connection:
        assert connection.execute("SELECT id FROM facts").fetchall() == [(7,)]
    connection.close()


async def test_a_fact_that_comes_again_before_it_is_stored_is_audited_once(
    tmp_path: Path,
) -> None:
    clock = ManualClock(START)
    async with writing(tmp_path, clock) as ledger:
        hosts, session = desk(ledger, clock)
        for _ in range(2):
            hosts.told(session, FACT)
        ledger.commit()
        await ledger.settled()
        hosts.told(session, FACT)
        ledger.commit()
        await ledger.settled()
        assert session.sent == 3  # each copy is acknowledged
    with sqlite3.connect(tmp_path / "tessera.db") as connection:
        assert connection.execute("SELECT text FROM audit").fetchall() == [("raised xid_79",)]
    connection.close()


async def test_a_copy_of_a_fact_whose_first_was_lost_is_not_acknowledged(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with writing(tmp_path, clock) as ledger:
        hosts, session = desk(ledger, clock)
        hosts.told(session, FACT)
        ledger.audit("host", "h0", UNSTORABLE)
        ledger.commit()
        hosts.told(session, FACT)  # before anybody knows that the first was lost
        ledger.commit()
        await ledger.settled()
        assert (ledger.lost, session.sent) == (1, 0)
