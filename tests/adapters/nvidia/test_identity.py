from tessera.adapters.base import Identified
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeFabric, FakeSlice
from tessera.adapters.nvidia.fake_library import FakeLibrary

VBIOS = "nvmlDeviceGetVbiosVersion"


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def after_a_round(source: NvmlSource, at: float = 0.0) -> dict[str, str]:
    for tick in range(8):
        source.read(at + tick)
    return dict(source.identity())


def of(device: str, found: dict[str, str]) -> dict[str, str]:
    mark = f"{device}/"
    return {key.removeprefix(mark): value for key, value in found.items() if mark in key}


def test_a_device_tells_all_that_it_runs_on(library: FakeLibrary) -> None:
    device = library.devices[2]
    device.vbios, device.inforom, device.gsp_firmware = "96.0", "G1", "570.1"
    device.power_cap, device.application_clocks, device.ecc = 500_000, (1410, 1593), False
    source = opened()
    assert isinstance(source, Identified)
    found = dict(source.identity())
    assert found["driver"] == "575.57.08"
    assert of("GPU-2", found) == {
        "vbios": "96.0",
        "inforom": "G1",
        "gsp_firmware": "570.1",
        "power_cap_mw": "500000",
        "application_clocks_mhz": "1410/1593",
        "ecc": "off",
        "fabric_state": "completed",
        "fabric": "01020304-0506-0708-090a-0b0c0d0e0f10.7",
        "mig": "off",
    }


def test_a_change_is_seen_within_one_round_of_the_devices(library: FakeLibrary) -> None:
    source = opened()
    before = after_a_round(source)
    library.devices[5].power_cap = 450_000
    after = after_a_round(source, 8.0)
    assert {key: value for key, value in after.items() if before[key] != value} == {
        "GPU-5/power_cap_mw": "450000"
    }


def test_one_device_is_asked_in_a_tick_and_firmware_only_when_opened(library: FakeLibrary) -> None:
    source = opened()
    library.calls.clear()
    source.read(0.0)
    assert library.calls["nvmlDeviceGetPowerManagementLimit"] == 1
    after_a_round(source, 1.0)
    assert library.calls[VBIOS] == 0


def test_what_is_not_supported_is_left_out_and_not_asked_again(library: FakeLibrary) -> None:
    library.devices[0].fabric = None
    library.devices[0].codes["nvmlDeviceGetApplicationsClock"] = 26
    source = opened()
    found = of("GPU-0", after_a_round(source))
    assert not {"fabric", "fabric_state", "application_clocks_mhz"} & set(found)
    assert library.calls["nvmlDeviceGetGpuFabricInfoV", "GPU-0"] == 1


def test_a_fabric_that_is_not_up_has_a_state_and_no_place(library: FakeLibrary) -> None:
    library.devices[0].fabric = FakeFabric(state=2)
    found = of("GPU-0", dict(opened().identity()))
    assert found["fabric_state"] == "in_progress"
    assert "fabric" not in found


def test_a_lost_device_is_left_out_and_asked_anew_when_it_is_back(library: FakeLibrary) -> None:
    source = opened()
    library.devices[0].lost = 15
    source.read(0.0)
    assert of("GPU-0", dict(source.identity())) == {}
    library.devices[0].lost, library.devices[0].vbios = 0, "97.0"
    source.read(5.0)
    assert of("GPU-0", dict(source.identity()))["vbios"] == "97.0"


def test_identity_costs_no_call(library: FakeLibrary) -> None:
    source = opened()
    before = library.calls.total()
    source.identity()
    assert library.calls.total() == before


def test_a_reloaded_driver_is_another_identity(library: FakeLibrary) -> None:
    source = opened()
    for device in library.devices:
        device.lost = 9
    source.read(0.0)
    assert source.identity().get("GPU-0/vbios") is None
    library.driver = "580.1"
    for device in library.devices:
        device.lost = 0
    source.read(10.0)
    assert source.identity()["driver"] == "580.1"


def test_slices_are_part_of_what_a_device_is(library: FakeLibrary) -> None:
    library.devices[0].slices = {0: FakeSlice(1), 4: FakeSlice(2, 1)}
    assert opened().identity()["GPU-0/mig"] == "on 1/0 2/1"


def test_where_a_device_stands_in_its_rack_is_told_in_numbers(library: FakeLibrary) -> None:
    library.devices[0].position = ("1821325000123", 12, 200, 0, 3)
    found = opened().identity()
    assert found["GPU-0/position"] == "1821325000123/12/200/0/3"
    assert "GPU-1/position" not in found
