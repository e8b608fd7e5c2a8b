"""Classical control charts over many streams: the statistic of each block, two-sided.

Apart from their bars, because a statistic is from a book and a bar is tuned on healthy streams.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Chart(Protocol):
    """A detector that says how alarming each block of many streams is."""

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return how alarming each block of ``watched`` (blocks, n) is: (blocks, n).

        ``learned`` (blocks, n) are the healthy blocks just before; NaN = missing, to be skipped.
        """
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What is already a statistic, as ours is: ln M."""

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return ``watched`` itself."""
        del learned
        return watched


@dataclass(frozen=True, slots=True)
class Sigma:
    """Shewhart's chart: the distance from the mean in standard deviations."""

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return |z|, 0 where a block is missing."""
        return np.abs(_filled(standardised(learned, watched)))


@dataclass(frozen=True, slots=True)
class Cusum:
    """Page's two-sided cumulative sum with ``slack`` k, best for a shift by 2 k (1954).

    ``own_unit`` False takes the values as they come: they are standard already.
    """

    slack: float = 0.5
    own_unit: bool = True

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return the larger of the sums up and down."""
        z = standardised(learned, watched) if self.own_unit else watched
        up, down = np.zeros((2, z.shape[1]))
        out = np.empty_like(z)
        for block, now in enumerate(z):
            seen = ~np.isnan(now)
            up = np.where(seen, np.maximum(up + now - self.slack, 0.0), up)
            down = np.where(seen, np.maximum(down - now - self.slack, 0.0), down)
            out[block] = np.maximum(up, down)
        return out


@dataclass(frozen=True, slots=True)
class Ewma:
    """Roberts' exponentially weighted mean with ``weight`` in (0, 1] of the newest (1959).

    ``own_unit`` as in :class:`Cusum`.
    """

    weight: float = 0.1
    own_unit: bool = True

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return the mean's distance from 0 in its own asymptotic standard deviations."""
        z = standardised(learned, watched) if self.own_unit else watched
        mean, out = np.zeros(z.shape[1]), np.empty_like(z)
        for block, now in enumerate(z):
            mean = np.where(np.isnan(now), mean, mean + self.weight * (now - mean))
            out[block] = np.abs(mean)
        asymptotic = (self.weight / (2.0 - self.weight)) ** 0.5
        scaled: Floats = out / asymptotic
        return scaled


@dataclass(frozen=True, slots=True)
class Similarity:
    """A stream unlike its peers in so many windows in a row: our simplification of Minder.

    Windows of ``width`` blocks lie side by side; the distance to the peers is the window's mean
    contrast in its own sd, and the weakest of ``windows`` consecutive ones, on one side, counts.
    Source of the idea: arXiv 2411.01791, whose distance is learned by a neural network.
    """

    width: int = 8
    windows: int = 4

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return the weakest of the last four windows, 0 between windows."""
        z = standardised(learned, watched)
        seen = ~np.isnan(z)
        out = np.zeros_like(z)
        last: list[Floats] = []
        for end in range(self.width, len(z) + 1, self.width):
            rows = slice(end - self.width, end)
            count = np.maximum(seen[rows].sum(axis=0), 1)
            last = [*last, np.nansum(z[rows], axis=0) / np.sqrt(count)][-self.windows :]
            if len(last) == self.windows:
                together = np.stack(last)
                out[end - 1] = np.maximum(together.min(axis=0), -together.max(axis=0))
        return np.maximum(out, 0.0)


def standardised(learned: Floats, watched: Floats) -> Floats:
    """Return ``watched`` in units of each stream's ``learned`` mean and standard deviation."""
    z: Floats = (watched - np.nanmean(learned, axis=0)) / np.nanstd(learned, axis=0, ddof=1)
    return z


def first_alarm(path: Floats, bar: float) -> Floats:
    """Return the first block (n,), from 1, at which ``path`` reaches ``bar``; infinite = never."""
    over = path >= bar
    return np.where(over.any(axis=0), over.argmax(axis=0) + 1.0, np.inf)


def _filled(z: Floats) -> Floats:
    return np.where(np.isnan(z), 0.0, z)
