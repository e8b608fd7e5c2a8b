from dataclasses import replace

import numpy as np
import pytest

from tessera.aggregator.decide.judge import Judge
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.plan.parts import LEVEL, Parts
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.evidence import EvidenceTable
from tessera.aggregator.state.move import Move
from tessera.engine.evalue import Validity

from ..fleets import flat, fleet_of, outcome

SHARDS = 12


class Bench:
    """A judge of twelve shards, and evidence that is given by hand."""

    def __init__(self) -> None:
        self.fleet = fleet_of(flat(SHARDS))
        self.judge = Judge(self.fleet, 0.1)
        self.planner = Planner(self.fleet, shortest=1, horizon=1000.0)
        self.parts: Parts = self.planner.parts()
        self.parts.validity[LEVEL] = Validity.CONSTRUCTION
        self.table = EvidenceTable(self.fleet)

    def tell(self, row: int, log_m: float) -> tuple[Transition, ...]:
        """Let the level channel of ``row`` stand at ``log_m``, and return what follows."""
        told = replace(outcome(1), level=np.full((1, 1), log_m))
        self.table.hear(1, np.array([row]), told, self.parts)
        made, audit = self.judge.decide(5.0, self.planner, self.parts, self.table)
        assert [record.facts["verdict"] for record in audit] == [step.id for step in made]
        return made


def test_null_little_evidence_decides_nothing() -> None:
    assert Bench().tell(3, 2.0) == ()


def test_power_much_evidence_opens_a_verdict_with_its_record() -> None:
    bench = Bench()
    (opened,) = bench.tell(3, 30.0)
    assert (opened.transition, opened.node, opened.guarantee) == ("opened", "gpu-3", "controlled")
    assert bench.tell(3, 31.0) == ()


def test_open_verdicts_and_running_maxima_go_to_the_judge_of_another_fleet() -> None:
    bench, larger = Bench(), fleet_of(flat(SHARDS + 4))
    bench.tell(3, 30.0)
    after = Judge(larger, 0.1)
    after.inherit(bench.judge, Move.of(bench.fleet, larger))
    assert after.verdicts.open_verdicts == bench.judge.verdicts.open_verdicts


def test_of_a_node_that_nobody_knows_nothing_can_be_said() -> None:
    bench = Bench()
    with pytest.raises(KeyError, match="nobody"):
        bench.judge.explain("nobody", bench.planner, bench.parts, bench.table)


class Pair(Bench):
    """Two shards that open as controlled, and classes that are lost by hand."""

    def opened(self, *evidence: float) -> None:
        for row, log_m in enumerate(evidence):
            told = replace(outcome(1), level=np.full((1, 1), log_m))
            self.table.hear(1, np.array([row]), told, self.parts)
        self.judge.decide(5.0, self.planner, self.parts, self.table)

    def live(self) -> tuple[Transition, ...]:
        made, audit = self.judge.live(6.0, self.planner, self.parts, self.table)
        assert [record.facts["to"] for record in audit] == [step.guarantee for step in made]
        return made


STRONG, BARE = 60.0, 8.3  # in a list of one, and only in a list of two


def test_a_class_that_is_lost_inside_an_epoch_makes_a_controlled_verdict_a_ranked_one() -> None:
    bench = Pair()
    bench.opened(STRONG, STRONG)
    assert bench.live() == ()
    bench.parts.validity[LEVEL, 0, 0] = Validity.EMPIRICAL
    (lost,) = bench.live()
    assert (lost.transition, lost.node, lost.guarantee) == ("relabelled", "gpu-0", "ranked")
    assert (lost.state, lost.validity_class) == ("open", "empirical")
    assert lost.reason.startswith("no longer controlled: ")
    assert bench.judge.verdicts.open == ("gpu-0", "gpu-1")
    assert bench.live() == ()


def test_what_is_left_of_the_list_is_checked_again_and_the_weak_lose_their_claim_too() -> None:
    bench = Pair()
    bench.opened(STRONG, BARE)
    assert set(bench.judge.verdicts.claimed()) == {0, 1}
    bench.parts.validity[LEVEL, 0, 0] = Validity.EMPIRICAL
    assert [(t.node, t.guarantee) for t in bench.live()] == [
        ("gpu-0", "ranked"),
        ("gpu-1", "ranked"),
    ]


def test_a_verdict_outlives_the_epoch_of_its_opening_with_the_class_it_had() -> None:
    bench = Pair()
    bench.opened(STRONG)
    bench.parts.epochs[LEVEL, 0, 0] += 1
    bench.parts.validity[LEVEL, 0, 0] = Validity.EMPIRICAL
    assert bench.live() == ()
