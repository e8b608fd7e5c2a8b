import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.neuron.fake_files import change, device, write, write_device, write_host
from tessera.adapters.neuron.sysfs import (
    LEAVES,
    DeviceFiles,
    Power,
    device_folders,
    driver_version,
    parse_components,
    parse_indices,
    parse_power,
    runtime_version,
)


def searched(root: Path, index: int = 0) -> DeviceFiles:
    files = DeviceFiles(device(root, index))
    files.search()
    return files


def test_devices_are_found_in_the_order_of_their_indices(tmp_path: Path) -> None:
    write_host(tmp_path, 12)
    write(device(tmp_path, 0).parent / "uevent", "")
    assert list(device_folders(tmp_path)) == list(range(12))


def test_a_host_without_the_driver_has_no_devices(tmp_path: Path) -> None:
    assert device_folders(tmp_path) == {}
    assert driver_version(tmp_path) == ""


def test_a_counter_is_read_wherever_the_driver_keeps_it(tmp_path: Path) -> None:
    folder = device(tmp_path, 0)
    write(folder / "stats/hardware/mem_ecc_uncorrected", "3\n")
    write(folder / "moved/deeper/sram_ecc_uncorrected/total", "4\n")
    write(folder / "moved/deeper/sram_ecc_uncorrected/present", "9\n")
    files = searched(tmp_path)
    assert files.number("mem_ecc_uncorrected") == 3
    assert files.number("sram_ecc_uncorrected") == 4


def test_what_stands_once_for_each_core_is_summed(tmp_path: Path) -> None:
    write_device(tmp_path, 0, cores=3)
    change(tmp_path, 0, "reset_req_count", "2\n")
    assert searched(tmp_path).number("reset_req_count") == 6


def test_a_sum_with_a_part_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    write_device(tmp_path, 0, cores=2)
    write(device(tmp_path, 0) / "neuron_core1/stats/other_info/reset_req_count/total", "?\n")
    assert searched(tmp_path).number("reset_req_count") is None


@pytest.mark.parametrize("text", ["", "x", "0x3", "1.5", "1e3", "9" * 30, "\x00"])
def test_a_text_that_is_no_count_is_no_number(tmp_path: Path, text: str) -> None:
    write(device(tmp_path, 0) / "stats/hardware/mem_ecc_uncorrected", text)
    assert searched(tmp_path).number("mem_ecc_uncorrected") is None


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere/mem_ecc_uncorrected", "5\n")
    folder = device(tmp_path, 0)
    folder.mkdir(parents=True)
    (folder / "subsystem").symlink_to(tmp_path / "elsewhere")
    (folder / "mem_ecc_corrected").symlink_to(tmp_path / "elsewhere/mem_ecc_uncorrected")
    files = searched(tmp_path)
    assert not files.has("mem_ecc_uncorrected")
    assert files.number("mem_ecc_corrected") is None


def test_the_power_line_is_read_as_shares_of_the_most() -> None:
    told = parse_power("POWER_STATUS_VALID,1790000100,12,80,41.5\n")
    assert told == Power(1790000100.0, 0.12, 0.80, 0.415)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "POWER_STATUS_NO_DATA",
        "POWER_STATUS_INVALID,1,2,3,4",
        "POWER_STATUS_VALID,1,2,3",
        "POWER_STATUS_VALID,a,b,c,d",
    ],
)
def test_a_power_line_without_data_is_none(text: str) -> None:
    assert parse_power(text) is None


@given(st.text(max_size=40))
def test_any_text_is_read_or_none(text: str) -> None:
    parse_power(text)
    assert all(index >= 0 for index in parse_indices(text))
    parse_components(text)


def test_connected_devices_are_read_in_the_order_of_the_driver() -> None:
    assert parse_indices("12, 3, 4, 1\n") == (12, 3, 4, 1)
    assert parse_indices("\n") == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hbm,link_host\n", {"hbm", "link_host"}),
        ("hbm\nsram\n", {"hbm", "sram"}),
        ("\n", set()),
        ("none\n", set()),
        ("<error>", None),
    ],
)
def test_unhealthy_components_are_a_list_of_names(text: str, names: set[str] | None) -> None:
    assert parse_components(text) == names


def test_the_newest_runtime_of_the_host_is_named(tmp_path: Path) -> None:
    for version in ("2.9.1", "2.22.0-abc", "1"):
        write(tmp_path / f"opt/aws/neuron/lib/libnrt.so.{version}", "")
    assert runtime_version(tmp_path) == "2.22.0-abc"


def test_trap_7_counters_are_write_to_clear_so_no_file_is_ever_opened_to_be_written(
    tmp_path: Path,
) -> None:
    write_host(tmp_path, 2)
    script = """
import os, sys
from pathlib import Path
root = sys.argv[1]
opened = []
def hook(event, args):
    if event == "open" and str(args[0]).startswith(root):
        opened.append((str(args[0]), args[1], args[2]))
    elif event in {"os.truncate", "os.rename", "os.remove", "os.link"}:
        opened.append((event, "w", os.O_WRONLY))
sys.addaudithook(hook)
from tessera.adapters.neuron.monitor import Monitor
from tessera.adapters.neuron.source import NeuronSource
source = NeuronSource(Monitor("/nowhere"), root=Path(root), host="h")
source.shards()
for at in range(3):
    source.read(float(at)), source.facts(float(at)), source.identity()
source.close()
writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
assert len(opened) > 50, opened
assert [item for item in opened if item[2] & writing] == [], opened
assert [item for item in opened if item[1] not in (None, "r", "rb")] == [], opened
assert [item for item in opened if item[0].endswith(("/reset", "/uevent"))] == [], opened
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)  # noqa: S603  our own text


def test_trap_7_neither_reset_nor_any_other_unknown_file_is_known() -> None:
    assert LEAVES & {"reset", "notify_delay", "uevent", "control"} == set()


def test_trap_7_files_that_a_driver_has_moved_are_found_by_their_names(tmp_path: Path) -> None:
    write_device(tmp_path, 0)
    folder = device(tmp_path, 0)
    (folder / "stats").rename(folder / "telemetry_v2")
    change(tmp_path, 0, "mem_ecc_uncorrected", "7\n")
    assert searched(tmp_path).number("mem_ecc_uncorrected") == 7
