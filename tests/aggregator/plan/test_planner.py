from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.combine.peers import Summaries
from tessera.aggregator.plan.parts import FAST, LEVEL
from tessera.aggregator.plan.planner import Planner
from tessera.engine.evalue import Validity
from tessera.engine.outcome import Outcome
from tessera.proto.messages import Held

from ..fleets import POWER, STEP_TIME, flat, fleet_of, notes, outcome, tree

ROWS = 33  # 32 shards and their cluster


def planner_of() -> Planner:
    return Planner(fleet_of(flat(32), metrics=[POWER, STEP_TIME]), shortest=1, horizon=7e5)


def nobody(rows: int = ROWS) -> npt.NDArray[np.bool_]:
    return np.zeros(rows, dtype=np.bool_)


def tell(planner: Planner, news: Outcome) -> bool:
    """Let one host with all rows report ``news`` at rung 5; say whether the plan changed."""
    return planner.hear(5, [(np.arange(ROWS), news)], nobody())


def counted(planner: Planner, members: int) -> bool:
    """Let group 0 have so many members in twenty blocks; say whether the plan changed."""
    count = np.array([[members] * 2, [1] * 2])
    s3 = np.zeros((2, 2, 3), dtype=np.float32)
    heard = [planner.hear_counts(Summaries(count, s3, count, s3)) for _ in range(20)]
    return any(heard)


def test_the_weights_of_a_row_add_up_to_one_or_it_has_no_part_at_all() -> None:
    fleet = fleet_of(
        tree(2, 4, 8), metrics=[POWER, STEP_TIME, replace(STEP_TIME, name="x_seconds")]
    )
    weights = Planner(fleet, shortest=1, horizon=1000.0).parts().weights
    alone = fleet.group_sizes()[fleet.group] < 3
    assert alone.sum() == 3  # two racks and the cluster have too few siblings
    np.testing.assert_allclose(weights.sum(axis=(0, 1)), np.where(alone, 0.0, 1.0))


def test_half_of_the_weight_is_the_level_channels_where_there_is_one() -> None:
    parts = planner_of().parts()
    shard, cluster = parts.weights[:, :, 0], parts.weights[:, :, -1]
    np.testing.assert_allclose(shard, [[0.125, 0.125], [0.125, 0.125], [0.0, 0.5]])
    np.testing.assert_array_equal(cluster, np.zeros((3, 2)))


def test_weights_never_change_whatever_the_plan_becomes() -> None:
    planner = planner_of()
    before = planner.parts().weights.copy()
    lags = np.full((ROWS, 2, 3), 1e6)
    lags[..., 1] = 0.95e6
    news = replace(outcome(ROWS, 2, block=200), lags=lags)
    assert tell(planner, news)
    assert planner.rungs() != (1, 5, 30)
    counted(planner, 4)
    np.testing.assert_array_equal(planner.parts().weights, before)


def test_each_plan_has_its_own_id() -> None:
    planner = planner_of()
    assert [planner.plan().id, planner.plan().id] == [1, 2]


def test_the_plan_tells_every_row_its_group_pool_and_needs() -> None:
    plan = planner_of().plan()
    group = "sku=h100,job=train,role=worker"
    assert plan.groups["gpu-0"] == group
    assert plan.pools["gpu-0"] == "sku=h100"
    assert plan.needed[group] == (32, 8)
    assert plan.horizon == 7e5


def test_fewer_members_lower_the_class_and_change_the_plan() -> None:
    planner = planner_of()
    planner.change.cells[0, 0, 0].validity[:] = Validity.CONSTRUCTION
    assert planner.parts().validity[0, 0, 0] == Validity.CONSTRUCTION
    assert counted(planner, 20)
    assert planner.parts().validity[0, 0, 0] == Validity.EMPIRICAL
    assert planner.plan().needed["sku=h100,job=train,role=worker"] == (16, 8)


def test_the_class_of_a_part_is_the_least_of_members_and_calibration() -> None:
    planner = planner_of()
    planner.change.cells[0, 0, 0].validity[:3] = list(Validity)[:3]
    assert planner.parts().validity[0, 0, :3].tolist() == [0, 1, 2]
    counted(planner, 20)
    assert planner.parts().validity[0, 0, :3].tolist() == [0, 1, 1]


def test_a_review_takes_the_notes_of_all_hosts_together() -> None:
    fleet = fleet_of(flat(12))
    planner = Planner(fleet, shortest=1, horizon=1000.0)
    first, second = np.arange(6), np.arange(6, 12)
    quiet = replace(outcome(6), review=notes(6))
    assert not planner.hear(1, [(first, quiet)], nobody(13))
    assert planner.hear(1, [(second, quiet)], nobody(13))
    assert planner.parts().validity[2, 0, 0] == Validity.CONSTRUCTION


@pytest.mark.parametrize("news", ["windows", "nothing"])
def test_news_that_change_no_parameter_leave_the_plan_alone(news: str) -> None:
    planner = planner_of()
    sums = {10: np.ones((ROWS, 2))} if news == "windows" else {}
    told = replace(outcome(ROWS, 2), windows=sums)
    assert not tell(planner, told)


def test_a_class_that_the_monitor_takes_away_changes_the_plan() -> None:
    planner = planner_of()
    lags = np.full((ROWS, 2, 3), 1e6)
    lags[..., 1] = 0.5e6
    tell(planner, replace(outcome(ROWS, 2, block=200), lags=lags))
    baseline = np.random.default_rng(1).standard_normal((ROWS, 2, 100))
    tell(planner, replace(outcome(ROWS, 2, block=201), baseline=baseline))
    assert planner.parts().validity[0, 0, 0] == Validity.EMPIRICAL
    heard = []
    for b in range(100):
        sums = 4.0 * np.random.default_rng(b).standard_normal((ROWS, 2))
        told = replace(outcome(ROWS, 2, block=202 + b), windows={25: sums})
        heard.append(tell(planner, told))
    assert sum(heard) == 1
    assert planner.parts().validity[0, 0, 0] == Validity.NONE


def test_a_part_says_what_keeps_it_from_being_controlled() -> None:
    small, large_one = (
        Planner(fleet_of(flat(4), metrics=[STEP_TIME]), shortest=1, horizon=7e5),
        planner_of(),
    )
    assert small.why_ranked(0, LEVEL, 0) == "only 4 members"
    assert large_one.why_ranked(0, LEVEL, 1) == "not yet reviewed"
    assert large_one.why_ranked(0, FAST, 0) == "nothing heard yet"


HELD = Held(7, 90.0, "level", "step_time_seconds", 1, 120)


def test_a_row_is_held_as_it_was_first_until_it_is_let_go_and_begins_an_epoch() -> None:
    planner = Planner(fleet_of(flat(12)), shortest=1, horizon=1000.0)
    assert planner.hold({3: HELD})
    assert not planner.hold({3: replace(HELD, opened=999)})
    assert planner.plan().held == {"gpu-3": HELD}
    assert planner.own_epochs()[3] == 0
    assert planner.hold({})
    assert planner.plan().held == {}
    begun = planner.epochs.drain()
    assert [(epoch.scope, epoch.number) for epoch in begun] == [("gpu-3", planner.own_epochs()[3])]


def test_null_nothing_that_is_held_changes_no_plan() -> None:
    planner = Planner(fleet_of(flat(12)), shortest=1, horizon=1000.0)
    assert not planner.hold({})
    assert planner.epochs.drain() == ()
