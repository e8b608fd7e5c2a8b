"""One device of an exporter's pages, page after page, in canonical names and base units.

Apart from the page, because some values need their predecessors: counters that stand on several
rows become one running total, and a metric that was there and is gone is an error.
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..base import Absent, Reading
from .dcgm_fields import FIELDS, METRICS, PROFILED, UTILIZATION, Field
from .dcgm_page import Device

IMPOSSIBLE: Final = "impossible"  # the code of a value that no device can have
MISSING: Final = "missing"  # the code of what was on an earlier page and is on this one no longer

_PARTS = 256  # rows of one total: eighteen links of four kinds of errors are 72
_BUSY = 50.0  # per cent of time with a kernel: no counter of the engines can be 0 then
_OF: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {metric: tuple(f for f in FIELDS if f.metric == metric) for metric in METRICS}
)
Part = tuple[int, str]  # a field, and the link that its row was of ("" = of the device)


class Total:
    """A running total over rows that come and go and begin again: only what moved is added."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._value = 0.0
        self._before: dict[Part, float] = {}

    def follow(self, parts: Mapping[Part, float]) -> float:
        """Return the total after these ``parts``; a first sight or a fall of one adds nothing."""
        for part, value in parts.items():
            if part not in self._before and len(self._before) >= _PARTS:
                continue
            self._value += max(0.0, value - self._before.get(part, value))
            self._before[part] = value
        return self._value


class Values:
    """The readings of one shard; impossible values are counted in ``rejected``."""

    def __init__(self, shard: str, rejected: Counter[tuple[str, str]]) -> None:
        """Take its id and where rejected values are counted by (shard, metric)."""
        self._shard = shard
        self._rejected = rejected
        self._totals: dict[str, Total] = {}
        self.seen: set[str] = set()  # metrics that were on some page

    def of(self, device: Device) -> list[Reading]:
        """Return one reading for each of ``METRICS``."""
        idle = _contradicted(device.raw)
        values = {metric: self._value(metric, device, idle) for metric in METRICS}
        return [Reading(self._shard, metric, value) for metric, value in values.items()]

    def without(self, code: str) -> list[Reading]:
        """Return the readings of a page that cannot be had: an error for each metric once seen."""
        absent = Absent("error", code)
        return [Reading(self._shard, metric, absent) for metric in METRICS if metric in self.seen]

    def _value(self, metric: str, device: Device, idle: frozenset[int]) -> float | Absent:
        parts = _parts(metric, device)
        if not parts:
            return Absent("error", MISSING) if metric in self.seen else Absent("unsupported")
        self.seen.add(metric)
        if not all(f.possible(value) and f.id not in idle for (f, _), value in parts.items()):
            self._rejected[self._shard, metric] += 1
            return Absent("error", IMPOSSIBLE)
        if all(field.how == "one" for field, _ in parts):
            (first, _), value = next(iter(parts.items()))
            return value * first.scale / first.per
        total = self._totals.setdefault(metric, Total())
        return total.follow({(field.id, link): value for (field, link), value in parts.items()})


def _parts(metric: str, device: Device) -> dict[tuple[Field, str], float]:
    """Return the rows that make ``metric``: of alternatives the first, of a sum all."""
    parts: dict[tuple[Field, str], float] = {}
    for field in _OF[metric]:
        if parts and field.how == "one":
            break
        if field.id in device.raw:
            parts[field, ""] = device.raw[field.id]
        elif field.how == "sum":
            parts |= {(field, link): v for link, v in device.links.get(field.id, {}).items()}
    return parts


def _contradicted(raw: Mapping[int, float]) -> frozenset[int]:
    """Return the profiled fields of a device that is busy while all of them say exactly 0.

    So they read after some application errors, until the profiler is started again.
    """
    found = [raw[number] for number in PROFILED if number in raw]
    busy = _BUSY <= raw.get(UTILIZATION, 0.0) <= 100.0  # noqa: PLR2004  per cent
    return frozenset(PROFILED) if busy and len(found) > 1 and not any(found) else frozenset()
