"""What the plan makes of columns beside the means: one stream each, a share of the weight."""

from dataclasses import replace

import numpy as np
import pytest

from tessera.adapters.metric import Metric
from tessera.adapters.scored import scored
from tessera.aggregator.plan.abstain import Abstention, abstentions
from tessera.aggregator.plan.parts import FAST, LEVEL, SLOW
from tessera.aggregator.plan.planner import Planner

from ..fleets import POWER, STEP_TIME, flat, fleet_of, outcome

SHARDS, WEEK = 32, 604_800.0
SPREAD, SPIKE = scored(POWER, "spread"), scored(STEP_TIME, "spike")


def planner_of(*metrics: Metric, horizon: float = WEEK, shortest: int = 1) -> Planner:
    return Planner(fleet_of(flat(SHARDS), metrics=metrics), shortest=shortest, horizon=horizon)


def with_phi(planner: Planner, column: int, phi: float, *, rung: int) -> bool:
    """Let all streams of a column report the memory ``phi``; say whether the plan changed."""
    rows, metrics = SHARDS + 1, 2
    lags = np.full((rows, metrics, 3), np.nan)
    lags[:, column] = (1e6, phi * 1e6, 1e6)
    learned = np.full((rows, metrics), 200)
    news = replace(outcome(rows, metrics, block=200), lags=lags, learned=learned)
    return planner.hear(rung, [(np.arange(rows), news)], np.zeros(rows, dtype=np.bool_))


def test_a_score_has_one_part_the_fast_one_at_its_own_rung() -> None:
    rungs = planner_of(POWER, SPREAD).parts().rungs[:, :, 0]
    np.testing.assert_array_equal(rungs, [[5, 30], [30, 0], [0, 0]])


def test_a_score_waits_for_a_phi_as_a_fast_mean_does_and_no_memory_moves_its_rung() -> None:
    planner = planner_of(POWER, SPREAD)
    assert with_phi(planner, 1, 0.95, rung=30)
    cell = planner.change.cells[0, 1, 0]
    assert cell.phi == pytest.approx(0.95, abs=0.03)
    assert cell.rung == 30


def test_the_same_memory_moves_the_rungs_of_a_mean() -> None:
    planner = planner_of(POWER, SPREAD)
    assert with_phi(planner, 0, 0.95, rung=5)
    assert planner.change.cells[0, 0, 0].rung > 5


def test_means_have_half_of_the_change_channel_and_scores_the_other_half_alike() -> None:
    weights = planner_of(POWER, SPREAD, scored(POWER, "spike")).parts().weights[:, :, 0]
    np.testing.assert_allclose(weights, [[0.25, 0.25, 0.25], [0.25, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_beside_a_level_channel_the_shares_of_the_change_channel_are_the_same() -> None:
    weights = planner_of(POWER, SPREAD, STEP_TIME, SPIKE).parts().weights[:, :, 0]
    assert weights[LEVEL].sum() == pytest.approx(0.5)
    means, scores = weights[:LEVEL][:, [0, 2]], weights[FAST, [1, 3]]
    assert means.sum() == pytest.approx(0.25)
    np.testing.assert_allclose(means, 0.0625)
    np.testing.assert_allclose(scores, 0.125)
    assert weights[SLOW, [1, 3]].sum() == 0


def test_without_scores_the_means_have_it_all() -> None:
    weights = planner_of(POWER, STEP_TIME).parts().weights[:, :, 0]
    np.testing.assert_allclose(weights, [[0.125, 0.125], [0.125, 0.125], [0.0, 0.5]])


def test_a_score_without_any_mean_has_all_of_the_change_channel() -> None:
    weights = planner_of(SPREAD).parts().weights[:, :, 0]
    np.testing.assert_allclose(weights, [[1.0], [0.0], [0.0]])


@pytest.mark.parametrize(
    ("horizon", "shortest", "why"),
    [
        (11_999.0, 1, "200 blocks of 30 s are more than half of an epoch"),
        (WEEK, 60, "blocks of 30 s are too short here"),
    ],
)
def test_a_score_that_could_never_bet_has_no_part_and_says_so(
    horizon: float, shortest: int, why: str
) -> None:
    planner = planner_of(POWER, SPREAD, horizon=horizon, shortest=shortest)
    fleet = fleet_of(flat(SHARDS), metrics=(POWER, SPREAD))
    assert planner.parts().weights[:, 1].sum() == 0
    np.testing.assert_allclose(planner.parts().weights[:, 0].sum(axis=0)[:SHARDS], 1.0)
    told = abstentions(fleet, planner, np.full((2, SHARDS + 1, 2), 200))
    assert Abstention("power_watts", "change", f"scores of ticks: {why}") in told


def test_a_score_that_learns_in_time_has_its_part() -> None:
    assert planner_of(POWER, SPREAD, horizon=12_000.0).parts().weights[FAST, 1, 0] > 0


def test_means_that_have_learned_are_not_said_to_learn_while_scores_still_do() -> None:
    fleet = fleet_of(flat(SHARDS), metrics=(POWER, SPREAD))
    learned = np.full((2, SHARDS + 1, 2), 200)
    learned[FAST, :, 1] = 70
    reasons = {a.reason for a in abstentions(fleet, planner_of(POWER, SPREAD), learned)}
    assert "scores of ticks: learning (70 of 200 blocks)" in reasons
    assert not any("rung: learning" in reason for reason in reasons)
