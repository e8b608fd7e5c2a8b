"""What shows in no mean is found by its own family, on the path from ticks to verdicts."""

import numpy as np
import pytest

from tessera.adapters.catalogue import Metric, default_catalogue
from tessera.adapters.scored import with_scores
from tessera.adapters.topology.model import Edge, Node, Topology
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.state.checkpoint import pack, unpack
from tessera.engine.arrays import Floats
from tessera.lab.lockstep import Lockstep

SHARDS, INTERVAL, WEEK = 40, 5.0, 604_800.0
NAMES = [f"gpu-{i:02d}" for i in range(SHARDS)]
ILL = 7


def topology() -> Topology:
    about = {"sku": "h100", "job": "train", "role": "worker"}
    nodes = (Node("pod", "rack"), *(Node(name, "gpu_shard", about) for name in NAMES))
    return Topology(nodes, tuple(Edge("pod", name, "contains") for name in NAMES))


def lockstep(*metrics: Metric) -> Lockstep:
    return Lockstep(
        topology(), NAMES, with_scores(metrics), interval=INTERVAL, shortest=5, horizon=WEEK
    )


def played(live: Lockstep, values: Floats) -> list[Transition]:
    """Play ``values`` (ticks, shards, metrics) and return all transitions."""
    return list(live.play((INTERVAL * t, row) for t, row in enumerate(values)))


def gauges() -> tuple[Metric, Metric]:
    """Return two metrics of which nothing but the mean, and both together, is judged."""
    return Metric("coolant_in", "Cel", fast=5, slow=10), Metric("power_draw", "W", fast=5, slow=10)


def together(seed: int, ticks: int) -> Floats:
    """Two gauges of noise that is nearly all common to both, about a level that wanders."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(ticks, SHARDS, 1))
    own = np.sqrt(0.95) * shared + np.sqrt(0.05) * rng.normal(size=(ticks, SHARDS, 2))
    level = np.cumsum(0.05 * rng.normal(size=(ticks, 1, 2)), axis=0)
    values: Floats = 100.0 + level + own
    return values


def errors(seed: int, ticks: int, rate: float = 0.002) -> Floats:
    """Return running totals (ticks, shards, 1) of errors that come at random."""
    drawn = np.random.default_rng(seed).random((ticks, SHARDS, 1)) < rate
    return np.cumsum(drawn, axis=0).astype(np.float64)


@pytest.mark.slow
def test_power_two_metrics_that_part_are_told_as_a_joint_drift() -> None:
    live, values, onset = lockstep(*gauges()), together(1, 1400), 1000
    values[onset:, ILL] += np.array([0.75, -0.75])
    found = played(live, values)
    assert [t.node for t in found if t.transition == "opened"] == [NAMES[ILL]]
    first = found[0]
    assert (first.family, first.metrics[0]) == ("C joint", "joint")
    assert first.at >= INTERVAL * onset
    assert "the way its metrics go together has changed" in first.reason


@pytest.mark.slow
def test_null_two_metrics_that_go_together_open_nothing_and_all_have_learned() -> None:
    live = lockstep(*gauges())
    assert played(live, together(1, 1400)) == []
    joint = [m.name for m in live.fleet.metrics].index("joint")
    shown = live.pipeline.standing()
    assert shown.learned.min() == 200
    parts = live.pipeline.planner.parts()
    assert (parts.rungs[0, joint, :SHARDS] == 10).all()
    assert (parts.validity[0, joint, :SHARDS] > 0).mean() > 0.9


def counted() -> Metric:
    return default_catalogue().of("pcie_replays")


def test_power_a_shard_that_errs_each_minute_is_told_as_counts() -> None:
    live, values, onset = lockstep(counted()), errors(2, 720), 240
    values[onset:, ILL, 0] += np.arange(720 - onset) // 12 * 3.0  # three at once, in each minute
    found = played(live, values)
    assert [t.node for t in found if t.transition == "opened"] == [NAMES[ILL]]
    assert (found[0].channel, found[0].family) == ("level", "counts")
    assert found[0].metrics == ("pcie_replays",)
    assert "too many pcie_replays against its 39 peers" in found[0].reason
    assert INTERVAL * onset < found[0].at
    assert abs(found[0].since - INTERVAL * onset) <= 120.0


def test_null_shards_that_all_err_alike_and_one_burst_open_nothing() -> None:
    live, values = lockstep(counted()), errors(2, 720)
    values[300:, ILL, 0] += 10_000.0  # at once: one errored tick
    assert played(live, values) == []
    log_m = live.pipeline.log_m()
    assert np.isfinite(log_m[2]).all()
    assert (log_m[2, 0, :SHARDS] != 0.0).all()  # it was bet


def test_a_counter_that_was_reset_and_ticks_without_a_reading_are_no_errors() -> None:
    live, values = lockstep(counted()), errors(3, 360)
    values[100:, ILL, 0] = 0.0
    values[200:, ILL, 0] = np.nan
    assert played(live, values) == []


def test_a_pipeline_that_is_packed_and_unpacked_goes_on_to_the_last_bit() -> None:
    values = np.concatenate([together(4, 150), errors(4, 150, rate=0.02)], axis=2)
    first, second = (lockstep(*gauges(), counted()) for _ in range(2))
    for live in (first, second):
        played(live, values[:90])
    second.pipeline = unpack(pack(second.pipeline))
    for live in (first, second):
        list(live.play((INTERVAL * t, values[t]) for t in range(90, 150)))
    assert first.pipeline.log_m().tobytes() == second.pipeline.log_m().tobytes()
    assert pack(first.pipeline) == pack(second.pipeline)
    (cell,) = second.pipeline.planner.counts.cells.values()
    assert cell.heard > 0
