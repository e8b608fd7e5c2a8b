from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet

from .fleets import STEP_TIME, step_times
from .wires import Fate, Wire, delayed, far, lossy, prompt

SECONDS = 330
SPEC = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0), phi=0.3)
SICK = "host-01-gpu-3"
FEW = settings(max_examples=3, deadline=None, derandomize=True)


@cache
def fleet() -> SyntheticFleet:
    return SyntheticFleet(SPEC, 5, [Fault(SICK, "*", "step", 0.12, 300, unit="fraction")])


def played(fate: Fate, seed: int = 0, lead: int = 0) -> Wire:
    wire = Wire(fleet(), [STEP_TIME], hosts=4, fate=fate, seed=seed, lead=lead)
    wire.play(fleet().ticks(0, SECONDS))
    return wire


@cache
def plain() -> Wire:
    return played(prompt)


def told(wire: Wire) -> list[tuple[str, str, str]]:
    return [(t.transition, t.node, t.guarantee) for t in wire.transitions]


def holds_only_what_was_told(wire: Wire) -> None:
    """Fail if the aggregator holds a value that the stream's agent never had in that epoch."""
    pipeline = wire.pipeline
    parts, log_m = pipeline.planner.parts(), pipeline.log_m()
    for host, agent in wire.agents.items():
        rows = pipeline.fleet.hosts[host]
        for part in range(3):
            here = parts.rungs[part, 0, rows]
            known = np.zeros(len(rows), dtype=np.bool_)
            for up2 in reversed(agent.told):
                values, epoch = (
                    (up2.level, up2.level_epoch) if part == 2 else (up2.change, up2.change_epoch)
                )
                same = (here == up2.rung) & (epoch[:, 0] == parts.epochs[part, 0, rows])
                known |= same & (values[:, 0] == log_m[part, 0, rows])
                if known.all():
                    break
            nothing_yet = log_m[part, 0, rows] == 0.0
            assert (known | nothing_yet).all(), (host, part)


def test_the_plain_run_finds_the_fault_by_both_channels() -> None:
    assert told(plain())[0][:2] == ("opened", SICK)
    log_m = plain().pipeline.log_m()[:, 0, plain().pipeline.fleet.rows.index(SICK)]
    assert (log_m[[0, 2]] > 1.0).all()


@given(st.integers(0, 10**6))
@FEW
def test_messages_that_come_in_time_but_twice_and_in_any_order_change_nothing(seed: int) -> None:
    wire = played(delayed, seed)
    np.testing.assert_array_equal(wire.pipeline.log_m(), plain().pipeline.log_m())
    assert told(wire) == told(plain())


@given(st.integers(0, 10**6))
@FEW
def test_lost_and_late_messages_leave_only_values_that_were_true_once(seed: int) -> None:
    looks = [0]

    def watch(wire: Wire) -> None:
        looks[0] += 1
        if looks[0] % 23 == 0:
            holds_only_what_was_told(wire)

    wire = Wire(fleet(), [STEP_TIME], hosts=4, fate=lossy, seed=seed, watch=watch)
    wire.play(fleet().ticks(0, SECONDS))
    holds_only_what_was_told(wire)
    assert all(of_part.any() for of_part in wire.pipeline.log_m()[[0, 2]])


@pytest.mark.parametrize(("fate", "lead"), [(lossy, 0), (far, 2)])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_agent_bets_exactly_the_blocks_that_it_had_a_summary_of(
    fate: Fate, lead: int, seed: int
) -> None:
    wire = played(fate, seed, lead=lead)
    for agent in wire.agents.values():
        reference = agent.reference()
        assert len(agent.told) < len(agent.offered)  # some blocks had none
        for rung, expected in reference.items():
            last = [up2 for up2 in agent.told if up2.rung == rung][-1]
            np.testing.assert_array_equal(last.change, expected.change)
            np.testing.assert_array_equal(last.level, expected.level)
            np.testing.assert_array_equal(last.change_epoch, expected.change_epoch)


@given(st.integers(0, 10**6))
@FEW
def test_a_plan_is_obeyed_from_the_block_that_it_names_and_no_other_epoch_counts(seed: int) -> None:
    looks = [0]

    def watch(wire: Wire) -> None:
        looks[0] += 1
        if looks[0] % 23 == 0:
            holds_only_what_was_told(wire)

    wire = Wire(fleet(), [STEP_TIME], hosts=4, fate=far, seed=seed, lead=2, watch=watch)
    wire.play(fleet().ticks(0, SECONDS))
    plans = [result.plan for _, _, result in wire.tape if result.plan is not None]
    assert len(plans) > 3
    for agent in wire.agents.values():
        for rung, block, obeyed in agent.plans:
            due = [p.id for p in plans if p.from_block.get(rung, block) <= block]
            assert obeyed <= max(due)
            named = [p for p in plans if p.id == obeyed]
            assert named[0].from_block.get(rung, 0) <= block


def test_an_aggregator_that_heard_another_epoch_would_be_caught() -> None:
    wire = played(lossy, 3)
    holds_only_what_was_told(wire)
    for agent in wire.agents.values():
        agent.told = [replace(up2, change_epoch=up2.change_epoch + 1) for up2 in agent.told]
    with pytest.raises(AssertionError):
        holds_only_what_was_told(wire)
