from dataclasses import replace

import numpy as np
import pytest

from tessera.aggregator.state.fleet import Fleet
from tessera.aggregator.state.freezes import KEPT, LONGEST, Freezes
from tessera.aggregator.state.move import Move
from tessera.proto.messages import Freeze

from ..fleets import fleet_of, tree, worker

PUSH = Freeze("push", ("gpu-0-0-0",), 100.0, 200.0, "firmware")


def fleet() -> Fleet:
    """One rack of four hosts of four shards."""
    return fleet_of(tree(1, 4, 4))


def calling(*freezes: Freeze, closed: float = 0.0) -> Freezes:
    held = Freezes(fleet())
    for freeze in freezes:
        held.add(freeze, closed)
    return held


def frozen(held: Freezes, rung: int, block: int) -> list[int]:
    return [int(row) for row in np.flatnonzero(held.shards(rung, block))]


@pytest.mark.parametrize(
    ("exogenous", "blocks"), [(False, [4, 5, 6]), (True, [3, 4, 5, 6])], ids=["person", "event"]
)
def test_a_person_freezes_blocks_not_yet_begun_and_an_event_all_that_it_touches(
    exogenous: bool,  # noqa: FBT001 - the table's column
    blocks: list[int],
) -> None:
    held = calling(replace(PUSH, start=115.0, exogenous=exogenous))
    assert [block for block in range(10) if held.shards(30, block).any()] == blocks


def test_a_node_freezes_all_that_is_beneath_it_and_nothing_else() -> None:
    held = calling(replace(PUSH, nodes=("host-0-1",)))
    assert frozen(held, 5, 20) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("freeze", "closed", "word"),
    [
        (replace(PUSH, nodes=("gpu-9",)), 0.0, "no shard is beneath gpu-9"),
        (replace(PUSH, nodes=()), 0.0, "no shard"),
        (replace(PUSH, until=100.0), 0.0, "ends before it begins"),
        (replace(PUSH, until=float("nan")), 0.0, "ends before it begins"),
        (replace(PUSH, until=101.0 + LONGEST), 0.0, "may last 4 h"),
        (PUSH, 130.0, "begins 30 s before the newest block"),
        (replace(PUSH, exogenous=True), 3800.0, "is 3700 s old"),
    ],
)
def test_a_freeze_that_is_not_to_be_had_is_refused_in_one_line(
    freeze: Freeze, closed: float, word: str
) -> None:
    with pytest.raises(ValueError, match=word) as refused:
        Freezes(fleet()).add(freeze, closed)
    assert "\n" not in str(refused.value)
    assert "push" in str(refused.value)


def test_an_event_may_be_late_by_its_own_time() -> None:
    held = calling(replace(PUSH, exogenous=True), closed=150.0)
    assert frozen(held, 10, 15) == [0]


def test_the_same_freeze_again_is_no_news_and_another_under_its_id_is_refused() -> None:
    held = calling(PUSH)
    held.drain()
    held.add(PUSH, 150.0)
    assert held.drain() == ()
    with pytest.raises(ValueError, match="that id is taken"):
        held.add(replace(PUSH, until=300.0), 0.0)


def test_a_thaw_ends_it_early_and_can_end_nothing_twice() -> None:
    held = calling(PUSH)
    held.thaw("push", 150.0, "rolled back")
    assert frozen(held, 10, 14) == [0]
    assert frozen(held, 10, 15) == []
    assert [ended.freeze.id for ended in held.ended(150.0)] == ["push"]
    with pytest.raises(ValueError, match="there is none to end"):
        held.thaw("push", 160.0, "again")


def test_a_freeze_thawed_before_it_began_freezes_nothing_and_ends_nothing() -> None:
    held = calling(replace(PUSH, exogenous=True))
    held.thaw("push", 50.0, "called off")
    assert not any(held.shards(10, block).any() for block in range(30))
    assert held.ended(300.0) == ()


def test_its_rows_learn_anew_once_when_it_is_over() -> None:
    held = calling(PUSH)
    assert held.ended(199.0) == ()
    assert [ended.rows.tolist() for ended in held.ended(200.0)] == [[0]]
    assert held.ended(201.0) == ()


def test_rows_of_two_freezes_learn_anew_when_the_last_one_is_over() -> None:
    later = Freeze("later", ("host-0-0",), 150.0, 300.0, "repair")
    held = calling(PUSH, later)
    assert [ended.rows.tolist() for ended in held.ended(200.0)] == [[]]
    assert [ended.rows.tolist() for ended in held.ended(300.0)] == [[0, 1, 2, 3, 16]]


def test_a_node_follows_when_more_than_a_quarter_of_it_is_frozen() -> None:
    two = Freeze("two", ("gpu-0-0-0", "gpu-0-0-1"), 100.0, 200.0, "firmware")
    held = calling(PUSH)
    assert np.flatnonzero(np.isfinite(held.until(150.0))).tolist() == [0]
    held = calling(two)
    assert np.flatnonzero(np.isfinite(held.until(150.0))).tolist() == [0, 1, 16]


def test_it_is_forgotten_when_no_block_of_it_can_come_any_more() -> None:
    held = calling(PUSH)
    held.ended(200.0)
    held.ended(200.0 + KEPT - 1.0)
    assert held.known() == (PUSH,)
    held.ended(200.0 + KEPT)
    assert held.known() == ()


def test_it_goes_on_in_another_fleet_for_the_shards_that_are_there() -> None:
    before = calling(replace(PUSH, nodes=("host-0-0",)))
    shards = [worker(name) for name in tree(1, 4, 4).shards if name != "gpu-0-0-1"]
    after = fleet_of(tree(1, 4, 4), shards)
    held = Freezes(after)
    held.inherit(before, Move.of(fleet(), after))
    names = [after.rows[row] for row in frozen(held, 10, 15)]
    assert names == ["gpu-0-0-0", "gpu-0-0-2", "gpu-0-0-3"]


def test_in_words_it_says_how_long_and_why_and_nothing_of_others() -> None:
    held = calling(PUSH)
    assert held.words("gpu-0-0-0", 150.0) == ("frozen for 50 s more: firmware",)
    assert held.words("gpu-0-0-1", 150.0) == held.words("nobody", 150.0) == ()
