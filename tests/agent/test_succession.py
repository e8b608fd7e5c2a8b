from dataclasses import replace

import numpy as np
import pytest

from tessera.agent.succession import Succession
from tessera.proto.messages import Inventory, PathNode, ShardRow

SHARDS = tuple(ShardRow(f"gpu-{i}", "gpu_shard", "h200", "train", "") for i in range(3))
HOST = Inventory("host-0", 1, SHARDS, ("a", "b"), schemas=("W", "s"))


def test_what_is_the_same_is_found_by_name_wherever_it_stands_now() -> None:
    after = replace(HOST, shards=(SHARDS[2], SHARDS[0]), metrics=("b", "c"), schemas=("s", "W"))
    move = Succession.of(HOST, after)
    assert move.rows.tolist() == [1, -1, 0]
    assert move.columns.tolist() == [-1, 0]
    assert move.place.tolist() == [-1, 2, -1, -1, -1, 0]
    assert not move.nothing


def test_values_stand_where_their_rows_and_columns_do_and_what_is_new_has_none() -> None:
    after = replace(HOST, shards=(SHARDS[2], SHARDS[0]), metrics=("b", "c"), schemas=("s", "W"))
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    moved = Succession.of(HOST, after).table(values)
    np.testing.assert_array_equal(moved, np.array([[5, np.nan], [1, np.nan]], dtype=np.float32))


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (replace(SHARDS[0], sku="x"), "sku"),
        (replace(SHARDS[0], job="x"), "job"),
        (replace(SHARDS[0], role="x"), "role"),
    ],
)
def test_a_shard_that_is_something_else_is_another_one(other: ShardRow, what: str) -> None:
    after = replace(HOST, shards=(other, *SHARDS[1:]))
    move = Succession.of(HOST, after)
    assert move.rows.tolist() == [-1, 1, 2]
    assert move.ended.tolist() == [[True, True], [False, False], [False, False]]
    (said,) = move.reasons()
    assert said.startswith("shard gpu-0 is ")
    assert f"{what}=x" in said


def test_a_metric_that_is_read_otherwise_is_another_one() -> None:
    move = Succession.of(HOST, replace(HOST, schemas=("W, v2", "s")))
    assert move.columns.tolist() == [-1, 1]
    assert list(move.reasons()) == ["metric a is W, v2, it was W"]


@pytest.mark.parametrize(
    "after",
    [
        replace(HOST, version=2, boot_id="again"),
        replace(HOST, shards=(replace(SHARDS[0], path=(PathNode("r", "rack"),)), *SHARDS[1:])),
    ],
)
def test_where_a_shard_hangs_and_when_its_host_started_change_nothing(after: Inventory) -> None:
    move = Succession.of(HOST, after)
    assert move.nothing
    assert list(move.reasons()) == []


def test_what_comes_and_goes_is_said_in_a_line_each() -> None:
    after = replace(HOST, shards=SHARDS[:2], metrics=("a", "b", "c"), schemas=("W", "s", ""))
    assert list(Succession.of(HOST, after).reasons()) == ["shards gone: gpu-2", "new metrics: c"]
