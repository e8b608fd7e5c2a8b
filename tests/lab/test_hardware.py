from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.adapters.recording_read import read_recording
from tessera.lab.hardware import hardware, named
from tessera.settings.clock import ManualClock


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    made = FakeLibrary([FakeDevice("GPU-a"), FakeDevice("GPU-b", activity=None)])
    with installed(made):
        yield made


def lines(out: Path, seconds: int = 12) -> list[str]:
    clock = ManualClock(1_790_000_000.5)
    return list(hardware(NvmlSource(), clock, clock.advance, seconds=seconds, out=out))


def test_a_machine_without_devices_is_told_in_one_line(tmp_path: Path) -> None:
    with installed(None):
        (line,) = lines(tmp_path / "out")
    assert line.startswith("no NVIDIA device to read: there is no NVIDIA driver library")
    assert not (tmp_path / "out").exists()


def test_the_table_counts_the_devices_that_served_a_metric(
    library: FakeLibrary, tmp_path: Path
) -> None:
    library.devices[1].codes["nvmlDeviceGetPowerUsage"] = 3
    told = [line.split() for line in lines(tmp_path / "out")]
    assert told[0] == ["2", "x", "NVIDIA", "H100", "80GB", "HBM3,", "driver", "575.57.08"]
    assert ["power_watts", "1", "612.345", "W"] in told
    assert ["sm_active_ratio", "1", "0.835", "1"] in told
    assert ["pcie_tx_bytes_per_second", "2", "0", "By/s"] in told
    assert ["nvlink_symbol_errors", "0", "unsupported"] in told
    assert not library.is_started


@pytest.mark.usefixtures("library")
def test_the_recording_can_be_played(tmp_path: Path) -> None:
    lines(tmp_path / "out", seconds=12)
    found = read_recording(tmp_path / "out")
    assert len(found.times) == 12
    assert found.catalogue.of("pcie_replays").refresh == 10.0
    assert set(found.topology.shards) == {"GPU-a", "GPU-b"}


def test_a_recording_takes_a_free_name(tmp_path: Path, library: FakeLibrary) -> None:
    del library
    shards = NvmlSource().shards()
    assert named(tmp_path, shards).name == "nvml-nvidia-h100-80gb-hbm3"
    named(tmp_path, shards).mkdir()
    assert named(tmp_path, shards).name == "nvml-nvidia-h100-80gb-hbm3-2"
