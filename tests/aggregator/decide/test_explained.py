from functools import cache
from math import log

import pytest

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.aggregator.pipeline import Pipeline

from ..fleets import STEP_TIME, flat, fleet_of, hosts_of, step_times

RACK = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0), phi=0.3)
SHARD = "host-01-gpu-3"


def played(ticks: int, fault: str = "", spec: FleetSpec = RACK) -> Pipeline:
    faults = [Fault(fault, "*", "step", 0.12, 60, unit="fraction")] if fault else []
    made = SyntheticFleet(spec, 5, faults)
    hosts = hosts_of(made, [STEP_TIME], hosts=4, horizon=2000.0)
    hosts.play(made.ticks(0, ticks))
    return hosts.pipeline


@cache
def sick() -> Pipeline:
    return played(120, SHARD)


def test_an_open_verdict_explains_itself() -> None:
    found = sick().explain(SHARD)
    assert found.verdict == sick().open_verdicts[0]
    assert found.why == (sick().open_verdicts[0].reason,)
    assert (found.kind, found.members) == ("gpu_shard", 32)
    assert found.bar == pytest.approx(log(len(sick().fleet.rows) / 0.1))


def test_the_parts_add_up_to_the_evidence() -> None:
    found = sick().explain(SHARD)
    rungs = {"fast change": 1, "slow change": 5, "level": 1}
    assert {p.channel: p.rung for p in found.parts} == rungs
    assert sum(p.weight for p in found.parts) == pytest.approx(1.0)
    level = found.parts[0]
    assert level.channel == "level"
    assert level.validity_class == "construction"
    assert level.log_m + log(level.weight) == pytest.approx(found.log_e, abs=1e-3)
    assert level.since == pytest.approx(60.0, abs=3.0)


def test_the_part_that_carries_most_comes_first() -> None:
    for node in (SHARD, "host-02-gpu-1", "host-03-gpu-5"):
        carried = [p.log_m + log(p.weight) for p in sick().explain(node).parts]
        assert carried == sorted(carried, reverse=True)
        assert len(carried) == 3


def test_a_part_that_learns_says_how_far_it_has_come() -> None:
    found = {p.channel: p.reason for p in sick().explain("host-02-gpu-1").parts}
    assert found == {
        "fast change": "learning (120 of 200), baseline strict",
        "slow change": "learning (24 of 200), baseline warm_start",
        "level": "",
    }
    before = played(0).explain(SHARD).parts
    assert [p.reason for p in before if p.channel != "level"] == [
        "learning (0 of 200), baseline none"
    ] * 2


def test_an_open_verdict_whose_evidence_was_lost_keeps_its_own_and_says_so() -> None:
    pipeline = played(120, SHARD)
    pipeline.lost("h1", "its agent began without a checkpoint")
    found = pipeline.explain(SHARD)
    reason, kept, *learning = found.why
    assert found.verdict is not None
    assert reason == found.verdict.reason
    assert kept.startswith("it was opened with e = 10^")
    assert kept.endswith("the evidence since its last new epoch is e = 1")
    assert learning[0] == "fast change of step_time_seconds is learning: 0 of 200 blocks"
    assert (found.log_e, found.verdict.log_e > found.bar) == (0.0, True)


def test_a_node_that_left_the_fleet_with_an_open_verdict_still_says_why_it_is_open() -> None:
    told = sick().open_verdicts[0]
    pipeline = Pipeline(fleet_of(flat(12)), shortest=1, horizon=1000.0)
    pipeline.recall([told], 4)
    found = pipeline.explain(told.node)
    assert (found.verdict, found.parts, found.members) == (told, (), 0)
    assert found.why == (
        told.reason,
        "it has left the fleet: nothing has been heard of it since",
    )


def test_a_healthy_shard_says_how_far_it_is_from_the_bar_and_what_it_still_learns() -> None:
    evidence, *learning = sick().explain("host-02-gpu-1").why
    assert "nothing speaks against it" in evidence or "is below the bar" in evidence
    assert "10^2.6" in evidence  # ln(37 / 0.1) in powers of ten
    assert learning[0] == "fast change of step_time_seconds is learning: 120 of 200 blocks"
    assert learning[1].startswith("slow change of step_time_seconds is learning: 24 of 200")


def test_before_its_review_the_level_channel_learns() -> None:
    why = played(10).explain(SHARD).why
    assert "level of step_time_seconds is learning: not yet reviewed" in why


def test_a_shard_beneath_an_open_host_says_so() -> None:
    pipeline = played(160, "host-01")
    assert "host-01" in pipeline.open
    assert pipeline.explain("host-01-gpu-0").why[0] == "explained by host-01, which is open"
    assert pipeline.explain("host-02-gpu-0").why[0].startswith("e = ")


def test_an_inner_node_says_what_is_known_at_or_below_it_taken_together() -> None:
    ill, well = (sick().explain(host).why for host in ("host-01", "host-02"))
    (found,) = (s for s in ill if s.startswith("at or below it, taken together, e = "))
    assert "10^" in found  # a shard of it is ill
    (quiet,) = (s for s in well if s.startswith("at or below it"))
    assert "10^" not in quiet


def test_who_has_too_few_to_be_compared_with_says_so() -> None:
    why, of_its_past = sick().explain("cluster").why
    assert of_its_past.startswith("against its own past, step_time_seconds: learning")
    assert why == ("no claim is made: fewer than three siblings, 1 in the group, itself included")


def test_a_group_of_unequals_says_why_it_abstains() -> None:
    odd = MetricSpec("step_time_seconds", 1.2, 0.012, static=0.3, multiplicative=True)
    spec = FleetSpec(shards=8, shards_per_host=2, hosts_per_rack=0, metrics=(odd,))
    why = played(60, spec=spec).explain("host-01-gpu-0").why
    assert any(
        s.startswith("level of step_time_seconds makes no claim: heterogeneous_group") for s in why
    )
    assert any(s.startswith("fast change") and "only 8 members" in s for s in why)


def test_an_unknown_node_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        sick().explain("nobody")
