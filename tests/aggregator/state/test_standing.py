from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.aggregator.state.standing import ABSTAINED, ALONE, LEARNING, QUIET
from tessera.proto.schema import console

from ..fleets import POWER, STEP_TIME, Hosts, hosts_of, step_times

RACK = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0), phi=0.3)
WATTS = replace(RACK, metrics=(MetricSpec("power_watts", 700.0, 8.0, phi=0.3),))
ODD = MetricSpec("step_time_seconds", 1.2, 0.012, static=0.3, multiplicative=True)


def played(spec: FleetSpec, ticks: int, *faults: Fault, power: bool = False) -> Hosts:
    made = SyntheticFleet(spec, 5, faults)
    metric = replace(POWER, fast=1, slow=5) if power else STEP_TIME
    hosts = hosts_of(made, [metric], hosts=4, horizon=2000.0)
    hosts.play(made.ticks(0, ticks))
    return hosts


@cache
def sick() -> Hosts:
    return played(RACK, 120, Fault("host-01-gpu-3", "*", "step", 0.12, 60, unit="fraction"))


def test_the_numbers_are_those_of_the_console() -> None:
    states = console.State
    assert (QUIET, LEARNING, ABSTAINED, ALONE) == (
        states.QUIET,
        states.LEARNING,
        states.ABSTAINED,
        states.ALONE,
    )


def test_a_host_that_lost_its_streams_is_seen_to_learn_from_nothing() -> None:
    hosts = played(RACK, 70)
    hosts.pipeline.lost("h1", "its agent began without a checkpoint")
    standing = hosts.pipeline.standing()
    mine = np.isin(np.arange(32), hosts.fleet.hosts["h1"])
    assert (standing.learned[mine] == 0).all()
    assert (standing.learned[:32][~mine] == 70).all()


def test_shards_learn_until_a_channel_counts() -> None:
    before = played(RACK, 15).pipeline.standing()
    assert (before.state[:32] == LEARNING).all()
    after = played(RACK, 70).pipeline.standing()  # the level channel has been reviewed
    assert (after.state[:32] == QUIET).all()
    assert (after.learned == 70).all()


def test_a_metric_without_a_level_channel_learns_for_two_hundred_blocks() -> None:
    standing = played(WATTS, 190, power=True).pipeline.standing()
    assert (standing.state[:32] == LEARNING).all()
    assert (standing.learned == 190).all()
    later = played(WATTS, 320, power=True).pipeline.standing()
    assert (later.state[:32] == QUIET).mean() > 0.9  # one may have memory of its own
    assert (later.learned == 200).all()


def test_a_group_too_small_for_any_claim_abstains_once_nothing_is_left_to_learn() -> None:
    spec = replace(WATTS, shards=8, shards_per_host=2)
    standing = played(spec, 60, power=True).pipeline.standing()
    assert (standing.state[:8] == ABSTAINED).all()


def test_a_group_of_unequals_abstains() -> None:
    spec = replace(RACK, shards=8, shards_per_host=2, metrics=(ODD,))
    standing = played(spec, 60).pipeline.standing()
    assert (standing.state[:8] == ABSTAINED).all()


def test_the_cluster_has_no_siblings_and_is_alone() -> None:
    hosts = sick()
    state = hosts.pipeline.standing().state
    assert state[hosts.fleet.rows.index("cluster")] == ALONE
    assert state[hosts.fleet.rows.index("host-02")] != ALONE


def test_evidence_is_that_of_the_ranked_test_and_asking_changes_nothing() -> None:
    pipeline = sick().pipeline
    one, other = pipeline.standing(), pipeline.standing()
    np.testing.assert_array_equal(one.log_e, other.log_e)
    row = pipeline.fleet.rows.index("host-01-gpu-3")
    assert int(one.log_e.argmax()) == row
    assert one.log_e[row] == pytest.approx(pipeline.explain("host-01-gpu-3").log_e)
    assert pipeline.step(121.0, ()).transitions == ()
