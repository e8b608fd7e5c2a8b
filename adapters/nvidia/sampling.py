"""One device's readings of one tick, in canonical names and base units.

Apart from devices, because what to ask of a device differs from which devices there are.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from ..base import Absent, Reading
from . import binding
from .binding import Handle, Memory
from .errors import DOWN, LOST, UNSUPPORTED, NvmlFailed, name_of

IMPOSSIBLE = "impossible"  # the code of a value that no device can have

_SENTINELS = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})  # "none" where a library has no code
_REASONS = "clocks_event_reasons"


def _same(value: float) -> float:
    return float(value)


def _from_milli(value: float) -> float:
    return value / 1e3


def _from_nano(value: float) -> float:
    return value / 1e9


def _from_mega(value: float) -> float:
    return value * 1e6


def _from_percent(value: float) -> float:
    return value / 100


def _used(memory: Memory) -> float:
    return memory.used if memory.used <= memory.total else inf


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with calls of its own, the preferred ``way`` first.

    ``most`` is the largest possible value in the vendor's unit, ``convert`` leads from that unit
    to the base unit.
    """

    metric: str
    ways: tuple[Callable[[Handle], float], ...]
    convert: Callable[[float], float]
    most: float


@dataclass(frozen=True, slots=True)
class Field:
    """A metric that the batched call serves under the number ``id``; else as ``Gauge``."""

    metric: str
    id: int
    convert: Callable[[float], float]
    most: float


_HOTTEST = 150  # °C; parts switch off long before
_CENTURY = 3_155_760_000 * 10**9  # nanoseconds
_MANY = 2.0**53  # counts beyond this are not exact as a float64

GAUGES = (
    Gauge(
        "temperature_celsius",
        (binding.temperature, binding.temperature_as_before),
        _same,
        _HOTTEST,
    ),
    Gauge("power_watts", (binding.power,), _from_milli, 10_000_000),
    Gauge("sm_clock_hertz", (binding.sm_clock,), _from_mega, 20_000),
    Gauge("memory_clock_hertz", (binding.memory_clock,), _from_mega, 40_000),
    Gauge("utilization_ratio", (binding.utilization,), _from_percent, 100),
    Gauge(
        "memory_used_bytes",
        (
            lambda device: _used(binding.memory(device)),
            lambda device: _used(binding.memory_as_before(device)),
        ),
        _same,
        2.0**50,
    ),
)
FIELDS = (
    Field("memory_temperature_celsius", 82, _same, _HOTTEST),
    Field("ecc_corrected", 3, _same, _MANY),  # running totals since the driver was loaded
    Field("ecc_uncorrected", 4, _same, _MANY),
    Field("throttled_power_cap_seconds_total", 74, _from_nano, _CENTURY),
    Field("throttled_sync_boost_seconds_total", 76, _from_nano, _CENTURY),
    Field("throttled_software_thermal_seconds_total", 269, _from_nano, _CENTURY),
    Field("throttled_hardware_thermal_seconds_total", 270, _from_nano, _CENTURY),
    Field("throttled_power_brake_seconds_total", 271, _from_nano, _CENTURY),
)
METRICS = tuple(asked.metric for asked in (*GAUGES, *FIELDS))


class Sampler:
    """Ask one device for its readings, and never again for what it does not support."""

    def __init__(self, uuid: str, device: Handle, rejected: Counter[tuple[str, str]]) -> None:
        """Take the device, and where impossible values are counted by (UUID, metric)."""
        self._uuid = uuid
        self._device = device
        self._rejected = rejected
        self._way: dict[str, int] = {}  # of the gauge: how many of its ways are unsupported
        self._unsupported: set[str] = set()
        self.reasons: int | None = None

    def sample(self) -> list[Reading]:
        """Return one reading for each of ``METRICS``; raise ``NvmlFailed`` for a lost device.

        ``reasons`` holds afterwards the bits that say why clocks are held down, or None.
        """
        readings = [self._reading(gauge.metric, self._gauge(gauge)) for gauge in GAUGES]
        readings += self._batch()
        self.reasons = self._reasons()
        return readings

    def _reading(self, metric: str, value: float | Absent) -> Reading:
        return Reading(self._uuid, metric, value)

    def _gauge(self, gauge: Gauge) -> float | Absent:
        for number in range(self._way.get(gauge.metric, 0), len(gauge.ways)):
            try:
                raw = gauge.ways[number](self._device)
            except NvmlFailed as failed:
                if failed.code not in UNSUPPORTED:
                    return _failure(failed.code)
                self._way[gauge.metric] = number + 1
            else:
                return self._checked(gauge, raw)
        return Absent("unsupported")

    def _batch(self) -> list[Reading]:
        asked = [field for field in FIELDS if field.metric not in self._unsupported]
        found = dict(zip(asked, self._fields([field.id for field in asked]), strict=True))
        readings = []
        for field in FIELDS:
            item = found.get(field)
            if item is None or item.code in UNSUPPORTED:
                self._unsupported.add(field.metric)
                value: float | Absent = Absent("unsupported")
            elif item.code:
                value = _failure(item.code)
            else:
                value = self._checked(field, item.value)
            readings.append(self._reading(field.metric, value))
        return readings

    def _fields(self, ids: list[int]) -> tuple[binding.FieldValue, ...]:
        if not ids:
            return ()
        try:
            return binding.fields(self._device, ids)
        except NvmlFailed as failed:  # none of them could be read
            return (binding.FieldValue(failed.code),) * len(ids)

    def _reasons(self) -> int | None:
        if _REASONS in self._unsupported:
            return None
        try:
            return binding.clocks_event_reasons(self._device)
        except NvmlFailed as failed:
            _failure(failed.code)
            if failed.code in UNSUPPORTED:
                self._unsupported.add(_REASONS)
            return None

    def _checked(self, asked: Gauge | Field, raw: float) -> float | Absent:
        if 0 <= raw <= asked.most and raw not in _SENTINELS:
            return asked.convert(raw)
        self._rejected[self._uuid, asked.metric] += 1
        return Absent("error", IMPOSSIBLE)


def _failure(code: int) -> Absent:
    if code in LOST or code in DOWN:
        raise NvmlFailed(code)
    return Absent("error", name_of(code))
