import signal
import sqlite3
import time
from asyncio import sleep
from contextlib import ExitStack
from pathlib import Path

import pytest

from tessera.lab.simulate import simulate
from tessera.proto.schema import console

from .programs import Program, agent, aggregator, look_until, view, wait_until

HOSTS = ("host-00", "host-01", "host-02")
SLOW, ON = "host-01-gpu-3", "host-01"  # the shard that is slow, and its host
SECONDS = 120  # of the wall clock
BY_THEN = 170.0  # seconds after which the verdict has to be open
FRESH = 6.0  # seconds: heartbeats come each 5 s
CLOSE = 2.5  # seconds by which a view may be older than now
STOPPED = 20.0  # seconds for which an agent stands still
FORGOTTEN = 10.0  # seconds of silence that are no late heartbeat


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recording"
    slow = f"{SLOW}:step_time_seconds:+25%@0"
    words = [str(folder), "--shards", "24", "--ticks", "600", "--fault", slow]
    simulate.main(words, standalone_mode=False)
    return folder


@pytest.mark.slow
async def test_a_slow_shard_is_found_and_stays_found_whoever_is_killed(
    tmp_path: Path, recording: Path
) -> None:
    options = ("--expect-hosts", "3", "--horizon", "3600")
    state = tmp_path / "state"
    with ExitStack() as stack:
        first, address = stack.enter_context(aggregator(state, "127.0.0.1:0", *options))
        agents = {h: stack.enter_context(agent(h, recording, tmp_path / h, address)) for h in HOSTS}
        for host in HOSTS:
            wait_until(tmp_path / f"{host}.log", "plan taken up")
        began = time.monotonic()
        await all_is_well(address, SECONDS)
        found = await opened(address, BY_THEN - (time.monotonic() - began))

        first.kill()
        serving, _ = stack.enter_context(aggregator(state, address, *options))
        await same_verdict(address, found)

        agents[ON].kill()
        agents[ON] = stack.enter_context(agent(ON, recording, tmp_path / ON, address))
        wait_until(agents[ON].log, "evidence=resumed")
        await same_verdict(address, found)

        await stands_still(agents["host-02"], "host-02", address)
        await same_verdict(address, found)
        assert [one.terminate() for one in (*agents.values(), serving)] == [0, 0, 0, 0]
    nothing_is_left(tmp_path)


async def all_is_well(address: str, seconds: float) -> None:
    """Look each second: views are new, hosts are heard, and blocks are learned."""
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
    assert sequences == sorted(sequences)
    assert len(set(sequences)) > seconds / 2
    assert learned[-1] > learned[0]
    assert max(learned) >= seconds / 5 - 6  # blocks of 5 s, less those before the plan


def of_shards(seen: console.View) -> list[console.Verdict]:
    return [verdict for verdict in seen.open if verdict.level == "shard"]


async def opened(address: str, within: float) -> console.Verdict:
    """Return the verdict on the slow shard, the only one on any shard."""
    seen = await look_until(address, lambda seen: bool(of_shards(seen)), within)
    (verdict,) = of_shards(seen)
    assert (verdict.node, verdict.channel) == (SLOW, "level")
    assert "step_time_seconds" in verdict.metrics
    return verdict


async def same_verdict(address: str, found: console.Verdict) -> None:
    """Check that once every host is heard and blocks are bet again, ``found`` alone is open."""
    before = max((await view(address)).learned)

    def lives(seen: console.View) -> bool:
        heard = {h.name for h in seen.hosts if h.heard_seconds < FRESH and not h.silent}
        return heard == set(HOSTS) and max(seen.learned) > before

    seen = await look_until(address, lives)
    assert [verdict.id for verdict in of_shards(seen)] == [found.id]


async def stands_still(one: Program, host: str, address: str) -> None:
    """Stop a process for a while: its host's age grows, it is silent, and it comes back."""

    def stale(seen: console.View) -> bool:
        return any(h.name == host and h.silent and h.heard_seconds > FORGOTTEN for h in seen.hosts)

    one.process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + STOPPED
    try:
        await look_until(address, stale)
        await sleep(max(0.0, until - time.monotonic()))
    finally:
        one.process.send_signal(signal.SIGCONT)
    await look_until(address, lambda seen: not any(h.silent for h in seen.hosts))


def nothing_is_left(folder: Path) -> None:
    """Check that no draft stands, that nobody holds the folder, and that the database is whole."""
    left = [p for p in folder.rglob("*") if p.suffix in {".new", ".tmp", ".part"}]
    assert left == []
    database = folder / "state" / "aggregator" / "tessera.db"
    with sqlite3.connect(database) as opened_:
        assert opened_.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    opened_.close()
    assert (database.parent / "lock").read_bytes() == b""


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
            before = await look_until(address, lambda seen: max(seen.learned, default=0) > 0)
            one.kill()
        with aggregator(tmp_path / "state", address, "--expect-hosts", "3") as (two, _):
            after = await look_until(
                address, lambda seen: max(seen.learned, default=0) > max(before.learned)
            )
            assert not any(host.silent for host in after.hosts)
            assert [one.terminate() for one in (*agents, two)] == [0, 0, 0, 0]
    nothing_is_left(tmp_path)
