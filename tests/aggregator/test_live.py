from dataclasses import replace

import numpy as np
import pytest

from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet
from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block
from tessera.aggregator.pipeline import Pipeline
from tessera.proto.messages import Inventory, Up1, Up2

from .fleets import STEP_TIME, hosts_of, step_times

RACK = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0))
HOSTS = ("h0", "h1", "h2", "h3")


class Live:
    """Four hosts and a pipeline that has deadlines."""

    def __init__(self) -> None:
        """Start at second 0; the agents have the first plan."""
        hosts = hosts_of(SyntheticFleet(RACK, 5), [STEP_TIME], hosts=4, horizon=1000.0)
        self.fleet = hosts.fleet
        self.pipeline = Pipeline(self.fleet, shortest=1, horizon=1000.0, patient=False)
        plan = self.pipeline.step(0.0, ()).plan
        assert plan is not None
        self.agents: dict[str, Evidence] = {}
        for host in HOSTS:
            rows = tuple(self.fleet.shards[r] for r in self.fleet.hosts[host])
            agent = Evidence(Inventory(host, 1, rows, (STEP_TIME.name,)))
            agent.adopt(plan)
            self.agents[host] = agent

    def up1(self, host: str, block: int) -> Up1:
        x = np.random.default_rng((block, int(host[1]))).normal(0.2, 0.01, (8, 1))
        return self.agents[host].offer(Block(1, block, x.astype(np.float32)))

    def bet(self, block: int, hosts: tuple[str, ...] = HOSTS) -> dict[str, Up2]:
        """Let all send ``block`` and return the evidence of ``hosts``, which nobody has yet."""
        result = self.pipeline.step(block + 1.0, [self.up1(h, block) for h in HOSTS])
        found = {h: self.agents[h].answer(result.downs[h]) for h in hosts}
        return {h: up2 for h, up2 in found.items() if up2 is not None}

    def level(self, host: str) -> list[float]:
        return [float(m) for m in self.pipeline.log_m()[2, 0, self.fleet.hosts[host]]]


def test_a_block_goes_out_at_its_deadline_to_those_who_sent_it() -> None:
    live = Live()
    two = [live.up1(h, 0) for h in HOSTS[:2]]
    assert live.pipeline.step(1.4, two).downs == {}
    result = live.pipeline.step(1.5, ())
    assert set(result.downs) == set(HOSTS[:2])
    assert result.downs["h0"][0].count_raw.tolist() == [16]


def test_who_comes_after_the_deadline_has_no_summary_and_cannot_bet() -> None:
    live = Live()
    late = live.up1("h3", 0)
    live.pipeline.step(1.5, [live.up1(h, 0) for h in HOSTS[:3]])
    assert "h3" not in live.pipeline.step(1.6, [late]).downs


def test_a_host_that_is_not_expected_is_not_waited_for_but_taken() -> None:
    live = Live()
    live.pipeline.expect(HOSTS[:3])
    result = live.pipeline.step(1.0, [live.up1(h, 0) for h in HOSTS])
    assert set(result.downs) == set(HOSTS)
    result = live.pipeline.step(2.0, [live.up1(h, 1) for h in HOSTS[:3]])
    assert set(result.downs) == set(HOSTS[:3])


def test_a_host_that_nobody_knows_is_not_expected() -> None:
    live = Live()
    live.pipeline.expect([*HOSTS, "stranger"])
    assert live.pipeline.step(1.0, [live.up1(h, 0) for h in HOSTS]).downs


def test_a_step_is_due_as_soon_as_the_last_host_has_sent() -> None:
    live = Live()
    live.pipeline.take([live.up1(h, 0) for h in HOSTS[:3]])
    assert not live.pipeline.complete
    live.pipeline.take([live.up1("h3", 0)])
    assert live.pipeline.complete
    result = live.pipeline.step(1.0, ())
    assert not live.pipeline.complete
    found = [live.agents[h].answer(result.downs[h]) for h in HOSTS]
    live.pipeline.take([up2 for up2 in found if up2 is not None])
    assert live.pipeline.complete


def test_evidence_waits_for_the_others_of_its_block_until_its_deadline() -> None:
    live = Live()
    first = live.bet(0, ("h0",))["h0"]
    live.pipeline.step(1.2, [first])
    assert live.level("h0") == [0.0] * 8
    live.pipeline.step(1.5, ())
    assert live.level("h0") == first.level[:, 0].tolist() != [0.0] * 8


def test_evidence_that_comes_late_counts_when_it_comes() -> None:
    live = Live()
    found = live.bet(0)
    late = found.pop("h1")
    live.pipeline.step(1.1, list(found.values()))
    live.pipeline.step(1.6, ())
    assert live.level("h0") == found["h0"].level[:, 0].tolist()
    assert live.level("h1") == [0.0] * 8
    live.pipeline.step(5.0, [late])
    assert live.level("h1") == late.level[:, 0].tolist()


def test_late_evidence_does_not_take_the_place_of_newer() -> None:
    live = Live()
    old = live.bet(0)
    new = live.bet(1)
    live.pipeline.step(2.1, list(new.values()))
    live.pipeline.step(2.7, [replace(old["h1"], level=old["h1"].level + 5)])
    assert live.level("h1") == new["h1"].level[:, 0].tolist()


def test_evidence_of_another_epoch_is_not_believed() -> None:
    live = Live()
    up2 = live.bet(0)["h1"]
    live.pipeline.step(3.0, [replace(up2, level_epoch=up2.level_epoch + 1, level=up2.level + 50)])
    assert live.level("h1") == [0.0] * 8


def test_after_a_start_only_blocks_that_begin_later_are_served() -> None:
    live = Live()
    live.pipeline.begin(0.5)
    assert live.pipeline.step(1.6, [live.up1(h, 0) for h in HOSTS]).downs == {}
    assert live.pipeline.step(2.6, [live.up1(h, 1) for h in HOSTS]).downs


def test_after_a_start_the_plan_is_told_again_under_a_new_number() -> None:
    live = Live()
    live.pipeline.begin(0.5)
    plan = live.pipeline.step(0.6, ()).plan
    assert plan is not None
    assert (plan.id, plan.epochs) == (2, {})


def test_a_host_that_lost_its_evidence_begins_new_epochs_and_the_audit_says_why() -> None:
    live = Live()
    live.pipeline.step(1.2, list(live.bet(0).values()))
    live.pipeline.step(1.7, ())
    before = live.level("h1")
    live.pipeline.lost("h2", "its checkpoint is damaged")
    result = live.pipeline.step(2.0, ())
    assert live.level("h2") == [0.0] * 8
    assert live.level("h1") == before != [0.0] * 8
    (told,) = [a for a in result.audit if a.kind == "epoch"]
    assert (told.node, told.text) == ("host=h2", "epoch 1: its checkpoint is damaged")
    assert result.plan is not None
    assert set(result.plan.epochs.values()) == {1}
    assert set(result.plan.epochs) == {live.fleet.rows[r] for r in live.fleet.hosts["h2"]}


def test_evidence_under_the_new_epoch_of_a_host_counts_and_under_the_old_does_not() -> None:
    live = Live()
    old = live.bet(0)["h2"]
    live.pipeline.lost("h2", "its disk is new")
    plan = live.pipeline.step(1.6, ()).plan
    assert plan is not None
    live.pipeline.step(1.7, [old])
    assert live.level("h2") == [0.0] * 8
    for agent in live.agents.values():
        agent.adopt(plan)
    new = live.bet(1)["h2"]
    live.pipeline.step(2.6, [new])
    assert live.level("h2") == new.level[:, 0].tolist() != [0.0] * 8


@pytest.mark.parametrize(("plan", "epoch"), [(40, -1), (0, 17)])
def test_numbers_that_an_agent_has_are_overtaken(plan: int, epoch: int) -> None:
    live = Live()
    live.pipeline.overtake("h1", plan, epoch)
    result = live.pipeline.step(1.0, ())
    assert result.plan is not None
    assert result.plan.id > plan
    assert min(result.plan.epochs.values()) > epoch
    assert any(a.node == "host=h1" and "were lost" in a.text for a in result.audit)


def test_numbers_that_are_not_ahead_change_nothing() -> None:
    live = Live()
    live.pipeline.overtake("h1", 1, 0)
    result = live.pipeline.step(1.0, ())
    assert (result.plan, result.audit) == (None, ())


def test_evidence_under_a_plan_that_was_never_made_here_begins_new_epochs() -> None:
    live = Live()
    up2 = live.bet(0)["h1"]
    alien = replace(up2, plan=70, level_epoch=up2.level_epoch + 6, level=up2.level + 50)
    live.pipeline.step(1.7, [alien, replace(alien, rung=5)])
    result = live.pipeline.step(1.8, ())
    assert live.level("h1") == [0.0] * 8
    assert result.plan is None  # it went out with the step before
    plan = live.pipeline.planner.plan()
    assert plan.id > 71
    assert set(plan.epochs.values()) == {7}
    live.pipeline.step(1.9, [replace(alien, block=4)])
    assert set(live.pipeline.planner.plan().epochs.values()) == {7}  # once is enough


def test_an_agent_that_comes_back_with_older_evidence_begins_new_epochs() -> None:
    live = Live()
    first, second = live.bet(0)["h1"], live.bet(1)["h1"]
    live.pipeline.step(2.7, [second])
    live.pipeline.overtake("h1", first.plan, 0)
    result = live.pipeline.step(2.8, [first])
    assert live.level("h1") == [0.0] * 8
    assert [a.text for a in result.audit if a.kind == "epoch"] == [
        "epoch 1: its agent came back with older evidence than was heard"
    ]


def test_an_agent_that_comes_back_with_the_evidence_it_had_goes_on() -> None:
    live = Live()
    live.bet(0)
    second = live.bet(1)["h1"]
    live.pipeline.step(2.7, [second])
    live.pipeline.overtake("h1", second.plan, 0)
    assert live.pipeline.step(2.8, [second]).audit == ()
    assert live.level("h1") != [0.0] * 8


def test_numbers_beyond_all_measure_are_not_gone_on_from() -> None:
    live = Live()
    up2 = live.bet(0)["h1"]
    live.pipeline.step(1.7, [replace(up2, plan=2**63 - 1)])
    assert live.pipeline.planner.plan().id < 100


def test_a_pipeline_without_its_state_begins_anew_with_those_who_have_theirs() -> None:
    live = Live()
    live.pipeline.step(1.2, list(live.bet(0).values()))
    other = Pipeline(live.fleet, shortest=1, horizon=1000.0, patient=False)
    other.planner.overtake(1, 0)  # the number of the last plan is known, and nothing else
    first = other.step(1.3, ())
    assert first.plan is not None
    found = live.bet(1)
    result = other.step(2.0, list(found.values()))
    assert {a.node for a in result.audit if a.kind == "epoch"} == {f"host=h{i}" for i in range(4)}
    assert not other.log_m().any()
    plan = result.plan
    assert plan is not None
    for agent in live.agents.values():
        agent.adopt(plan)
    ups = [live.up1(h, 2) for h in HOSTS]
    downs = other.step(3.0, ups).downs
    answers = [live.agents[h].answer(downs[h]) for h in HOSTS]
    other.step(3.1, [up2 for up2 in answers if up2 is not None])
    assert other.log_m()[2].any()


def test_with_a_lead_a_plan_names_the_block_from_which_each_rung_obeys_it() -> None:
    fleet = Live().fleet
    pipeline = Pipeline(fleet, shortest=1, horizon=1000.0, lead=2, patient=False)
    plan = pipeline.step(103.0, ()).plan
    assert plan is not None
    assert plan.from_block == {1: 105, 5: 22}
