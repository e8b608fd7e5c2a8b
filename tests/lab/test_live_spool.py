"""A fleet whose aggregator was away for ten minutes has all blocks of that time as history."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tessera.aggregator.state.past import PastValues, gaps_of, values_of
from tessera.lab.live import Live

from .living import BEGAN, INTERVAL, Folders, live, read, record, run
from .test_live_restart import killed

BEFORE, AWAY, AFTER = 47, 120, 60  # ticks of 5 s
KILLS = (31, 77)  # ticks of the outage at which an agent is killed,
RECORDED = 800  # ticks, of which not all are played: a horizon is an hour at least
DOWN = 3  # and ticks that it is down then
RUNG, HOST = 5, "host-01"
FIRST = int(BEGAN // RUNG)
FOR_EVER = 2**60


@contextmanager
def database(folders: Folders) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(folders.state / "aggregator" / "tessera.db")
    try:
        yield opened
    finally:
        opened.close()


def history(folders: Folders) -> dict[str, list[PastValues]]:
    """Return all blocks of the shortest length, by host."""
    with database(folders) as opened:
        hosts = [host for (host,) in opened.execute("SELECT DISTINCT host FROM history")]
        return {host: values_of(opened, host, RUNG, 0, FOR_EVER) for host in sorted(hosts)}


async def alone(fleet: Live, count: int) -> None:
    """Let ticks pass for the agents, while there is no aggregator."""
    for _ in range(count):
        fleet.clock.advance(INTERVAL)
        for agent in fleet.agents.values():
            await agent.tick()


async def lived(folders: Folders, *, disturbed: bool) -> None:
    """Let the fleet live, with an outage and two kills in it or without."""
    async with live(folders, read(folders)) as fleet:
        await run(fleet, BEFORE)
        if disturbed:
            with killed(folders.state / "aggregator"):
                await fleet.stop_aggregator()
            passed = 0
            for kill_at in KILLS:
                await alone(fleet, kill_at - passed)
                with killed(folders.state / "agents" / HOST):
                    await fleet.agents.pop(HOST).stop()
                await alone(fleet, DOWN)
                await fleet.start_agent(HOST)
                passed = kill_at + DOWN
            await alone(fleet, AWAY - passed)
            await fleet.start_aggregator()
            await fleet.come_to_rest()
            await run(fleet, AFTER)
        else:
            await run(fleet, AWAY + AFTER)


@pytest.mark.slow
async def test_history_has_each_block_that_was_sealed_once_whoever_was_killed(
    tmp_path: Path,
) -> None:
    whole = record(tmp_path, ticks=RECORDED)
    parted = Folders(whole.recording, tmp_path / "parted")
    await lived(whole, disturbed=False)
    await lived(parted, disturbed=True)
    all_of_them, found = history(whole), history(parted)
    assert len(found) == 5
    assert found.keys() == all_of_them.keys()
    every = set(range(FIRST, FIRST + BEFORE + AWAY + AFTER))
    down = {FIRST + BEFORE + at + n for at in KILLS for n in range(DOWN)}
    for host, blocks in found.items():
        numbers = [values.block for values in blocks]
        assert sorted(numbers) == sorted(every - down if host == HOST else every)
        theirs = {values.block: values for values in all_of_them[host]}
        for values in (v for v in blocks if v.block < FIRST + BEFORE + AWAY):
            assert values.inventory == theirs[values.block].inventory
            assert np.array_equal(values.x, theirs[values.block].x, equal_nan=True)
    with database(parted) as opened:
        assert [gaps_of(opened, host) for host in found] == [[]] * len(found)
