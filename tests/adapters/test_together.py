from dataclasses import replace

import pytest

from tessera.adapters.catalogue import JOINT, SCORES, default_catalogue
from tessera.adapters.metric import Metric, split
from tessera.adapters.scored import judged_together, together, with_scores

CATALOGUE = default_catalogue()
POWER, CLOCK, TEMPERATURE, REPLAYS = (
    CATALOGUE.of(name)
    for name in ("power_watts", "sm_clock_hertz", "temperature_celsius", "pcie_replays")
)


def names(*metrics: Metric, jointly: bool = True) -> list[str]:
    plain = [replace(metric, scores=()) for metric in metrics]
    return [metric.name for metric in with_scores(plain, jointly=jointly)]


def test_two_means_are_judged_jointly_and_one_or_counts_are_not() -> None:
    assert names(POWER, CLOCK) == ["power_watts", "sm_clock_hertz", JOINT]
    assert names(POWER) == ["power_watts"]
    assert names(POWER, REPLAYS) == ["power_watts", "pcie_replays"]


def test_who_does_not_want_it_has_no_joint_column() -> None:
    assert names(POWER, CLOCK, jointly=False) == ["power_watts", "sm_clock_hertz"]


def test_the_joint_column_is_known_by_its_name_as_what_it_is() -> None:
    row = CATALOGUE.of(JOINT)
    assert row == judged_together()
    assert (row.score, row.base, row.family, row.direction) == (JOINT, JOINT, "C joint", 1)
    assert not row.paired
    assert split(JOINT) == (JOINT, JOINT)


def test_a_catalogue_says_whether_columns_are_judged_jointly() -> None:
    assert CATALOGUE.judges(JOINT)
    assert not replace(CATALOGUE, scores=SCORES).judges(JOINT)


def test_the_joint_column_is_placed_by_its_name_and_judges_all_means() -> None:
    columns = ("joint", "pcie_replays", "power_watts", "power_watts/spread")
    assert together(columns) == (0, (1, 2))
    assert together(columns[1:]) == (-1, ())


def test_counts_are_judged_and_have_neither_a_pair_of_streams_nor_scores() -> None:
    assert REPLAYS.judged
    assert (REPLAYS.counted, REPLAYS.paired, REPLAYS.family) == (True, False, "counts")
    asking = replace(REPLAYS, scores=SCORES)
    assert with_scores([asking]) == (asking,)


@pytest.mark.parametrize("name", ["ecc_uncorrected", "pcie_link_width"])
def test_events_and_states_are_not_judged(name: str) -> None:
    assert not CATALOGUE.judges(name)


def test_each_kind_of_reading_has_its_family() -> None:
    assert {m.family for m in (POWER, CLOCK, TEMPERATURE)} == {"A mean"}
