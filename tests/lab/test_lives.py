"""The life of a verdict from its opening to its end, in a fleet that is played block by block."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tessera.adapters.catalogue import Metric
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.aggregator.decide.transition import Transition
from tessera.lab.lockstep import Lockstep
from tessera.proto.messages import Freeze

BLOCK = 30.0  # seconds: a tick is a block, and half an hour 60 of them
ILL = "host-01-gpu-3"
STEP_TIME = MetricSpec(
    "step_time_seconds", 1.2, 0.012, phi=0.0, static=0.003, common=0.3, multiplicative=True
)
POWER = MetricSpec("power_watts", 400.0, 4.0, phi=0.0, static=3.0, common=8.0)
LEVEL = Metric(
    "step_time_seconds", "s", transform="log", direction=1, margin=0.05, fast=30, slow=60, level=30
)
CHANGE = Metric("power_watts", "W", fast=30, slow=60)
SPEC = FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0)


class Played:
    """A fleet with one metric and its faults, and the transitions so far."""

    def __init__(
        self, made: MetricSpec, judged: Metric, faults: Sequence[Fault], seed: int = 3
    ) -> None:
        self.fleet = SyntheticFleet(replace(SPEC, metrics=(made,)), seed, faults)
        self.lockstep = Lockstep(
            self.fleet.topology,
            self.fleet.names,
            [judged],
            interval=BLOCK,
            shortest=30,
            horizon=BLOCK * 2000,
            fixed_rungs=True,
        )
        self.said: list[Transition] = []
        self._tick = 0

    def until(self, tick: int) -> list[Transition]:
        """Play on to ``tick``; return what was said meanwhile."""
        values = self.fleet.ticks(self._tick, tick)
        times = BLOCK * np.arange(self._tick, tick)
        new = list(self.lockstep.play(zip(times.tolist(), values, strict=True)))
        self._tick, self.said = tick, self.said + new
        return new

    @property
    def held(self) -> list[str]:
        """Return the shards that the newest plan of the agent holds."""
        plan = self.lockstep.evidence.plan
        return [] if plan is None else sorted(set(plan.held) & set(self.fleet.names))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 12, 14])
def test_null_shards_that_were_frozen_come_back_without_moving_their_peers(seed: int) -> None:
    played = Played(replace(POWER, static=3.0), CHANGE, [], seed)
    played.until(500)
    start = 500 * BLOCK
    why = Freeze("fix", ("host-01",), start, start + 24 * BLOCK, "repair", exogenous=True)
    played.lockstep.pipeline.freeze(why)
    played.until(720)
    assert played.said == []


def slow(onset: int, end: int | None) -> Fault:
    return Fault(ILL, "*", "step", 0.12, onset, end, unit="fraction")


def words(said: Sequence[Transition]) -> list[str]:
    return [t.transition for t in said if t.transition != "promoted"]


@cache
def recovered() -> Played:
    played = Played(STEP_TIME, LEVEL, [slow(40, 120)])
    played.until(230)
    return played


def test_a_fault_that_ends_recovers_and_is_closed_after_half_an_hour_of_evidence() -> None:
    opened, recovering, closed = (t for t in recovered().said if t.transition != "promoted")
    assert words(recovered().said) == ["opened", "recovering", "closed"]
    assert {t.node for t in recovered().said} == {ILL}
    assert 40 * BLOCK < opened.at < 120 * BLOCK < recovering.at
    assert closed.at - recovering.at == pytest.approx(1800.0, abs=BLOCK)
    assert [t.state for t in (opened, recovering, closed)] == ["open", "recovering", "closed"]
    assert recovered().lockstep.pipeline.open == ()


def test_the_band_of_the_effect_holds_what_was_planted_and_ends_with_the_fault() -> None:
    recovering = next(t for t in recovered().said if t.transition == "recovering")
    effect = recovering.effect
    assert effect is not None
    assert (effect.unit, effect.metric) == ("%", "step_time_seconds")
    assert 5.0 < effect.low <= effect.middle <= effect.high < 20.0


def test_a_row_is_held_while_its_verdict_is_open_and_no_longer() -> None:
    played = Played(STEP_TIME, LEVEL, [slow(40, 120)])
    played.until(39)
    assert played.held == []
    played.until(100)
    assert played.held == [ILL]
    played.until(230)
    assert played.held == []


def test_a_closed_fault_that_comes_again_is_a_new_verdict() -> None:
    played = Played(STEP_TIME, LEVEL, [slow(40, 100), slow(230, None)])
    played.until(290)
    assert words(played.said) == ["opened", "recovering", "closed", "opened"]
    assert len({t.id for t in played.said}) == 2


def test_a_fault_that_comes_back_while_it_recovers_is_open_again_under_its_id() -> None:
    played = Played(STEP_TIME, LEVEL, [slow(40, 100), slow(150, 190)])
    played.until(290)
    assert words(played.said) == ["opened", "recovering", "reopened", "recovering", "closed"]
    assert len({t.id for t in played.said}) == 1
    again = next(t for t in played.said if t.transition == "reopened")
    assert again.state == "open"
    assert 150 * BLOCK < again.at < 190 * BLOCK


def test_null_a_fault_that_stays_never_recovers() -> None:
    played = Played(STEP_TIME, LEVEL, [slow(40, None)])
    played.until(400)
    assert words(played.said) == ["opened"]


def test_null_where_nothing_is_open_nobody_is_held_and_nothing_closes() -> None:
    played = Played(STEP_TIME, LEVEL, [])
    assert played.until(300) == []
    assert played.held == []


def test_null_a_shard_that_falls_silent_is_not_closed_by_it() -> None:
    silent = Fault(ILL, "*", "missing", onset=120)
    played = Played(STEP_TIME, LEVEL, [slow(40, None), silent])
    played.until(400)
    assert words(played.said) == ["opened"]
    assert played.lockstep.pipeline.open == (ILL,)


def test_silence_while_it_recovers_does_not_count_as_half_an_hour_of_evidence() -> None:
    gap = Fault(ILL, "*", "missing", onset=150, end=250)
    played = Played(STEP_TIME, LEVEL, [slow(40, 100), gap])
    played.until(250)
    assert words(played.said) == ["opened", "recovering"]
    played.until(330)
    assert words(played.said) == ["opened", "recovering", "closed"]


def test_a_person_closes_a_verdict_and_it_is_found_anew_while_the_fault_is_there() -> None:
    played = Played(STEP_TIME, LEVEL, [slow(40, None)])
    (first, *_) = played.until(100)
    played.lockstep.pipeline.close(first.id, "ada", "the cable was changed")
    closed = played.until(102)
    assert [(t.transition, t.actor) for t in closed] == [("closed", "ada")]
    assert closed[0].reason == "closed by ada: the cable was changed"
    again = next(t for t in played.until(150) if t.transition == "opened")
    assert (again.node, again.id) == (ILL, "v2")


def test_nobody_can_close_what_is_not_open() -> None:
    played = Played(STEP_TIME, LEVEL, [])
    with pytest.raises(KeyError, match="v7"):
        played.lockstep.pipeline.close("v7", "ada", "a reason")


@pytest.mark.slow
def test_a_change_that_ends_recovers_by_its_distance_from_the_line_of_before() -> None:
    played = Played(POWER, CHANGE, [Fault(ILL, "*", "step", 6.0, 1000, 1150)])
    played.until(1400)
    assert words(played.said) == ["opened", "recovering", "closed"]
    recovering = next(t for t in played.said if t.transition == "recovering")
    assert recovering.effect is not None
    assert recovering.effect.unit == "W"
    assert recovering.effect.low < 24.0 < recovering.effect.high
    assert recovering.effect.validity_class == "empirical"


@pytest.mark.slow
def test_a_change_that_is_still_there_when_a_person_closes_it_is_found_again() -> None:
    played = Played(POWER, CHANGE, [Fault(ILL, "*", "step", 6.0, 1000)])
    (first, *_) = played.until(1150)
    played.lockstep.pipeline.close(first.id, "ada", "looked at")
    again = [t for t in played.until(1350) if t.transition == "opened"]
    assert [(t.node, t.id) for t in again] == [(ILL, "v2")]


BENEATH = {f"host-01-gpu-{i}" for i in range(8)}


def test_a_host_recovers_as_a_whole_and_lets_go_of_the_shards_beneath_it() -> None:
    ill = Fault("host-01", "*", "step", 0.12, 40, 140, unit="fraction")
    played = Played(STEP_TIME, LEVEL, [ill])
    played.until(139)
    assert played.lockstep.pipeline.open == ("host-01",)
    assert set(played.held) == BENEATH
    played.until(300)
    assert words(played.said) == ["opened", "recovering", "closed"]
    assert {t.node for t in played.said} == {"host-01"}
    assert played.held == []


def test_a_shard_that_is_still_ill_when_its_host_has_recovered_is_found_anew() -> None:
    ill = Fault("host-01", "*", "step", 0.12, 40, 140, unit="fraction")
    played = Played(STEP_TIME, LEVEL, [ill, slow(40, None)])
    played.until(300)
    assert [(t.transition, t.node) for t in played.said if t.transition != "promoted"] == [
        ("opened", "host-01"),
        ("recovering", "host-01"),
        ("closed", "host-01"),
        ("opened", ILL),
    ]
