from collections import Counter
from itertools import pairwise

import pytest

from tessera.adapters.base import (
    Absent,
    Busy,
    Closing,
    CounterSource,
    Fact,
    Identified,
    Profiling,
    Reading,
    Rejecting,
    Shard,
    SourceUnavailable,
    Witness,
)
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.adapters.nvidia.sampling import METRICS

BY_UUID = "nvmlDeviceGetHandleByUUID"
START = "nvmlInitWithFlags"
POWER = "nvmlDeviceGetPowerUsage"


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def powers(readings: list[Reading]) -> dict[str, float | Absent]:
    return {found.shard: found.value for found in readings if found.metric == "power_watts"}


def refusal(source: CounterSource) -> str:
    with pytest.raises(SourceUnavailable) as refused:
        source.shards()
    assert refused.value.source == "nvml"
    return refused.value.reason


def test_devices_are_shards_under_their_uuid_and_product(library: FakeLibrary) -> None:
    library.devices[1].product = "NVIDIA H200"
    source: CounterSource = NvmlSource()
    assert source.name == "nvml"
    assert source.shards()[:2] == (
        Shard("GPU-0", "gpu_shard", sku="NVIDIA H100 80GB HBM3"),
        Shard("GPU-1", "gpu_shard", sku="NVIDIA H200"),
    )


def test_a_tick_reads_every_metric_of_every_device(library: FakeLibrary) -> None:
    found = opened().read(0.0)
    asked = {(device.uuid, metric) for device in library.devices for metric in METRICS}
    assert {(reading.shard, reading.metric) for reading in found} == asked
    assert len(found) == len(asked)


def test_a_new_source_has_touched_nothing(library: FakeLibrary) -> None:
    source = NvmlSource()
    assert source.read(0.0) == []
    source.close()
    assert library.calls == {}


def test_without_a_library_the_source_is_absent() -> None:
    with installed(None):
        assert "libnvidia-ml.so.1" in refusal(NvmlSource())


@pytest.mark.parametrize(
    ("code", "reason"),
    [(9, "driver is not loaded"), (18, "restart this program"), (4, "NO_PERMISSION"), (77, "77")],
)
def test_a_library_that_does_not_start_is_absent_with_its_reason(code: int, reason: str) -> None:
    library = FakeLibrary([FakeDevice("GPU-a")], codes={START: code})
    with installed(library):
        assert reason in refusal(NvmlSource())
        assert not library.is_started


def test_a_driver_that_was_absent_may_come_later() -> None:
    library = FakeLibrary([FakeDevice("GPU-a")], codes={START: 9})
    source = NvmlSource()
    with installed(library):
        refusal(source)
        library.codes.clear()
        assert [shard.id for shard in source.shards()] == ["GPU-a"]


def test_a_driver_without_devices_is_absent_and_stopped() -> None:
    library = FakeLibrary()
    with installed(library):
        assert refusal(NvmlSource()) == "the NVIDIA driver has no devices"
        assert library.calls[START] == 1
        assert not library.is_started


def test_a_device_that_cannot_say_its_name_does_not_hide_the_others(library: FakeLibrary) -> None:
    library.devices[2].lost = 15
    source = NvmlSource()
    assert "GPU-2" not in {shard.id for shard in source.shards()}
    assert len(source.shards()) == 7
    assert source.unnamed == {2: "GPU_IS_LOST"}
    library.devices[2].lost = 0
    assert [shard.id for shard in source.shards()][-1] == "GPU-2"
    assert source.unnamed == {}


def test_a_device_lost_before_the_start_is_a_fact_of_the_host(library: FakeLibrary) -> None:
    library.devices[2].lost = 15
    source = opened()
    assert source.remarks == ("device 2 does not say its UUID (GPU_IS_LOST)",)
    found: list[Fact] = []
    for at in range(80):
        library.devices[2].lost = 15 if at < 10 else 0
        if at == 10:
            source.shards()
        source.read(float(at))
        found += source.facts(float(at))
    began, ended = found
    assert began == Fact("", "device_lost", 5.0, detail="device 2: GPU_IS_LOST")
    assert (ended.shard, ended.code, ended.stands, ended.at) == ("", "device_lost", False, 70.0)


def test_a_device_whose_name_is_known_is_lost_under_it_alone(library: FakeLibrary) -> None:
    source = opened()
    library.devices[3].lost = 15
    found: list[Fact] = []
    for at in range(20):
        source.shards()
        library.devices[3].lost = 15 if at < 10 else 0
        source.read(float(at))
        found += source.facts(float(at))
    assert [(fact.shard, fact.code) for fact in found] == [("GPU-3", "device_lost")]


def test_a_device_that_may_not_be_asked_is_remarked_and_no_fact(library: FakeLibrary) -> None:
    library.devices[2].lost = 4
    source = opened()
    assert source.remarks == ("device 2 does not say its UUID (NO_PERMISSION)",)
    for at in range(20):
        source.read(float(at))
        assert list(source.facts(float(at))) == []


def test_devices_that_all_cannot_say_their_names_are_absent_with_the_codes() -> None:
    library = FakeLibrary([FakeDevice("GPU-a", lost=15), FakeDevice("GPU-b", lost=16)])
    with installed(library):
        told = "device 0: GPU_IS_LOST, device 1: RESET_REQUIRED"
        assert refusal(NvmlSource()) == told
        assert not library.is_started


@pytest.mark.parametrize(
    ("code", "name"), [(15, "GPU_IS_LOST"), (16, "RESET_REQUIRED"), (28, "GPU_NOT_FOUND")]
)
def test_seven_devices_flow_while_the_eighth_is_lost(
    library: FakeLibrary, code: int, name: str
) -> None:
    source = opened()
    library.devices[3].lost = code
    found = source.read(0.0)
    of_the_lost = [reading for reading in found if reading.shard == "GPU-3"]
    assert [reading.metric for reading in of_the_lost] == list(METRICS)
    assert {reading.value for reading in of_the_lost} == {Absent("error", name)}
    others = [reading.value for reading in found if reading.shard != "GPU-3"]
    assert len(others) == 7 * len(METRICS)
    assert Absent("error", name) not in others
    assert len(source.shards()) == 8


def test_a_device_lost_in_the_middle_of_a_tick_gives_nothing_of_that_tick(
    library: FakeLibrary,
) -> None:
    source = opened()
    library.devices[0].codes["nvmlDeviceGetFieldValues"] = 15
    found = {reading.value for reading in source.read(0.0) if reading.shard == "GPU-0"}
    assert found == {Absent("error", "GPU_IS_LOST")}


def test_a_lost_device_is_looked_for_ever_more_rarely(library: FakeLibrary) -> None:
    source = opened()
    library.devices[3].lost = 15
    looked = []
    for second in range(2000):
        before = library.calls[BY_UUID]
        source.read(float(second))
        looked += [second] * (library.calls[BY_UUID] - before)
    waits = [later - sooner for sooner, later in pairwise([0, *looked])]
    assert waits[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(waits[7:]) == {300}


def test_a_device_that_comes_back_flows_and_is_trusted_again(library: FakeLibrary) -> None:
    source = opened()
    library.devices[3].lost = 15
    source.read(0.0)
    library.devices[3].lost = 0
    assert powers(source.read(4.0))["GPU-3"] == Absent("error", "GPU_IS_LOST")
    assert powers(source.read(5.0))["GPU-3"] == 612.345
    library.devices[3].lost = 16
    source.read(6.0)
    library.devices[3].lost = 0
    assert powers(source.read(10.0))["GPU-3"] == Absent("error", "RESET_REQUIRED")
    assert powers(source.read(11.0))["GPU-3"] == 612.345


def test_a_clock_that_was_set_back_does_not_lose_a_device_for_good(library: FakeLibrary) -> None:
    source = opened()
    library.devices[3].lost = 15
    source.read(1e9)
    library.devices[3].lost = 0
    assert powers(source.read(100.0))["GPU-3"] == 612.345


def test_what_a_device_did_not_support_is_asked_again_when_it_comes_back(
    library: FakeLibrary,
) -> None:
    source = opened()
    device = library.devices[0]
    device.codes[POWER] = 3
    assert powers(source.read(0.0))["GPU-0"] == Absent("unsupported")
    device.codes.clear()
    device.lost = 15
    source.read(1.0)
    device.lost = 0
    assert powers(source.read(6.0))["GPU-0"] == 612.345


def test_what_one_device_does_not_support_another_may(library: FakeLibrary) -> None:
    source = opened()
    library.devices[0].codes[POWER] = 3
    assert Counter(map(type, powers(source.read(0.0)).values())) == {float: 7, Absent: 1}


def test_a_driver_that_went_down_makes_every_reading_an_error(library: FakeLibrary) -> None:
    source = opened()
    for device in library.devices:
        device.lost = 9
    library.codes[START] = 9
    for at in (0.0, 10.0, 11.0):
        found = source.read(at)
        assert len(found) == 8 * len(METRICS)
        assert {reading.value for reading in found} == {Absent("error", "DRIVER_NOT_LOADED")}
    assert library.calls[START] == 2
    assert len(source.shards()) == 8


def test_a_driver_that_came_back_is_opened_once_and_devices_are_told_by_uuid(
    library: FakeLibrary,
) -> None:
    source = opened()
    for watts, device in enumerate(library.devices):
        device.power, device.lost = 1000 * watts, 9
    source.read(0.0)
    library.devices.reverse()
    for device in library.devices:
        device.lost = 0
    found = powers(source.read(10.0))
    assert found == {f"GPU-{number}": float(number) for number in range(8)}
    assert library.calls[START] == 2


def test_one_device_that_asks_for_a_new_start_takes_the_others_with_it(
    library: FakeLibrary,
) -> None:
    source = opened()
    library.devices[0].lost = 1
    assert Counter(map(type, powers(source.read(0.0)).values())) == {float: 7, Absent: 1}
    library.devices[0].lost = 0
    assert set(powers(source.read(5.0)).values()) == {612.345}
    assert set(powers(source.read(6.0)).values()) == {612.345}


def test_a_device_that_was_taken_out_stays_lost(library: FakeLibrary) -> None:
    source = opened()
    library.devices[7].lost = 15
    source.read(0.0)
    del library.devices[7]
    assert powers(source.read(5.0))["GPU-7"] == Absent("error", "NOT_FOUND")
    assert len(source.shards()) == 8


def test_a_device_that_was_put_in_is_served_once_shards_are_asked_for(
    library: FakeLibrary,
) -> None:
    source = opened()
    library.devices.append(FakeDevice("GPU-8"))
    assert "GPU-8" not in powers(source.read(0.0))
    source.shards()
    assert powers(source.read(1.0))["GPU-8"] == 612.345


def test_shards_asked_for_again_do_not_forget_what_is_unsupported(library: FakeLibrary) -> None:
    source = opened()
    library.devices[0].codes[POWER] = 3
    source.read(0.0)
    source.shards()
    source.read(1.0)
    assert library.calls[POWER, "GPU-0"] == 1


def test_impossible_values_are_counted_by_device_and_metric(library: FakeLibrary) -> None:
    source = opened()
    library.devices[5].power = 0xFFFFFFFF
    source.read(0.0)
    source.read(1.0)
    assert source.rejected == {("GPU-5", "power_watts"): 2}


def test_reasons_are_told_for_the_devices_that_gave_them(library: FakeLibrary) -> None:
    source = opened()
    assert source.reasons == {}
    library.devices[1].reasons = 0x40
    library.devices[2].lost = 15
    source.read(0.0)
    assert source.reasons == {f"GPU-{n}": 0x40 if n == 1 else 0 for n in range(8) if n != 2}


def test_a_closed_source_stops_the_library_and_can_be_opened_again(library: FakeLibrary) -> None:
    source = opened()
    assert library.is_started
    source.close()
    source.close()
    assert not library.is_started
    assert source.read(0.0) == []
    assert len(source.shards()) == 8
    assert len(source.read(1.0)) == 8 * len(METRICS)


def test_a_library_that_does_not_stop_is_no_reason_to_fail(library: FakeLibrary) -> None:
    source = opened()
    library.codes["nvmlShutdown"] = 999
    source.close()
    assert library.calls["nvmlShutdown"] == 1


def test_the_source_says_which_call_of_which_device_hangs(library: FakeLibrary) -> None:
    source = opened()
    seen: list[str] = []
    device = library.devices[4]

    class Hanging(dict[str, int]):
        def get(self, name: str, default: int = 0) -> int:  # type: ignore[override]  # of a code
            if name == POWER:
                seen.append(source.doing)
            return default

    device.codes = Hanging()
    assert source.doing == ""
    source.read(0.0)
    assert seen == ["nvmlDeviceGetPowerUsage GPU-4"]
    assert source.doing == ""


def test_the_source_keeps_every_promise_of_a_source_that_it_makes() -> None:
    source = NvmlSource()
    for promise in (Witness, Identified, Rejecting, Busy, Profiling, Closing):
        assert isinstance(source, promise)


def test_the_source_lists_what_its_devices_serve_between_slow_readings_too(
    library: FakeLibrary,
) -> None:
    for device in library.devices:
        device.codes[POWER] = 3
    library.devices[3].lost = 15
    source = opened()
    assert source.metrics == ()
    source.read(0.0)
    source.read(1.0)
    unsupported = {"power_watts", "pages_retired", "nvlink_packet_errors"}
    assert set(METRICS) - set(source.metrics) >= unsupported
    assert {"pcie_replays", "sm_active_ratio", "temperature_celsius"} <= set(source.metrics)


def test_a_lost_device_says_nothing_of_what_it_never_served(library: FakeLibrary) -> None:
    library.devices[0].codes[POWER] = 3
    source = opened()
    source.read(0.0)
    library.devices[0].lost = 15
    found = {r.metric for r in source.read(1.0) if r.shard == "GPU-0"}
    assert "power_watts" not in found
    assert "pcie_replays" in found
