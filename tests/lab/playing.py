"""Recordings for tests of `tessera replay`, and the command line that plays them.

Apart, because the real recording, its variants and the synthetic ones are played alike.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from tessera.adapters.recording import Recording
from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import SyntheticFleet, straggler
from tessera.adapters.topology.model import Topology
from tessera.lab.__main__ import main

Floats = npt.NDArray[np.float64]
Line = dict[str, object]

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "straggler-ar"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/straggler-ar is absent")
SLOWED = "dp00-pp0"  # the worker that was slowed on purpose


@dataclass(frozen=True)
class Told:
    """What a replay with --json told, line by line."""

    lines: list[Line]

    @property
    def verdicts(self) -> list[Line]:
        return [line for line in self.lines if line["type"] == "verdict"]

    @property
    def summary(self) -> Line:
        return self.lines[-1]

    @property
    def open(self) -> object:
        return self.summary["open"]

    def opened_at(self, node: str) -> float:
        """Return the tick at which ``node`` was the only one to open."""
        (line,) = (v for v in self.verdicts if v["transition"] == "opened")
        assert line["node"] == node
        at = line["tick"]
        assert isinstance(at, (int, float))
        return at

    def reasons(self, channel: str) -> set[object]:
        abstained = self.summary["abstained"]
        assert isinstance(abstained, list)
        return {a["reason"] for a in abstained if a["channel"] == channel}


def run(folder: Path, *options: str) -> Result:
    """Run `tessera replay FOLDER OPTIONS` in this process."""
    return CliRunner().invoke(main, ["replay", str(folder), *options])


def play(folder: Path, *options: str) -> Told:
    """Replay a sound recording and return what was told."""
    result = run(folder, "--json", *options)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return Told([json.loads(line) for line in result.stdout.splitlines()])


def told_by_a_process(folder: Path, hash_seed: str) -> bytes:
    """Replay in a process of its own and return what it wrote."""
    command = [sys.executable, "-m", "tessera.lab", "replay", str(folder), "--json"]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert done.stderr == b""
    return done.stdout


def refusal(folder: Path, *options: str) -> str:
    """Replay a bad recording and return the one line that says why it was not played."""
    result = run(folder, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("tessera replay: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.rstrip()


def flat(shards: Sequence[str], role: str = "worker") -> dict[str, object]:
    """Return topology.json of one cluster with equal shards."""
    about = {"sku": "gpu", "job": "train", "role": role}
    nodes = [{"id": name, "kind": "gpu_shard", "metadata": about} for name in shards]
    edges = [{"from": "cluster", "to": name, "relationship": "contains"} for name in shards]
    return {"nodes": [{"id": "cluster", "kind": "cluster"}, *nodes], "edges": edges}


def rows(values: Floats, metric: str = "step_time_seconds", *, every: float = 1.0) -> str:
    """Return readings.csv of ``values`` (T, S) of shards g0, g1, …; NaN leaves the value empty."""
    lines = [
        f"{tick * every:g},g{shard},{metric},{'' if np.isnan(value) else repr(float(value))}"
        for tick, of_tick in enumerate(values)
        for shard, value in enumerate(of_tick)
    ]
    return "\n".join(["t,shard,metric,value", *lines, ""])


def small(folder: Path, readings: str, shards: int = 4, **files: object) -> Path:
    """Write readings.csv of shards g0, g1, … and other files: text as it is, the rest as JSON."""
    folder.mkdir(exist_ok=True)
    names = [f"g{i}" for i in range(shards)]
    (folder / "topology.json").write_text(json.dumps(flat(names)))
    (folder / "readings.csv").write_text(readings)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        suffix = "csv" if name == "facts" else "json"
        (folder / f"{name}.{suffix}").write_text(text)
    return folder


def noise(ticks: int, shards: int = 4, *, seed: int = 1, spread: float = 0.01) -> Floats:
    """Return ``ticks`` readings around 1 of ``shards`` equals, lognormal."""
    return np.exp(np.random.default_rng(seed).normal(0.0, spread, (ticks, shards)))


def rewrite(out: Path, recording: Recording, values: Floats) -> Path:
    """Write ``recording`` with other ``values`` (T, S, M) to the folder ``out``."""
    outline = Outline(recording.topology, recording.shards, recording.metrics)
    write_recording(out, outline, [Chunk(recording.times, values)], packed=False)
    return out


def healed(recording: Recording, shard: str = SLOWED) -> Floats:
    """Return the readings with ``shard`` at the level of its role's other workers."""
    about = recording.topology.node
    role = about(shard).metadata["role"]
    own = recording.shards.index(shard)
    peers = [
        i
        for i, name in enumerate(recording.shards)
        if i != own and about(name).metadata["role"] == role
    ]
    medians = np.median(recording.values, axis=0)  # (S, M)
    values = recording.values.copy()
    values[:, own] *= np.median(medians[peers], axis=0) / medians[own]
    return values


def without(recording: Recording, shard: str) -> Recording:
    """Return the recording as if ``shard`` had never been there."""
    graph = recording.topology
    topology = Topology(
        tuple(node for node in graph.nodes if node.id != shard),
        tuple(edge for edge in graph.edges if shard not in {edge.source, edge.target}),
    )
    kept = [recording.shards.index(name) for name in topology.shards]
    return replace(
        recording, topology=topology, shards=topology.shards, values=recording.values[:, kept]
    )


def pipeline_job(
    out: Path, faults: Sequence[Fault] = (), *, ticks: int = 300, seed: int = 1, workers: int = 16
) -> Path:
    """Write a synthetic recording of the real one's shape: four stages of four workers."""
    spec, _ = straggler(shards=workers)
    return synthetic(out, SyntheticFleet(spec, seed, faults), ticks)


def synthetic(out: Path, fleet: SyntheticFleet, ticks: int) -> Path:
    """Write the first ``ticks`` of a synthetic fleet."""
    outline = Outline(fleet.topology, fleet.names, fleet.metrics)
    times = np.arange(ticks, dtype=np.float64)
    write_recording(out, outline, [Chunk(times, fleet.ticks(0, ticks))], packed=False)
    return out


def slower(node: str, share: float, onset: int = 0) -> Fault:
    """Return a fault that makes ``node`` slower by ``share`` in every metric."""
    return Fault(node, "*", "step", share, onset, unit="fraction")
