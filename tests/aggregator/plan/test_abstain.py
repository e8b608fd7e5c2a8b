from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tessera.aggregator.plan.abstain import Abstention, abstentions
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.fleet import Fleet
from tessera.engine.calibration import Calibration
from tessera.engine.evalue import Validity
from tessera.engine.reason import Code, Reason

from ..fleets import STEP_TIME, flat, fleet_of, notes, outcome, tree

LEARNED = 200


def reasons(
    fleet: Fleet, planner: Planner | None = None, learned: int | npt.NDArray[np.int64] = LEARNED
) -> dict[tuple[str, str], list[str]]:
    """Return all reasons by (scope, channel), of streams that have all ``learned`` so much."""
    keeper = planner or planner_of(fleet)
    far = np.broadcast_to(learned, (2, len(fleet.rows), len(fleet.metrics)))
    found: dict[tuple[str, str], list[str]] = {}
    for a in abstentions(fleet, keeper, far):
        found.setdefault((a.scope, a.channel), []).append(a.reason)
    return found


def planner_of(fleet: Fleet) -> Planner:
    return Planner(fleet, shortest=1, horizon=1000.0)


def reviewed(fleet: Fleet, median: float = 0.0, lag_one: float = 0.0) -> Planner:
    """Return a planner whose level channel has seen medians spread by ``median``."""
    planner = planner_of(fleet)
    rows = len(fleet.rows)
    told = notes(rows, median=median * np.linspace(-1, 1, rows), lag_one=lag_one)
    nobody = np.zeros(rows, dtype=np.bool_)
    planner.hear(1, [(np.arange(rows), replace(outcome(rows), review=told))], nobody)
    return planner


def test_the_root_abstains_by_its_own_name() -> None:
    said = reasons(fleet_of(flat(40)))
    for channel in ("change", "level"):
        assert said["cluster", channel] == [
            "fewer than three siblings: 1 in the group, itself included"
        ]


def test_two_shards_have_too_few_peers() -> None:
    said = reasons(fleet_of(flat(2)))
    assert said["sku=h100,job=train,role=worker", "change"] == [
        "fewer than three peers: 2 in the group, itself included"
    ]


def test_a_group_below_16_makes_no_claim_of_change() -> None:
    said = reasons(fleet_of(flat(15)))
    assert said["sku=h100,job=train,role=worker", "change"] == [
        "15 peers are too few for a claim (16 ranked, 32 controlled)"
    ]


def test_the_level_channel_says_that_it_was_not_reviewed_yet() -> None:
    said = reasons(fleet_of(flat(40)))
    assert said["sku=h100,job=train,role=worker", "level"] == [
        "step_time_seconds: not yet reviewed"
    ]


def test_a_heterogeneous_group_says_so() -> None:
    fleet = fleet_of(flat(40))
    (said,) = reasons(fleet, reviewed(fleet, median=0.2))["sku=h100,job=train,role=worker", "level"]
    assert said.startswith("step_time_seconds: heterogeneous_group: spread 0.1")


def test_memory_that_asks_for_a_longer_block_is_told() -> None:
    fleet = fleet_of(flat(40))
    (said,) = reasons(fleet, reviewed(fleet, lag_one=0.9))[
        "sku=h100,job=train,role=worker", "level"
    ]
    assert (
        said
        == "step_time_seconds: memory at the scale of the margin (lag one 0.90): next longer block"
    )


def test_learning_is_told_with_how_far_it_came() -> None:
    fleet = fleet_of(flat(40))
    learned = np.full((2, 41, 1), LEARNED)
    learned[0, 7] = 37
    said = reasons(fleet, reviewed(fleet), learned)
    assert said["sku=h100,job=train,role=worker", "change"] == [
        "fast rung: learning (37 of 200 blocks)"
    ]


def test_a_stream_that_nobody_heard_of_is_learning_too() -> None:
    fleet = fleet_of(flat(40))
    said = reasons(fleet, reviewed(fleet), -1)
    assert said["sku=h100,job=train,role=worker", "change"] == [
        "fast rung: learning (0 of 200 blocks)",
        "slow rung: learning (0 of 200 blocks)",
    ]


def test_a_rung_that_lost_its_class_to_calibration_says_why() -> None:
    fleet = fleet_of(flat(40))
    planner = reviewed(fleet)
    cell = planner.change.cells[0, 0, 0]
    cell.kappa = 2.5
    cell.calibration = Calibration(Validity.NONE, 2.5, (Reason(Code.KAPPA, (2.5, 2.0)),))
    assert reasons(fleet, planner)["sku=h100,job=train,role=worker", "change"] == [
        "step_time_seconds: fast rung: kappa 2.50 is beyond 2"
    ]


def test_who_claims_something_is_not_among_the_silent() -> None:
    fleet = fleet_of(flat(40))
    assert {scope for scope, _ in reasons(fleet, reviewed(fleet))} == {"cluster"}


def test_abstentions_are_sorted_and_told_once() -> None:
    fleet = fleet_of(tree(2, 4, 8), metrics=[STEP_TIME, replace(STEP_TIME, name="b_seconds")])
    far = np.zeros((2, len(fleet.rows), 2), dtype=np.int64)
    found = abstentions(fleet, planner_of(fleet), far)
    assert list(found) == sorted(set(found))
    assert all(isinstance(a, Abstention) for a in found)
