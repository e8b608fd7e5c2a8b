"""What is counted on hosts says over the wire what it says in a replay."""

from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet
from tessera.lab.replay import Player
from tessera.lab.ticks import ticks_of

from .living import BEGAN, INTERVAL, Folders, live, mind, read, run, values

TICKS, ONSET, ILL = 720, 192, "host-02-gpu-1"


def record(folder: Path) -> Folders:
    """Write a recording of 40 shards on five hosts, one of which errs in every minute."""
    fleet = SyntheticFleet(FleetSpec(shards=40), 7, [])
    times = BEGAN + INTERVAL * np.arange(TICKS, dtype=np.float64)
    drawn = np.random.default_rng(8).random((TICKS, 40)) < 0.002
    errors = np.cumsum(drawn, axis=0).astype(np.float64)
    errors[ONSET:, fleet.names.index(ILL)] += np.arange(TICKS - ONSET) // 12
    both = np.concatenate([fleet.ticks(0, TICKS), errors[:, :, None]], axis=2)
    outline = Outline(fleet.topology, fleet.names, (*fleet.metrics, "pcie_replays"))
    write_recording(folder / "recording", outline, [Chunk(times, both)])
    return Folders(folder / "recording", folder / "state")


@pytest.mark.slow
async def test_counts_that_run_live_say_what_a_replay_says_to_the_last_bit(tmp_path: Path) -> None:
    folders = record(tmp_path)
    recording = read(folders)
    player = Player(recording, ticks_of(recording))
    expected = list(player.transitions())
    async with live(folders, recording) as fleet:
        found = await run(fleet, TICKS)
        told = values(mind(fleet))
    assert [(t.node, t.transition) for t in expected] == [(ILL, "opened"), (ILL, "promoted")]
    assert expected[0].family == "counts"
    assert found == expected
    assert told == values(player.lockstep.pipeline)
