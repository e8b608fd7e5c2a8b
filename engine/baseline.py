"""What the blocks that a stream has kept while it learned say of it: movement, memory, scale.

Apart from the channel, which keeps them and goes on: this is asked once, when learning ends.
Null: a common level and slope, and float32's rounding, say nothing.  Power: memory left in the
residuals shows in the lags, and in the scores' sums over long windows.
"""

from dataclasses import dataclass

import numpy as np

from .arrays import Bools, Floats, Ints
from .special import MAD_TO_SD, normal_quantile

ROUNDING = 2.0**-21  # of a value: four units in the last place of the float32 that travel


@dataclass(frozen=True, slots=True)
class Settled:
    """Streams that ended learning in this block, and what their baseline says of memory.

    ``rows`` (r,) stream indices; ``scores`` (r, 100) signed normal scores of the baseline
    residuals, NaN where none was made.
    """

    rows: Ints
    scores: Floats


def only(settled: Settled, rows: Ints, count: int) -> Settled:
    """Return what ``settled`` says of ``rows``, numbered anew in their order, out of ``count``."""
    to = np.full(count, -1, dtype=np.int64)
    to[rows] = np.arange(len(rows))
    kept = to[settled.rows] >= 0
    return Settled(to[settled.rows][kept], settled.scores[kept])


def without(settled: Settled, rows: Ints) -> Settled:
    """Return what ``settled`` says of all but ``rows``."""
    kept = ~np.isin(settled.rows, rows)
    return Settled(settled.rows[kept], settled.scores[kept])


def moved(kept: Floats, offset: Floats) -> Bools:
    """Return whether the distances of ``kept`` (r, b, 2) differ by more than float32 rounds off.

    ``offset`` (r,) has been taken from the values already.
    """
    distance = kept[..., 0] - kept[..., 1]
    size = np.abs(kept).max(axis=(1, 2), initial=0.0) + np.abs(offset)
    differ: Bools = np.ptp(distance, axis=1) > ROUNDING * size
    return differ


def lag_sums(kept: Floats, gap: Bools) -> Floats:
    """Return (r, 3): pairs, Σ r_b r_{b-1} and Σ r_b² of ``kept`` (r, b, 2).

    ``r`` is the residual of the values on (1, references), least squares; a block behind a
    ``gap`` (r, b) makes no pair with the one before (statistics.md E).
    """
    residual = _least_squares_residual(kept[..., 0], kept[..., 1])
    pair = ~gap[:, 1:]
    cross = (residual[:, 1:] * residual[:, :-1] * pair).sum(axis=1)
    square = (residual[:, 1:] ** 2 * pair).sum(axis=1)
    return np.stack([pair.sum(axis=1).astype(np.float64), cross, square], axis=1)


def signed_scores(residual: Floats) -> Floats:
    """Return normal scores (r, b) from the sign and the rank of the size of each ``residual``.

    Unit variance whatever the tails, and unlike plain ranks free to have a mean other than 0,
    so that sums over long windows still show memory.
    """
    size = np.abs(residual)
    rank = np.argsort(np.argsort(size, axis=1), axis=1) + 1.0  # NaN sort last
    count = np.isfinite(size).sum(axis=1, keepdims=True)
    share = np.where(np.isfinite(size), 0.5 + 0.5 * rank / (count + 1.0), np.nan)
    return np.sign(residual) * normal_quantile(share)


def robust_sd(values: Floats) -> Floats:
    """Return 1.4826 MAD of each row (r, b), or its sd where more than half are equal."""
    centre = np.nanmedian(values, axis=1, keepdims=True)
    mad = MAD_TO_SD * np.nanmedian(np.abs(values - centre), axis=1)
    return np.where(mad > 0, mad, np.nanstd(values, axis=1))


def _least_squares_residual(y: Floats, c: Floats) -> Floats:
    """Return the residual of ``y`` (r, b) on (1, ``c``), row by row."""
    y = y - y.mean(axis=1, keepdims=True)
    c = c - c.mean(axis=1, keepdims=True)
    variance = (c * c).sum(axis=1, keepdims=True)
    slope = (y * c).sum(axis=1, keepdims=True) / np.where(variance > 0, variance, 1.0)
    residual: Floats = y - slope * c
    return residual
