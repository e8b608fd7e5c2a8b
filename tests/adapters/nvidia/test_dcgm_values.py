"""Values of pages: units, impossible ones, totals over rows that come and go."""

from collections import Counter
from math import inf, nan

import pytest

from tessera.adapters.base import Absent
from tessera.adapters.exposition import parse
from tessera.adapters.nvidia.dcgm_page import Device, devices_of
from tessera.adapters.nvidia.dcgm_values import Total, Values
from tessera.adapters.nvidia.fake_exporter import FakeGpu, page_of

from .exporters import values

IMPOSSIBLE = Absent("error", "impossible")
Links = dict[int, dict[str, float]]


def device(raw: dict[int, float], links: Links | None = None) -> Device:
    (found,) = devices_of(parse(page_of([FakeGpu("GPU-1", values=raw, links=links or {})])).samples)
    return found


def read(raw: dict[int, float]) -> tuple[dict[str, float | Absent], Counter[tuple[str, str]]]:
    rejected: Counter[tuple[str, str]] = Counter()
    return values(Values("GPU-1", rejected).of(device(raw))), rejected


@pytest.mark.parametrize(
    ("field", "raw", "metric"),
    [
        (203, 4294967295, "utilization_ratio"),  # an unsigned -1
        (203, 101, "utilization_ratio"),
        (203, -1, "utilization_ratio"),
        (150, 140737488355328, "temperature_celsius"),  # a double's blank
        (140, 9223372036854775794, "memory_temperature_celsius"),
        (155, nan, "power_watts"),
        (155, inf, "power_watts"),
        (155, 10_001, "power_watts"),
        (100, 2147483634, "sm_clock_hertz"),
        (252, 2.0**31, "memory_used_bytes"),
        (1004, 1.5, "tensor_active_ratio"),
        (1009, -5, "pcie_tx_bytes_per_second"),
        (156, 1e300, "energy_joules_total"),
    ],
)
def test_a_value_that_no_device_can_have_is_rejected_and_counted(
    field: int, raw: float, metric: str
) -> None:
    found, rejected = read({field: raw})
    assert found == {metric: IMPOSSIBLE}
    assert rejected == {("GPU-1", metric): 1}


@pytest.mark.parametrize(
    ("field", "raw", "metric", "value"),
    [
        (203, 0, "utilization_ratio", 0.0),
        (203, 100, "utilization_ratio", 1.0),
        (150, 0, "temperature_celsius", 0.0),
        (155, 10_000, "power_watts", 10_000.0),
        (240, 2.5e9, "throttled_power_cap_seconds_total", 2.5),
        (312, 7, "ecc_corrected", 7.0),
    ],
)
def test_the_ends_of_what_is_possible_are_read(
    field: int, raw: float, metric: str, value: float
) -> None:
    assert read({field: raw}) == ({metric: value}, {})


def test_profiled_zeros_of_a_busy_device_are_rejected() -> None:
    zeros = {1001: 0.0, 1002: 0.0, 1004: 0.0, 1005: 0.0}
    found, rejected = read({203: 98.0, **zeros})
    assert found["sm_active_ratio"] == found["dram_active_ratio"] == IMPOSSIBLE
    assert found["utilization_ratio"] == 0.98
    assert sum(rejected.values()) == 3


def test_profiled_zeros_of_an_idle_device_are_read() -> None:
    found, rejected = read({203: 0.0, 1001: 0.0, 1002: 0.0, 1004: 0.0, 1005: 0.0})
    assert found["sm_active_ratio"] == found["dram_active_ratio"] == 0.0
    assert rejected == {}


def test_totals_since_the_driver_come_before_totals_since_the_board_was_made() -> None:
    assert read({310: 2, 312: 50})[0] == {"ecc_corrected": 2.0}


def test_a_metric_that_was_there_and_is_gone_is_an_error() -> None:
    made = Values("GPU-1", Counter())
    assert values(made.of(device({155: 300, 150: 50}))).keys() == {
        "power_watts",
        "temperature_celsius",
    }
    assert values(made.of(device({150: 50})))["power_watts"] == Absent("error", "missing")


def test_what_was_never_there_is_unsupported() -> None:
    readings = Values("GPU-1", Counter()).of(device({150: 50}))
    others = {r.value for r in readings if r.metric != "temperature_celsius"}
    assert others == {Absent("unsupported")}


def test_links_apart_are_added_up_by_what_they_moved() -> None:
    made = Values("GPU-1", Counter())
    seen = [
        values(made.of(device({}, {1214: links})))["nvlink_symbol_errors"]
        for links in (
            {"0": 1000.0, "1": 5.0},
            {"0": 1001.0, "1": 7.0},
            {"0": 1001.0},  # a row that is left out takes nothing away,
            {"0": 1001.0, "1": 8.0, "2": 600.0},  # and one that comes first brings nothing
        )
    ]
    assert seen == [0.0, 3.0, 3.0, 4.0]


def test_the_total_of_a_device_comes_before_those_of_its_links() -> None:
    made = Values("GPU-1", Counter())
    pages = [({409: n}, {409: {"0": 100 * n}}) for n in (1.0, 3.0)]
    seen = [values(made.of(device(raw, links)))["nvlink_crc_errors"] for raw, links in pages]
    assert seen == [0.0, 2.0]


def test_two_kinds_of_one_error_are_one_total() -> None:
    made = Values("GPU-1", Counter())
    pages: list[dict[int, float]] = [{409: 5, 419: 9}, {409: 6, 419: 11}]
    assert [values(made.of(device(raw)))["nvlink_crc_errors"] for raw in pages] == [0.0, 3.0]


def test_rows_without_end_take_no_memory_without_end() -> None:
    total = Total()
    parts = {(1214, str(link)): 0.0 for link in range(1000)}
    assert total.follow(parts) == total.follow(parts) == 0.0
    assert 0.0 < total.follow(dict.fromkeys(parts, 1.0)) < len(parts)


def test_a_total_that_begins_anew_adds_nothing_and_goes_on() -> None:
    total = Total()
    assert [total.follow({(409, ""): value}) for value in (9.0, 12.0, 1.0, 2.0)] == [0, 3, 3, 4]
