"""The metrics that have a call of their own, each second and each ten.

Apart from the fields, because each of these is asked alone and may be asked in an older way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from ..base import Absent, Reading
from . import binding
from .binding import Memory
from .border import Handle
from .errors import Action, NvmlFailed, action_of
from .subject import UNSUPPORTED, Subject
from .units import HOTTEST, MANY, STRONGEST, from_mega, from_milli, from_percent, same


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with calls of its own, the preferred ``way`` first.

    ``most`` is the largest possible value in the vendor's unit, ``convert`` leads from that unit
    to the base unit. ``other`` says, where it does, how the ways after the first differ in meaning.
    """

    metric: str
    ways: tuple[Callable[[Handle], float], ...]
    convert: Callable[[float], float]
    most: float
    other: str = ""


def _used(memory: Memory) -> float:
    return memory.used if memory.used <= memory.total else inf


MEMORY: Final = Gauge(
    "memory_used_bytes",
    (
        lambda device: _used(binding.memory(device)),
        lambda device: _used(binding.memory_as_before(device)),
    ),
    same,
    2.0**50,
    other="what the driver keeps for itself included",
)
GAUGES: Final = (
    Gauge(
        "temperature_celsius", (binding.temperature, binding.temperature_as_before), same, HOTTEST
    ),
    Gauge("power_watts", (binding.power,), from_milli, STRONGEST),
    Gauge("sm_clock_hertz", (binding.sm_clock,), from_mega, 20_000),
    Gauge("memory_clock_hertz", (binding.memory_clock,), from_mega, 40_000),
    Gauge("utilization_ratio", (binding.utilization,), from_percent, 100),
    MEMORY,
)
SLOW_GAUGES: Final = (
    Gauge("pcie_link_width", (binding.pcie_link_width,), same, 64),
    Gauge("pcie_link_generation", (binding.pcie_link_generation,), same, 16),
    Gauge("sram_ecc_corrected", (binding.sram_ecc_corrected,), same, MANY),
)
SLICE_GAUGES: Final = (MEMORY,)  # all that a MIG slice answers


class Gauges:
    """Some gauges of one device; what it does not support is not asked again."""

    def __init__(self, subject: Subject, table: Sequence[Gauge]) -> None:
        """Take the device and the gauges; nothing is asked yet."""
        self._subject = subject
        self._asked = dict.fromkeys(table, 0)  # by the first way that may be supported
        self._absent: list[Reading] = []

    @property
    def schemas(self) -> Mapping[str, str]:
        """How the metrics are read whose ways differ in meaning, where it is not the first."""
        return {g.metric: g.other for g, way in self._asked.items() if way and g.other}

    def read(self) -> list[Reading]:
        """Return one reading of each gauge; raise ``NvmlFailed`` for a lost device."""
        subject = self._subject
        readings = self._absent.copy()
        for gauge, way in list(self._asked.items()):
            try:
                raw = gauge.ways[way](subject.handle)
            except NvmlFailed as failed:
                value = self._refused(gauge, failed.code)
            else:
                value = subject.checked(gauge.metric, raw, gauge.convert, gauge.most)
            readings.append(Reading(subject.uuid, gauge.metric, value))
        return readings

    def _refused(self, gauge: Gauge, code: int) -> float | Absent:
        """Return the value in the next way if this one is unsupported, or why there is none."""
        absent = self._subject.absence(gauge.metric, code)
        while action_of(code) is Action.NEVER_ASK and self._asked[gauge] + 1 < len(gauge.ways):
            self._asked[gauge] += 1
            try:
                raw = gauge.ways[self._asked[gauge]](self._subject.handle)
            except NvmlFailed as failed:
                code = failed.code
                absent = self._subject.absence(gauge.metric, code)
            else:
                return self._subject.checked(gauge.metric, raw, gauge.convert, gauge.most)
        if absent.kind == UNSUPPORTED.kind:
            del self._asked[gauge]
            self._absent.append(self._subject.reading(gauge.metric, absent))
        return absent
