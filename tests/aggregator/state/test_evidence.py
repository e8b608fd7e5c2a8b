from dataclasses import replace
from math import log

import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.plan.parts import FAST, LEVEL, SLOW, Parts
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.evidence import EvidenceTable, Lead
from tessera.engine.evalue import Validity
from tessera.engine.outcome import Outcome

from ..fleets import POWER, STEP_TIME, flat, fleet_of, outcome

SHARDS = 4
ALL = np.arange(SHARDS)
METRICS = (POWER, STEP_TIME)  # rungs 5 and 30; 1 and 5, level 1


def fresh() -> tuple[EvidenceTable, Parts]:
    fleet = fleet_of(flat(SHARDS), metrics=METRICS)
    parts = Planner(fleet, shortest=1, horizon=604_800.0).parts()
    parts.validity[:] = Validity.CONSTRUCTION
    return EvidenceTable(fleet), parts


def bringing(change: float = 0.0, level: float = 0.0, onset: int = -1, learned: int = 0) -> Outcome:
    shape = (SHARDS, len(METRICS))
    return replace(
        outcome(SHARDS, len(METRICS)),
        change=np.full(shape, change),
        level=np.full(shape, level),
        change_onset=np.full(shape, onset),
        level_onset=np.full(shape, onset),
        learned=np.full(shape, learned),
    )


def at(log_m: npt.NDArray[np.float64], row: int = 0) -> list[list[float]]:
    found: list[list[float]] = log_m[:, :, row].tolist()
    return found


def test_a_block_speaks_only_for_the_parts_of_its_rung() -> None:
    table, parts = fresh()
    table.hear(5, ALL, bringing(change=3.0, level=9.0), parts)
    assert at(table.log_m()) == [[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]]
    table.hear(1, ALL, bringing(change=4.0, level=9.0), parts)
    assert at(table.log_m()) == [[3.0, 4.0], [0.0, 3.0], [0.0, 9.0]]


def test_evidence_is_absolute_so_hearing_it_twice_changes_nothing() -> None:
    table, parts = fresh()
    for _ in range(2):
        table.hear(1, ALL, bringing(change=4.0), parts)
    assert table.log_m()[FAST, 1, 0] == 4.0


def test_a_stream_that_says_nothing_keeps_its_last_evidence() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(change=4.0), parts)
    table.hear(1, ALL, bringing(change=np.nan), parts)
    assert table.log_m()[FAST, 1, 0] == 4.0


def test_a_host_speaks_for_its_own_rows_only() -> None:
    table, parts = fresh()
    two = bringing(change=4.0)
    half = replace(outcome(2, 2), change=two.change[:2])
    table.hear(1, np.array([3, 1]), half, parts)
    assert table.log_m()[FAST, 1].tolist() == [0.0, 4.0, 0.0, 4.0, 0.0]


def test_what_was_learned_is_kept_for_fast_and_slow() -> None:
    table, parts = fresh()
    table.hear(5, ALL, bringing(learned=37), parts)
    assert table.learned[FAST, 0].tolist() == [37, -1]
    assert table.learned[SLOW, 0].tolist() == [-1, 37]


def test_a_part_whose_epoch_ended_begins_with_no_evidence() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(change=4.0, level=9.0), parts)
    ended = np.zeros((3, 2, SHARDS + 1), dtype=np.bool_)
    ended[LEVEL] = True
    table.forget(ended, np.zeros_like(ended))
    assert at(table.log_m())[LEVEL] == [0.0, 0.0]
    assert table.log_m()[FAST, 1, 0] == 4.0


def test_a_part_that_begins_anew_has_no_onset_and_has_learned_nothing_and_others_have() -> None:
    table, parts = fresh()
    told = bringing(change=4.0, onset=7, learned=150)
    table.hear(1, ALL, told, parts)
    table.hear(5, ALL, told, parts)
    begins = np.zeros((3, 2, SHARDS + 1), dtype=np.bool_)
    begins[FAST, :, 2] = True
    table.forget(begins, begins)
    assert table.learned[FAST, :3].max(axis=1).tolist() == [150, 150, -1]
    assert table.learned[SLOW, :3].max(axis=1).tolist() == [150, 150, 150]
    log_m, since = table.of(2)
    assert np.isnan(since[FAST]).all()
    assert (log_m[FAST] == 0.0).all()
    assert since[SLOW, 1] == 35.0


def test_an_epoch_that_ends_without_learning_anew_keeps_what_was_learned() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(change=4.0, learned=150), parts)
    ended = np.ones((3, 2, SHARDS + 1), dtype=np.bool_)
    table.forget(ended, np.zeros_like(ended))
    assert table.learned[FAST].max() == 150
    assert (table.log_m() == 0.0).all()


def test_the_highest_part_bounds_every_merged_value() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(change=4.0, level=9.0), parts)
    controlled, ranked, _ = table.merged(parts)
    assert table.highest() == 9.0
    assert max(controlled.log_e.max(), ranked.log_e.max()) <= 9.0


def test_parts_are_merged_as_a_weighted_mean() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(level=log(101.0)), parts)
    controlled, ranked, _ = table.merged(parts)
    assert controlled.log_e[0] == pytest.approx(log(0.5 * 101.0 + 0.5))
    assert ranked.log_e[0] == controlled.log_e[0]


def test_a_row_begins_anew_when_a_part_loses_its_class() -> None:
    table, parts = fresh()
    table.merged(parts)
    parts.validity[FAST, 0, 2] = Validity.EMPIRICAL
    assert np.flatnonzero(table.merged(parts)[2]).tolist() == [2]
    assert not table.merged(parts)[2].any()


def test_a_row_does_not_begin_anew_when_a_class_rises() -> None:
    table, parts = fresh()
    parts.validity[:] = Validity.NONE
    table.merged(parts)
    parts.validity[:] = Validity.CONSTRUCTION
    assert not table.merged(parts)[2].any()


def test_a_row_begins_anew_when_a_part_ends_its_epoch() -> None:
    table, parts = fresh()
    table.merged(parts)
    parts.epochs[LEVEL, 1, 3] += 1
    assert np.flatnonzero(table.merged(parts)[2]).tolist() == [3]


def test_the_lead_is_the_strongest_part_that_counts() -> None:
    table, parts = fresh()
    table.hear(1, ALL, bringing(change=20.0, level=9.0, onset=7), parts)
    parts.validity[FAST] = Validity.EMPIRICAL
    one = table.lead(0, parts, controlled=True)
    other = table.lead(0, parts, controlled=False)
    assert (one.channel, one.metrics, one.validity) == (
        "level",
        ("step_time_seconds",),
        "construction",
    )
    assert (other.channel, other.validity) == ("change", "empirical")
    assert one.since == 7.0


def lead_of(*log_m: float) -> Lead:
    """Return the lead of a row whose level parts have ``log_m``, a metric each."""
    metrics = [replace(STEP_TIME, name=f"{name}_seconds") for name in "abc"]
    fleet = fleet_of(flat(SHARDS), metrics=metrics)
    parts = Planner(fleet, shortest=1, horizon=604_800.0).parts()
    parts.validity[:] = Validity.CONSTRUCTION
    table = EvidenceTable(fleet)
    level = np.broadcast_to(np.array(log_m), (SHARDS, 3)).copy()
    table.hear(1, ALL, replace(outcome(SHARDS, 3), level=level), parts)
    return table.lead(0, parts, controlled=True)


def test_metrics_that_carry_the_evidence_are_named_strongest_first() -> None:
    assert lead_of(20.0, 21.0, 5.0).metrics == ("b_seconds", "a_seconds")


def test_an_onset_is_told_in_seconds() -> None:
    table, parts = fresh()
    table.hear(5, ALL, bringing(change=30.0, onset=12), parts)
    assert table.lead(0, parts, controlled=False).since == 60.0


def test_an_unknown_onset_is_told_as_unknown() -> None:
    assert np.isnan(lead_of(20.0, 1.0, 1.0).since)
