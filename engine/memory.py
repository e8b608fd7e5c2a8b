"""A stream's own long-run variance V(25), kept as its scores come.

Apart from calibration, which judges: this remembers, 25 scores a stream and two sums.
Null: independent scores give V near 1.  Power: an AR(0.6) left in the scores gives V above 3.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from .arrays import Floats, Ints
from .calibration import OWN_WINDOW


@dataclass(slots=True)
class Memory:
    """Mean squared sum of overlapping windows of 25 scores, over 25 (statistics.md G2).

    ``ring`` (n, 25) the last scores, ``scores`` (n,) how many came, ``total`` (n,) their sum
    within the ring, ``square`` (n,) Σ of squared window sums.
    """

    ring: Floats
    scores: Ints
    total: Floats
    square: Floats

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` streams that remember nothing."""
        return cls(
            ring=np.zeros((OWN_WINDOW, n)).T,
            scores=np.zeros(n, dtype=np.int64),
            total=np.zeros(n),
            square=np.zeros(n),
        )

    def update(self, z: Floats) -> None:
        """Take one block's scores (n,); NaN is skipped, so a window is 25 scores, not blocks."""
        rows = np.flatnonzero(~np.isnan(z))
        at = self.scores[rows] % OWN_WINDOW
        self.total[rows] += z[rows] - self.ring[rows, at]
        self.ring[rows, at] = z[rows]
        self.scores[rows] += 1
        whole = self.scores[rows] >= OWN_WINDOW
        self.square[rows] += np.where(whole, self.total[rows] ** 2, 0.0)

    def variance(self) -> Floats:
        """Return V(25) (n,): 1 for independent scores, NaN before the first whole window."""
        windows = np.maximum(self.scores - OWN_WINDOW + 1, 0)
        return np.where(windows > 0, self.square / np.maximum(windows, 1) / OWN_WINDOW, np.nan)
