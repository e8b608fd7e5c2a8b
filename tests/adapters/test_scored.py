from dataclasses import replace

import pytest

from tessera.adapters.catalogue import BadMetric, default_catalogue
from tessera.adapters.metric import FAMILIES, SCORES, Metric, split
from tessera.adapters.scored import READINGS, scored, with_scores
from tessera.proto import columns as of_the_wire

CATALOGUE = default_catalogue()
POWER = CATALOGUE.of("power_watts")


def names(metrics: tuple[Metric, ...]) -> list[str]:
    return [metric.name for metric in metrics]


def test_the_scores_of_a_metric_stand_behind_it() -> None:
    assert names(with_scores([POWER, CATALOGUE.of("temperature_celsius")])) == [
        "power_watts",
        "power_watts/oscillation",
        "power_watts/spike",
        "power_watts/spread",
        "temperature_celsius",
        "joint",
    ]


@pytest.mark.parametrize("name", ["pcie_replays", "ecc_uncorrected", "pcie_link_width"])
def test_what_is_not_judged_has_no_scores_whatever_its_row_asks(name: str) -> None:
    assert names(with_scores([replace(CATALOGUE.of(name), scores=SCORES)])) == [name]


@pytest.mark.parametrize(
    ("refresh", "fast", "interval", "block"),
    [
        (1.0, 5, 0.0, 30),
        (1.0, 5, 1.0, 30),
        (1.0, 60, 1.0, 60),
        (0.1, 1, 0.1, 5),
        (1.0, 5, 5.0, 300),
        (1.0, 5, 7.0, 300),
        (10.0, 10, 1.0, 300),
        (60.0, 60, 60.0, 600),  # of no use, and so left out of the columns
    ],
)
def test_a_score_has_the_first_block_that_holds_thirty_readings(
    refresh: float, fast: int, interval: float, block: int
) -> None:
    column = scored(replace(POWER, refresh=refresh, fast=fast), "spread", interval)
    assert column.fast == column.slow == block


def test_a_score_that_no_block_is_long_enough_for_is_left_out() -> None:
    seldom = replace(POWER, refresh=600 / READINGS)
    assert len(with_scores([seldom])) == 4
    assert names(with_scores([replace(seldom, refresh=seldom.refresh + 1)])) == ["power_watts"]
    assert names(with_scores([POWER], interval=21.0)) == ["power_watts"]


def test_a_score_has_one_stream_no_margin_and_a_direction_of_its_own() -> None:
    oscillation, spike, spread = with_scores([CATALOGUE.of("step_time_seconds")])[1:]
    assert [m.direction for m in (oscillation, spike, spread)] == [1, 1, 0]
    for column in (oscillation, spike, spread):
        assert not column.paired
        assert (column.margin, column.role_margin, column.level) == (None, None, None)
        assert (column.base, column.transform) == ("step_time_seconds", "identity")


def test_a_column_bears_the_family_of_its_score() -> None:
    assert POWER.family == "A mean"
    families = [column.family for column in with_scores([POWER])[1:]]
    assert families == ["D oscillation", "E spike", "spread"]


def test_a_score_of_a_score_is_refused() -> None:
    with pytest.raises(ValueError, match="power_watts/spread is a score already"):
        scored(scored(POWER, "spread"), "spike")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("power_watts", ("power_watts", "mean")),
        ("power_watts/spread", ("power_watts", "spread")),
        ("a/b/joint", ("a/b", "joint")),
        ("joint", ("joint", "joint")),
        ("a/b", ("a/b", "mean")),
        ("a/mean", ("a/mean", "mean")),
        ("/spread", ("/spread", "mean")),
        ("spread", ("spread", "mean")),
    ],
)
def test_a_name_says_which_score_it_is_and_the_wire_reads_it_alike(
    name: str, parts: tuple[str, str]
) -> None:
    assert split(name) == parts
    assert of_the_wire.split(name) == parts


def test_the_wire_knows_the_same_scores() -> None:
    assert {"mean", *of_the_wire.SCORES} == set(FAMILIES)


def test_the_catalogue_makes_the_row_of_a_score_of_its_metrics() -> None:
    assert CATALOGUE.of("power_watts/spike") == scored(POWER, "spike")
    assert CATALOGUE.of("power_watts/spike", 5.0).fast == 300


def test_a_score_is_judged_where_its_metric_asks_for_it() -> None:
    judged = CATALOGUE.judges
    assert judged("power_watts")
    assert judged("power_watts/spike")
    assert not judged("temperature_celsius/spike")
    assert not judged("power_watts/joint")
    asked = CATALOGUE.with_override({"temperature_celsius": {"scores": ["spike"]}})
    assert asked.judges("temperature_celsius/spike")
    assert not asked.judges("temperature_celsius/spread")


def test_scores_can_be_switched_off_for_one_metric_or_for_all() -> None:
    none = CATALOGUE.with_override({"power_watts": {"scores": []}})
    assert not none.judges("power_watts/spread")
    assert none.judges("step_time_seconds/spread")
    only = replace(CATALOGUE, scores=("spike",))
    assert only.of("power_watts").scores == ("spike",)
    assert only.of("x_seconds").scores == ("spike",)


@pytest.mark.parametrize("value", [["mean"], ["spread", "noise"], "spread", None, ["spread"] * 2])
def test_scores_that_are_none_are_refused_with_those_there_are(value: object) -> None:
    with pytest.raises(BadMetric, match="list some of: oscillation, spike, spread; \\[\\] for"):
        CATALOGUE.with_override({"power_watts": {"scores": value}})


def test_a_score_has_no_row_of_its_own_to_be_changed() -> None:
    with pytest.raises(BadMetric, match="write \"scores\" under 'power_watts'"):
        CATALOGUE.with_override({"power_watts/spread": {"direction": "up"}})
