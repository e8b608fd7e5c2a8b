import numpy as np

from tessera.aggregator.plan.renewal import Renewal
from tessera.aggregator.state.move import Move

from ..fleets import POWER, STEP_TIME, flat, fleet_of

WEEK = 604_800.0


def due(renewal: Renewal, now: float) -> list[int]:
    return [int(column) for column in renewal.due(now)]


def test_metrics_are_renewed_one_after_the_other_within_the_first_week_and_then_weekly() -> None:
    renewal = Renewal(4, WEEK)
    days = {day: columns for day in range(22) if (columns := due(renewal, 86_400.0 * day))}
    assert days == {
        2: [0],
        4: [1],
        6: [2],
        7: [3],
        9: [0],
        11: [1],
        13: [2],
        14: [3],
        16: [0],
        18: [1],
        20: [2],
        21: [3],
    }


def test_a_long_sleep_renews_each_metric_once() -> None:
    renewal = Renewal(2, WEEK)
    assert due(renewal, 0.0) == []
    assert due(renewal, 5.2 * WEEK) == [0, 1]
    assert due(renewal, 5.3 * WEEK) == []
    assert due(renewal, 5.5 * WEEK) == [0]


def test_metrics_that_stay_keep_their_day_in_another_fleet() -> None:
    before, after = (
        fleet_of(flat(4), metrics=metrics) for metrics in ([STEP_TIME, POWER], [POWER])
    )
    former, renewal = Renewal(2, WEEK), Renewal(1, WEEK)
    former.due(0.0)
    renewal.inherit(former, Move.of(before, after))
    assert due(renewal, 0.99 * WEEK) == []
    assert due(renewal, WEEK) == [0]


def test_a_fleet_without_metrics_has_nothing_to_renew() -> None:
    assert Renewal(0, WEEK).due(np.float64(3.0)).tolist() == []
