"""Lay a recording's readings on a regular clock: one tick per interval, the latest value wins.

Apart from reading, because a recording is kept as it was written, and real clocks jitter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..adapters.recording import Recording

Floats = npt.NDArray[np.float64]

FINEST = 0.01  # seconds; a block of 600 s holds so many of these that memory is the limit
LATEST = 1e11  # seconds, the year 5138; today's milliseconds lie beyond
ROUNDING = 1e-6  # of an interval: times this near to a regular clock are on it
ALMOST = 0.02  # of an interval: this near to whole seconds (or parts of one) it is meant to be so


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks each ``interval`` seconds: ``times`` (T,) ascending, ``values`` (T, S, M) raw.

    ``intervals`` (M,) are the seconds between two values of each metric, never below ``interval``.
    """

    interval: float
    times: Floats
    values: Floats
    intervals: Floats

    @property
    def seconds(self) -> float:
        """Return the recorded seconds, the last tick's own interval included."""
        return float(self.times[-1] - self.times[0] + self.interval)

    def __iter__(self) -> Iterator[tuple[float, Floats]]:
        for at, values in zip(self.times, self.values, strict=True):
            yield float(at), values

    def __len__(self) -> int:
        return len(self.times)


def ticks_of(recording: Recording) -> Ticks:
    """Return the recording's readings on the clock of its best-recorded stream.

    Times that are regular stay as they are. Else every stream is read by its own phase, so that
    readings which jitter about the edge of an interval do not fall now before it and now behind.
    Raises ``ValueError`` with one line for times that cannot be seconds.
    """
    times, values = recording.times, recording.values
    present = np.isfinite(values)
    ends = f"t runs from {times[0]:g} to {times[-1]:g}"
    if times[0] < 0 or times[-1] > LATEST:
        raise ValueError(_other_units(recording, ends))
    interval = _interval(times, present)
    if interval < FINEST:
        raise ValueError(_other_units(recording, f"{ends}, {interval:g} apart"))
    steps = (times - times[0]) / interval
    if np.abs(steps - np.round(steps)).max() <= ROUNDING or not present.any():
        return _with_intervals(interval, times, values)
    late = times[:, None, None] - _phase(times, present, interval)  # (T, S, M)
    tick = np.maximum(np.floor(late / interval + 0.5), 0.0)
    kept, at = np.unique(tick[present], return_inverse=True)
    laid = np.full((len(kept), *values.shape[1:]), np.nan)
    _, shard, metric = np.nonzero(present)  # in order of time: the latest is written last
    laid[at, shard, metric] = values[present]
    return _with_intervals(interval, kept * interval, laid)


def _interval(times: Floats, present: npt.NDArray[np.bool_]) -> float:
    """Return the usual time between two values of the stream that has most of them."""
    busiest = np.unravel_index(int(present.sum(axis=0).argmax()), present.shape[1:])
    if present.any():
        times = times[present[:, busiest[0], busiest[1]]]
    if len(times) < 2:  # noqa: PLR2004 - one has no distance
        return 1.0
    usual = float(np.median(np.diff(times)))
    steps = float(np.round(np.diff(times) / usual).sum())  # over all of them jitter cancels
    exact = float(times[-1] - times[0]) / max(steps, 1.0)
    if exact < FINEST:
        return exact
    meant = float(round(exact)) if exact >= 1.0 else 1.0 / round(1.0 / exact)
    return meant if abs(meant - exact) <= ALMOST * exact else exact


def _with_intervals(interval: float, times: Floats, values: Floats) -> Ticks:
    """Return the ticks with each metric's own interval: the median of its best-recorded stream."""
    present = np.isfinite(values)
    counts = present.sum(axis=0)  # (S, M)
    intervals = np.full(values.shape[2], interval)
    for j, shard in enumerate(counts.argmax(axis=0)):
        if counts[shard, j] > 1:
            between = float(np.median(np.diff(times[present[:, shard, j]])))
            whole = float(np.floor(between / interval + 0.5)) * interval  # ticks lie on the clock
            intervals[j] = max(interval, whole)
    return Ticks(interval, times, values, intervals)


def _phase(times: Floats, present: npt.NDArray[np.bool_], interval: float) -> Floats:
    """Return how far (S, M) each stream's readings usually lie off the clock, within ± ½."""
    turn = np.exp(2j * np.pi * np.remainder(times, interval) / interval)
    mean = np.tensordot(turn, present.astype(np.float64), axes=(0, 0))
    off: Floats = np.angle(mean) / (2 * np.pi) * interval
    return off


def _other_units(recording: Recording, what: str) -> str:
    return f"{recording.path}: {what}; write t in seconds, Unix time or from 0"
