"""How large the effect of an open verdict is: an interval for a median that holds at all times.

Apart from evidence, because it answers another question, from blocks that have selected nothing.
Null: over all times together at most one band in twenty misses.  Power: 500 blocks narrow it to
less than half a standard deviation.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from math import inf, isnan, lgamma, log, pi
from typing import Final

import numpy as np

MISSES: Final = 0.05  # probability that a band ever misses
MOST_KEPT: Final = 512  # values, after which a band stays as it is


@dataclass(frozen=True, slots=True)
class Interval:
    """An effect: its median so far and its bounds, −inf and inf while there are none.

    NaN where nothing was seen yet.
    """

    low: float
    middle: float
    high: float


@dataclass(slots=True)
class Band:
    """A confidence sequence for the median of a stream's values, in their own unit.

    Null of each candidate m: a value exceeds m with probability ½ whatever came before. It is
    refused when the Beta(½, ½) mixture of bets on the signs reaches 1/0.05, so by Ville's
    inequality the true median is ever refused with probability 0.05 at most. Values with memory
    are outside: blocks of three correlation times and more. Ties only widen it.
    Source: Howard & Ramdas 2022, arXiv 1906.09712 (section 3), with a beta-binomial mixture.
    """

    ordered: list[float] = field(default_factory=list)

    def update(self, value: float) -> None:
        """Take one value; NaN is none, and after 512 no more are taken."""
        if not isnan(value) and len(self.ordered) < MOST_KEPT:
            self.ordered.insert(bisect_left(self.ordered, value), value)

    def interval(self) -> Interval:
        """Return the median and its bounds after all values so far."""
        count = len(self.ordered)
        if count == 0:
            return Interval(np.nan, np.nan, np.nan)
        beneath = fewest(count)
        low = self.ordered[beneath - 1] if beneath else -inf
        high = self.ordered[count - beneath] if beneath else inf
        return Interval(low, float(np.median(self.ordered)), high)


def fewest(count: int) -> int:
    """Return how few of ``count`` ≥ 1 values may lie on one side of their true median."""
    return bisect_right(range(count // 2 + 1), -log(1.0 / MISSES), key=lambda k: -_log_m(k, count))


def _log_m(beneath: int, count: int) -> float:
    """Return ln of the mixture's wealth when ``beneath`` of ``count`` signs are minus."""
    above = count - beneath
    return (
        count * log(2.0) + lgamma(beneath + 0.5) + lgamma(above + 0.5) - lgamma(count + 1) - log(pi)
    )
