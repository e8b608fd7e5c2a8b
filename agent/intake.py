"""From the readings of a tick to the blocks that it completes.

Apart from what asks the sources and from what bets, because replay and the live path must do the
same arithmetic in the same order, and it is this.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

import numpy as np

from ..adapters.base import Absent, Reading
from ..adapters.metric import Metric, apply_transform
from .columns import Columns
from .fold import Block, Floats, Fold, Ints
from .rates import Rates
from .succession import Succession

LARGEST: Final = 1e30  # of a value: blocks travel as float32, and their differences must fit too


@dataclass(frozen=True, slots=True)
class Absences:
    """Readings of a tick that gave no number: not supported, failed (by the vendor's code), mad.

    ``impossible`` are infinite, not a number or beyond 1e30; ``strangers`` belong to no row or no
    column and are no fault.
    """

    unsupported: int = 0
    failed: Mapping[str, int] | None = None
    impossible: int = 0
    strangers: int = 0


class Intake:
    """Readings in, blocks out: matrix, rates, scales, fold."""

    def __init__(
        self,
        shards: Sequence[str],
        metrics: Sequence[Metric],
        interval: float = 1.0,
        intervals: Sequence[float] | None = None,
    ) -> None:
        """Take rows, columns and the seconds between two ticks.

        ``intervals`` (R,) are the metrics' own where some are read more seldom than that, infinite
        where values come when they come: R are those of the M columns that are no score of another.
        """
        columns = Columns.of(metrics)
        read = self._metrics = columns.read
        own = [interval] * len(read) if intervals is None else list(intervals)
        counters = [j for j, metric in enumerate(read) if metric.kind in {"counter", "counts"}]
        self._rows = {shard: i for i, shard in enumerate(shards)}
        self._columns = {metric.name: j for j, metric in enumerate(read)}
        self._rates = Rates(counters, [own[j] for j in counters])
        self._fold = Fold((len(shards), len(metrics)), interval, own, columns)

    @property
    def read(self) -> tuple[str, ...]:
        """Return the names of the R metrics that are read, in the order of their raw values."""
        return tuple(self._columns)

    def watch(self, columns: Mapping[int, Ints]) -> None:
        """Fold, from the next tick on, the metric ``columns`` of each rung (seconds)."""
        self._fold.watch(columns)

    def inherit(self, former: "Intake", move: Succession) -> None:
        """Take over what ``former`` has of blocks that stand open, of what is the same in both."""
        kept = {name for name, to in zip(move.before.metrics, move.columns, strict=True) if to >= 0}
        here = {name: j for name, j in self._columns.items() if name in kept}
        read = np.array([here.get(name, -1) for name in former.read], dtype=np.int64)
        self._rates.inherit(former._rates, len(self._rows), move.rows, read)  # noqa: SLF001 - of this class
        self._fold.inherit(former._fold, move.rows, read)  # noqa: SLF001 - as above

    def matrix(self, readings: Iterable[Reading]) -> tuple[Floats, Absences]:
        """Return the raw values (S, R), NaN where there is none, and why so many are missing."""
        values = np.full((len(self._rows), len(self._columns)), np.nan)
        unsupported = impossible = strangers = 0
        failed: Counter[str] = Counter()
        for reading in readings:
            i, j = self._rows.get(reading.shard), self._columns.get(reading.metric)
            value = reading.value
            if i is None or j is None:
                strangers += 1
            elif isinstance(value, Absent):
                unsupported += value.kind == "unsupported"
                failed.update([value.code] if value.kind == "error" else [])
            elif not abs(value) <= LARGEST:  # NaN too
                impossible += 1
            elif isnan(values[i, j]):  # of several sources the first that has a number is believed
                values[i, j] = value
        return values, Absences(unsupported, dict(failed), impossible, strangers)

    def push(self, at: float, values: Floats) -> list[Block]:
        """Take the raw ``values`` (S, R) of the tick at ``at`` Unix seconds.

        Returns the blocks that it completes, shortest rung first.
        """
        return self._fold.push(at, self._judged(at, values))

    def _judged(self, at: float, values: Floats) -> Floats:
        """Return ``values`` as rates, on the scales on which their metrics are judged."""
        if not self._metrics:
            return values
        rated = self._rates.push(at, values)
        scaled = [apply_transform(m, rated[:, j]) for j, m in enumerate(self._metrics)]
        return np.stack(scaled, axis=1)
