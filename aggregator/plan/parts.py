"""The parts that are merged into each row: which there are, their weights, classes and epochs.

Apart from the plan, because merging, verdicts and screens read these and nothing else of it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int8]

FAST, SLOW, LEVEL = 0, 1, 2  # first axis of the parts
CHANGE_SHARE = 0.5  # weight of the change channel where a row has both channels
FAST_SHARE = 0.5  # of the change channel's weight for means
MEAN_SHARE = 0.5  # of the change channel's weight where a row has other scores beside means


@dataclass(frozen=True, slots=True)
class Parts:
    """What is merged into each row: weights, classes, rungs and epochs, each (3, M, R).

    The first axis is fast change, slow change, level; rung 0 is a part that does not exist.
    """

    weights: Floats
    validity: Classes
    rungs: Ints
    epochs: Ints


def weights(rungs: Ints, paired: Bools) -> Floats:
    """Return the weights (3, M, R) of the parts, fixed for good: they add up to 1 for each row.

    Half for each channel that the row has, within the change channel half for each rung, and
    the metrics of a channel share alike. Columns that are not ``paired`` (M,), the scores beside
    the mean and what is counted, take half of the change channel's weight together, all of it
    where it has no means.
    """
    share = np.array([CHANGE_SHARE * FAST_SHARE, CHANGE_SHARE * (1 - FAST_SHARE), 1 - CHANGE_SHARE])
    exists = rungs > 0
    others = exists & ~paired[:, None]
    weights = share[:, None, None] * _alike(exists & paired[:, None])
    of_means = weights[:LEVEL].sum(axis=(0, 1))
    means, beside = of_means > 0, others.any(axis=(0, 1))
    weights[:LEVEL] *= np.where(beside, MEAN_SHARE, 1.0)
    left = np.where(means, of_means * (1 - MEAN_SHARE), CHANGE_SHARE)
    weights += left * others / np.maximum(others.sum(axis=(0, 1)), 1)
    total = weights.sum(axis=(0, 1), keepdims=True)
    return np.where(total > 0, weights / np.where(total > 0, total, 1.0), 0.0)


def _alike(exists: Bools) -> Floats:
    """Return what each of the columns that exist (…, M, R) has of 1."""
    shared: Floats = exists / np.maximum(exists.sum(axis=-2, keepdims=True), 1)
    return shared
