from dataclasses import replace
from math import log

import numpy as np
import pytest

from tessera.aggregator.decide.audit import of_epoch, of_fallen, of_freeze, of_plan, of_transition
from tessera.aggregator.decide.explained import Books
from tessera.aggregator.decide.family import Selector
from tessera.aggregator.decide.transition import Guarantee, Transition, TransitionWord
from tessera.aggregator.pipeline import Pipeline
from tessera.aggregator.plan.change import Fallen
from tessera.aggregator.plan.epochs import NewEpoch
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.evidence import EvidenceTable
from tessera.engine.calibration import Calibration
from tessera.engine.evalue import EValues, Validity
from tessera.engine.reason import Code, Reason
from tessera.proto.messages import Freeze

from ..fleets import flat, fleet_of, outcome

OPENED = Transition(
    transition="opened",
    node="gpu-3",
    level="shard",
    channel="level",
    guarantee="ranked",
    validity_class="empirical",
    log_e=8.5,
    at=120.0,
    since=90.0,
    metrics=("step_time_seconds",),
    reason="step_time_seconds is out of family",
    id="v7",
)


def decided() -> tuple[float, Books]:
    """Return q, and the books of twelve shards with ln M = 9 in gpu-3's level."""
    fleet = fleet_of(flat(12))
    rows = len(fleet.rows)
    values = EValues(np.zeros(rows), np.full(rows, Validity.EMPIRICAL))
    selection = Selector(fleet, 0.1).select(values, values, np.zeros(rows, dtype=np.bool_))
    planner = Planner(fleet, shortest=1, horizon=1000.0)
    planner.begin_anew("host=here", np.array([3]), "a reason")
    for _ in range(4):
        planner.plan()
    table, parts = EvidenceTable(fleet), planner.parts()
    told = outcome(1)
    told = replace(told, level=np.full((1, 1), 9.0), level_epoch=np.full((1, 1), 1))
    table.hear(1, np.array([3]), told, parts)
    return 0.1, Books(fleet, planner, parts, table, selection.threshold)


def test_a_transition_is_kept_with_everything_that_decided_it() -> None:
    q, books = decided()
    rows = len(books.fleet.rows)
    record = of_transition(OPENED, q, books)
    assert (record.at, record.kind, record.node) == (120.0, "verdict", "gpu-3")
    assert record.text == "opened: step_time_seconds is out of family"
    facts = record.facts
    assert (facts["verdict"], facts["plan"], facts["n"], facts["q"]) == ("v7", 4, rows, 0.1)
    assert facts["threshold"] == pytest.approx(log(rows / 0.1))
    assert (facts["validity_class"], facts["log_e"], facts["since"]) == ("empirical", 8.5, 90.0)


def test_a_transition_is_kept_with_the_parts_that_it_was_merged_of_and_their_epochs() -> None:
    facts = of_transition(OPENED, *decided()).facts
    assert facts["epochs"] == [1]
    assert facts["actor"] == "tessera"
    one = {"metric": "step_time_seconds", "family": "A mean", "class": "none"}
    assert facts["parts"] == [
        {**one, "channel": "fast change", "rung": 1, "log_m": 0.0, "weight": 0.25},
        {**one, "channel": "slow change", "rung": 5, "log_m": 0.0, "weight": 0.25},
        {**one, "channel": "level", "rung": 1, "log_m": 9.0, "weight": 0.5},
    ]


@pytest.mark.parametrize(
    ("word", "guarantee", "states"),
    [
        ("opened", "ranked", ("none", "ranked")),
        ("opened", "controlled", ("none", "controlled")),
        ("promoted", "controlled", ("ranked", "controlled")),
        ("recovering", "controlled", ("controlled", "recovering")),
        ("closed", "ranked", ("ranked", "closed")),
        ("relabelled", "ranked", ("controlled", "ranked")),
        ("reopened", "controlled", ("recovering", "controlled")),
    ],
)
def test_a_transition_says_from_what_to_what(
    word: TransitionWord, guarantee: Guarantee, states: tuple[str, str]
) -> None:
    facts = of_transition(replace(OPENED, transition=word, guarantee=guarantee), *decided()).facts
    assert (facts["from"], facts["to"]) == states


def test_an_epoch_is_kept_with_its_scope_and_reason() -> None:
    record = of_epoch(5.0, NewEpoch(3, "host=h1", "it joined"))
    assert (record.kind, record.node, record.text) == ("epoch", "host=h1", "epoch 3: it joined")
    assert record.facts == {"epoch": 3}


def test_a_plan_is_kept_with_its_number() -> None:
    plan = Pipeline(fleet_of(flat(12)), shortest=1, horizon=100.0).step(0.0, ()).plan
    assert plan is not None
    record = of_plan(5.0, plan)
    assert (record.kind, record.node, record.facts) == ("plan", "", {"plan": 1})
    assert record.text == f"plan 1: {len(plan.change)} change cells, {len(plan.level)} level cells"


def test_a_lost_class_is_recorded_with_its_reasons_as_data() -> None:
    reasons = (Reason(Code.DRIFT, (1.4,)), Reason(Code.INFLATED, (1.2,), (25, 50)))
    found = of_fallen(9.0, Fallen("sku=h100", Calibration(Validity.NONE, 1.2, reasons)))
    assert (found.kind, found.node) == ("calibration", "sku=h100")
    assert found.text.startswith("class none until the next epoch: drift: inflation grows by 1.40")
    assert found.facts["reasons"] == [
        {"code": "drift", "numbers": [1.4], "windows": []},
        {"code": "inflated", "numbers": [1.2], "windows": [25, 50]},
    ]


def test_a_freeze_is_recorded_with_its_scope_and_times() -> None:
    found = of_freeze(9.0, Freeze("f", ("rack-1",), 10.0, 20.0, "push", exogenous=True), "frozen")
    assert (found.kind, found.node, found.text) == ("freeze", "rack-1", "frozen")
    assert (found.facts["start"], found.facts["until"]) == (10.0, 20.0)
