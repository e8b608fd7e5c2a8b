"""Where rows and columns change, what stays goes on to the last bit."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tessera.adapters.base import Reading
from tessera.adapters.metric import Metric
from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block
from tessera.agent.intake import Intake
from tessera.agent.succession import Succession
from tessera.engine.change import LEARNING_BLOCKS
from tessera.proto.messages import Down, Inventory, Plan, ShardRow, Up2

from .aggregator import GROUP, RUNG, plan_of

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

SHARDS = tuple(ShardRow(f"gpu-{i}", "gpu_shard", "h200", "train", "") for i in range(5))
NEW = ShardRow("gpu-9", "gpu_shard", "h200", "train", "")
BEFORE = Inventory("host-0", 1, SHARDS, ("b_seconds", "c_seconds"), schemas=("s", "s"))
ILL, CUT, END = 225, 235, 245  # blocks

AFTER = {
    "a shard left": replace(BEFORE, version=2, shards=(*SHARDS[:1], *SHARDS[2:])),
    "a shard came first": replace(BEFORE, version=2, shards=(NEW, *SHARDS)),
    "another job": replace(
        BEFORE, version=2, shards=(SHARDS[0], replace(SHARDS[1], job="x"), *SHARDS[2:])
    ),
    "other order": replace(BEFORE, version=2, shards=SHARDS[::-1]),
    "a metric came first": replace(
        BEFORE, version=2, metrics=("a_seconds", *BEFORE.metrics), schemas=("s", "s", "s")
    ),
    "a metric is another": replace(BEFORE, version=2, schemas=("s", "s, v2")),
}


def value(shard: str, metric: str, block: int) -> float:
    """Return a block value that hangs on nothing but who, what and when; gpu-3 is ill."""
    seed = [ord(c) for c in shard + metric] + [block]
    ill = 4.0 * (shard == "gpu-3" and block >= ILL)
    return float(np.random.default_rng(seed).normal()) + ill


def values(inventory: Inventory, block: int) -> Float32s:
    table = [[value(s.id, m, block) for m in inventory.metrics] for s in inventory.shards]
    return np.array(table, dtype=np.float32)


def down(mine: Inventory, block: int) -> Down:
    """Return what a group of five is told, all rows of ``mine`` among them."""
    seeds = [[ord(c) for c in metric] + [block] for metric in mine.metrics]
    s3 = [np.sort(np.random.default_rng(seed).normal(0.0, 0.1, 3)) for seed in seeds]
    table, count = np.array(s3, dtype=np.float32), np.full(len(s3), 5, dtype=np.int64)
    included = np.ones(len(mine.shards), dtype=np.bool_)
    return Down(GROUP, RUNG, block, count, table, count, table, included, 1)


def bet(evidence: Evidence, block: int) -> Up2:
    mine = evidence.inventory
    evidence.offer(Block(RUNG, block, values(mine, block)))
    found = evidence.answer((down(mine, block),))
    assert found is not None
    return found


def played(after: Inventory | None) -> Up2:
    """Return the evidence after all blocks, with a change of the host amid them if there is one."""
    evidence = Evidence(BEFORE)
    evidence.adopt(plan_of(BEFORE, 1))
    found = None
    for block in range(END):
        if after is not None and block == CUT:
            evidence.follow(after, replace(plan_of(after, 2), inventory=2))
        found = bet(evidence, block)
    assert found is not None
    return found


@pytest.mark.parametrize("what", AFTER)
def test_streams_of_what_stays_are_those_of_a_host_that_did_not_change(what: str) -> None:
    after = AFTER[what]
    plain, changed = played(None), played(after)
    move = Succession.of(BEFORE, after)
    rows, columns = np.flatnonzero(move.rows >= 0), np.flatnonzero(move.columns >= 0)
    was, now = np.ix_(rows, columns), np.ix_(move.rows[rows], move.columns[columns])
    for name in ("change", "level", "change_epoch", "level_epoch", "change_onset", "learned"):
        old, new = getattr(plain, name)[was], getattr(changed, name)[now]
        np.testing.assert_array_equal(old, new, err_msg=name)
    assert plain.change[3].min() > 0.0  # there was evidence to lose
    assert plain.level[3].min() > 1.0


@pytest.mark.parametrize("what", ["a shard came first", "another job", "a metric is another"])
def test_what_is_new_or_another_learns_from_its_plan_on(what: str) -> None:
    after = AFTER[what]
    move = Succession.of(BEFORE, after)
    new = np.ones(move.shape, dtype=np.bool_)
    rows, columns = move.rows[move.rows >= 0], move.columns[move.columns >= 0]
    new[np.ix_(rows, columns)] = False
    learned = played(after).learned
    assert set(learned[new].tolist()) == {END - CUT}
    assert set(learned[~new].tolist()) == {LEARNING_BLOCKS}


def test_a_block_that_waits_is_answered_in_the_new_rows() -> None:
    evidence = Evidence(BEFORE)
    evidence.adopt(plan_of(BEFORE, 1))
    evidence.offer(Block(RUNG, 0, values(BEFORE, 0)))
    after = AFTER["a shard came first"]
    evidence.follow(after, plan_of(after, 2))
    waiting = evidence.waits_for(RUNG, 0)
    assert waiting is not None
    np.testing.assert_array_equal(waiting[1:], values(BEFORE, 0))
    assert np.isnan(waiting[0]).all()
    found = evidence.answer((down(after, 0),))
    assert found is not None
    assert found.change.shape == (6, 2)
    assert found.inventory == 2


def test_rows_newer_than_the_plan_wait_for_theirs() -> None:
    evidence = Evidence(BEFORE)
    evidence.adopt(plan_of(BEFORE, 1))
    bet(evidence, 0)
    after = AFTER["a shard came first"]
    later: Plan = replace(plan_of(after, 2), from_block={RUNG: 3})
    evidence.follow(after, later)
    learned = [bet(evidence, block).learned for block in (1, 2, 3)]
    assert [rows[0].tolist() for rows in learned] == [[-1, -1], [-1, -1], [1, 1]]
    assert [rows[1].tolist() for rows in learned] == [[2, 2], [3, 3], [4, 4]]


def test_streams_take_the_epoch_of_their_column_where_that_is_later() -> None:
    evidence = Evidence(BEFORE)
    plan = plan_of(BEFORE, 1, epoch=3)
    evidence.adopt(
        replace(plan, epochs={"gpu-0": 5}, metric_epochs={"gpu-0": {"c_seconds": 7}, "gpu-1": {}})
    )
    epochs = bet(evidence, 0).change_epoch
    assert epochs.tolist() == [[5, 7], [3, 3], [3, 3], [3, 3], [3, 3]]


# The intake: ticks of blocks that stand open, and what counters began from.

TOTAL = Metric("t_total", "1", kind="counter", fast=5, slow=10)
PLAIN = Metric("m", "1", fast=5, slow=10)
OTHER = Metric("a", "1", fast=5, slow=10)


def intake(shards: Sequence[str], metrics: Sequence[Metric]) -> Intake:
    made = Intake(shards, metrics)
    made.watch({5: np.arange(len(metrics)), 10: np.arange(len(metrics))})
    return made


def host(shards: Sequence[str], metrics: Sequence[Metric]) -> Inventory:
    rows = tuple(ShardRow(name, "gpu_shard", "", "", "") for name in shards)
    return Inventory("host-0", 1, rows, tuple(m.name for m in metrics))


def ticks(made: Intake, times: range, shards: Sequence[str]) -> list[Block]:
    found: list[Block] = []
    for at in times:
        readings = [
            reading
            for i, shard in enumerate(shards)
            for reading in (
                Reading(shard, "m", float(at + 100 * i)),
                Reading(shard, "t_total", float(at * (i + 1))),
                Reading(shard, "a", 1.0),
            )
        ]
        found += made.push(float(at), made.matrix(readings)[0])
    return found


@pytest.mark.parametrize("cut", [3, 5, 7])
def test_blocks_in_which_a_host_changes_are_whole_for_what_stays(cut: int) -> None:
    names, more = ("x", "y"), ("x", "y", "z")
    plain = intake(names, [PLAIN, TOTAL])
    expected = ticks(plain, range(20), names)
    first = intake(names, [PLAIN, TOTAL])
    found = ticks(first, range(cut), names)
    second = intake(("y", "z", "x"), [OTHER, PLAIN, TOTAL])
    before, after = host(names, [PLAIN, TOTAL]), host(("y", "z", "x"), [OTHER, PLAIN, TOTAL])
    second.inherit(first, Succession.of(before, after))
    later = ticks(second, range(cut, 20), more)
    assert [(b.rung, b.index) for b in (*found, *later)] == [(b.rung, b.index) for b in expected]
    moved = [b.x for b in found] + [b.x[np.ix_([2, 0], [1, 2])] for b in later]
    for one, other in zip(moved, expected, strict=True):
        np.testing.assert_array_equal(one, other.x)
    assert np.isfinite(later[-1].x).all()


def test_a_sealed_block_is_not_given_again_by_the_next_intake() -> None:
    first = intake(("x",), [PLAIN])
    assert [b.index for b in ticks(first, range(5), ("x",))] == [0]
    second = intake(("x",), [PLAIN])
    second.inherit(first, Succession.of(host(("x",), [PLAIN]), host(("x",), [PLAIN])))
    assert ticks(second, range(4, 5), ("x",)) == []
