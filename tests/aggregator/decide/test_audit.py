from math import log

import numpy as np
import pytest

from tessera.aggregator.decide.audit import of_epoch, of_plan, of_transition
from tessera.aggregator.decide.family import Selector
from tessera.aggregator.decide.verdicts import Transition
from tessera.aggregator.pipeline import Pipeline
from tessera.aggregator.plan.epochs import NewEpoch
from tessera.engine.evalue import EValues, Validity

from ..fleets import flat, fleet_of

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


def test_a_transition_is_kept_with_everything_that_decided_it() -> None:
    fleet = fleet_of(flat(12))
    rows = len(fleet.rows)
    values = EValues(np.zeros(rows), np.full(rows, Validity.EMPIRICAL))
    selection = Selector(fleet, 0.1).select(values, values, np.zeros(rows, dtype=np.bool_))
    record = of_transition(OPENED, selection, plan=4)
    assert (record.at, record.kind, record.node) == (120.0, "verdict", "gpu-3")
    assert record.text == "opened: step_time_seconds is out of family"
    facts = record.facts
    assert (facts["verdict"], facts["plan"], facts["n"], facts["q"]) == ("v7", 4, rows, 0.1)
    assert facts["threshold"] == pytest.approx(log(rows / 0.1))
    assert (facts["validity_class"], facts["log_e"], facts["since"]) == ("empirical", 8.5, 90.0)


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
