"""Faults that leave the mean where it is, each found by the family of scores that looks at it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.metric import Metric
from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.scored import with_scores
from tessera.adapters.sources import SourceOptions, open_source
from tessera.adapters.synthetic.faults import parse_fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet, null_fleet
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.lab.live import Live
from tessera.lab.lockstep import Lockstep

WEEK = 604_800.0
SHARDS, FAULTY = 32, "host-01-gpu-3"
BLOCK = 30  # seconds: all metrics at one rung, so that a play takes seconds
ONSET = 620 * BLOCK  # 200 blocks to learn, 400 to know each stream's own memory
WATCHED = 60 * BLOCK
AT_ONCE = 600  # ticks drawn at once


def columns(fleet: SyntheticFleet) -> tuple[Metric, ...]:
    catalogue = default_catalogue().with_override({"power_watts": {"fast": 30, "slow": 60}})
    return with_scores(map(catalogue.of, fleet.metrics))


def found(what: str, seed: int = 2) -> tuple[Lockstep, list[Transition]]:
    """Play the null of calibration (AR .9, shared steps and shocks) with a fault in one shard."""
    planted = [parse_fault(f"{FAULTY}:power_watts:{what}@{ONSET}")] if what else []
    fleet = SyntheticFleet(null_fleet(shards=SHARDS), seed, planted)
    made = Lockstep(
        fleet.topology,
        fleet.names,
        columns(fleet),
        interval=1.0,
        shortest=BLOCK,
        horizon=WEEK,
        fixed_rungs=True,
    )
    done: list[Transition] = []
    for start in range(0, ONSET + WATCHED, AT_ONCE):
        ticks = fleet.ticks(start, start + AT_ONCE)
        done += made.play((float(start + k), tick) for k, tick in enumerate(ticks))
    return made, done


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "family", "claim"),
    [
        ("spread*2.5", "spread", "the spread of power_watts has changed"),
        ("spread*.4", "spread", "the spread of power_watts has changed"),
        ("wave+1sd/6", "D oscillation", "power_watts oscillates more than it did"),
        ("spikes+6sd/25", "E spike", "power_watts has larger spikes than it had"),
    ],
)
def test_a_fault_that_leaves_the_mean_is_found_by_its_family_and_called_so(
    what: str, family: str, claim: str
) -> None:
    made, done = found(what)
    assert {t.node for t in done} == {FAULTY}
    (opened,) = [t for t in done if t.transition == "opened"]
    assert opened.family == family
    assert opened.reason.startswith(claim)
    assert opened.at - ONSET <= 30 * BLOCK
    told = made.pipeline.explain(FAULTY)
    strongest = max(told.parts, key=lambda part: part.log_m)
    assert strongest.family == family
    of_means = [part.log_m for part in told.parts if part.family == "A mean"]
    assert max(of_means) < 1.0  # nothing that a mean could see


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_its_healthy_twin_is_quiet_in_every_family(seed: int) -> None:
    made, done = found("", seed)
    assert done == []
    log_m = made.pipeline.log_m()[:, :, :SHARDS]
    assert (log_m.max(axis=(0, 2)) < np.log(20)).all()
    assert {cell.slow for cell in made.pipeline.planner.change.cells.values()} == {False, True}
    assert (made.evidence.inventory.metrics[1:]) == (
        "power_watts/oscillation",
        "power_watts/spike",
        "power_watts/spread",
    )


def abstained(pipeline: Pipeline) -> Sequence[str]:
    return [f"{a.scope} {a.channel} {a.reason}" for a in pipeline.abstained()]


async def test_scores_are_learned_live_as_in_a_replay(tmp_path: Path) -> None:
    fleet = SyntheticFleet(FleetSpec(shards=8, shards_per_host=4), 1)
    ticks = 4 * BLOCK
    outline = Outline(fleet.topology, fleet.names, fleet.metrics)
    chunk = Chunk(np.arange(ticks, dtype=np.float64), fleet.ticks(0, ticks))
    write_recording(tmp_path / "recording", outline, [chunk])
    hosts = [node.id for node in fleet.topology.nodes if node.kind == "host"]
    sources = {
        host: open_source(
            "recording", SourceOptions(recording=tmp_path / "recording", beneath=host)
        )
        for host in hosts
    }
    catalogue, topology = default_catalogue(), fleet.topology
    live = Live(sources, tmp_path / "state", catalogue=catalogue, topology=topology, horizon=WEEK)
    async with live:
        for _ in range(ticks):
            await live.tick()
        mind = live.aggregator.mind
        assert isinstance(mind, Pipeline)
        told = abstained(mind)
        played = [agent.uplink.dropped for agent in live.agents.values()]
    metrics = with_scores(map(catalogue.of, sorted(fleet.metrics)))
    replayed = Lockstep(topology, fleet.names, metrics, interval=1.0, shortest=5, horizon=WEEK)
    order = [fleet.metrics.index(name) for name in sorted(fleet.metrics)]
    done = list(
        replayed.play((float(at), t[:, order]) for at, t in enumerate(fleet.ticks(0, ticks)))
    )
    assert done == []
    assert any("scores of ticks: learning (4 of 200 blocks)" in line for line in told)
    assert told == abstained(replayed.pipeline)
    assert not any(played[0].values())
