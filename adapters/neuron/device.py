"""One Neuron device as its driver's files show it: counters, power and hard conditions.

Apart from the source, which joins them with what neuron-monitor says of the same device.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from ..base import Absent
from .sysfs import DeviceFiles, Power, parse_components, parse_indices, parse_power
from .tally import CORRECTED, IMPOSSIBLE, SRAM_CORRECTED, UNCORRECTED

POWER: Final = "power_ratio"
LOST: Final = "device_lost"

Value: TypeAlias = float | Absent

_POWER_REFRESH = 60.0  # seconds
_POWER_STALE = 3 * _POWER_REFRESH
_HIGHEST = 1.5  # of the most that a device may draw
_MANY = 2.0**53

# The file, the code of the fact while its number is not 0, and what a person reads.
_DEVICE_CONDITIONS = (
    ("mem_ecc_uncorrected", "ecc_uncorrected", "uncorrected errors of the memory"),
    ("sram_ecc_uncorrected", "sram_ecc_uncorrected", "uncorrected errors of the SRAM"),
    ("mem_ecc_repairable_uncorrected", "ecc_repairable", "errors that a reset would repair"),
)
_CORE_CONDITIONS = (
    ("hw_hbm_ue_error", "hbm_uncorrected", "executions ended by errors of the memory"),
    ("hw_nc_ue_error", "core_uncorrected", "executions ended by errors of a core"),
    ("reset_fail_count", "reset_failed", "resets that failed"),
)
UNHEALTHY: Final = "unhealthy_"  # how the codes of components begin
CODES: Final = frozenset({LOST, *(code for _, code, _ in (*_DEVICE_CONDITIONS, *_CORE_CONDITIONS))})
_FILES = {CORRECTED: "mem_ecc_corrected", SRAM_CORRECTED: "sram_ecc_corrected"}


@dataclass(frozen=True, slots=True)
class Seen:
    """The conditions of a device: ``found`` with a line for each, and the codes that were read."""

    found: Mapping[str, str]
    known: tuple[str, ...]


class Device:
    """One device and its files; nothing is read before it is asked for."""

    def __init__(self, index: int, folder: Path | None) -> None:
        """Take the device's index on its host, and its folder where the driver's files are seen."""
        self.index = index
        self.has_files = folder is not None
        self.files = DeviceFiles(folder or Path())
        self.rejected: Counter[str] = Counter()  # impossible values by metric
        self.resets = ""  # requested since the driver was loaded, as text; "" while unknown
        self._power: Power | None = None
        self._since = 0.0  # when the power was told last
        self._core_conditions: dict[str, str] = {}
        self._core_known: tuple[str, ...] = ()

    @property
    def serial(self) -> str:
        """Return the serial number, "" where it is not told or all zeros."""
        told = self.files.text("serial_number") or ""
        return told if told.isalnum() and told.strip("0") else ""

    @property
    def product(self) -> str:
        """Return the name of the product in small letters, "" where it is not told."""
        told = (self.files.text("device_name") or "").lower()
        return told if told.isprintable() else ""

    @property
    def connected(self) -> tuple[int, ...]:
        """Return the devices that it is wired to by design; it says nothing of their links."""
        return parse_indices(self.files.text("connected_devices") or "")

    def counts(self) -> dict[str, Value]:
        """Return the running totals of memory errors that the driver keeps."""
        found: dict[str, Value] = {}
        for metric, name in _FILES.items():
            number = self.files.number(name)
            if number is not None:
                found[metric] = self._checked(metric, number, _MANY)
        parts = [
            self.files.number(name) for name in ("mem_ecc_uncorrected", "sram_ecc_uncorrected")
        ]
        known = [number for number in parts if number is not None]
        if known:
            found[UNCORRECTED] = self._checked(UNCORRECTED, sum(known), _MANY)
        return found

    def power(self, at: float) -> Value | None:
        """Return the mean share of the last minute if it is news, None if it is not yet."""
        if not self.files.has("utilization"):
            return Absent("unsupported")
        told = parse_power(self.files.text("utilization") or "")
        if told is not None and (self._power is None or told.at != self._power.at):
            self._power, self._since = told, at
            return self._checked(POWER, told.mean, _HIGHEST)
        self._since = min(self._since, at)  # the clock may have been set back
        return Absent("error", "stale") if at - self._since > _POWER_STALE else None

    def look_at_cores(self) -> None:
        """Read what stands once for each core; dearer than the rest, so asked in turns."""
        seen = self._numbers(_CORE_CONDITIONS)
        self._core_conditions, self._core_known = dict(seen.found), seen.known
        resets = self.files.number("reset_req_count")
        self.resets = self.resets if resets is None else f"{resets:.0f}"

    def conditions(self, reported: float | None = None) -> Seen:
        """Return the conditions of now, those of its cores as last looked at.

        ``reported`` are the uncorrected errors that neuron-monitor told of, for want of a file.
        """
        seen = self._numbers(_DEVICE_CONDITIONS)
        if not self.files.has("mem_ecc_uncorrected") and reported is not None:
            told = f"{reported:.0f} uncorrected errors since this program was started"
            seen = Seen({UNCORRECTED: told} if reported else {}, (*seen.known, UNCORRECTED))
        found = dict(seen.found) | self._core_conditions
        known = (*seen.known, *self._core_known)
        listed = self.files.text("unhealthy_components")
        names = None if listed is None else parse_components(listed)
        if names is not None:
            found |= {f"{UNHEALTHY}{name}": f"the driver finds {name} unhealthy" for name in names}
            known = (*known, f"{UNHEALTHY}*")
        return Seen(found, known)

    def _numbers(self, table: tuple[tuple[str, str, str], ...]) -> Seen:
        found: dict[str, str] = {}
        known: list[str] = []
        for name, code, what in table:
            number = self.files.number(name)
            if number is None or not 0 <= number <= _MANY:
                continue
            known.append(code)
            if number:
                found[code] = f"{number:.0f} {what} since the counter was cleared"
        return Seen(found, tuple(known))

    def _checked(self, metric: str, value: float, most: float) -> Value:
        if 0 <= value <= most:
            return value
        self.rejected[metric] += 1
        return IMPOSSIBLE
