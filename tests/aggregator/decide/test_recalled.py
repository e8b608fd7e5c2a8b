from dataclasses import fields

import pytest

from tessera.aggregator.decide.recalled import recalled
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.state.records import Change, VerdictRecord


@pytest.mark.parametrize("change", ["opened", "promoted", "recovering"])
def test_a_record_becomes_the_transition_that_it_was_made_of(change: Change) -> None:
    record = VerdictRecord(
        id="v7",
        change=change,
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
    )
    found = recalled(record)
    assert found.transition == change
    assert found.state == ("recovering" if change == "recovering" else "open")
    for part in fields(Transition):
        if part.name in {field.name for field in fields(VerdictRecord)}:
            assert getattr(found, part.name) == getattr(record, part.name)
