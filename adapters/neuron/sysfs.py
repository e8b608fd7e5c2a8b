"""The driver's files of each Neuron device, found by their own names and opened to be read only.

Apart and narrow, because a write to one of these files clears a counter and a write to another
resets the device, and because drivers move files from one folder to another.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEVICES: Final = "sys/devices/virtual/neuron_device"
DRIVER: Final = "sys/module/neuron/version"
MODULE: Final = "sys/module/neuron"
RUNTIME: Final = "opt/aws/neuron/lib"

# All that is ever opened beneath a device; `reset` and `notify_delay` are not among them.
LEAVES: Final = frozenset(
    {
        *("serial_number", "device_name", "core_count", "connected_devices"),
        *("mem_ecc_corrected", "sram_ecc_corrected"),
        *("mem_ecc_uncorrected", "sram_ecc_uncorrected", "mem_ecc_repairable_uncorrected"),
        *("hw_hbm_ue_error", "hw_nc_ue_error"),
        *("reset_req_count", "reset_fail_count"),
        *("unhealthy_components", "utilization"),
    }
)
TOTAL = "total"  # the file in a counter's folder that holds it, where the counter is a folder

_NAME = re.compile(r"neuron(\d{1,4})")
_LIBRARY = re.compile(r"libnrt\.so\.(\d[\w.+-]*)")
_POWER = "POWER_STATUS_"
_LARGEST = 4096  # bytes of a file that is read
_DEEPEST = 8  # folders beneath a device
_MOST = 50_000  # entries beneath a device that are looked at
_READ_ONLY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Power:
    """Shares of the most a device may draw, over the minute until ``at`` (Unix seconds)."""

    at: float
    least: float
    most: float
    mean: float


def parse_power(text: str) -> Power | None:
    """Return what a line of `utilization` says, None where it has no data or is none.

    The line is ``POWER_STATUS_VALID,<Unix seconds>,<min>,<max>,<mean>``, the last in percent.
    """
    status, *rest = text.strip().split(",")
    if status != f"{_POWER}VALID" or len(rest) != len(("at", "min", "max", "mean")):
        return None
    try:
        at, least, most, mean = map(float, rest)
    except ValueError:
        return None
    return Power(at, least / 100, most / 100, mean / 100)


def parse_indices(text: str) -> tuple[int, ...]:
    """Return the device indices in ``12, 3, 4, 1``; words that are none are left out."""
    words = (word.strip() for word in text.split(","))
    return tuple(int(w) for w in words if w.isascii() and w.isdigit() and len(w) <= len("9999"))


def parse_components(text: str) -> frozenset[str] | None:
    """Return the names in ``hbm,link_host``, none for a healthy device, None for no list."""
    words = {word.strip().lower() for word in text.replace("\n", ",").split(",")} - _NOTHING
    return frozenset(words) if all(re.fullmatch("[a-z][a-z0-9_]{0,40}", w) for w in words) else None


_NOTHING = {"", "none", "0"}


def device_folders(root: Path) -> dict[int, Path]:
    """Return the folder of each device by its index, in the order of the indices."""
    place = root / DEVICES
    found: dict[int, Path] = {}
    with suppress(OSError):
        for folder in place.iterdir():
            match = _NAME.fullmatch(folder.name)
            if match:
                found[int(match[1])] = folder
    return dict(sorted(found.items()))


def driver_version(root: Path) -> str:
    """Return the version of the driver, "" where none is loaded or it does not say."""
    return _read(root / DRIVER) or ""


def runtime_version(root: Path) -> str:
    """Return the newest version of the runtime's library on this host, "" where there is none."""
    names: list[str] = []
    with suppress(OSError):
        names = [path.name for path in (root / RUNTIME).iterdir()]
    versions = [match[1] for name in names if (match := _LIBRARY.fullmatch(name))]
    return max(versions, key=lambda v: [int(n) for n in re.findall(r"\d+", v)], default="")


class DeviceFiles:
    """The files of one device; nothing is opened before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Take the device's folder."""
        self.folder = folder
        self._found: dict[str, tuple[Path, ...]] = {}

    def search(self) -> None:
        """Look where the files are now."""
        found: dict[str, list[Path]] = {}
        for name, path in _walk(self.folder):
            found.setdefault(name, []).append(path)
        self._found = {name: tuple(sorted(paths)) for name, paths in found.items()}

    def has(self, name: str) -> bool:
        """Say whether there is such a file, as far as was looked."""
        return name in self._found

    def text(self, name: str) -> str | None:
        """Return the text of the first file called ``name``, None where it cannot be read."""
        paths = self._found.get(name, ())
        return _read(paths[0]) if paths else None

    def number(self, name: str) -> float | None:
        """Return the sum of the files called ``name``, one for each core where that is so.

        None where one of them is no number: part of a sum is no sum.
        """
        numbers = [_number(_read(path)) for path in self._found.get(name, ())]
        known = [number for number in numbers if number is not None]
        return sum(known) if known and len(known) == len(numbers) else None


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the known files beneath ``folder`` by name; links are not followed."""
    seen = 0
    base = len(folder.parts)
    for here, folders, files in os.walk(folder):
        seen += len(folders) + len(files)
        place = Path(here)
        if seen > _MOST or len(place.parts) - base >= _DEEPEST:
            folders.clear()
        for name in files:
            if name in LEAVES:
                yield name, place / name
        if place.name in LEAVES and TOTAL in files:
            yield place.name, place / TOTAL


def _read(path: Path) -> str | None:
    try:
        file = os.open(path, _READ_ONLY)
    except OSError:
        return None
    try:
        return os.read(file, _LARGEST).decode("utf-8", errors="replace").strip()
    except OSError:
        return None
    finally:
        os.close(file)


def _number(text: str | None) -> float | None:
    """Return a count in decimal; what is longer than any is none."""
    if text is None or not re.fullmatch(r"-?\d{1,20}", text):
        return None
    return float(text)
