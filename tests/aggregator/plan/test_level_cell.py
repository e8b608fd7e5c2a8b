import numpy as np
import pytest

from tessera.aggregator.plan.level_cell import IMPROVING, LevelCell
from tessera.engine.arrays import Ints
from tessera.engine.evalue import Validity
from tessera.engine.level import REVIEWS
from tessera.engine.margin import Gate


def cell(reviewed: int = 0, margin: float | None = 0.05) -> LevelCell:
    return LevelCell(0, 0, 5, margin, reviewed=reviewed)


def observed(*counts: int) -> Ints:
    return np.array(counts, dtype=np.int64)


def gate(validity: Validity = Validity.CONSTRUCTION, largest: float = 0.9) -> Gate:
    return Gate(validity, largest, "a reason")


def test_a_review_is_due_when_four_fifths_of_those_heard_of_have_come_so_far() -> None:
    first = REVIEWS[0]
    assert cell().due(observed(first, first, first, first, 3))
    assert not cell().due(observed(first, first, first, 3, 3))


def test_who_was_never_heard_of_is_waited_for_until_the_review_after_the_next() -> None:
    first, second = REVIEWS[:2]
    assert not cell().due(observed(first, first, first, 1, 1, 1))
    assert cell().due(observed(second, second, second, second, 0, 0))


def test_fewer_than_three_are_not_reviewed_nor_is_who_abstains_nor_anyone_for_ever() -> None:
    far = observed(*[REVIEWS[-1]] * 8)
    assert cell().due(far)
    assert not cell().due(far[:2])
    assert not cell(margin=None).due(far)
    assert not cell(reviewed=len(REVIEWS)).due(far)


def test_after_the_third_review_a_verdict_gives_no_more_than_was_held() -> None:
    held = cell(reviewed=IMPROVING + 1)
    held.best, held.largest_lambda = Validity.EMPIRICAL, 0.5
    assert held.allowed(gate()) == gate(Validity.EMPIRICAL, 0.5)
    held.reviewed = IMPROVING
    assert held.allowed(gate()) == gate()


@pytest.mark.parametrize(
    ("validity", "largest", "needed"),
    [
        (Validity.EMPIRICAL, 0.9, False),
        (Validity.EMPIRICAL, 0.95, False),  # the same four bets
        (Validity.EMPIRICAL, 0.6, True),
        (Validity.CONSTRUCTION, 0.9, True),
    ],
)
def test_another_grid_or_a_better_class_needs_an_epoch(
    validity: Validity,
    largest: float,
    needed: bool,  # noqa: FBT001 - a table's column
) -> None:
    held = cell()
    held.validity = Validity.EMPIRICAL
    assert held.needs_epoch(gate(validity, largest)) is needed


def test_the_first_class_of_all_needs_none() -> None:
    assert not cell().needs_epoch(gate())
