"""Lay a recording's readings on a regular clock: one tick per interval, the latest value wins.

Apart from reading, because a recording is kept as it was written, and real clocks jitter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..adapters.recording import Recording

Floats = npt.NDArray[np.float64]

ROUNDING = 1e-6  # of an interval: times that stand this little before a tick belong to it


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks each ``interval`` seconds: ``times`` (T,) ascending, ``values`` (T, S, M) raw."""

    interval: float
    times: Floats
    values: Floats

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
    """Return the recording's readings on the clock of its best-recorded stream."""
    interval = _interval(recording)
    times = recording.times
    if len(times) < 2 or np.diff(times).min() > interval / 2:  # noqa: PLR2004 - one has no distance
        return Ticks(interval, times, recording.values)
    tick = np.floor(times / interval + ROUNDING)
    kept, at = np.unique(tick, return_inverse=True)
    values = np.full((len(kept), *recording.values.shape[1:]), np.nan)
    for row, place in enumerate(at):
        there = np.isfinite(recording.values[row])
        values[place][there] = recording.values[row][there]
    return Ticks(interval, kept * interval, values)


def _interval(recording: Recording) -> float:
    """Return the median time between two values of the stream that has most of them."""
    present = np.isfinite(recording.values)
    busiest = np.unravel_index(int(present.sum(axis=0).argmax()), present.shape[1:])
    times = recording.times[present[:, busiest[0], busiest[1]]]
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0
