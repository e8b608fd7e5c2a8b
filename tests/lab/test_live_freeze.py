"""A freeze lives through the end of either side, and ends in a new epoch."""

from pathlib import Path

import numpy as np

from tessera.aggregator.state.standing import FROZEN
from tessera.lab.live import Live
from tessera.proto.messages import Freeze

from .living import BEGAN, INTERVAL, live, mind, read, record, run
from .test_live_restart import audited, killed

HOST = "host-01"
CALLED, OVER = 60, 140  # ticks


def frozen(fleet: Live) -> set[str]:
    """Return the nodes that a screen shows as frozen."""
    pipeline = mind(fleet)
    return {pipeline.fleet.rows[row] for row in np.flatnonzero(pipeline.standing().state == FROZEN)}


def learned(fleet: Live) -> set[int]:
    """Return how far the shards of the frozen host have come."""
    pipeline = mind(fleet)
    rows = [row for row, name in enumerate(pipeline.fleet.rows) if name.startswith(f"{HOST}-gpu")]
    return set(pipeline.standing().learned[rows].tolist())


async def test_a_freeze_outlives_aggregator_and_agent_and_ends_in_a_new_epoch(
    tmp_path: Path,
) -> None:
    folders = record(tmp_path, ticks=720, fault=False)
    whole = {HOST, *(f"{HOST}-gpu-{i}" for i in range(8))}
    async with live(folders, read(folders)) as fleet:
        await run(fleet, CALLED)
        until = BEGAN + OVER * INTERVAL
        mind(fleet).freeze(Freeze("f1", (HOST,), fleet.clock.now(), until, "firmware 2.1"))
        await run(fleet, 2)
        assert frozen(fleet) == whole
        before = learned(fleet)
        with killed(folders.state / "aggregator"):
            await fleet.stop_aggregator()
        await fleet.start_aggregator()
        await fleet.come_to_rest()
        await run(fleet, 10)
        await fleet.agents.pop(HOST).stop()
        await run(fleet, 5)
        await fleet.start_agent(HOST)
        await run(fleet, 20)
        assert frozen(fleet) == whole
        assert learned(fleet) == before
        await run(fleet, OVER - CALLED - 37 + 10)
        assert frozen(fleet) == set()
        assert max(learned(fleet)) < 65
    assert audited(folders, "freeze") == ["frozen: firmware 2.1", "over: firmware 2.1"]
