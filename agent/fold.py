"""Fold ticks into wall-clock-aligned blocks, one block length (rung) beside another.

Apart, because sampling knows only ticks and evidence knows only blocks; alignment to the wall
clock is what lets a block of one host be compared with the same block of another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..engine.scores import oscillation, spike, spread
from .columns import Columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TRIM_FROM = 10  # ticks in a block from which on the smallest and the largest are left out
PRESENT = 0.6  # share of a block's ticks that must be there, statistics.md B1.2
ROUNDING = 1e-6  # of an interval: a tick this little before a block belongs to it


@dataclass(frozen=True, slots=True)
class Block:
    """Block ``index`` = ⌊t / rung⌋ of ``rung`` seconds: ``x`` (S, M), NaN = too few ticks."""

    rung: int
    index: int
    x: npt.NDArray[np.float32]


@dataclass(slots=True)
class _Open:
    """The block of one rung that is being filled: ``ticks`` (capacity, S, R') and their times."""

    columns: Ints
    expected: Ints  # values (C,) in a full block
    read: Ints  # the metrics (R',) whose ticks are held
    place: Ints  # of each column (C,) in them
    ticks: Floats
    at: Floats
    filled: int = 0
    index: int | None = field(default=None)
    least: float = -math.inf  # blocks before this one are behind us


class Fold:
    """Collect the ticks of S shards and M metrics; give back every block that is complete."""

    def __init__(
        self,
        shape: tuple[int, int],
        interval: float = 1.0,
        intervals: Sequence[float] | None = None,
        columns: Columns | None = None,
    ) -> None:
        """Take (S, M), the seconds between two ticks, and between two values of each metric.

        ``columns`` M are made of the R metrics that are read, by default the mean of each. Metrics
        read more seldom than the clock ticks have ``intervals`` (R,) of their own; an infinite one
        has a value in each block in which there is any.
        """
        self._shape = shape
        self._interval = interval
        self._columns = Columns.means(shape[1]) if columns is None else columns
        read = len(self._columns.read)
        own = np.full(read, interval) if intervals is None else np.array(intervals)
        self._intervals = own[self._columns.source]  # (M,)
        self._open: dict[int, _Open] = {}
        self._left: dict[int, float] = {}  # first block that a rung no longer watched may give

    def watch(self, columns: Mapping[int, Ints]) -> None:
        """Fold, from the next tick on, the metric ``columns`` of each rung (seconds), and no other.

        Where the columns of a rung change, the block that stands open begins anew. A rung that
        is shorter than a metric's own interval has a value where one falls, and NaN elsewhere.
        """
        for rung in [rung for rung in self._open if rung not in columns]:
            self._left[rung] = self._open.pop(rung).least
        for rung, wanted in columns.items():
            now = self._open.get(rung)
            if now is not None and np.array_equal(now.columns, wanted):
                continue
            capacity = 2 * max(1, round(rung / self._interval)) + 1
            read, place = np.unique(self._columns.source[wanted], return_inverse=True)
            ticks = np.empty((capacity, self._shape[0], len(read)))
            least = self._left.pop(rung, -math.inf) if now is None else now.least
            expected = self._expected(rung, wanted)
            self._open[rung] = _Open(
                wanted, expected, read, place, ticks, np.empty(capacity), least=least
            )

    def inherit(self, former: "Fold", rows: Ints, read: Ints) -> None:
        """Take over the ticks of blocks that stand open; both folds watch what they will by now.

        Places here of its ``rows`` (S,) and of the metrics ``read`` (R,) by it, −1 = not here.
        """
        self._left = dict(former._left)  # noqa: SLF001 - of this class
        for rung, was in former._open.items():  # noqa: SLF001 - as above
            now = self._open.get(rung)
            if now is None:
                self._left[rung] = was.least
                continue
            now.least = was.least
            if len(now.ticks) == len(was.ticks):  # else ticks are at other distances
                now.index, now.filled, now.at[:] = was.index, was.filled, was.at
                now.ticks[:] = np.nan
                there, (here, kept) = read[was.read], (now.read, rows >= 0)
                both = np.flatnonzero(np.isin(there, here))
                to = np.searchsorted(here, there[both])
                ticks = was.ticks[:, kept][:, :, both]
                now.ticks[np.ix_(np.arange(len(ticks)), rows[kept], to)] = ticks

    def push(self, at: float, values: Floats) -> list[Block]:
        """Take the tick at ``at`` Unix seconds, ``values`` (S, R) already transformed.

        Returns the blocks that this tick completes, shortest rung first. A tick that arrives
        after a gap first closes what stood open. A tick of a block that is sealed already, by
        jitter or because time went back, is left out: no block is given back twice.
        """
        sealed: list[Block] = []
        rounding = ROUNDING * self._interval
        for rung in sorted(self._open):
            now = self._open[rung]
            index = math.floor((at + rounding) / rung)
            if index < now.least:
                continue
            if now.index is not None and index != now.index:
                sealed.append(self._seal(rung, now))
            now.index = now.least = index
            if now.filled < len(now.ticks):
                now.ticks[now.filled] = values[:, now.read]
                now.at[now.filled] = at
                now.filled += 1
            if at + self._interval >= (index + 1) * rung - rounding:
                sealed.append(self._seal(rung, now))
        return sealed

    def _expected(self, rung: int, columns: Ints) -> Ints:
        """Return how many values (C,) every block of ``rung`` seconds holds at least, 1 or more."""
        full = np.floor(rung / self._intervals[columns] + ROUNDING)
        return np.maximum(full, 1.0).astype(np.int64)

    def _seal(self, rung: int, now: _Open) -> Block:
        index = now.index
        if index is None:
            message = f"a block of rung {rung} was sealed before it had a tick"
            raise AssertionError(message)
        x = np.full(self._shape, np.nan, dtype=np.float32)
        scores = np.array([self._columns.scores[j] for j in now.columns.tolist()])
        for score in dict.fromkeys(scores.tolist()):
            chosen = np.flatnonzero(scores == score)
            with np.errstate(over="ignore"):  # beyond float32 is infinite, which evidence refuses
                x[:, now.columns[chosen]] = self._values(score, now, chosen)
        now.filled, now.index, now.least = 0, None, index + 1
        return Block(rung, index, x)

    def _values(self, score: str, now: _Open, chosen: Ints) -> Floats:
        """Return the block values (S, c) of the ``chosen`` columns, all of one ``score``."""
        expected, place = now.expected[chosen], now.place[chosen]
        ticks = now.ticks[: now.filled][..., place]
        least: Floats = PRESENT * expected.astype(np.float64)
        match score:
            case "spread":
                return spread(ticks, least)
            case "spike":
                return spike(ticks, least, self._columns.direction[now.columns[chosen]])
            case "oscillation":
                return self._oscillation(now, chosen, ticks)
            case _:
                counted = self._columns.counted[now.columns[chosen]]
                values = block_value(ticks, expected)
                values[:, counted] = errored(ticks[..., counted], expected[counted])
                return values

    def _oscillation(self, now: _Open, chosen: Ints, ticks: Floats) -> Floats:
        """Return how much ``ticks`` oscillate, laid on each metric's own clock."""
        out = np.empty(ticks.shape[1:])
        own = self._intervals[now.columns[chosen]]
        for interval in np.unique(own):
            same = np.flatnonzero(own == interval)
            expected = now.expected[chosen[same]]
            laid = on_the_clock(ticks[..., same], now.at[: now.filled], interval, int(expected[0]))
            least: Floats = PRESENT * expected.astype(np.float64)
            out[:, same] = oscillation(laid, least)
        return out


def on_the_clock(ticks: Floats, at: Floats, interval: float, expected: int) -> Floats:
    """Return ``ticks`` (T, S, C), taken at Unix seconds ``at`` (T,), one each ``interval`` s.

    There are ``expected`` places from the first tick's on; where no tick falls is NaN, of several
    in one place the last value stays.
    """
    laid = np.full((expected, *ticks.shape[1:]), np.nan)
    slots = np.floor((at - at[0]) / interval + ROUNDING).astype(np.int64) if len(at) else at
    for slot, values in zip(np.minimum(slots, expected - 1).tolist(), ticks, strict=True):
        laid[slot] = np.where(np.isfinite(values), values, laid[slot])
    return laid


def errored(rates: Floats, expected: Ints | int) -> Floats:
    """Return in how many ticks (S, C) of ``rates`` (T, S, C) errors came, however many.

    NaN where under 60 % of ``expected`` (C,) are there: a tick without a rate is not one without
    errors. Source: errored seconds of ITU-T G.821.
    """
    known = np.isfinite(rates).sum(axis=0)
    return np.where(known >= PRESENT * expected, (rates > 0).sum(axis=0), np.nan)


def block_value(ticks: Floats, expected: Ints | int) -> Floats:
    """Return the mean (S, C) over ``ticks`` (T, S, C), NaN where under 60 % of ``expected`` (C,).

    From ten ticks on, the smallest and the largest are left out (statistics.md B1.2).
    """
    present = np.isfinite(ticks)
    count = present.sum(axis=0)
    total = np.where(present, ticks, 0.0).sum(axis=0)
    trim = (count >= TRIM_FROM) & (expected >= TRIM_FROM)
    if trim.any():
        low = np.where(present, ticks, np.inf).min(axis=0)
        high = np.where(present, ticks, -np.inf).max(axis=0)
        total = total - np.where(trim, low, 0.0) - np.where(trim, high, 0.0)
    used = count - 2 * trim
    enough = count >= PRESENT * expected
    return np.where(enough, total / np.maximum(used, 1), np.nan)
