"""The driver's files of a Neuron host, made of numbers in a folder of one's own.

Apart and shipped, because tests and demonstrations need a Neuron host on machines without one.
"""

from collections.abc import Sequence
from pathlib import Path

from .sysfs import DEVICES, DRIVER

_HARDWARE = "stats/hardware"


def write_host(root: Path, devices: int = 2, *, driver: str = "2.24.7.0", cores: int = 2) -> None:
    """Write the files of a healthy host beneath ``root``, as a driver before 2.31 lays them."""
    write(root / DRIVER, f"{driver}\n")
    for index in range(devices):
        write_device(root, index, cores=cores, connected=[n for n in range(devices) if n != index])


def write_device(
    root: Path, index: int, *, cores: int = 2, connected: Sequence[int] = (), serial: str = ""
) -> None:
    """Write the files of one healthy device, those not to be written to read-only."""
    folder = device(root, index)
    write(folder / "core_count", f"{cores}\n")
    write(folder / "connected_devices", ", ".join(map(str, connected)) + "\n")
    write(folder / "reset", "")
    write(folder / "info/serial_number", f"{serial or f'5e{index:014x}'}\n")
    write(folder / "info/architecture/device_name", "Trainium2\n")
    for name in ("mem_ecc", "sram_ecc"):
        write(folder / _HARDWARE / f"{name}_uncorrected", "0\n")
        write(folder / _HARDWARE / f"{name}_corrected", "0\n")
    write(folder / _HARDWARE / "mem_ecc_repairable_uncorrected", "0\n")
    write(folder / _HARDWARE / "health_status/unhealthy_components", "\n")
    write(folder / "stats/power/utilization", "POWER_STATUS_VALID,1790000000,20,60,41\n")
    for core in range(cores):
        place = folder / f"neuron_core{core}/stats"
        for name in ("hw_hbm_ue_error", "hw_nc_ue_error"):
            write(place / "status" / name / "total", "0\n")
            write(place / "status" / name / "present", "0\n")
        for name in ("reset_req_count", "reset_fail_count"):
            write(place / "other_info" / name / "total", "0\n")


def device(root: Path, index: int) -> Path:
    """Return the folder of a device."""
    return root / DEVICES / f"neuron{index}"


def change(root: Path, index: int, name: str, text: str) -> None:
    """Give the device's file called ``name`` (or its ``total``) another text."""
    for path in device(root, index).rglob(name):
        write(path / "total" if path.is_dir() else path, text)


def write(path: Path, text: str) -> None:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
