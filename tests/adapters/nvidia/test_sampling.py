import math
from collections.abc import Iterator

import pytest

from tessera.adapters.base import Absent, Schematic
from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.nvidia import binding, nvlink
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.errors import NvmlFailed
from tessera.adapters.nvidia.fake_device import ALL_LINKS, FakeDevice, FakeField
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.adapters.nvidia.field_batch import FieldId
from tessera.adapters.nvidia.field_table import FIELDS, SLOW_FIELDS
from tessera.adapters.nvidia.gauges import GAUGES, SLOW_GAUGES
from tessera.adapters.nvidia.gpm import ACTIVITY
from tessera.adapters.nvidia.sampling import FAST_METRICS, METRICS, SLOW_METRICS, Sampler
from tessera.adapters.nvidia.subject import Rejected, Subject

UNSUPPORTED = Absent("unsupported")
BATCH = "nvmlDeviceGetFieldValues"
SERVED_BY_FIELDS = set(METRICS) - {
    *(gauge.metric for gauge in (*GAUGES, *SLOW_GAUGES)),
    *ACTIVITY,
}
OF = {
    "temperature_celsius": "nvmlDeviceGetTemperatureV",
    "power_watts": "nvmlDeviceGetPowerUsage",
    "sm_clock_hertz": "nvmlDeviceGetClockInfo",
    "memory_clock_hertz": "nvmlDeviceGetClockInfo",
    "utilization_ratio": "nvmlDeviceGetUtilizationRates",
    "memory_used_bytes": "nvmlDeviceGetMemoryInfo_v2",
}

Values = dict[str, float | Absent]


class Asked:
    """One scripted device and the sampler that asks it."""

    def __init__(self, device: FakeDevice, library: FakeLibrary) -> None:
        self.device = device
        self.library = library
        seen = Rejected()
        self.rejected = seen.values
        self.forbidden = seen.forbidden
        subject = Subject(device.uuid, binding.handle_of(device.uuid), seen)
        self.sampler = Sampler(subject)
        self.at = 0.0

    def values(self, after: float = 10.0) -> Values:
        """Return what the sampler says ``after`` seconds, by default all that there is."""
        self.at += after
        readings = self.sampler.sample(self.at)
        assert {reading.shard for reading in readings} == {self.device.uuid}
        found = {reading.metric: reading.value for reading in readings}
        assert len(found) == len(readings)
        return found


@pytest.fixture
def asked() -> Iterator[Asked]:
    library = FakeLibrary([FakeDevice("GPU-a")])
    with installed(library):
        binding.initialise()
        yield Asked(library.devices[0], library)


def without(*missing: str) -> FakeLibrary:
    return FakeLibrary([FakeDevice("GPU-a")], missing=missing)


def test_readings_carry_canonical_names_and_base_units(asked: Asked) -> None:
    device = asked.device
    device.temperature, device.power, device.utilization = 67, 712_345, 93
    device.sm_clock, device.memory_clock = 1755, 2619
    device.memory_used, device.memory_total = 71_000_000_000, 85_899_345_920
    device.pcie_width, device.pcie_generation, device.sram_ecc_corrected = 8, 4, 21
    device.activity = {2: 90.0, 5: 100.0, 10: 12.5}
    device.fields |= {
        82: FakeField(88, "uiVal"),
        83: FakeField(123_456_789),
        190: FakeField(650_500, "uiVal"),
        3: FakeField(17),
        4: FakeField(2),
        29: FakeField(3),
        30: FakeField(4),
        74: FakeField(1_500_000_000),
        76: FakeField(250_000_000),
        269: FakeField(3_000_000_001),
        270: FakeField(4),
        271: FakeField(5_000),
        94: FakeField(8),
        142: FakeField(5),
        143: FakeField(1),
        145: FakeField(1, "uiVal"),
        173: FakeField(11),
        174: FakeField(2),
        177: FakeField(3),
        179: FakeField(1),
        180: FakeField(6),
        230: FakeField(2, "uiVal"),
        38: FakeField(9),
        45: FakeField(10),
        52: FakeField(12),
        59: FakeField(13),
        (165, 3): FakeField(0, "uiVal"),
        (165, 4): FakeField(2, "uiVal"),
    }
    asked.values()
    device.fields |= {
        197: FakeField(10**12 + 5_000),
        198: FakeField(2 * 10**12 + 7_000),
        (138, ALL_LINKS): FakeField(10**9 + 3),
        (139, ALL_LINKS): FakeField(2 * 10**9 + 10),
    }
    assert asked.values() == {
        "temperature_celsius": 67.0,
        "power_watts": 712.345,
        "sm_clock_hertz": 1.755e9,
        "memory_clock_hertz": 2.619e9,
        "utilization_ratio": 0.93,
        "memory_used_bytes": 71e9,
        "memory_temperature_celsius": 88.0,
        "energy_joules_total": 123456.789,
        "throttled_power_cap_seconds_total": 1.5,
        "throttled_sync_boost_seconds_total": 0.25,
        "throttled_software_thermal_seconds_total": 3.000000001,
        "throttled_hardware_thermal_seconds_total": 4e-9,
        "throttled_power_brake_seconds_total": 5e-6,
        "pcie_tx_bytes_per_second": 500.0,
        "pcie_rx_bytes_per_second": 700.0,
        "nvlink_tx_bytes_per_second": 307.2,
        "nvlink_rx_bytes_per_second": 1024.0,
        "sm_active_ratio": 0.9,
        "tensor_active_ratio": 1.0,
        "dram_active_ratio": 0.125,
        "pcie_link_width": 8.0,
        "pcie_link_generation": 4.0,
        "sram_ecc_corrected": 21.0,
        "ecc_corrected": 17.0,
        "ecc_uncorrected": 2.0,
        "pages_retired": 7.0,
        "row_remaps": 6.0,
        "row_remap_failure": 1.0,
        "pcie_replays": 8.0,
        "pcie_correctable_errors": 11.0,
        "pcie_naks": 5.0,
        "pcie_uncorrected_errors": 7.0,
        "power_cap_watts": 650.5,
        "recovery_action": 2.0,
        "nvlink_crc_errors": 19.0,
        "nvlink_replays": 12.0,
        "nvlink_recoveries": 13.0,
        "nvlink_packet_errors": UNSUPPORTED,
        "nvlink_symbol_errors": UNSUPPORTED,
        "nvlink_symbol_error_ratio": UNSUPPORTED,
        "nvlink_active_links": 17.0,
    }


def test_all_metrics_are_read_at_first_and_the_slow_ones_each_ten_seconds(asked: Asked) -> None:
    ticks = [set(asked.values(after=1.0)) for _ in range(21)]
    assert ticks[0] == ticks[10] == ticks[20] == set(METRICS)
    assert all(tick == set(FAST_METRICS) for tick in ticks[1:10] + ticks[11:20])


def test_neighbours_read_slow_metrics_in_different_ticks(library: FakeLibrary) -> None:
    del library
    source = NvmlSource()
    source.shards()
    slow = [
        {r.shard for r in source.read(float(at)) if r.metric == "pcie_replays"} for at in range(40)
    ]
    assert len(slow[0]) == 8
    assert max(map(len, slow[1:])) == 1


def test_slow_metrics_say_in_the_catalogue_how_seldom_they_come() -> None:
    rows = NvmlSource().catalogue
    assert {rows.of(metric).refresh for metric in SLOW_METRICS} == {10.0}
    assert {rows.of(metric).refresh for metric in FAST_METRICS} == {1.0}


def test_the_catalogue_reads_totals_as_totals_and_the_rest_as_they_come() -> None:
    rows = default_catalogue()
    assert set(METRICS) - {m for m in METRICS if m.startswith("throttled_")} <= set(rows.rows)
    kinds: dict[str, set[str]] = {}
    for metric in METRICS:
        kinds.setdefault(rows.of(metric).kind, set()).add(metric)
    assert all(m.endswith("_total") for m in kinds["counter"])
    assert kinds["event"] == {"ecc_uncorrected", "row_remap_failure", "recovery_action"}
    assert {"pcie_link_width", "nvlink_active_links", "power_cap_watts"} <= kinds["state"]
    assert {"ecc_corrected", "pcie_replays", "nvlink_crc_errors"} <= kinds["counts"]


def test_one_tick_asks_for_all_fast_fields_in_one_call(asked: Asked) -> None:
    asked.values()
    asked.library.asked.clear()
    asked.values(after=1.0)
    (batch,) = asked.library.asked
    assert batch == ("GPU-a", (82, 83, 74, 76, 269, 270, 271, 197, 198, 138, 139))


def test_a_rate_needs_two_readings_in_a_row(asked: Asked) -> None:
    none = Absent("error", "no_rate")
    tx = "pcie_tx_bytes_per_second"
    assert asked.values()[tx] == none
    assert asked.values(after=1.0)[tx] == 0.0
    assert asked.values(after=2.0)[tx] == 0.0
    assert asked.values(after=30.0)[tx] == none
    assert asked.values(after=1.0)[tx] == 0.0
    asked.device.fields[197] = FakeField(5)  # the counter began anew
    assert asked.values(after=1.0)[tx] == none
    asked.device.fields[197] = FakeField(code=999)
    assert asked.values(after=1.0)[tx] == Absent("error", "UNKNOWN")
    asked.device.fields[197] = FakeField(25)
    assert asked.values(after=1.0)[tx] == none
    asked.device.fields[197] = FakeField(125)
    assert asked.values(after=1.0)[tx] == 100.0


def test_a_rate_is_that_of_the_time_that_went_by(asked: Asked) -> None:
    asked.values()
    asked.device.fields[197] = FakeField(10**12 + 900)
    assert asked.values(after=1.5)["pcie_tx_bytes_per_second"] == 600.0


def test_a_field_that_fails_leaves_its_neighbours(asked: Asked) -> None:
    asked.values()
    before = asked.values()
    asked.device.fields[82] = FakeField(code=999)
    after = asked.values()
    assert after.pop("memory_temperature_celsius") == Absent("error", "UNKNOWN")
    assert before.pop("memory_temperature_celsius") == 61.0
    assert after == before


def test_a_failure_that_may_pass_is_asked_again(asked: Asked) -> None:
    asked.device.fields[82] = FakeField(code=10)
    asked.device.codes["nvmlDeviceGetPowerUsage"] = 21
    found = asked.values()
    assert found["memory_temperature_celsius"] == Absent("error", "TIMEOUT")
    assert found["power_watts"] == Absent("error", "NO_DATA")
    asked.device.fields[82] = FakeField(70, "uiVal")
    asked.device.codes.clear()
    found = asked.values()
    assert (found["memory_temperature_celsius"], found["power_watts"]) == (70.0, 612.345)


def test_a_code_without_a_name_is_given_as_its_number(asked: Asked) -> None:
    asked.device.codes["nvmlDeviceGetPowerUsage"] = 777
    assert asked.values()["power_watts"] == Absent("error", "777")


@pytest.mark.parametrize("code", [3, 13, 25, 26])
def test_an_unsupported_field_is_not_asked_again(asked: Asked, code: int) -> None:
    asked.device.fields[82] = FakeField(code=code)
    assert asked.values()["memory_temperature_celsius"] == UNSUPPORTED
    asked.device.fields[82] = FakeField(70, "uiVal")
    assert asked.values()["memory_temperature_celsius"] == UNSUPPORTED
    assert [82 in ids for _, ids in asked.library.asked if 83 in ids] == [True, False]


@pytest.mark.parametrize("code", [3, 13, 25, 26])
def test_an_unsupported_call_is_not_made_again(asked: Asked, code: int) -> None:
    asked.device.codes["nvmlDeviceGetUtilizationRates"] = code
    assert asked.values()["utilization_ratio"] == UNSUPPORTED
    asked.device.codes.clear()
    assert asked.values()["utilization_ratio"] == UNSUPPORTED
    assert asked.library.calls["nvmlDeviceGetUtilizationRates"] == 1


def test_a_device_that_supports_no_field_is_asked_for_none(asked: Asked) -> None:
    asked.device.fields.clear()
    for found in (asked.values(), asked.values()):
        assert {found[metric] for metric in SERVED_BY_FIELDS} == {UNSUPPORTED}
        assert found["power_watts"] == 612.345
    assert asked.library.calls[BATCH] == 3  # fast fields, slow ones, the number of links


def test_a_batch_that_fails_as_a_whole_is_asked_again(asked: Asked) -> None:
    asked.device.codes[BATCH] = 999
    found = asked.values()
    served = SERVED_BY_FIELDS - set(nvlink.ERRORS) - {nvlink.LINKS, *nvlink.TRAFFIC}
    assert {found[metric] for metric in served} == {Absent("error", "UNKNOWN")}
    assert not {nvlink.LINKS, *nvlink.TRAFFIC} & set(found)  # which fields they have is not known
    assert found["power_watts"] == 612.345
    asked.device.codes.clear()
    found = asked.values()
    assert (found["ecc_corrected"], found["nvlink_active_links"]) == (0.0, 18.0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dVal", 36.5),
        ("uiVal", 37),
        ("ulVal", 38),
        ("ullVal", 39),
        ("sllVal", 40),
        ("siVal", 41),
        ("usVal", 42),
    ],
)
def test_a_value_is_read_from_the_member_that_its_type_names(
    asked: Asked, kind: str, value: float
) -> None:
    asked.device.fields[82] = FakeField(value, kind)
    assert asked.values()["memory_temperature_celsius"] == value


def test_a_value_of_an_unknown_type_is_an_error(asked: Asked) -> None:
    asked.device.fields[82] = FakeField(61, "of a later library")
    found = asked.values()["memory_temperature_celsius"]
    assert found == Absent("error", "UNKNOWN_VALUE_TYPE")


@pytest.mark.parametrize(
    ("attribute", "value", "metric"),
    [
        ("temperature", -1, "temperature_celsius"),
        ("temperature", 151, "temperature_celsius"),
        ("power", 0xFFFFFFFF, "power_watts"),
        ("sm_clock", 0xFFFFFFFF, "sm_clock_hertz"),
        ("memory_clock", 40_001, "memory_clock_hertz"),
        ("utilization", 101, "utilization_ratio"),
        ("memory_used", 81 * 2**30, "memory_used_bytes"),
        ("memory_used", 2**64 - 1, "memory_used_bytes"),
    ],
)
def test_an_impossible_value_is_refused_and_counted(
    asked: Asked, attribute: str, value: int, metric: str
) -> None:
    setattr(asked.device, attribute, value)
    found = [asked.values(), asked.values()]
    assert {values[metric] for values in found} == {Absent("error", "impossible")}
    assert asked.rejected == {("GPU-a", metric): 2}


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (82, FakeField(math.nan, "dVal")),
        (82, FakeField(0xFFFFFFFF, "uiVal")),
        (82, FakeField(-3, "siVal")),
        (3, FakeField(0xFFFFFFFF, "uiVal")),
        (4, FakeField(2**64 - 1)),
        (4, FakeField(-1, "sllVal")),
        (74, FakeField(2**64 - 1)),
        (271, FakeField(math.inf, "dVal")),
    ],
)
def test_an_impossible_field_is_refused_and_counted(
    asked: Asked, number: int, told: FakeField
) -> None:
    fields = (*FIELDS, *SLOW_FIELDS)
    metric = next(field.metric for field in fields if field.ids == (FieldId(number),))
    asked.device.fields[number] = told
    assert asked.values()[metric] == Absent("error", "impossible")
    assert asked.rejected == {("GPU-a", metric): 1}


def test_the_largest_possible_values_are_taken(asked: Asked) -> None:
    device = asked.device
    device.temperature, device.utilization, device.memory_used = 150, 100, device.memory_total
    device.fields[74] = FakeField(10**18)  # 32 years of being throttled
    found = asked.values()
    assert asked.rejected == {}
    assert found["temperature_celsius"] == 150.0
    assert found["utilization_ratio"] == 1.0
    assert found["memory_used_bytes"] == device.memory_total
    assert found["throttled_power_cap_seconds_total"] == 1e9


def test_a_driver_without_the_newer_calls_is_asked_by_the_older_ones() -> None:
    library = without("nvmlDeviceGetTemperatureV", "nvmlDeviceGetMemoryInfo_v2")
    with installed(library):
        binding.initialise()
        asked = Asked(library.devices[0], library)
        asked.device.codes["nvmlDeviceGetUtilizationRates"] = 3  # as under MIG
        found = asked.values()
    assert found["temperature_celsius"] == 54.0
    assert found["memory_used_bytes"] == 60 * 2**30 + 2**29  # with what the driver reserves
    assert found["utilization_ratio"] == UNSUPPORTED


def test_memory_that_an_older_driver_tells_otherwise_is_another_metric_by_its_schema() -> None:
    library = without("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetTemperatureV")
    with installed(library):
        source = NvmlSource()
        source.shards()
        source.read(0.0)
        assert source.schemas == {
            "memory_used_bytes": "what the driver keeps for itself included"
        }  # a temperature is a temperature, by whichever call
        source.close()
    with installed(FakeLibrary([FakeDevice("GPU-a")])):
        source.shards()
        source.read(0.0)
        assert source.schemas == {}
        source.close()
    assert isinstance(source, Schematic)


def test_the_older_call_is_kept_once_the_newer_was_refused(asked: Asked) -> None:
    asked.device.codes["nvmlDeviceGetTemperatureV"] = 25
    for _ in range(3):
        assert asked.values()["temperature_celsius"] == 54.0
    calls = asked.library.calls
    assert calls["nvmlDeviceGetTemperatureV"] == 1
    assert calls["nvmlDeviceGetTemperature"] == 3


def test_a_driver_without_either_call_does_not_support_the_metric() -> None:
    library = without("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
    with installed(library):
        binding.initialise()
        found = Asked(library.devices[0], library).values()
    assert found["temperature_celsius"] == UNSUPPORTED
    assert found["power_watts"] == 612.345


def test_why_clocks_are_held_down_is_kept_as_it_was_told(asked: Asked) -> None:
    asked.device.reasons = 0x44
    asked.values()
    assert asked.sampler.reasons == 0x44
    asked.device.codes["nvmlDeviceGetCurrentClocksEventReasons"] = 999
    asked.values()
    assert asked.sampler.reasons is None


def test_reasons_that_are_not_supported_are_not_asked_again(asked: Asked) -> None:
    asked.device.codes["nvmlDeviceGetCurrentClocksEventReasons"] = 3
    asked.values()
    asked.values()
    assert asked.sampler.reasons is None
    assert asked.library.calls["nvmlDeviceGetCurrentClocksEventReasons"] == 1


@pytest.mark.parametrize("call", [*OF.values(), BATCH, "nvmlDeviceGetCurrentClocksEventReasons"])
@pytest.mark.parametrize("code", [1, 9, 15, 16, 18, 28])
def test_a_device_that_is_lost_gives_no_reading_at_all(asked: Asked, call: str, code: int) -> None:
    asked.device.codes[call] = code
    with pytest.raises(NvmlFailed) as failed:
        asked.sampler.sample(0.0)
    assert failed.value.code == code


def test_one_field_that_says_the_device_is_lost_is_enough(asked: Asked) -> None:
    asked.device.fields[4] = FakeField(code=15)
    with pytest.raises(NvmlFailed, match="GPU_IS_LOST"):
        asked.sampler.sample(0.0)
