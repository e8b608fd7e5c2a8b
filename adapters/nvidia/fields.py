"""Metrics that the batched call serves, read as one group of one device.

Apart from the call, which knows numbers of fields and no metrics, and from the tables, which say
which metrics there are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, nan
from typing import Final

from ..base import Absent, Reading
from .errors import NvmlFailed
from .field_batch import FieldBatch, FieldId, FieldValue
from .subject import Subject

NO_RATE: Final = "no_rate"  # the code of a rate whose counter fell, or was not read just before
FARTHEST: Final = 2.0  # times the time between the last two readings, for a rate of the next

_UNKNOWN_FIELD: Final = 2  # INVALID_ARGUMENT: a driver older than the field


@dataclass(frozen=True, slots=True)
class Field:
    """A metric that is the sum of the fields ``ids``.

    ``most`` is the largest possible value of each of them in the vendor's unit, ``convert`` leads
    from that unit to the base unit. Of a running total with ``rate`` the reading is its change per
    second.
    """

    metric: str
    ids: tuple[FieldId, ...]
    convert: Callable[[float], float]
    most: float
    rate: bool = False


class Fields:
    """Some fields of one device; what it does not support is not asked again."""

    def __init__(self, subject: Subject, table: Iterable[Field]) -> None:
        """Take the device and the fields; nothing is asked yet."""
        self._subject = subject
        self._absent: list[Reading] = []
        self._totals: dict[str, float] = {}  # of each rate, when last read
        self._at, self._apart, self._usual = nan, nan, inf  # seconds
        self._lay_out(table)

    def __contains__(self, metric: str) -> bool:
        return any(field.metric == metric for field in self._fields)

    def add(self, table: Iterable[Field]) -> None:
        """Ask for these as well from now on."""
        self._lay_out((*self._fields, *table))

    def lack(self, metrics: Iterable[str]) -> None:
        """Say of ``metrics`` that they are not supported."""
        absent = Absent("unsupported")
        self._absent += [self._subject.reading(metric, absent) for metric in metrics]

    def read(self, at: float) -> list[Reading]:
        """Return one reading of each metric at ``at`` s; raise ``NvmlFailed`` for a lost device."""
        readings = self._absent.copy()
        if self._batch is None:
            return readings
        self._at, self._apart, self._usual = at, at - self._at, self._apart
        uuid, items, start = self._subject.uuid, self._answers(self._batch), 0
        kept = []
        for field in self._fields:
            count = len(field.ids)
            value = self._value(field, items[start : start + count])
            start += count
            reading = Reading(uuid, field.metric, value)
            readings.append(reading)
            if isinstance(value, Absent) and value.kind == "unsupported":
                self._absent.append(reading)
            else:
                kept.append(field)
        if len(kept) < len(self._fields):
            self._lay_out(kept)
        return readings

    def _lay_out(self, table: Iterable[Field]) -> None:
        self._fields = tuple(table)
        ids = [number for field in self._fields for number in field.ids]
        self._batch = FieldBatch(self._subject.handle, ids) if ids else None
        self._size = len(ids)

    def _answers(self, batch: FieldBatch) -> list[FieldValue]:
        try:
            return batch.ask()
        except NvmlFailed as failed:  # none of them could be read
            return [FieldValue(failed.code)] * self._size

    def _value(self, field: Field, items: list[FieldValue]) -> float | Absent:
        total = 0.0
        for item in items:
            if item.code:
                code = 3 if item.code == _UNKNOWN_FIELD else item.code
                self._totals.pop(field.metric, None)
                return self._subject.absence(field.metric, code)
            part = self._subject.checked(field.metric, item.value, field.convert, field.most)
            if isinstance(part, Absent):
                self._totals.pop(field.metric, None)
                return part
            total += part
        return self._rate(field.metric, total) if field.rate else total

    def _rate(self, metric: str, total: float) -> float | Absent:
        before = self._totals.get(metric, inf)
        self._totals[metric] = total
        late = self._apart > FARTHEST * self._usual  # False where nothing is usual yet
        if total < before or late or not self._apart > 0:
            return Absent("error", NO_RATE)
        return (total - before) / self._apart
