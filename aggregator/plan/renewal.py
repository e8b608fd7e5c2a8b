"""When epochs end by the clock: each metric's after a horizon, one metric after the other.

Apart from the books, because nothing that was heard has a say in it: an epoch that ended because
its evidence is low would be no epoch (statistics.md G5).
"""

import numpy as np
import numpy.typing as npt

from ..state.move import Move

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Renewal:
    """The second at which the running epoch of each of M metrics ends."""

    def __init__(self, metrics: int, horizon: float) -> None:
        """Take the seconds of an epoch; the first ones end spread over one."""
        self._horizon = horizon
        self._ends: Floats = np.full(metrics, np.nan)

    def inherit(self, former: "Renewal", move: Move) -> None:
        """Take over when the epochs end of metrics that are still there."""
        self._ends[move.columns[1]] = former._ends[move.columns[0]]  # noqa: SLF001 - of this class

    def due(self, now: float) -> Ints:
        """Return the metrics whose epoch is over at ``now`` (s); it is noted that they go on."""
        count = len(self._ends)
        spread = now + self._horizon * (np.arange(count) + 1.0) / max(count, 1)
        self._ends = np.where(np.isnan(self._ends), spread, self._ends)
        over = now >= self._ends
        missed = np.floor((now - self._ends) / self._horizon) + 1.0
        self._ends = np.where(over, self._ends + missed * self._horizon, self._ends)
        return np.flatnonzero(over)
