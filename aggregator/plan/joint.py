"""At which rung the columns of a pool are judged together.

Apart from the book, which opens cells: this only counts where the means of a pool have streams.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import JOINT, Metric
from ...engine.joint import FEWEST_COLUMNS
from .cell import ChangeCell

Ints = npt.NDArray[np.int64]


def joint_column(metrics: Sequence[Metric]) -> int | None:
    """Return the place of the column that judges others together, None where there is none."""
    return next((j for j, metric in enumerate(metrics) if metric.score == JOINT), None)


def shared_rungs(
    cells: Iterable[ChangeCell], metrics: Sequence[Metric]
) -> dict[int, tuple[int, Ints]]:
    """Return, by pool, the rung at which most of its means have a stream, and the pool's rows.

    The longer of two alike; a pool in which no two means share one is left out.
    """
    streams: dict[int, Counter[int]] = {}
    rows: dict[int, Ints] = {}
    for cell in (c for c in cells if metrics[c.column].paired):
        streams.setdefault(cell.pool, Counter())[cell.rung] += 1
        rows[cell.pool] = cell.rows
    found = {pool: max((n, rung) for rung, n in at.items()) for pool, at in streams.items()}
    return {pool: (r, rows[pool]) for pool, (n, r) in found.items() if n >= FEWEST_COLUMNS}
