"""Stage 2a: mark the ticks of one run that lie far from all its others.

Apart from the fleet's stage, because a run is judged by itself alone here: what is far for one
shard is ordinary for the next.
Null: about one clean Gaussian tick in a thousand is marked.  Power: a burst of 8 sd is, whole.
"""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from ..arrays import Bools, Floats
from ..chi_square import quantile
from ..scatter import fit, squared_distances

MARKED: Final = 0.999  # quantile of chi-square beyond which a tick is marked (statistics.md B6.3)
RAISED: Final = 0.975  # and from which on it counts for the fleet's stage
MOST_MARKED: Final = 0.10  # share from which on a run is no baseline
_MIDDLE, _SHOULDER = 0.5, 0.8  # quantiles whose ratio tells how heavy the tails are
_MOST_STRETCH: Final = 4.0  # of a cut: more is not heavy tails but a second cloud


@dataclass(frozen=True, slots=True)
class Screened:
    """What stage 2a says of a run of T ticks; ``skipped`` is why it says nothing, "" if it does.

    ``marked`` and ``raised`` (T,): beyond the .999 and the .975 cut. ``judged`` (T,): complete
    ticks, the only ones that can be either. ``cut`` is a squared distance, ``method`` the scatter.
    """

    marked: Bools
    raised: Bools
    judged: Bools
    cut: float
    method: str
    skipped: str = ""

    @property
    def share(self) -> float:
        """Return the marked share of the judged ticks, 0 where none was judged."""
        return float(self.marked.sum()) / max(int(self.judged.sum()), 1)

    @property
    def is_baseline(self) -> bool:
        """Say whether few enough ticks are marked for the rest to be this run's ordinary state."""
        return self.share <= MOST_MARKED


def screen(rows: Floats) -> Screened:
    """Screen one run: ``rows`` (T, p), NaN = no value; a number beyond 1e30 counts as 1e30.

    Squared robust distances against the chi-square law of p degrees of freedom. The cut is its
    .999 quantile, which marks one clean tick in a thousand: the .975 of older practice drops 2.5 %
    of every clean corpus. Where the run's own tails are heavier than Gaussian, as the ratio of its
    .8 to its .5 quantile shows, the cut is stretched by the same power law, at most fourfold:
    else Student noise of 3 degrees in 12 signals would lose a tenth and more of its ticks.
    """
    count, columns = rows.shape
    judged = np.isfinite(rows).all(axis=1) & (columns > 0)
    if columns == 0:
        return _skipped(judged, "it has no signals")
    if int(judged.sum()) < columns + 1:
        return _skipped(judged, f"{int(judged.sum())} complete ticks of {columns} signals")
    distances = np.full(count, np.nan)
    try:
        scatter = fit(rows[judged])
        distances[judged] = squared_distances(rows[judged], scatter)
    except np.linalg.LinAlgError:
        return _skipped(judged, "its scatter is not positive definite")
    if not np.isfinite(distances[judged]).all():
        return _skipped(judged, "its scatter is not positive definite")
    cut = _cut(distances[judged], columns, MARKED)
    return Screened(
        marked=judged & (distances > cut),
        raised=judged & (distances > _cut(distances[judged], columns, RAISED)),
        judged=judged,
        cut=cut,
        method=scatter.method,
    )


def _cut(distances: Floats, columns: int, probability: float) -> float:
    """Return the squared distance that clean ticks exceed with 1 − ``probability``."""
    nominal = quantile(probability, columns)
    middle, shoulder = quantile(_MIDDLE, columns), quantile(_SHOULDER, columns)
    own_middle, own_shoulder = np.quantile(distances, [_MIDDLE, _SHOULDER])
    if not own_middle > 0.0:
        return nominal
    power = log(nominal / middle) / log(shoulder / middle)
    stretched = float(own_middle * (own_shoulder / own_middle) ** power)
    return min(max(nominal, stretched), _MOST_STRETCH * nominal)


def _skipped(judged: Bools, reason: str) -> Screened:
    nothing = np.zeros(len(judged), dtype=np.bool_)
    return Screened(nothing, nothing, judged, float("nan"), "none", reason)
