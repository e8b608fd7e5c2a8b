from dataclasses import replace
from math import nan

import numpy as np
import pytest

from tessera.proto import decode, encode
from tessera.proto.messages import ChangePlan, Down, Inventory, LevelPlan, Plan

from .samples import SHAPE, an_up2


def change(metric: str, pool: str, rung: int, **own: float) -> ChangePlan:
    return ChangePlan(metric, pool, rung, phi=nan, kappa=1.5, epoch=2, stream_kappa=own)


def level(metric: str, group: str, rung: int) -> LevelPlan:
    return LevelPlan(metric, group, rung, margin=0.05, largest_lambda=0.5, epoch=1)


PLAN = Plan(
    id=4,
    groups={"a": "g1", "b": "g2", "c": "g1", "host": "hosts"},
    pools={"a": "p1", "b": "p2", "c": "p1", "host": "hosts"},
    needed={"g1": (3, 4), "g2": (5, 6), "hosts": (7, 8)},
    change=(
        change("power", "p1", 5, a=2.0, c=3.0),
        change("power", "p2", 5, b=4.0),
        change("power", "hosts", 30),
        change("power", "p2", 30, b=4.0),
    ),
    level=(level("step", "g2", 10), level("step", "hosts", 10), level("power", "g1", 60)),
    horizon=100.0,
    from_block={5: 12},
    epochs={"a": 1, "b": 2},
    direction={"power": 0, "step": 1},
)


def down(**changed: object) -> Down:
    three = np.zeros((2, 3), dtype=np.float32)
    count = np.array([0, 70000])
    first = Down("g", 5, 9, count, three, count, three, np.ones(1, np.bool_), plan=4)
    return replace(first, **changed)  # type: ignore[arg-type]  # a test's own fields


def test_a_host_is_told_of_its_own_shards_only() -> None:
    plan = decode.plan(encode.plan(PLAN, ["a"]))
    assert plan.groups == {"a": "g1"}
    assert plan.pools == {"a": "p1"}
    assert plan.needed == {"g1": (3, 4)}
    assert plan.epochs == {"a": 1}
    assert plan.change[0].stream_kappa == {"a": 2.0}
    assert (plan.id, plan.horizon, plan.from_block) == (4, 100.0, {5: 12})


def test_a_host_hears_of_other_cells_once_for_each_metric_and_rung_it_would_not_report() -> None:
    plan = decode.plan(encode.plan(PLAN, ["a"]))
    assert [(c.metric, c.pool, c.rung) for c in plan.change] == [
        ("power", "p1", 5),
        ("power", "hosts", 30),
    ]
    assert [(v.metric, v.group, v.rung) for v in plan.level] == [
        ("power", "g1", 60),
        ("step", "g2", 10),
    ]
    assert all(not c.stream_kappa for c in plan.change if c.pool != "p1")


def test_a_host_reports_the_same_metrics_and_rungs_as_under_the_whole_plan() -> None:
    def reported(plan: Plan) -> set[tuple[str, int]]:
        return {(c.metric, c.rung) for c in plan.change} | {(v.metric, v.rung) for v in plan.level}

    for shards in (["a"], ["b"], ["a", "b"], ["c", "b", "a"]):
        assert reported(decode.plan(encode.plan(PLAN, shards))) == reported(PLAN)


def test_a_shard_that_the_plan_does_not_know_stays_out() -> None:
    assert decode.plan(encode.plan(PLAN, ["a", "new"])).groups == {"a": "g1"}


def test_a_group_of_more_members_than_can_be_counted_is_counted_as_large_as_can_be() -> None:
    (back,) = decode.downs(encode.downs([down()]), (1, 2))
    assert back.count_raw.tolist() == back.count_demeaned.tolist() == [0, 65535]


@pytest.mark.parametrize("other", [{"block": 10}, {"rung": 10}, {"plan": 5}])
def test_summaries_of_different_blocks_do_not_go_together(other: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="2 summaries of different blocks"):
        encode.downs([down(), down(group="h", **other)])
    assert len(encode.downs([down(), down(group="h")]).summaries) == 2


def test_no_summary_at_all_is_no_message() -> None:
    with pytest.raises(ValueError, match="0 summaries"):
        encode.downs([])


def test_units_are_one_for_each_metric_or_none_at_all() -> None:
    whole = Inventory("h", 1, (), ("power", "step"), ("W", "s"))
    assert [row.unit for row in encode.inventory(whole).streams] == ["W", "s"]
    assert decode.inventory(encode.inventory(replace(whole, units=()))).units == ()
    with pytest.raises(ValueError, match="shorter"):
        encode.inventory(replace(whole, units=("W",)))


def test_onsets_travel_only_where_one_is_dated() -> None:
    quiet = np.full(SHAPE, -1, dtype=np.int64)
    message = encode.up2(replace(an_up2(), change_onset=quiet))
    assert not message.HasField("change_onset")
    assert message.HasField("level_onset")
