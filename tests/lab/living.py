"""Small fleets that live: recordings of a slow shard, and the agents and aggregator that hear them.

Apart, because the same fleet is replayed, run live, interrupted and taken up again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.recording import Recording
from tessera.adapters.recording_read import read_recording
from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.sources import SourceOptions, open_source
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.lab.live import Live

INTERVAL = 5.0  # seconds between readings: blocks are no shorter on the live path
BEGAN = 1_767_225_600.0
SLOW, ONSET = "host-02-gpu-1", 500  # ticks

SLOWS = Fault(SLOW, "step_time_seconds", "step", 0.10, ONSET, unit="fraction")

Floats = npt.NDArray[np.float64]
Values = dict[tuple[int, str, str], float]  # ln M by part, metric and node


@dataclass(frozen=True)
class Folders:
    """Where a recording is, and where those that play it live keep their state."""

    recording: Path
    state: Path


def record(
    folder: Path, *, ticks: int, seed: int = 7, fault: bool = True, slow: Sequence[Fault] = (SLOWS,)
) -> Folders:
    """Write a recording of 40 shards on five hosts, one of which becomes 10 % slower."""
    fleet = SyntheticFleet(FleetSpec(shards=40), seed, slow if fault else [])
    times = BEGAN + INTERVAL * np.arange(ticks, dtype=np.float64)
    outline = Outline(fleet.topology, fleet.names, fleet.metrics)
    write_recording(folder / "recording", outline, [Chunk(times, fleet.ticks(0, ticks))])
    return Folders(folder / "recording", folder / "state")


def live(folders: Folders, recording: Recording, baseline: Path | None = None) -> Live:
    """Return the fleet of ``recording`` as agents and an aggregator, at its first tick."""
    hosts = [n.id for n in recording.topology.nodes if n.kind == "host"]
    return Live(
        {
            h: open_source("recording", SourceOptions(recording=folders.recording, beneath=h))
            for h in hosts
        },
        folders.state,
        catalogue=default_catalogue(),
        topology=recording.topology,
        horizon=INTERVAL * len(recording.times),
        began=float(recording.times[0]),
        interval=INTERVAL,
        baseline=baseline,
    )


def read(folders: Folders) -> Recording:
    """Return the recording."""
    return read_recording(folders.recording)


async def run(fleet: Live, ticks: int) -> list[Transition]:
    """Let ``ticks`` pass; return the transitions."""
    return [transition for _ in range(ticks) for transition in await fleet.tick()]


def mind(fleet: Live) -> Pipeline:
    """Return the aggregator's pipeline."""
    found = fleet.aggregator.mind
    assert isinstance(found, Pipeline)
    return found


def values(pipeline: Pipeline) -> Values:
    """Return ln M of every part by name, so that two fleets can be compared."""
    fleet, log_m = pipeline.fleet, pipeline.log_m()
    return {
        (part, metric.name, node): float(log_m[part, column, row])
        for part in range(len(log_m))
        for column, metric in enumerate(fleet.metrics)
        for row, node in enumerate(fleet.rows)
    }
