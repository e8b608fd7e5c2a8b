"""One device's readings of one tick, in canonical names and base units.

Apart from devices, because what to ask of a device differs from which devices there are.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Final

from ..base import Absent, Reading
from ..catalogue import Catalogue, default_catalogue
from . import binding, nvlink
from .errors import NvmlFailed
from .field_table import FIELDS, SLOW_FIELDS
from .fields import Fields
from .gauges import GAUGES, SLOW_GAUGES, Gauges
from .gpm import ACTIVITY, Activity
from .subject import Subject

SLOW: Final = 10.0  # seconds between two readings of what costs more or moves seldom
SLOW_METRICS: Final = (
    *(asked.metric for asked in (*SLOW_GAUGES, *SLOW_FIELDS)),
    *nvlink.ERRORS,
    nvlink.LINKS,
)
FAST_METRICS: Final = (
    *(asked.metric for asked in (*GAUGES, *FIELDS)),
    *nvlink.TRAFFIC,
    *ACTIVITY,
)
METRICS: Final = (*FAST_METRICS, *SLOW_METRICS)

_EARLY: Final = 0.5  # seconds by which a slow reading may come before its time
_REASONS: Final = "clocks_event_reasons"


def catalogue() -> Catalogue:
    """Return the catalogue as shipped, with how seldom the slow metrics are read."""
    shipped = default_catalogue()
    slow = {name: replace(shipped.of(name), refresh=SLOW) for name in SLOW_METRICS}
    return replace(shipped, rows={**shipped.rows, **slow})


class Sampler:
    """Ask one device for its readings, and never again for what it does not support.

    ``reasons`` are the bits that say why clocks are held down, None where the last tick did not
    tell; ``slow`` the values of the slow metrics if the last tick read them, else None.
    """

    def __init__(self, subject: Subject, phase: float = 0.0) -> None:
        """Take the device; its second slow reading comes ``phase`` seconds early."""
        self.reasons: int | None = None
        self.slow: Mapping[str, float] | None = None
        self._subject = subject
        self._phase = phase
        self._gauges = Gauges(subject, GAUGES)
        self._slow_gauges = Gauges(subject, SLOW_GAUGES)
        self._fields = Fields(subject, FIELDS)
        self._slow_fields = Fields(subject, SLOW_FIELDS)
        self._activity = Activity(subject)
        self._has_links = False  # which fields they have is known
        self._asks_reasons = True
        self._read_slowly = -inf  # seconds

    @property
    def schemas(self) -> Mapping[str, str]:
        """How metrics are read that older drivers tell otherwise."""
        return self._gauges.schemas

    def sample(self, at: float, *, profiling: bool = True) -> list[Reading]:
        """Return one reading for each of ``FAST_METRICS``, each 10 s of ``METRICS``.

        Without ``profiling`` there are none for the activity. Raises ``NvmlFailed`` for a lost
        device.
        """
        slow = self._slowly(at) if self._is_due(at) else None
        readings = self._gauges.read() + self._fields.read(at)
        if profiling:
            readings += self._activity.read()
        else:
            self._activity.release()
        self.reasons = self._asked_reasons()
        self.slow = None if slow is None else _values(slow)
        return readings if slow is None else readings + slow

    def release(self) -> None:
        """Give back what the library holds for this device."""
        self._activity.release()

    def _is_due(self, at: float) -> bool:
        return not 0 <= at - self._read_slowly < SLOW - _EARLY

    def _slowly(self, at: float) -> list[Reading]:
        if not self._has_links:
            self._find_links()
        readings = self._slow_gauges.read() + self._slow_fields.read(at)
        self._read_slowly, self._phase = at - self._phase, 0.0
        return readings

    def _find_links(self) -> None:
        """Add the fields of NVLink; where they cannot be told now, they are at the next time."""
        try:
            traffic, errors = nvlink.chosen(self._subject.handle)
        except NvmlFailed as failed:
            self._subject.absence(nvlink.LINKS, failed.code)
            return
        self._has_links = True
        for fields, table, metrics in (
            (self._fields, traffic, nvlink.TRAFFIC),
            (self._slow_fields, errors, (*nvlink.ERRORS, nvlink.LINKS)),
        ):
            fields.add(table)
            fields.lack(metric for metric in metrics if metric not in fields)

    def _asked_reasons(self) -> int | None:
        if not self._asks_reasons:
            return None
        try:
            return binding.clocks_event_reasons(self._subject.handle)
        except NvmlFailed as failed:
            absent = self._subject.absence(_REASONS, failed.code)
            self._asks_reasons = absent.kind != "unsupported"
            return None


def _values(readings: list[Reading]) -> Mapping[str, float]:
    return {r.metric: r.value for r in readings if not isinstance(r.value, Absent)}
