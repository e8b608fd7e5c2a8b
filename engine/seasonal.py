"""The season of one series: a period that repeats in it, its usual course, the series without it.

Apart, because curation and explanation look for one in a recording, and no live bet does: peers
share their season, and the contrast has none.
Null: noise has no period.  Power: a period of twelve under noise is found and taken out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .arrays import Floats
from .autoregression import autocovariance

SHORTEST: Final = 10  # ticks: below is oscillation, another question
LEAST: Final = 0.25  # correlation from which on a lag is a period
_SEEN: Final = 3  # times that a period must fit into the series


@dataclass(frozen=True, slots=True)
class Season:
    """``means`` (period,) of the deviations by phase; ``correlation`` at the lag of a period."""

    correlation: float
    means: Floats

    @property
    def period(self) -> int:
        """Return the length in ticks, >= 1."""
        return len(self.means)


def season(x: Floats, shortest: int = SHORTEST) -> Season | None:
    """Return the season of finite ``x`` (n,), None where no lag is a period.

    The period is the first local maximum of the autocorrelation, at least 0.25, between
    ``shortest`` >= 2 and n/3. Raises ``ValueError`` for a gap or an infinity.
    """
    longest = len(x) // _SEEN
    if longest < shortest:
        return None
    covariance = autocovariance(x, longest + 1)
    if not covariance[0] > 0.0:
        return None
    r = covariance / covariance[0]
    lag = np.arange(shortest, longest + 1)
    peak = (r[lag] >= LEAST) & (r[lag] > r[lag - 1]) & (r[lag] >= r[lag + 1])
    if not peak.any():
        return None
    period = int(lag[peak.argmax()])
    apart = x - x.mean()
    means = np.array([apart[phase::period].mean() for phase in range(period)])
    return Season(float(r[period]), means)


def deseasonalised(x: Floats, found: Season | None) -> Floats:
    """Return ``x`` (n,), whose first value has phase 0, less its season; as it is without one."""
    if found is None:
        return x.copy()
    return x - found.means[np.arange(len(x)) % found.period]
