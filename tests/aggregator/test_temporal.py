"""The whole fleet at once: named when it lay still and moves, left alone when moving is its way."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tessera.adapters.synthetic.fleet import CommonSpec, FleetSpec, MetricSpec, SyntheticFleet
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.lab.lockstep import Lockstep
from tessera.proto.messages import Freeze

from .fleets import POWER

EVERY = 300.0  # seconds between readings; the slow rung has two of them
LONG = replace(POWER, fast=300, slow=600)
STILL = CommonSpec(walk=0.0, steps=0, shocks=0, amplitude=0.0)
KNOWN = 220 + 400  # blocks of 600 s after which the root may bet
MOVED = 2 * (20 + KNOWN + 10)  # readings
FLEET = FleetSpec(
    shards=32,
    shards_per_host=8,
    hosts_per_rack=0,
    metrics=(MetricSpec("power_watts", 700.0, 8.0),),
    common=STILL,
)


def played(
    common: CommonSpec, *, shift: float, freeze: bool = False, ticks: int = MOVED + 80
) -> tuple[Pipeline, list[Transition]]:
    """Return what becomes of a fleet that moves by ``shift`` sd as a whole, late in its life."""
    made = SyntheticFleet(replace(FLEET, common=common), 2)
    readings = made.ticks(0, ticks)
    readings[MOVED:] += 8.0 * shift
    play = Lockstep(
        made.topology, made.names, [LONG], interval=EVERY, shortest=300, horizon=EVERY * 20_000
    )
    done: list[Transition] = []
    for tick, values in enumerate(readings):
        if freeze and tick == MOVED - 4:
            start = (MOVED - 4) * EVERY
            push = Freeze("push", ("cluster",), start, start + 3600.0, "firmware", exogenous=True)
            play.pipeline.freeze(push)
        done += play.play([(tick * EVERY, values)])
    return play.pipeline, done


@cache
def moved() -> tuple[Pipeline, list[Transition]]:
    return played(STILL, shift=4.0)


@pytest.mark.slow
def test_power_a_still_fleet_that_moves_is_named_once_at_the_root_and_nothing_below_it() -> None:
    pipeline, done = moved()
    assert [(t.transition, t.node, t.channel) for t in done] == [("opened", "cluster", "temporal")]
    assert pipeline.open == ("cluster",)
    (told,) = done
    assert (told.guarantee, told.validity_class) == ("ranked", "none")
    assert told.reason.startswith("the whole fleet moved: power_watts has changed against its own")
    assert abs(told.since - MOVED * EVERY) <= 1800.0
    assert not pipeline._judge.verdicts.open_rows().any()  # noqa: SLF001 - what monitors are told
    pipeline.close(told.id, "rw", "a new workload")
    at = told.at + 1e6
    closed = pipeline.step(at, []).transitions or pipeline.step(at + 1.0, []).transitions
    assert [(t.transition, t.node, t.actor) for t in closed] == [("closed", "cluster", "rw")]
    assert not pipeline.open_verdicts


@pytest.mark.slow
@pytest.mark.parametrize(
    "common", [STILL, CommonSpec(span=300), CommonSpec(walk=0.05, steps=0, shocks=0)]
)
def test_null_a_fleet_that_stays_or_whose_load_wanders_is_not_named(common: CommonSpec) -> None:
    pipeline, done = played(common, shift=0.0)
    assert done == []
    wanders = [a.reason for a in pipeline.abstained() if a.channel == "temporal"]
    assert (wanders == []) == (common is STILL)
    assert all("wanders or steps by habit" in reason for reason in wanders)


@pytest.mark.slow
def test_null_a_move_inside_a_freeze_of_the_cluster_is_not_named_and_all_is_learned_anew() -> None:
    pipeline, done = played(STILL, shift=4.0, freeze=True)
    assert done == []
    (why,) = [a.reason for a in pipeline.abstained() if a.channel == "temporal"]
    assert "learning what its habits are" in why


def test_the_root_says_what_it_is_doing_and_makes_no_other_claim() -> None:
    pipeline, done = played(STILL, shift=0.0, ticks=100)
    assert done == []
    (why,) = [a.reason for a in pipeline.abstained() if a.channel == "temporal"]
    assert why == "power_watts: learning what its habits are (30 of 620 blocks)"
    assert f"against its own past, {why}" in pipeline.explain("cluster").why
    assert np.isneginf(pipeline.standing().log_e[-1])
