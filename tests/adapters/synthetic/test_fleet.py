from dataclasses import replace

import numpy as np
import pytest

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import (
    CommonSpec,
    FleetSpec,
    MetricSpec,
    SyntheticFleet,
    SyntheticSource,
    mixed_fleet,
    null_fleet,
    straggler,
)

QUIET = CommonSpec(walk=0.0, steps=0, shocks=0, amplitude=0.0)
PLAIN = MetricSpec("power_watts", 700.0, 8.0, phi=0.9, static=0.0)
ALONE = FleetSpec(metrics=(PLAIN,), common=QUIET)


@pytest.mark.parametrize(
    "spec",
    [
        null_fleet(),
        replace(mixed_fleet(), missing=0.1, tails=3.0, common=CommonSpec(span=300)),
        straggler()[0],
    ],
)
def test_any_cut_into_chunks_gives_the_same_readings_to_the_last_bit(spec: FleetSpec) -> None:
    whole = SyntheticFleet(spec, 5).ticks(0, 701)
    fleet = SyntheticFleet(spec, 5)
    parts = [fleet.ticks(a, b) for a, b in ((0, 1), (1, 8), (8, 8), (8, 500), (500, 701))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("shape", ["step", "slope", "spread", "flatline", "missing"])
def test_a_fault_does_not_depend_on_the_chunks_either(shape: str) -> None:
    fault = Fault("rack-00", "power_watts", shape, 2.0, onset=50, end=400)  # type: ignore[arg-type] # one of its words
    whole = SyntheticFleet(ALONE, 5, [fault]).ticks(0, 500)
    fleet = SyntheticFleet(ALONE, 5, [fault])
    parts = [fleet.ticks(a, b) for a, b in ((0, 49), (49, 60), (60, 399), (399, 500))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_going_back_and_skipping_give_what_going_on_would() -> None:
    fleet = SyntheticFleet(null_fleet(), 7)
    later = fleet.ticks(300, 320)
    np.testing.assert_array_equal(fleet.ticks(0, 320)[300:], later)
    np.testing.assert_array_equal(fleet.tick(310), later[10])


def test_another_seed_gives_other_readings() -> None:
    one, other = (SyntheticFleet(null_fleet(), seed).ticks(0, 5) for seed in (1, 2))
    assert not np.isclose(one, other).any()


@pytest.mark.parametrize("tails", [None, 5.0])
def test_own_noise_has_the_stated_deviation_and_lag_one_correlation(tails: float | None) -> None:
    values = SyntheticFleet(replace(ALONE, tails=tails), 11).ticks(0, 4000)[..., 0] - 700.0
    assert values.std() == pytest.approx(8.0, rel=0.05)
    assert values[:50].std() == pytest.approx(8.0, rel=0.15)  # stationary from the first tick
    lagged = np.mean(values[1:] * values[:-1]) / np.mean(values**2)
    assert lagged == pytest.approx(0.9, abs=0.01)


def test_heavy_tails_reach_further_than_normal_ones() -> None:
    metric = replace(PLAIN, phi=0.0)
    spec = replace(ALONE, metrics=(metric,))
    normal = SyntheticFleet(spec, 3).ticks(0, 2000)
    heavy = SyntheticFleet(replace(spec, tails=3.0), 3).ticks(0, 2000)
    assert np.abs(heavy - 700).max() > 2 * np.abs(normal - 700).max()


def test_healthy_shards_share_the_common_mode_with_loadings_of_forty_per_cent() -> None:
    values = SyntheticFleet(null_fleet(), 2).ticks(0, 2500)[..., 0]
    typical = np.median(values, axis=1)
    slopes = np.array([np.polyfit(typical, shard, 1)[0] for shard in values.T])
    assert 0.5 < slopes.min() < 0.8
    assert 1.2 < slopes.max() < 1.6
    assert typical.std() > 8.0  # steps and shocks outweigh a shard's own noise


def test_static_offsets_spread_by_three_per_cent() -> None:
    spec = replace(null_fleet(), shards=512, common=QUIET)
    levels = SyntheticFleet(spec, 4).ticks(0, 400).mean(axis=(0, 2))
    assert levels.std() / 700 == pytest.approx(0.03, rel=0.15)


def test_the_common_mode_holds_its_steps_and_shocks_in_each_span() -> None:
    common = CommonSpec(walk=0.0, steps=3, shocks=2, amplitude=0.0, span=500)
    metric = replace(PLAIN, sd=1e-9, loading=0.0, common=1e9)
    spec = FleetSpec(shards=1, metrics=(metric,), common=common)
    moves = np.abs(np.diff(SyntheticFleet(spec, 8).ticks(0, 1000)[:, 0, 0])) > 1e-3
    assert 2 * (3 + 2 * 2) - 4 <= moves.sum() <= 2 * (3 + 2 * 2)  # a shock moves twice


def test_the_stated_share_of_readings_is_missing() -> None:
    values = SyntheticFleet(replace(ALONE, missing=0.2), 1).ticks(0, 1000)
    assert np.isnan(values).mean() == pytest.approx(0.2, abs=0.01)


def test_a_planted_step_has_its_size_and_touches_nobody_else() -> None:
    fault = Fault("host-00-gpu-3", "power_watts", "step", 4.0, onset=100, end=200)
    healthy = SyntheticFleet(ALONE, 6).ticks(0, 300)[..., 0]
    faulty = SyntheticFleet(ALONE, 6, [fault]).ticks(0, 300)[..., 0]
    difference = faulty - healthy
    assert difference[100:200, 3] == pytest.approx(32.0)
    difference[100:200, 3] = 0.0
    assert (difference == 0).all()


def test_a_quantised_metric_reads_in_whole_quanta() -> None:
    spec = replace(ALONE, metrics=(replace(PLAIN, quantum=0.5),))
    values = SyntheticFleet(spec, 1).ticks(0, 100)
    assert (values * 2 == np.round(values * 2)).all()


def test_a_multiplicative_metric_never_falls_to_zero() -> None:
    metric = replace(PLAIN, base=1.0, sd=2.0, multiplicative=True)
    values = SyntheticFleet(replace(ALONE, metrics=(metric,)), 1).ticks(0, 500)
    assert (values > 0).all()


def test_the_straggler_is_slow_from_its_onset_and_the_last_stage_by_design() -> None:
    spec, faults = straggler(factor=1.5, onset=200)
    fleet = SyntheticFleet(spec, 3, faults)
    values = np.median(np.log(fleet.ticks(200, 800)), axis=0)
    before = np.median(np.log(fleet.ticks(0, 200)), axis=0)
    first, peer, last = (fleet.names.index(f"dp0{d}-pp{p}") for d, p in ((0, 0), (1, 0), (1, 3)))
    assert np.exp(values[first] - values[peer]) == pytest.approx([1.5, 1.5], rel=0.02)
    assert np.exp(before[first] - before[peer]) == pytest.approx([1.0, 1.0], rel=0.02)
    assert np.exp(values[last] - values[peer]) == pytest.approx([1.06, 1.06], rel=0.02)


def test_a_pause_takes_the_step_times_of_its_job_away_and_lowers_its_power() -> None:
    values = SyntheticFleet(mixed_fleet(), 1).ticks(0, 4000)
    idle = np.isnan(values[..., 2])
    assert (idle[:, :32] == idle[:, :1]).all()
    assert (idle[:, 32:] == idle[:, 32:33]).all()
    assert 0.02 < idle.mean() < 0.3
    assert values[..., 0][idle].mean() < 0.5 * values[..., 0][~idle].mean()


def test_a_fleet_has_hosts_racks_and_jobs_in_the_order_of_its_shards() -> None:
    fleet = SyntheticFleet(FleetSpec(jobs=("a", "b")), 1)
    found = fleet.topology.beneath()
    assert {name: len(shards) for name, shards in found.items() if "host" not in name} == {
        "cluster": 64,
        "rack-00": 32,
        "rack-01": 32,
    }
    assert found["cluster"] == fleet.names
    jobs = [fleet.topology.node(name).metadata["job"] for name in fleet.names]
    assert jobs == ["a"] * 32 + ["b"] * 32


def test_a_source_serves_one_host_as_the_fleet_drew_it() -> None:
    spec = replace(null_fleet(), missing=0.3)
    fleet = SyntheticFleet(spec, 9)
    source = SyntheticSource(fleet, fleet.topology.members("host-02"), began=1000.0)
    found = {reading.shard: reading.value for reading in source.read(1070.4)}
    expected = SyntheticFleet(spec, 9).ticks(70, 71)[0, 16:24, 0]
    here = [name for name, value in zip(fleet.names[16:24], expected, strict=True) if value > 0]
    assert list(found) == here
    assert list(found.values()) == expected[~np.isnan(expected)].tolist()
    assert [shard.path[-1] for shard in source.shards()] == ["host-02"] * 8
    assert list(source.read(999.0)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"shards": 0},
        {"metrics": ()},
        {"missing": 1.0},
        {"missing": float("nan")},
        {"tails": 2.0},
        {"tails": float("nan")},
        {"jobs": ()},
    ],
)
def test_a_fleet_that_means_nothing_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs? a|lies in"):
        FleetSpec(**change)  # type: ignore[arg-type] # wrong on purpose


def test_ticks_before_the_beginning_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 upward"):
        SyntheticFleet(ALONE, 1).ticks(-1, 5)
