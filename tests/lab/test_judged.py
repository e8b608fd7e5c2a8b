from dataclasses import replace
from math import log1p
from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.catalogue import LADDER, Metric, default_catalogue
from tessera.adapters.recording import Recording
from tessera.adapters.topology.model import Node, Topology
from tessera.lab.judged import (
    judged_metrics,
    not_judged,
    refuse_unplayable,
    shortest_rung,
    with_rungs_from,
)


def recording(*metrics: str, overrides: object = None) -> Recording:
    shape = (1, 1, len(metrics))
    return Recording(
        path=Path("r"),
        topology=Topology((Node("g0", "gpu_shard"),), ()),
        catalogue=default_catalogue().with_override(overrides or {}),
        shards=("g0",),
        metrics=metrics,
        times=np.zeros(1),
        values=np.zeros(shape),
        codes=np.zeros(shape, dtype=np.int8),
        errors={},
    )


def only(metric: str, *, block: int | None = None, margin: float | None = None) -> Metric:
    _, (row,) = judged_metrics(recording(metric), block, margin)
    return row


def test_gauges_counters_and_counts_are_judged_and_nothing_else() -> None:
    names = ("ecc_uncorrected", "energy_joules_total", "nic_errors", "power_watts")
    columns, rows = judged_metrics(recording(*names))
    assert columns == (1, 2, 3)
    assert [row.name for row in rows] == ["energy_joules_total", "nic_errors", "power_watts"]


def test_a_recording_with_nothing_to_judge_is_refused() -> None:
    with pytest.raises(ValueError, match=r"none of its metrics \(device_lost\) is a gauge"):
        judged_metrics(recording("device_lost"))


def test_without_options_the_catalogue_decides() -> None:
    assert only("power_watts") == default_catalogue().of("power_watts")


@pytest.mark.parametrize("block", LADDER)
def test_a_block_sets_the_fast_rung_and_a_slow_one_at_least_as_long(block: int) -> None:
    row = only("step_time_seconds", block=block)
    assert (row.fast, row.level) == (block, block)
    assert row.slow in LADDER
    assert row.slow >= 5 * block or row.slow == LADDER[-1]


def test_a_block_gives_no_level_channel_to_a_metric_without_one() -> None:
    assert only("power_watts", block=10).level is None


@pytest.mark.parametrize("block", [-1, 0, 3, 601])
def test_a_block_off_the_ladder_is_refused(block: int) -> None:
    with pytest.raises(ValueError, match=rf"^--block {block}: no such block length; use one of 1,"):
        only("power_watts", block=block)


def test_a_margin_is_a_share_among_equals_and_twice_that_between_roles() -> None:
    row = only("step_time_seconds", margin=0.08)
    assert (row.margin, row.role_margin) == pytest.approx((log1p(0.08), log1p(0.16)))


def test_a_margin_of_a_metric_on_its_own_scale_is_in_its_units() -> None:
    override = {"power_watts": {"direction": "up", "margin": 20}}
    _, (row,) = judged_metrics(recording("power_watts", overrides=override), margin=0.08)
    assert (row.margin, row.role_margin) == pytest.approx((0.08, 0.16))


def test_a_margin_is_not_given_to_a_metric_without_one() -> None:
    assert only("power_watts", margin=0.08).margin is None


@pytest.mark.parametrize("margin", [-0.1, 0.0, 1.0, float("nan")])
def test_a_margin_that_is_no_share_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match=r"^--margin .*: not a share in \(0, 1\); write 0.05"):
        only("step_time_seconds", margin=margin)


def test_every_metric_that_is_not_judged_says_so() -> None:
    names = ("ecc_uncorrected", "nic_errors", "pcie_link_width", "power_watts")
    found = not_judged(recording(*names))
    assert [(a.scope, a.channel) for a in found] == [
        ("ecc_uncorrected", "change"),
        ("pcie_link_width", "change"),
    ]
    assert found[1].reason == "pcie_link_width is of kind state: not judged yet"


@pytest.mark.parametrize(("interval", "rung"), [(0.1, 1), (1.0, 1), (15.0, 30), (600.0, 600)])
def test_the_shortest_block_holds_a_value(interval: float, rung: int) -> None:
    assert shortest_rung(interval) == rung


def test_no_block_holds_a_value_each_twenty_minutes() -> None:
    with pytest.raises(ValueError, match="1200 s apart, and the longest block is 600 s"):
        shortest_rung(1200.0)


def test_readings_too_far_apart_say_whose_they_are() -> None:
    with pytest.raises(ValueError, match=r"^r: power_watts are 700 s apart"):
        shortest_rung(700.0, "r: power_watts")


@pytest.mark.parametrize("shortest", LADDER)
@pytest.mark.parametrize("metric", ["power_watts", "step_time_seconds", "temperature_celsius"])
def test_no_block_is_shorter_than_asked_and_the_slow_one_is_longer(
    metric: str, shortest: int
) -> None:
    row = only(metric)
    found = with_rungs_from(row, shortest)
    assert {found.fast, found.slow} <= set(LADDER)
    assert found.fast == max(row.fast, shortest)
    assert found.slow > found.fast or found.fast == LADDER[-1]
    assert (found.level is None) == (row.level is None)
    assert found.level is None or found.level >= shortest


def test_blocks_that_are_long_enough_stay() -> None:
    found = with_rungs_from(only("power_watts"), 5)
    assert found == replace(only("power_watts"), refresh=5.0)


def holding(metric: str, value: float) -> Recording:
    return replace(recording(metric), values=np.full((1, 1, 1), value))


@pytest.mark.parametrize(
    ("metric", "value"),
    [("power_watts", 1e39), ("power_watts", -1e31), ("energy_joules_total", 1e31)],
)
def test_a_value_that_no_block_can_hold_is_named_with_its_place(metric: str, value: float) -> None:
    found = holding(metric, value)
    with pytest.raises(ValueError, match=rf"^r: {metric} of 'g0' at t = 0 is [^\n]* leave"):
        refuse_unplayable(found, *judged_metrics(found))


@pytest.mark.parametrize(
    ("metric", "value"),
    [("power_watts", 1e29), ("step_time_seconds", 1e308), ("power_watts", np.nan)],
)
def test_a_value_that_a_block_can_hold_is_played(metric: str, value: float) -> None:
    found = holding(metric, value)
    columns, metrics = judged_metrics(found)
    refuse_unplayable(found, columns, metrics)
    assert (columns, [row.name for row in metrics]) == ((0,), [metric])
    np.testing.assert_array_equal(found.values, [[[value]]])
