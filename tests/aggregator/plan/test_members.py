import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.plan.members import LOOK_EACH, Members
from tessera.engine.evalue import Validity

from ..fleets import flat, fleet_of, tree

Ints = npt.NDArray[np.int64]


def members_of(shards: int) -> Members:
    """Return what is known of a flat fleet: group 0 are its shards, group 1 its cluster."""
    return Members(fleet_of(flat(shards)))


def hear(members: Members, demeaned: int, raw: int, blocks: int = LOOK_EACH) -> bool:
    """Let group 0 have so many members in ``blocks`` blocks; say whether a class fell."""
    heard = [
        members.hear(np.array([[demeaned], [1]]), np.array([[raw], [1]])) for _ in range(blocks)
    ]
    return any(heard)


@pytest.mark.parametrize(
    ("shards", "change", "level"),
    [
        (32, Validity.CONSTRUCTION, Validity.CONSTRUCTION),
        (31, Validity.EMPIRICAL, Validity.CONSTRUCTION),
        (16, Validity.EMPIRICAL, Validity.CONSTRUCTION),
        (15, Validity.NONE, Validity.CONSTRUCTION),
        (8, Validity.NONE, Validity.CONSTRUCTION),
        (7, Validity.NONE, Validity.EMPIRICAL),
        (3, Validity.NONE, Validity.EMPIRICAL),
        (2, Validity.NONE, Validity.NONE),
    ],
)
def test_the_number_of_members_limits_the_class(
    shards: int, change: Validity, level: Validity
) -> None:
    assert members_of(shards).classes()[:, 0].tolist() == [change, level]


def test_a_bet_needs_the_members_that_its_class_needs() -> None:
    assert members_of(40).needed()[:, 0].tolist() == [32, 8]
    assert members_of(20).needed()[:, 0].tolist() == [16, 8]
    assert members_of(5).needed()[:, 0].tolist() == [3, 3]


def test_the_class_falls_when_members_are_missing() -> None:
    members = members_of(40)
    assert hear(members, 20, 20)
    assert members.classes()[:, 0].tolist() == [Validity.EMPIRICAL, Validity.CONSTRUCTION]
    assert members.needed()[:, 0].tolist() == [16, 8]


def test_the_class_never_rises_again() -> None:
    members = members_of(40)
    hear(members, 5, 5)
    assert not hear(members, 40, 40, blocks=10 * LOOK_EACH)
    assert members.classes()[:, 0].tolist() == [Validity.NONE, Validity.EMPIRICAL]


def test_a_few_blocks_with_losses_do_not_lower_the_class() -> None:
    members = members_of(40)
    hear(members, 40, 40, blocks=98)
    hear(members, 5, 5, blocks=2)
    assert members.classes()[0, 0] == Validity.CONSTRUCTION


def test_blocks_of_metrics_that_a_group_does_not_have_tell_nothing() -> None:
    members = members_of(40)
    assert not hear(members, 0, 0, blocks=4 * LOOK_EACH)
    assert members.classes()[:, 0].tolist() == [Validity.CONSTRUCTION] * 2


@pytest.mark.parametrize("known", [0, 4, 31])
def test_members_that_still_learn_their_offset_are_not_lost(known: int) -> None:
    members = members_of(40)
    assert not hear(members, known, 40, blocks=4 * LOOK_EACH)
    assert members.classes()[0, 0] == Validity.CONSTRUCTION


def test_offsets_that_arrive_one_by_one_leave_the_class_alone() -> None:
    members = members_of(40)
    for known in (0, 10, 20, 30, 35, 38, 39):
        hear(members, known, 40, blocks=3)
    hear(members, 40, 40)
    assert members.classes()[0, 0] == Validity.CONSTRUCTION


def test_a_group_is_judged_by_its_best_recorded_metric() -> None:
    members = members_of(40)
    counts: Ints = np.array([[40, 2], [1, 1]])
    assert not any(members.hear(counts, counts) for _ in range(4 * LOOK_EACH))


def test_one_group_that_loses_members_leaves_the_others_alone() -> None:
    members = Members(fleet_of(tree(racks=2, hosts=4, gpus=8)))
    counts: Ints = np.array([[10], [32], [8], [2], [1]])
    for _ in range(LOOK_EACH):
        members.hear(counts, counts)
    assert members.classes()[0, :2].tolist() == [Validity.NONE, Validity.CONSTRUCTION]


def test_groups_below_three_are_named() -> None:
    members = Members(fleet_of(tree(racks=2, hosts=4, gpus=8)))
    assert members.too_few().tolist() == [3, 4]
