from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from tessera.aggregator.decide.lives import Effect, Lives
from tessera.aggregator.plan.parts import FAST, LEVEL
from tessera.aggregator.state.evidence import Lead
from tessera.aggregator.state.move import Move
from tessera.engine.watch import Watched

from ..fleets import POWER, STEP_TIME, flat, fleet_of

LED = Lead("level", ("step_time_seconds",), "construction", 90.0, LEVEL, 0)
ROWS = np.array([10, 11, 12])  # of a host with three shards
NOTE = Watched(1, verdict=7, turns=0, lasted=4, log_m=0.5, low=-inf, middle=0.05, high=0.1)
METRICS = (STEP_TIME, POWER)


def lives(note: Watched | None = None, lead: Lead = LED) -> Lives:
    made = Lives()
    made.begin(11, 7, 120.0, lead, epoch=3)
    made.hear(5, ROWS, () if note is None else (note,))
    return made


@pytest.mark.parametrize(
    ("turns", "lasted", "recovering", "word"),
    [
        (0, 9999, False, None),
        (1, 0, False, "recovering"),
        (1, 359, True, None),
        (1, 360, True, "closed"),
        (2, 0, True, "reopened"),
        (2, 9999, False, None),
        (0, 0, True, "reopened"),
    ],
)
def test_a_step_follows_from_turns_and_from_half_an_hour_of_evidence(
    turns: int, lasted: int, *, recovering: bool, word: str | None
) -> None:
    turned = lives(replace(NOTE, turns=turns, lasted=lasted)).turned(11, recovering=recovering)
    assert (turned and turned[0]) == word


def test_an_agent_that_lost_the_recovery_is_told_from_a_relapse() -> None:
    reasons = []
    for turns in (0, 2):
        turned = lives(replace(NOTE, turns=turns)).turned(11, recovering=True)
        assert turned is not None
        reasons.append(turned[1])
    assert "lost" in reasons[0]
    assert "lost" not in reasons[1]


@pytest.mark.parametrize("recovering", [False, True])
def test_null_nothing_follows_before_anything_was_heard(*, recovering: bool) -> None:
    assert lives().turned(11, recovering=recovering) is None


def test_what_is_told_of_another_verdict_or_of_rows_that_are_not_held_is_not_heard() -> None:
    for odd in (replace(NOTE, turns=1, verdict=6), replace(NOTE, turns=1, row=0)):
        assert lives(odd).turned(11, recovering=False) is None


def test_the_effect_on_a_metric_judged_by_its_logarithm_is_a_share() -> None:
    found = lives(NOTE).effect(11, METRICS)
    assert found is not None
    assert (found.unit, found.metric, found.validity_class) == (
        "%",
        "step_time_seconds",
        "construction",
    )
    assert found.low == -inf
    assert found.middle == pytest.approx(5.127, abs=1e-3)
    assert found.high == pytest.approx(10.517, abs=1e-3)


def test_the_effect_of_a_change_is_in_the_metrics_unit_and_empirical() -> None:
    changed = replace(LED, channel="change", part=FAST, column=1)
    found = lives(replace(NOTE, low=20.0, middle=24.0, high=30.0), changed).effect(11, METRICS)
    assert found == Effect(20.0, 24.0, 30.0, "W", "power_watts", "empirical")


def test_nothing_seen_since_the_opening_is_no_effect() -> None:
    assert lives(replace(NOTE, middle=nan)).effect(11, METRICS) is None


def test_what_is_folded_stays_held_until_the_verdict_above_ends() -> None:
    made = lives()
    made.begin(20, 8, 130.0, LED, epoch=3)
    made.fold(11, 20)
    assert [row for row, _ in made.held()] == [11, 20]
    made.end(20)
    assert list(made.held()) == []


def test_a_folded_row_that_opens_again_stays_held_as_it_was_until_its_own_end() -> None:
    made = lives()
    made.begin(20, 8, 130.0, LED, epoch=3)
    made.fold(11, 20)
    made.begin(11, 9, 200.0, LED, epoch=4)
    made.end(20)
    assert [(row, life.number, life.opened) for row, life in made.held()] == [(11, 7, 120.0)]
    made.end(11)
    assert list(made.held()) == []


def test_holds_move_with_their_rows_and_end_with_them() -> None:
    before, after = fleet_of(flat(12)), fleet_of(flat(16))
    made, gone = Lives(), Lives()
    made.inherit(lives(), Move.of(before, after))
    assert [row for row, _ in made.held()] == [after.rows.index(before.rows[11])]
    gone.inherit(made, Move.of(after, fleet_of(flat(4))))
    assert list(gone.held()) == []
