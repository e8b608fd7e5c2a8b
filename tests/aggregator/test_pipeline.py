from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.agent.fold import Block
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.engine.evalue import Validity
from tessera.lab.lockstep import Lockstep

from .fleets import POWER, STEP_TIME, Hosts, hosts_of, step_times

# Four hosts of eight in one rack: one peer group of 32.
RACK = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0))
# Four racks of two hosts of four: too small for groups of their own, all 32 are peers.
RACKS = step_times(FleetSpec(shards=32, shards_per_host=4, hosts_per_rack=2))


def slow(node: str, share: float = 0.12, onset: int = 0) -> Fault:
    return Fault(node, "*", "step", share, onset, unit="fraction")


def played(
    spec: FleetSpec, *faults: Fault, hosts: int = 1, ticks: int = 120, seed: int = 1
) -> tuple[Hosts, list[Transition]]:
    made = SyntheticFleet(spec, seed, faults)
    fleet = hosts_of(made, [STEP_TIME], hosts=hosts, horizon=1000.0)
    return fleet, fleet.play(made.ticks(0, ticks))


@cache
def long_run_on_one_host() -> tuple[Hosts, list[Transition]]:
    return played(replace(step_times(RACK, phi=0.5), missing=0.03), slow("host-01"), ticks=260)


def told(transitions: list[Transition]) -> list[tuple[str, str]]:
    return [(t.transition, t.node) for t in transitions]


def test_the_same_inbox_gives_the_same_result() -> None:
    (one, first), (other, second) = (played(RACK, slow("host-01-gpu-3")) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(one.pipeline.log_m(), other.pipeline.log_m())


@pytest.mark.parametrize("hosts", [4, 8])
def test_several_hosts_give_the_same_as_one_to_the_bit(hosts: int) -> None:
    spec = replace(step_times(RACK, phi=0.5), missing=0.03)
    alone, first = long_run_on_one_host()
    many, second = played(spec, slow("host-01"), hosts=hosts, ticks=260)
    assert first == second != []
    np.testing.assert_array_equal(alone.pipeline.log_m(), many.pipeline.log_m())
    cells = [fleet.pipeline.planner.change.cells for fleet in (alone, many)]
    for one, other in zip(*(c.values() for c in cells), strict=True):
        np.testing.assert_equal(
            (one.rung, one.phi, one.kappa), (other.rung, other.phi, other.kappa)
        )
        np.testing.assert_array_equal(one.validity, other.validity)


def test_the_order_of_hosts_does_not_matter() -> None:
    made = SyntheticFleet(RACK, 1, [slow("host-01-gpu-3")])
    forward, backward = (hosts_of(made, [STEP_TIME], hosts=4, horizon=1000.0) for _ in range(2))
    readings = made.ticks(0, 210)
    first = forward.play(readings)
    second = backward.play(readings, order=tuple(backward.agents)[::-1])
    assert first == second != []
    np.testing.assert_array_equal(forward.pipeline.log_m(), backward.pipeline.log_m())


def test_a_host_that_does_not_send_holds_the_block() -> None:
    made = SyntheticFleet(RACK, 1, [slow("host-01-gpu-3")])
    fleet = hosts_of(made, [STEP_TIME], hosts=4, horizon=1000.0)
    assert fleet.play(made.ticks(0, 60), order=("h0", "h1", "h2")) == []
    assert fleet.downs == 0
    assert not fleet.pipeline.log_m().any()


def one_block(fleet: Hosts, index: int) -> Block:
    shape = (fleet.fleet.shard_count, 1)
    return Block(1, index, np.full(shape, 0.1, dtype=np.float32))


def two_hosts() -> Hosts:
    return hosts_of(SyntheticFleet(RACK, 1), [STEP_TIME], hosts=2, horizon=1000.0)


def test_the_last_host_of_a_block_brings_the_summaries_for_all() -> None:
    fleet = two_hosts()
    first, second = (fleet.offer(host, one_block(fleet, 0)) for host in ("h0", "h1"))
    assert fleet.pipeline.step(1.0, [first]).downs == {}
    assert set(fleet.pipeline.step(2.0, [second]).downs) == {"h0", "h1"}


def test_the_summaries_of_a_block_are_made_once() -> None:
    fleet = two_hosts()
    both = [fleet.offer(host, one_block(fleet, 0)) for host in ("h0", "h1")]
    assert fleet.pipeline.step(1.0, both).downs
    assert fleet.pipeline.step(2.0, both).downs == {}


def test_a_block_that_comes_after_its_successor_is_dropped() -> None:
    fleet = two_hosts()
    fleet.pipeline.step(1.0, [fleet.offer("h0", one_block(fleet, 0))])
    late = fleet.offer("h1", one_block(fleet, 0))
    fleet.pipeline.step(2.0, [fleet.offer(host, one_block(fleet, 1)) for host in ("h0", "h1")])
    assert fleet.pipeline.step(3.0, [late]).downs == {}


def test_the_first_step_brings_the_plan_and_an_idle_one_nothing() -> None:
    fleet = two_hosts()
    idle = fleet.pipeline.step(1.0, ())
    assert (dict(idle.downs), idle.plan, idle.transitions) == ({}, None, ())
    assert fleet.pipeline.planner.plan().id == 2  # the first one went to the agents


def test_a_block_in_which_nobody_has_a_value_is_no_evidence() -> None:
    fleet = two_hosts()
    nothing = Block(1, 0, np.full((32, 1), np.nan, dtype=np.float32))
    assert fleet.exchange(1.0, nothing, ("h0", "h1")) == []
    assert not fleet.pipeline.log_m().any()


@given(st.integers(0, 10**6), st.sampled_from([8, 12, 24]))
@settings(max_examples=6)
def test_healthy_small_fleets_open_nothing(seed: int, shards: int) -> None:
    spec = step_times(FleetSpec(shards=shards, shards_per_host=4, hosts_per_rack=0))
    fleet, transitions = played(spec, ticks=90, seed=seed)
    assert transitions == []
    assert fleet.pipeline.open == ()


@given(st.integers(0, 10**6), st.integers(0, 15))
@settings(max_examples=6)
def test_a_planted_slow_shard_opens_and_nobody_else(seed: int, ill: int) -> None:
    spec = step_times(FleetSpec(shards=16, shards_per_host=0))
    name = f"gpu-{ill:03}"
    fleet, transitions = played(spec, slow(name, onset=30), ticks=100, seed=seed)
    assert {(t.node, t.level, t.channel) for t in transitions} == {(name, "shard", "level")}
    assert transitions[0].at > 30.0
    assert abs(transitions[0].since - 30.0) <= 2.0
    assert fleet.pipeline.open == (name,)


def test_a_slow_shard_among_32_is_controlled() -> None:
    _, transitions = played(RACK, slow("host-01-gpu-3"))
    assert transitions[-1].guarantee == "controlled"
    assert transitions[-1].validity_class == "construction"


def test_a_slow_rack_opens_the_rack_and_not_its_shards() -> None:
    fleet, transitions = played(RACKS, slow("rack-02", onset=30))
    assert fleet.pipeline.open == ("rack-02",)
    assert ("opened", "rack-02") in told(transitions)
    opened = {node for word, node in told(transitions) if word == "opened"}
    folded = {node for word, node in told(transitions) if word == "closed"}
    assert folded == opened - {"rack-02"}


def test_shards_that_opened_first_are_folded_into_their_host() -> None:
    faults = slow("host-01-gpu-0"), slow("host-01", onset=70)
    fleet, transitions = played(RACK, *faults)
    words = told(transitions)
    assert words[0] == ("opened", "host-01-gpu-0")
    assert {("opened", "host-01"), ("closed", "host-01-gpu-0")} <= set(words)
    assert fleet.pipeline.open == ("host-01",)


def test_the_shards_of_an_open_host_do_not_close_the_channel_that_found_it() -> None:
    fleet, transitions = played(RACK, slow("host-01", onset=110), ticks=205)
    assert told(transitions)[0][0] == "opened"
    cell = fleet.pipeline.planner.level.cells[0, 0]
    assert cell.reviewed == 3
    assert (cell.rung, cell.validity) == (1, Validity.CONSTRUCTION)


def test_two_racks_are_too_few_to_blame_one() -> None:
    spec = replace(RACKS, hosts_per_rack=4)
    fleet, transitions = played(spec, slow("rack-01", onset=30))
    assert not any(node.startswith(("rack", "cluster")) for _, node in told(transitions))
    said = {(a.scope, a.reason) for a in fleet.pipeline.abstained()}
    reason = "fewer than three siblings: 2 in the group, itself included"
    assert ("kind=rack,sku=gpu,job=train,role=worker", reason) in said


def test_the_cluster_abstains_however_ill_all_shards_are() -> None:
    fleet, transitions = played(RACK, slow("cluster", share=0.5, onset=30))
    assert transitions == []
    said = {(a.scope, a.channel) for a in fleet.pipeline.abstained()}
    assert {("cluster", "change"), ("cluster", "level")} <= said


WEEK = 604_800.0  # seconds: a shorter horizon would not leave time to learn long blocks


def power(phi: float, ticks: int) -> Lockstep:
    """Return the aggregator of twelve shards after so many seconds of AR(phi) power."""
    metric = MetricSpec("power_watts", 700.0, 8.0, phi=phi)
    made = SyntheticFleet(FleetSpec(shards=12, shards_per_host=0, metrics=(metric,)), 1)
    play = Lockstep(made.topology, made.names, [POWER], interval=1.0, shortest=1, horizon=WEEK)
    readings = made.ticks(0, ticks)
    assert list(play.play((float(t), readings[t]) for t in range(ticks))) == []
    return play


def test_short_memory_shortens_the_blocks() -> None:
    book = power(0.5, 1010).pipeline.planner.change
    assert (book.cells[0, 0, 0].rung, book.cells[0, 0, 1].rung) == (1, 5)


def test_long_memory_lengthens_the_blocks_and_is_learned_there() -> None:
    planner = power(0.97, 3200).pipeline.planner
    fast, slow_one = planner.change.cells[0, 0, 0], planner.change.cells[0, 0, 1]
    assert fast.rung == 10
    assert slow_one.rung in {60, 120}  # 3 τ = 99 s, known from twelve shards only
    assert fast.phi == pytest.approx(0.81, abs=0.06)
    assert fast.kappa >= 1.0


def test_the_weights_are_the_same_at_the_end_as_at_the_start() -> None:
    fleet, _ = long_run_on_one_host()
    parts = fleet.pipeline.planner.parts()
    has_a_part = np.any(parts.rungs > 0, axis=(0, 1), keepdims=True)[0, 0]
    np.testing.assert_allclose(parts.weights.sum(axis=(0, 1)), has_a_part.astype(np.float64))
    assert has_a_part[: fleet.fleet.shard_count].all()


def test_the_level_channel_is_construction_among_32() -> None:
    fleet, _ = played(RACK, ticks=70)
    assert fleet.pipeline.planner.parts().validity[2, 0, 0] == Validity.CONSTRUCTION


def test_live_epochs_end_by_the_clock_and_a_recording_is_one_epoch() -> None:
    fleet = played(RACK, ticks=70)[0].fleet
    for lead, ended in ((2, True), (0, False)):
        pipeline = Pipeline(fleet, shortest=1, horizon=WEEK, lead=lead)
        pipeline.step(0.0, ())
        before = pipeline.planner.parts().epochs.max()
        result = pipeline.step(WEEK + 1.0, ())
        assert (pipeline.planner.parts().epochs.max() > before) == ended
        assert any("its horizon is over" in a.text for a in result.audit) == ended
