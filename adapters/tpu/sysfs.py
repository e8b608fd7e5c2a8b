"""The TPU chips of this host as the kernel lists them: on the PCI bus, with their device nodes.

Apart, because it needs neither the vendor's library nor a workload, and touches nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

_BUS: Final = "sys/bus/pci/devices"
_VENDOR: Final = "0x1ae0"
_OLD: Final = "0x0027"  # v2 and v3, told apart by the subsystem
_ACCEL = re.compile(r"accel(\d{1,4})", re.ASCII)
_GIB = 2**30
_MOST = 4096  # entries of the bus that are looked at


@dataclass(frozen=True, slots=True)
class Generation:
    """A kind of chip: ``name``, ``cores`` = devices that a workload sees, and its ``memory``.

    ``memory`` is in bytes, of the whole chip.
    """

    name: str
    cores: int
    memory: int


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: its PCI ``address``, what it is, and its ``node`` in /dev ("" = none is seen)."""

    address: str
    generation: Generation
    node: str = ""


UNKNOWN: Final = Generation("unknown", 1, 2**40)
_V2, _V3 = Generation("v2", 2, 16 * _GIB), Generation("v3", 2, 32 * _GIB)
_BY_SUBSYSTEM: Final[Mapping[str, Generation]] = MappingProxyType({"0x004e": _V2, "0x004f": _V3})
_BY_DEVICE: Final[Mapping[str, Generation]] = MappingProxyType(
    {
        "0x005e": Generation("v4", 1, 32 * _GIB),
        "0x0063": Generation("v5e", 1, 16 * _GIB),
        "0x0062": Generation("v5p", 1, 95 * _GIB),
        "0x006f": Generation("v6e", 1, 32 * _GIB),
        "0x0076": Generation("7x", 2, 192 * _GIB),
    }
)


def chips_of(root: Path = Path("/")) -> tuple[Chip, ...]:
    """Return the chips below the file system ``root``, in the order of their accel number.

    Those without a number follow by their address; other devices of the vendor that are no known
    TPU (a network card, a disk) are passed over.
    """
    bus = root / _BUS
    try:
        entries = sorted(bus.iterdir())[:_MOST]
    except OSError:
        return ()
    found = [chip for entry in entries if (chip := _chip(entry)) is not None]
    return tuple(sorted(found, key=_place))


def _chip(entry: Path) -> Chip | None:
    if _word(entry / "vendor") != _VENDOR:
        return None
    device = _word(entry / "device")
    if device == _OLD:
        generation = _BY_SUBSYSTEM.get(_word(entry / "subsystem_device"))
    else:
        generation = _BY_DEVICE.get(device)
    return None if generation is None else Chip(entry.name, generation, _node(entry))


def _node(entry: Path) -> str:
    """Return /dev/accelN of older drivers, /dev/vfio/N of newer ones."""
    try:
        names = sorted(path.name for path in (entry / "accel").iterdir())
    except OSError:
        names = []
    accel = next((name for name in names if _ACCEL.fullmatch(name)), "")
    if accel:
        return f"/dev/{accel}"
    try:
        return f"/dev/vfio/{(entry / 'iommu_group').readlink().name}"
    except OSError:
        return ""


def _place(chip: Chip) -> tuple[int, str]:
    match = _ACCEL.search(chip.node)
    return (int(match[1]) if match else _MOST, chip.address)


def _word(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(64).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
