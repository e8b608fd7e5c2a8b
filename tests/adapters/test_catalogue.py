from dataclasses import replace
from math import log

import numpy as np
import pytest

from tessera.adapters.catalogue import LADDER, BadMetric, apply_transform, default_catalogue

CATALOGUE = default_catalogue()


def test_a_duration_is_judged_by_its_logarithm_with_five_per_cent_among_equals() -> None:
    row = CATALOGUE.of("forward_compute_seconds")
    assert (row.transform, row.direction, row.level, row.fast, row.slow) == ("log", 1, 1, 1, 5)
    assert (row.margin, row.role_margin) == pytest.approx((log(1.05), log(1.10)))


@pytest.mark.parametrize(
    "name",
    ["step_time", "x_seconds", "x_ms", "x_us", "x_ns", "x_time", "x_duration", "x_latency"],
)
def test_every_suffix_of_a_duration_gives_a_margin_and_up_as_the_bad_side(name: str) -> None:
    row = CATALOGUE.of(name)
    assert row.margin is not None
    assert row.direction == 1


def test_a_rate_of_work_is_bad_when_it_falls() -> None:
    row = CATALOGUE.of("images_per_second")
    assert (row.transform, row.direction) == ("log", -1)
    assert row.margin is not None


@pytest.mark.parametrize(
    "name",
    ["pcie_tx_bytes_per_second", "nvlink_rx_bytes_per_second", "nic_bytes_per_second"],
)
def test_an_exact_row_wins_over_its_suffix(name: str) -> None:
    row = CATALOGUE.of(name)
    assert row.transform == "log1p"
    assert row.margin is None


@pytest.mark.parametrize("name", ["power_watts", "temperature_celsius", "sm_clock_hertz"])
def test_what_differs_for_harmless_reasons_has_no_margin(name: str) -> None:
    assert CATALOGUE.of(name).margin is None


def test_throttled_seconds_are_a_counter_whose_rate_is_a_share_of_time() -> None:
    row = CATALOGUE.of("throttled_power_brake_seconds_total")
    assert (row.kind, row.transform, row.direction, row.scale) == ("counter", "log1p", 1, 1000.0)


def test_a_total_of_seconds_is_a_counter_and_no_duration() -> None:
    row = CATALOGUE.of("cpu_seconds_total")
    assert (row.kind, row.margin, row.direction) == ("counter", None, 0)


def test_each_reason_of_throttling_is_judged_alike() -> None:
    row = CATALOGUE.of("throttled_thermal_ratio")
    assert (row.name, row.transform, row.scale) == ("throttled_thermal_ratio", "log1p", 1000.0)


def test_unknown_bytes_follow_the_row_of_memory() -> None:
    row = CATALOGUE.of("cache_resident_bytes")
    assert row == replace(CATALOGUE.of("memory_used_bytes"), name="cache_resident_bytes")
    assert (row.transform, row.direction, row.margin) == ("log1p", 0, None)


def test_a_thousandth_of_a_hundred_gigabytes_survives_a_block() -> None:
    held = apply_transform(CATALOGUE.of("cache_bytes"), [1e11, 1.001e11]).astype(np.float32)
    assert float(held[1] - held[0]) == pytest.approx(0.001, rel=0.01)


def test_an_unknown_name_is_two_sided_and_has_no_margin() -> None:
    row = CATALOGUE.of("flux")
    assert (row.transform, row.direction, row.margin) == ("identity", 0, None)
    assert (row.tau, row.fast, row.slow) == (5.0, 5, 30)


def test_every_row_stands_on_the_ladder_and_only_margins_have_level_blocks() -> None:
    for row in CATALOGUE.rows.values():
        assert {row.fast, row.slow} <= {0, *LADDER}
        assert (row.margin is None) == (row.level is None) == (row.role_margin is None)
        assert row.margin is None or row.direction != 0


def test_an_override_gives_power_a_margin_and_a_level_block_of_three_decay_times() -> None:
    changed = CATALOGUE.with_override({"power_watts": {"direction": "down", "margin": 25}})
    row = changed.of("power_watts")
    assert (row.direction, row.margin, row.role_margin, row.level) == (-1, 25.0, 25.0, 30)
    assert CATALOGUE.of("power_watts").margin is None


def test_an_override_writes_a_share_where_the_transform_is_log() -> None:
    row = CATALOGUE.with_override({"step_time_seconds": {"margin": 0.2}}).of("step_time_seconds")
    assert row.margin == pytest.approx(log(1.2))
    assert row.role_margin == row.margin


def test_an_override_of_null_takes_the_margin_away() -> None:
    row = CATALOGUE.with_override({"step_time_seconds": {"margin": None}}).of("step_time_seconds")
    assert (row.margin, row.role_margin, row.level) == (None, None, None)


def test_an_override_describes_a_metric_nobody_knew() -> None:
    fields = {"unit": "Pa", "transform": "log", "direction": 1, "margin": 0.1}
    row = CATALOGUE.with_override({"flow_pressure": fields}).of("flow_pressure")
    assert (row.unit, row.transform, row.direction) == ("Pa", "log", 1)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"margn": 1}, "has no field 'margn'"),
        ({"kind": "dial"}, "kind is 'dial'; use one of: gauge, counter"),
        ({"transform": 3}, "transform is 3"),
        ({"direction": "sideways"}, "direction is 'sideways'"),
        ({"direction": True}, "direction is True"),
        ({"direction": []}, "direction is"),
        ({"margin": -1, "direction": "up"}, "margin is -1"),
        ({"margin": 3}, "has a margin but no bad direction"),
        ({"tau": "long"}, "tau is 'long'; write a number"),
        ({"tau": float("inf")}, "tau is inf"),
        ({"fast": 7}, "fast is 7; use one of: 1, 2, 5"),
        ({"fast": 60}, "its fast block is longer than its slow one"),
        ({"unit": 5}, "unit is 5"),
    ],
)
def test_a_wrong_override_is_refused_with_what_is_wrong(
    fields: dict[str, object], what: str
) -> None:
    with pytest.raises(BadMetric) as caught:
        CATALOGUE.with_override({"power_watts": fields})
    assert str(caught.value).startswith(f"metric 'power_watts': {what}")


@pytest.mark.parametrize("overrides", [[], {"power_watts": 3}])
def test_overrides_that_are_not_objects_are_refused(overrides: object) -> None:
    with pytest.raises(BadMetric, match="not an object"):
        CATALOGUE.with_override(overrides)


def test_a_changed_transform_asks_for_the_margin_again() -> None:
    with pytest.raises(BadMetric, match="give the margin again"):
        CATALOGUE.with_override({"step_time_seconds": {"transform": "identity"}})


def test_a_misspelt_name_finds_the_one_that_was_meant() -> None:
    assert CATALOGUE.meant("power_wats") == "power_watts"
    assert CATALOGUE.meant("power_watts") is None
