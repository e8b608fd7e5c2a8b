"""TPU chips as the kernel lists them."""

from pathlib import Path

import pytest

from tessera.adapters.tpu.sysfs import chips_of

from .hosts import chip


@pytest.mark.parametrize(
    ("device", "more", "name", "cores"),
    [
        ("0x0027", {"subsystem_device": "0x004e"}, "v2", 2),
        ("0x0027", {"subsystem_device": "0x004f"}, "v3", 2),
        ("0x005e", {}, "v4", 1),
        ("0x0063", {}, "v5e", 1),
        ("0x0062", {}, "v5p", 1),
        ("0x006f", {}, "v6e", 1),
        ("0x0076", {}, "7x", 2),
    ],
)
def test_every_generation_is_known_by_its_number(
    tmp_path: Path, device: str, more: dict[str, str], name: str, cores: int
) -> None:
    chip(tmp_path, 4, device, **more)
    (found,) = chips_of(tmp_path)
    assert (found.generation.name, found.generation.cores) == (name, cores)
    assert (found.address, found.node) == ("0000:00:04.0", "/dev/vfio/4")


def test_chips_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for slot, number in ((4, 10), (5, 2), (6, 0)):
        (chip(tmp_path, slot, "0x005e") / "accel" / f"accel{number}").mkdir(parents=True)
    assert [found.node for found in chips_of(tmp_path)] == [
        "/dev/accel0",
        "/dev/accel2",
        "/dev/accel10",
    ]


def test_other_devices_are_no_chip(tmp_path: Path) -> None:
    chip(tmp_path, 4, vendor="0x10de")
    chip(tmp_path, 5, "0x0042")  # the vendor's network card
    chip(tmp_path, 6, "0x0027", subsystem_device="0x0001")
    (chip(tmp_path, 7) / "vendor").unlink()
    (chip(tmp_path, 8) / "device").write_bytes(b"\xff\xfe")
    assert chips_of(tmp_path) == ()


def test_a_host_without_a_bus_has_none(tmp_path: Path) -> None:
    assert chips_of(tmp_path) == ()


def test_a_chip_without_a_node_is_a_chip(tmp_path: Path) -> None:
    (chip(tmp_path, 4) / "iommu_group").unlink()
    assert [found.node for found in chips_of(tmp_path)] == [""]
