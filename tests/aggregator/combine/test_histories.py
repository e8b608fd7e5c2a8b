from dataclasses import replace

import numpy as np
import pytest

from tessera.aggregator.combine.gather import GatherUp2
from tessera.aggregator.combine.histories import LARGEST_NUMBER, Histories
from tessera.aggregator.plan.planner import Planner
from tessera.proto.messages import Up2

from ..fleets import flat, fleet_of

SOME = np.zeros((4, 1), dtype=np.float32)
NONE = np.zeros((4, 1), dtype=np.int64)


def planner() -> Planner:
    """Return one that has made plan 1."""
    made = Planner(fleet_of(flat(4)), shortest=5, horizon=7e5)
    made.plan()
    return made


def up2(block: int, plan: int = 1) -> Up2:
    return Up2("h", 5, block, SOME, SOME, NONE, NONE, NONE, NONE, NONE, plan=plan)


def heard(block: int) -> GatherUp2:
    made = GatherUp2()
    made.take(up2(block))
    return made


def test_evidence_under_a_plan_of_ours_is_of_this_history() -> None:
    assert Histories().differs(up2(9), planner(), heard(8)) == ""


def test_an_unknown_plan_is_told_once_and_gone_on_above() -> None:
    of, made = Histories(), planner()
    assert "followed plan 70" in of.differs(up2(9, plan=70), made, heard(8))
    assert of.differs(up2(10, plan=70), made, heard(8)) == ""
    assert made.plan().id > 70


def test_a_number_beyond_all_measure_is_not_gone_on_from() -> None:
    of, made = Histories(), planner()
    assert of.differs(up2(9, plan=LARGEST_NUMBER + 1), made, heard(8)) == ""
    mad = replace(up2(9, plan=70), change_epoch=NONE + LARGEST_NUMBER + 1)
    assert of.differs(mad, made, heard(8)) == ""
    assert made.plan().id == 2


@pytest.mark.parametrize(("block", "differs"), [(7, True), (8, False), (9, False)])
def test_who_comes_back_must_not_be_older_than_what_was_heard(block: int, *, differs: bool) -> None:
    of = Histories()
    of.came_back("h")
    assert bool(of.differs(up2(block), planner(), heard(8))) == differs


def test_only_the_first_evidence_after_coming_back_is_looked_at() -> None:
    of = Histories()
    of.came_back("h")
    of.differs(up2(9), planner(), heard(8))
    assert of.differs(up2(3), planner(), heard(9)) == ""
