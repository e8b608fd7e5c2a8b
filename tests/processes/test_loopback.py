import sqlite3
import time
from asyncio import sleep
from contextlib import ExitStack
from pathlib import Path

import pytest

from tessera.lab.simulate import simulate

from .programs import Program, agent, aggregator, view, wait_until

HOSTS = ("host-00", "host-01", "host-02")
SECONDS = 120  # of the wall clock
FRESH = 6.0  # seconds: heartbeats come each 5 s
CLOSE = 2.5  # seconds by which a view may be older than now


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recording"
    words = [str(folder), "--shards", "24", "--ticks", str(SECONDS + 60)]
    simulate.main(words, standalone_mode=False)
    return folder


@pytest.mark.slow
async def test_three_agents_and_an_aggregator_live_through_two_minutes(
    tmp_path: Path, recording: Path
) -> None:
    with ExitStack() as stack:
        serving, address = stack.enter_context(
            aggregator(tmp_path / "state", "127.0.0.1:0", "--expect-hosts", "3")
        )
        agents = [stack.enter_context(agent(h, recording, tmp_path / h, address)) for h in HOSTS]
        for host in HOSTS:
            wait_until(tmp_path / f"{host}.log", "plan taken up")
        learned, sequences = await watch(address, SECONDS)
        assert sequences == sorted(sequences)
        assert len(set(sequences)) > SECONDS / 2
        assert learned[-1] > learned[0]
        assert max(learned) >= SECONDS / 5 - 6  # blocks of 5 s, less those before the plan
        killed = agents.pop(0)
        killed.kill()
        again = stack.enter_context(agent(HOSTS[0], recording, tmp_path / HOSTS[0], address))
        wait_until(again.log, "resumed")
        assert [one.terminate() for one in (*agents, again, serving)] == [0, 0, 0, 0]
    nothing_is_left(tmp_path)


async def watch(address: str, seconds: float) -> tuple[list[int], list[int]]:
    """Look each second; return the blocks learned and the numbers of the views."""
    learned, sequences = [], []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await sleep(1.0)
        seen = await view(address)
        assert abs(time.time() - seen.at_ns / 1e9) < CLOSE
        assert {h.name for h in seen.hosts} == set(HOSTS)
        assert all(h.heard_seconds < FRESH and not h.silent for h in seen.hosts)
        learned.append(max(seen.learned))
        sequences.append(seen.sequence)
    return learned, sequences


def nothing_is_left(folder: Path) -> None:
    """Check that no draft and no lock stands, and that the database is whole."""
    left = [p for p in folder.rglob("*") if p.suffix in {".new", ".tmp", ".part"}]
    assert left == []
    database = folder / "state" / "aggregator" / "tessera.db"
    with sqlite3.connect(database) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    opened.close()
    assert not (database.parent / "lock").exists()


@pytest.mark.slow
async def test_an_aggregator_that_was_killed_comes_back_and_agents_find_it(
    tmp_path: Path, recording: Path
) -> None:
    with ExitStack() as stack:
        agents: list[Program] = []
        with aggregator(tmp_path / "state", "127.0.0.1:0", "--expect-hosts", "3") as (one, address):
            for host in HOSTS:
                playing = agent(host, recording, tmp_path / host, address)
                agents.append(stack.enter_context(playing))
            for host in HOSTS:
                wait_until(tmp_path / f"{host}.log", "plan taken up")
            await sleep(12.0)
            before = await view(address)
            one.kill()
        with aggregator(tmp_path / "state", address, "--expect-hosts", "3") as (two, _):
            await sleep(20.0)
            after = await view(address)
            assert max(after.learned) >= max(before.learned) > 0
            assert not any(host.silent for host in after.hosts)
            assert [one.terminate() for one in (*agents, two)] == [0, 0, 0, 0]
    nothing_is_left(tmp_path)
