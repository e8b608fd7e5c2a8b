"""Twenty seconds without an aggregator, and an agent that is killed twice in them."""

import shutil
import time
from asyncio import sleep
from contextlib import ExitStack
from pathlib import Path

import pytest

from tessera.agent.segments import Segments
from tessera.aggregator.state.past import gaps_of, values_of
from tessera.aggregator.state.store import Store
from tessera.lab.simulate import simulate

from .programs import agent, aggregator, look_until, wait_until

HOST, RUNG = "host-00", 5
PATIENCE = 30.0  # seconds of real time for what takes a few
AWAY = 20.0  # seconds


def blocks_of(folder: Path) -> set[int]:
    """Return the blocks of the shortest length that wait in an image of an agent's spool."""
    waiting = Segments(folder, 1 << 30)
    assert waiting.load(time.time()) == []
    return {
        block
        for segment in waiting
        for rung, first, last in segment.runs()
        for block in range(first, last + 1)
        if rung == RUNG
    }


def history(state: Path) -> list[int]:
    with Store(state / "aggregator" / "tessera.db").open_read() as opened:
        assert gaps_of(opened, HOST) == []
        return [values.block for values in values_of(opened, HOST, RUNG, 0, 2**60)]


async def two_seconds_into_a_block() -> None:
    await sleep((2.0 - time.time()) % RUNG)


@pytest.mark.slow
async def test_blocks_that_were_on_disk_at_a_kill_are_history_once(tmp_path: Path) -> None:
    recording, state, own = tmp_path / "recording", tmp_path / "state", tmp_path / HOST
    simulate.main([str(recording), "--shards", "8", "--ticks", "600"], standalone_mode=False)
    sealed: list[set[int]] = []
    with ExitStack() as stack:
        first, address = stack.enter_context(aggregator(state, "127.0.0.1:0", "--expect-hosts=1"))
        one = stack.enter_context(agent(HOST, recording, own, address))
        wait_until(one.log, "plan taken up")
        await look_until(address, lambda seen: max(seen.learned, default=0) > 1)
        first.kill()
        began = time.monotonic()
        for number in range(2):
            await sleep(RUNG)
            await two_seconds_into_a_block()
            one.kill()
            image = shutil.copytree(own / "agent" / "spool", tmp_path / f"image-{number}")
            sealed.append(blocks_of(Path(image)))
            one = stack.enter_context(agent(HOST, recording, own, address))
            wait_until(one.log, "evidence=resumed")
        await sleep(max(0.0, AWAY - (time.monotonic() - began)))
        second, _ = stack.enter_context(aggregator(state, address, "--expect-hosts=1"))
        await told(state, sealed[0] | sealed[1])
        assert [one.terminate(), second.terminate()] == [0, 0]
    found = history(state)
    assert len(sealed[0]) >= 2
    assert sealed[0] < sealed[1] < set(found)
    assert len(found) == len(set(found))


async def told(state: Path, wanted: set[int]) -> None:
    """Wait until these blocks are history."""
    until = time.monotonic() + PATIENCE
    while not wanted <= set(history(state)):
        assert time.monotonic() < until, f"only {history(state)} of {sorted(wanted)}"
        await sleep(0.5)
