"""At which rung the columns of a pool are judged together, and when that says nothing.

Apart from the book, which opens and demotes cells: a distance has questions of its own. It grows
with whatever stirs the residuals of a whole group, which a mean, taken against peers, does not.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isnan, pi, sqrt
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import JOINT, Metric
from ...engine.joint import FEWEST_COLUMNS
from ...engine.reason import Code, Reason
from .cell import ChangeCell

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST_TOGETHER = 8  # windows whose median means something
SURE = 5.0  # standard errors: it is looked at some ten thousand times in an epoch
NONE_HELD: Mapping[int, int] = MappingProxyType({})


def joint_column(metrics: Sequence[Metric]) -> int | None:
    """Return the place of the column that judges others together, None where there is none."""
    return next((j for j, metric in enumerate(metrics) if metric.score == JOINT), None)


def shared_rungs(
    cells: Iterable[ChangeCell], metrics: Sequence[Metric], held: Mapping[int, int] = NONE_HELD
) -> dict[int, tuple[int, Ints]]:
    """Return, by pool, the rung at which most of its means have a stream, and the pool's rows.

    The longer of two alike, and one that is ``held`` by a pool as long as two means share it; a
    pool in which no two means share one is left out.
    """
    streams: dict[int, Counter[int]] = {}
    rows: dict[int, Ints] = {}
    for cell in (c for c in cells if metrics[c.column].paired):
        streams.setdefault(cell.pool, Counter())[cell.rung] += 1
        rows[cell.pool] = cell.rows
    for pool, rung in held.items():
        if streams.get(pool, Counter())[rung] >= FEWEST_COLUMNS:
            streams[pool] = Counter({rung: streams[pool][rung]})
    found = {pool: max((n, rung) for rung, n in at.items()) for pool, at in streams.items()}
    return {pool: (r, rows[pool]) for pool, (n, r) in found.items() if n >= FEWEST_COLUMNS}


def moved_together(windows: Mapping[int, Floats], group: Ints, kappa: float) -> Reason | None:
    """Return a reason if most rows of one ``group`` (n,) have moved out at once, None if none has.

    ``windows`` m to m^−½ Σ z (n,) of distances' scores, NaN = none completed: normal of variance
    ``kappa`` (NaN = 1) while rows stay as they were, so their median is about 0. When it is far
    above, the workload moved and not a shard. Reads scores only.
    """
    variance = pi / 2.0 * (1.0 if isnan(kappa) else kappa)  # of a median of n, times n
    for length, sums in windows.items():
        for g in np.unique(group):
            known = sums[(group == g) & np.isfinite(sums)]
            if len(known) < FEWEST_TOGETHER:
                continue
            middle = float(np.median(known))
            if middle > SURE * sqrt(variance / len(known)):
                return Reason(Code.TOGETHER, (middle, length))
    return None
