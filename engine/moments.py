"""Running mean and covariance of one vector stream, numerically safe and mergeable.

Apart, because baselines are kept for months beside everything that bets, and never bet.
A property that holds: any split of a sequence merges to the moments of the whole.  What must
fail: a vector of another dimension, an infinite one.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np

from .arrays import Floats, refuse_infinite


class Tier(IntEnum):
    """How far a running summary may be trusted, by its number of samples."""

    NONE = 0
    WARM_START = 20
    STRICT = 60

    @classmethod
    def of(cls, samples: int) -> Self:
        """Return the highest tier that ``samples`` reaches."""
        return max(tier for tier in cls if samples >= tier)

    @property
    def word(self) -> str:
        """Return the name in lower case."""
        return self.name.lower()


@dataclass(slots=True)
class Moments:
    """Welford's recursion: ``count`` samples, their ``mean`` (d,) and ``m2`` (d, d) about it.

    ``m2`` = Σ (x − mean)(x − mean)'. ``baseline`` names what the samples are compared with;
    when it changes, the past is another stream's and is dropped (Technometrics 4:419, 1962).
    """

    count: int
    mean: Floats
    m2: Floats
    baseline: str | None = None

    @classmethod
    def start(cls, dimension: int, baseline: str | None = None) -> Self:
        """Return a stream of ``dimension`` >= 1 numbers without samples."""
        return cls(0, np.zeros(dimension), np.zeros((dimension, dimension)), baseline)

    @property
    def tier(self) -> Tier:
        """Return how far this summary may be trusted: none below 20, strict from 60."""
        return Tier.of(self.count)

    def update(self, x: Floats, baseline: str | None = None) -> bool:
        """Take one vector ``x`` (d,); return False if it has a missing number and was skipped.

        A ``baseline`` other than the last one starts again with ``x``; the first one is only
        noted. Raises ``ValueError`` for another dimension or an infinity, and changes nothing.
        """
        if x.shape != self.mean.shape:
            message = f"a vector {x.shape} in a stream of {self.mean.shape}"
            raise ValueError(message)
        refuse_infinite("x", x)
        if np.isnan(x).any():
            return False
        self._follow(baseline)
        self.count += 1
        before = x - self.mean
        self.mean = self.mean + before / self.count
        self.m2 = self.m2 + np.outer(before, x - self.mean)
        return True

    def covariance(self) -> Floats | None:
        """Return the sample covariance (d, d), divisor n − 1; None below two samples."""
        if self.count <= 1:
            return None
        half = self.m2 / (self.count - 1)
        return (half + half.T) / 2.0

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both streams' samples together (Chan et al., STAN-CS-79-773).

        Raises ``ValueError`` if dimension or baseline differ.
        """
        if other.mean.shape != self.mean.shape or other.baseline != self.baseline:
            message = "only streams of one dimension and one baseline merge"
            raise ValueError(message)
        count = self.count + other.count
        if count == 0:
            return Moments.start(len(self.mean), self.baseline)
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = np.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, self.m2 + other.m2 + between, self.baseline)

    def _follow(self, baseline: str | None) -> None:
        if baseline is None or baseline == self.baseline:
            return
        if self.baseline is not None:
            self.count = 0
            self.mean = np.zeros_like(self.mean)
            self.m2 = np.zeros_like(self.m2)
        self.baseline = baseline
