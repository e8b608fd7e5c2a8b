"""Which metric each column of a host's blocks is made of, and by which score.

Apart from the fold, which only fills blocks: raw ticks are read, kept and shown once for each
metric, however many columns are made of them, and here is how the one follows from the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ..adapters.metric import JOINT, Metric, Score

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """``read`` the R metrics whose ticks are taken; for each column of M the rest.

    ``source`` (M,) place of its metric in ``read``, ``scores`` (M) what is made of it,
    ``direction`` (M,) bad side of that metric in {-1, 0, +1}; ``counted`` (M,): its errored ticks
    are. The joint column is made of no ticks: it is never folded, its source means nothing.
    """

    read: tuple[Metric, ...]
    source: Ints
    scores: tuple[Score, ...]
    direction: Ints
    counted: Bools

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> Self:
        """Return the layout of the columns ``metrics``; each score stands beside its metric.

        Raises ``ValueError`` for a score whose metric is not among them.
        """
        read = tuple(metric for metric in metrics if metric.score == "mean")
        place = {metric.name: j for j, metric in enumerate(read)}
        for metric in metrics:
            if metric.base not in place and metric.score != JOINT:
                message = f"{metric.name} is a score of {metric.base}, which is not read"
                raise ValueError(message)
        source = np.array([place.get(metric.base, 0) for metric in metrics], dtype=np.int64)
        side = np.array([metric.direction for metric in read], dtype=np.int64)
        counted = np.array([metric.counted for metric in metrics], dtype=np.bool_)
        return cls(read, source, tuple(metric.score for metric in metrics), side[source], counted)

    @classmethod
    def means(cls, count: int) -> Self:
        """Return ``count`` columns that are the means of as many metrics without a name."""
        read = tuple(Metric(str(j), "") for j in range(count))
        return cls.of(read)
