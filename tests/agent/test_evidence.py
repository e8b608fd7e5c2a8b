from collections.abc import Sequence
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
import pytest

from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block
from tessera.engine.arrays import Floats, Ints
from tessera.engine.change import LEARNING_BLOCKS, OFFSET_BLOCKS
from tessera.engine.peers import central
from tessera.proto.messages import ChangePlan, Down, Inventory, LevelPlan, Plan, ShardRow, Up1, Up2

METRICS = ("power", "step_time")
DIRECTION = {"power": 0, "step_time": 1}
RUNG, SHARDS, CROSSING = 10, 16, np.log(100.0)
IDS = count(1)
NAMES = tuple(f"gpu-{i}" for i in range(SHARDS))


def host(names: Sequence[str] = NAMES, name: str = "host-0") -> Evidence:
    rows = tuple(ShardRow(shard, "gpu", "h200", "train", "worker") for shard in names)
    return Evidence(Inventory(name, 1, rows, METRICS))


def change(
    metric: str = "power",
    *,
    rung: int = RUNG,
    phi: float = 0.0,
    kappa: float = 1.0,
    epoch: int = 0,
) -> ChangePlan:
    return ChangePlan(metric, "h200", rung, phi, kappa, epoch, stream_kappa={})


def level(metric: str = "step_time", *, epoch: int = 0) -> LevelPlan:
    return LevelPlan(metric, "peers", RUNG, margin=0.05, largest_lambda=0.9, epoch=epoch)


def plan(
    *cells: ChangePlan | LevelPlan, needed: int = 3, groups: Sequence[str] = ("peers",) * SHARDS
) -> Plan:
    """Return a plan for all sixteen shards that holds ``cells``."""
    return Plan(
        id=next(IDS),
        groups=dict(zip(NAMES, groups, strict=True)),
        pools=dict.fromkeys(NAMES, "h200"),
        needed=dict.fromkeys(groups, (needed, needed)),
        change=tuple(cell for cell in cells if isinstance(cell, ChangePlan)),
        level=tuple(cell for cell in cells if isinstance(cell, LevelPlan)),
        horizon=10_000.0,
        direction=DIRECTION,
    )


BOTH = plan(change(), level())


def block(index: int, x: Floats, rung: int = RUNG) -> Block:
    return Block(rung, index, x.astype(np.float32))


def down(ups: Sequence[Up1], group: str, members: Sequence[Ints]) -> list[Down]:
    """Return, for each host of ``ups``, what ``group`` with those ``members`` (rows) is told."""
    x = np.vstack([up.x[rows] for up, rows in zip(ups, members, strict=True)])
    offset = np.vstack([up.offset[rows] for up, rows in zip(ups, members, strict=True)])
    raw, own = central(x), central(x - offset)
    s3_raw, s3_own = raw.s3.astype(np.float32), own.s3.astype(np.float32)
    return [
        Down(group, u.rung, u.block, raw.count, s3_raw, own.count, s3_own, u.eligible) for u in ups
    ]


def exchange(hosts: Sequence[Evidence], index: int, x: Floats) -> list[Up2 | None]:
    """Pass one block of all shards, in their order over ``hosts``, up and down again."""
    sizes = np.cumsum([len(h.inventory.shards) for h in hosts])[:-1]
    ups = [h.offer(block(index, part)) for h, part in zip(hosts, np.split(x, sizes), strict=True)]
    downs = down(ups, "peers", [np.arange(len(up.x)) for up in ups])
    return [h.answer([one]) for h, one in zip(hosts, downs, strict=True)]


def values(seed: int, blocks: int) -> Floats:
    """Blocks x shards x metrics: independent noise about a common, wandering level."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(0.02 * rng.normal(size=(blocks, 1, 2)), axis=0)
    return common + 0.01 * rng.normal(size=(blocks, SHARDS, 2))


def play(hosts: Sequence[Evidence], x: Floats, first: int = 0) -> list[Up2]:
    """Return the outcomes of the last block."""
    last: list[Up2] = []
    for b, row in enumerate(x):
        last = [told for told in exchange(hosts, first + b, row) if told is not None]
        assert len(last) == len(hosts)
    return last


def test_null_a_healthy_host_raises_nothing() -> None:
    one = host()
    one.adopt(BOTH)
    highest = -np.inf
    for b, row in enumerate(values(151, 400)):
        (told,) = play([one], row[None], first=b)
        highest = max(highest, float(np.nanmax(told.change)), float(np.nanmax(told.level)))
    assert highest < CROSSING


def test_power_a_shard_that_leaves_its_peers_is_found_and_no_other_is() -> None:
    one, x = host(), values(152, 340)
    x[300:, 5] += 0.1
    one.adopt(BOTH)
    (told,) = play([one], x)
    assert np.argwhere(told.change >= CROSSING).tolist() == [[5, 0]]
    assert np.argwhere(told.level >= CROSSING).tolist() == [[5, 1]]


def test_a_plan_opens_its_streams_and_says_which_columns_to_fold() -> None:
    one = host()
    assert one.columns() == {}
    one.adopt(plan(change("power"), change("step_time", rung=60), level("step_time")))
    assert {rung: found.tolist() for rung, found in one.columns().items()} == {10: [0, 1], 60: [1]}


def test_streams_are_only_where_the_plan_has_them() -> None:
    one = host()
    one.adopt(BOTH)
    (told,) = play([one], values(153, 2))
    assert (np.isfinite(told.change) == [True, False]).all()
    assert (np.isfinite(told.level) == [False, True]).all()
    assert (told.learned == [2, -1]).all()


def test_another_pool_or_group_is_not_ones_own() -> None:
    one = host()
    one.adopt(plan(replace(change(), pool="b200"), replace(level(), group="others")))
    (told,) = play([one], values(154, 1))
    assert np.isnan(told.change).all()
    assert np.isnan(told.level).all()


def test_the_horizon_in_blocks_follows_the_rung() -> None:
    short, long = host(), host()
    x = values(155, 230)
    for one, horizon in ((short, 3_000.0), (long, 300_000.0)):
        one.adopt(replace(BOTH, horizon=horizon))
    x[:, 5, 1] += 0.1
    (near,), (far,) = play([short], x[:30]), play([long], x[:30])
    assert near.level[5, 1] - far.level[5, 1] == pytest.approx(np.log(100.0), abs=0.01)


def test_phi_and_kappa_that_come_later_are_taken_by_who_waits_for_them() -> None:
    one, x = host(), values(156, 225)
    one.adopt(plan(change(phi=np.nan, kappa=np.nan)))
    (told,) = play([one], x[:210])
    assert told.lags is not None
    one.adopt(plan(change(phi=0.2, kappa=np.nan)))
    (told,) = play([one], x[210:211], first=210)
    assert told.baseline is not None
    one.adopt(plan(change(phi=0.2)))
    (told,) = play([one], x[211:], first=211)
    assert (told.change[:, 0] != 0.0).all()


def test_a_streams_own_kappa_weakens_that_stream_alone() -> None:
    x = values(157, 330)
    x[300:, :4, 0] += 0.08
    found = []
    for own in ({}, {"gpu-2": 1.9}):
        one = host()
        one.adopt(plan(replace(change(), stream_kappa=own)))
        found.append(play([one], x)[0].change[:4, 0])
    plain, weakened = found
    assert weakened[2] < plain[2]
    np.testing.assert_array_equal(np.delete(weakened, 2), np.delete(plain, 2))


def test_an_epoch_that_grew_begins_at_one_and_keeps_what_was_learned() -> None:
    one, x = host(), values(158, 262)
    one.adopt(BOTH)
    play([one], x[:260])
    one.adopt(plan(change(epoch=1), level(epoch=1)))
    (told,) = play([one], np.full_like(x[:1], np.nan), first=260)
    assert (told.change[:, 0] == 0.0).all()
    assert (told.level[:, 1] == 0.0).all()
    (told,) = play([one], x[261:], first=261)
    assert (told.change[:, 0] != 0.0).all()
    assert (told.learned[:, 0] == LEARNING_BLOCKS).all()


def test_a_plan_that_leaves_out_a_shard_is_refused_and_the_former_stays() -> None:
    one = host()
    one.adopt(BOTH)
    less = {name: "peers" for name in NAMES if name != "gpu-3"}
    with pytest.raises(ValueError, match="does not know shard gpu-3 of host-0"):
        one.adopt(replace(plan(change(epoch=9)), groups=less))
    (told,) = play([one], values(159, 30))
    assert (told.level[:, 1] != 0.0).all()


def test_a_shard_that_gets_other_peers_begins_anew_and_the_others_do_not() -> None:
    one, x = host(), values(159, 270)
    one.adopt(BOTH)
    play([one], x[:260])
    moved = ["others" if i < 4 else "peers" for i in range(SHARDS)]
    one.adopt(plan(change(epoch=1), level(epoch=1), groups=moved))
    up = one.offer(block(260, x[260]))
    assert np.isnan(up.offset[:4]).all()
    assert np.isfinite(up.offset[4:, 0]).all()
    both = [np.arange(4), np.arange(4, SHARDS)]
    told = one.answer([*down([up], "others", both[:1]), *down([up], "peers", both[1:])])
    assert told is not None
    assert told.learned[:, 0].tolist() == [1] * 4 + [LEARNING_BLOCKS] * (SHARDS - 4)


def test_with_fewer_members_than_the_plan_needs_nobody_bets() -> None:
    one, x = host(), values(160, 230)
    x[:, 5, 1] += 0.1
    one.adopt(plan(change(), level(), needed=SHARDS + 1))
    (told,) = play([one], x)
    assert (told.learned[:, 0] == LEARNING_BLOCKS).all()
    assert (told.change[:, 0] == 0.0).all()
    assert (told.level[:, 1] == 0.0).all()


def test_what_goes_up_is_the_block_and_the_offsets_so_far() -> None:
    one, x = host(), values(161, OFFSET_BLOCKS + 1)
    one.adopt(BOTH)
    play([one], x[:-1])
    up = one.offer(block(OFFSET_BLOCKS, x[-1]))
    assert (up.host, up.rung, up.block) == ("host-0", RUNG, OFFSET_BLOCKS)
    np.testing.assert_array_equal(up.x, x[-1].astype(np.float32))
    assert (np.isfinite(up.offset) == [True, False]).all()
    assert up.offset.dtype == np.float32
    assert up.eligible.all()


def test_a_message_that_was_sent_does_not_change_afterwards() -> None:
    one, x = host(), values(162, OFFSET_BLOCKS)
    one.adopt(BOTH)
    play([one], x[:-1])
    up = one.offer(block(OFFSET_BLOCKS - 1, x[-1]))
    one.answer(down([up], "peers", [np.arange(SHARDS)]))
    assert np.isnan(up.offset).all()
    assert np.isfinite(one.offer(block(OFFSET_BLOCKS, x[-1])).offset[:, 0]).all()


def test_without_a_down_a_block_is_not_bet() -> None:
    one, x = host(), values(163, 40)
    x[:, 5, 1] += 0.1
    one.adopt(BOTH)
    play([one], x[:10])
    for b in range(10, 39):
        one.offer(block(b, x[b]))
    (told,) = play([one], x[39:], first=39)
    assert told.learned[0, 0] == 11
    answered = host()
    answered.adopt(BOTH)
    np.testing.assert_array_equal(told.level, play([answered], x[[*range(10), 39]])[0].level)


def test_a_down_is_answered_once_and_never_again() -> None:
    one, x = host(), values(164, 3)
    one.adopt(BOTH)
    downs = down([one.offer(block(0, x[0]))], "peers", [np.arange(SHARDS)])
    assert one.answer(downs) is not None
    assert one.answer(downs) is None
    (told,) = play([one], x[1:2], first=1)
    assert told.learned[0, 0] == 2


def test_a_down_for_a_block_that_does_not_wait_is_ignored() -> None:
    one, x = host(), values(165, 3)
    one.adopt(BOTH)
    late = down([one.offer(block(0, x[0]))], "peers", [np.arange(SHARDS)])
    waiting = down([one.offer(block(1, x[1]))], "peers", [np.arange(SHARDS)])
    assert one.answer(late) is None
    assert one.answer([replace(waiting[0], rung=600)]) is None
    assert one.answer([replace(waiting[0], block=7)]) is None
    assert one.answer(waiting) is not None


def test_a_down_before_any_plan_is_ignored() -> None:
    other = host()
    other.adopt(BOTH)
    downs = down([other.offer(block(0, values(166, 1)[0]))], "peers", [np.arange(SHARDS)])
    assert host().answer(downs) is None


def test_a_block_that_no_plan_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="no plan asks for it"):
        host().offer(block(0, values(166, 1)[0]))


def test_a_row_that_is_not_included_learns_and_does_not_bet() -> None:
    one, x = host(), values(167, 30)
    x[:, 5, 1] += 0.1
    one.adopt(BOTH)
    told: Up2 | None = None
    for b, row in enumerate(x):
        up = replace(one.offer(block(b, row)), eligible=np.arange(SHARDS) != 5)
        told = one.answer(down([up], "peers", [np.arange(SHARDS)]))
    assert told is not None
    assert (told.learned[5, 0], told.level[5, 1]) == (30, 0.0)
    assert (np.delete(told.level[:, 1], 5) != 0.0).all()


def test_every_row_is_compared_with_its_own_group_in_whatever_order_downs_come() -> None:
    one, x = host(), values(168, 40)
    groups = ["left", "right"] * (SHARDS // 2)
    x[:, 1::2] += 1.0
    x[:, 4, 1] += 0.1
    cells = [replace(level(), group=group) for group in ("left", "right")]
    one.adopt(plan(change(), *cells, groups=groups))
    left, right = np.arange(0, SHARDS, 2), np.arange(1, SHARDS, 2)
    told: Up2 | None = None
    for b, row in enumerate(x):
        up = one.offer(block(b, row))
        downs = [*down([up], "left", [left]), *down([up], "right", [right])]
        told = one.answer(downs if b % 2 else downs[::-1])
    assert told is not None
    assert np.argwhere(told.level >= CROSSING).tolist() == [[4, 1]]


@pytest.mark.parametrize("cuts", [[5], [1, 2, 9]])
def test_evidence_is_the_same_whether_shards_sit_on_one_host_or_on_several(cuts: list[int]) -> None:
    x = values(169, 270)
    x[240:, 6] += 0.05
    whole = [host()]
    parts = [host(names, f"host-{i}") for i, names in enumerate(split(NAMES, cuts))]
    for one in (*whole, *parts):
        one.adopt(BOTH)
    (expected,), found = play(whole, x), play(parts, x)
    for name in ("change", "level"):
        joined = np.vstack([getattr(told, name) for told in found])
        np.testing.assert_allclose(joined, getattr(expected, name), rtol=1e-12)
    assert (expected.change[:, 0] != 0.0).all()


def split(names: Sequence[str], cuts: list[int]) -> list[Sequence[str]]:
    edges = [0, *cuts, len(names)]
    return [names[a:b] for a, b in pairwise(edges)]


def test_the_order_of_shards_on_a_host_does_not_matter() -> None:
    x, order = values(170, 270), np.random.default_rng(171).permutation(SHARDS)
    plain, mixed = host(), host([NAMES[i] for i in order])
    for one in (plain, mixed):
        one.adopt(BOTH)
    (expected,), (found,) = play([plain], x), play([mixed], x[:, order])
    np.testing.assert_allclose(found.change, expected.change[order], rtol=1e-12)
    np.testing.assert_allclose(found.level, expected.level[order], rtol=1e-12)
