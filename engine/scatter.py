"""Where a cloud of vectors lies and how it spreads, whatever a quarter of them does.

Apart, because joint drift and curation both measure distances in it, and neither may bet in it.
Null: clean Gaussian rows give back their covariance.  Power: a fifth of outliers moves nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final, Literal

import numpy as np

from .arrays import Bools, Floats, Ints
from .chi_square import probability, quantile
from .special import MAD_TO_SD, normal_quantile

SHARE: Final = 0.75  # rows of the tightest subset (h / n)
REWEIGHTED: Final = 0.975  # share of clean rows that the second pass keeps
ROWS_PER_COLUMN: Final = 5  # fewer than this: shrinkage instead of a subset
_FIRST_STEPS: Final = 2  # of every start, before only the best go on
_BEST: Final = 2
_MOST_STEPS: Final = 30  # concentration is finite and needs about ten
_FLAT: Final = 1e-10  # share of a column's variance that the other columns leave: none
_LARGEST: Final = 1e30  # of a value: as large as a reading may be
_SMALLEST: Final = 1e-60  # of a spread: fourth powers of both are numbers, and not 0


@dataclass(frozen=True, slots=True)
class Scatter:
    """``centre`` (p,) and positive definite ``covariance`` (p, p) of the rows ``kept`` (n,)."""

    centre: Floats
    covariance: Floats
    kept: Bools
    method: Literal["mcd", "ledoit_wolf"]


class _FlatError(Exception):
    """A subset of the rows lies in a plane."""


def fit(rows: Floats) -> Scatter:
    """Return the robust scatter of complete finite ``rows`` (n, p), n >= 1, p >= 1.

    Reweighted minimum covariance determinant of h = 0.75 n rows, deterministic (Hubert,
    Rousseeuw and Verdonck 2012, JCGS 21:618), consistent at the Gaussian law in both passes
    (Croux and Haesbroeck 1999). Below 5 p rows, or if rows lie in a plane (a constant column
    is one): Ledoit and Wolf (2004, JMVA 88:365), whose target needs columns of like scale; it
    keeps all rows. A number beyond 1e30 counts as 1e30. Raises ``ValueError`` for an empty
    matrix, a gap or an infinity.
    """
    if rows.ndim != 2 or rows.size == 0:  # noqa: PLR2004  a matrix
        message = f"a scatter is fitted to rows (n, p), not to shape {rows.shape}"
        raise ValueError(message)
    if not np.isfinite(rows).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(rows))[0])
        message = f"rows{list(at)} is {rows[at]}: a scatter is fitted to finite numbers"
        raise ValueError(message)
    rows = np.clip(rows, -_LARGEST, _LARGEST)
    if len(rows) >= max(ROWS_PER_COLUMN * rows.shape[1], rows.shape[1] + 1):
        try:
            return _minimum_determinant(rows)
        except _FlatError:
            pass  # shrinkage is defined for them
    return _shrunk(rows)


def squared_distances(rows: Floats, scatter: Scatter) -> Floats:
    """Return the squared Mahalanobis distance (m,) of each of ``rows`` (m, p); NaN of a gap.

    A number beyond 1e30 counts as 1e30, so that every distance is finite.
    """
    root = np.linalg.cholesky(scatter.covariance)
    apart = np.clip(rows, -_LARGEST, _LARGEST) - scatter.centre
    white = np.linalg.solve(root, apart.T)
    return np.asarray(np.square(white).sum(axis=0))


@lru_cache(maxsize=1024)
def consistency(share: float, columns: int) -> float:
    """Return what makes the covariance of the innermost ``share`` in (0, 1] the Gaussian one.

    share / F(p + 2, quantile(p, share)) with F the chi-square law; 1 for all rows.
    """
    if share >= 1.0:
        return 1.0
    return share / probability(quantile(share, columns), columns + 2)


def _minimum_determinant(rows: Floats) -> Scatter:
    n, p = rows.shape
    centre, scale = np.median(rows, axis=0), _spread(rows, axis=0)
    if not (scale > _SMALLEST).all():
        raise _FlatError
    z = (rows - centre) / scale
    h = max(p + 1, ceil(SHARE * n))
    distances = _tightest(z, h) / consistency(h / n, p)
    kept = distances <= quantile(REWEIGHTED, p)
    inner = z[kept]
    _, covariance = _moments(inner[np.newaxis])
    _roots(covariance)  # raises if flat
    return Scatter(
        centre + scale * inner.mean(axis=0),
        consistency(REWEIGHTED, p) * covariance[0] * np.outer(scale, scale),
        kept,
        "mcd",
    )


def _tightest(z: Floats, h: int) -> Floats:
    """Return the squared distances (n,) of ``z`` (n, p) in its tightest subset of ``h`` rows."""
    subsets = _nearest(_starts(z), ceil(len(z) / 2))
    distances, log_volume = _concentrated(z, subsets)
    for _ in range(_FIRST_STEPS):
        subsets = _nearest(distances, h)
        distances, log_volume = _concentrated(z, subsets)
    subsets = subsets[np.argsort(log_volume, kind="stable")[:_BEST]]
    for _ in range(_MOST_STEPS):
        distances, log_volume = _concentrated(z, subsets)
        before, subsets = subsets, _nearest(distances, h)
        if np.array_equal(before, subsets):
            break
    return np.asarray(distances[np.argmin(log_volume)])


def _starts(z: Floats) -> Floats:
    """Return five first guesses (5, n) of how far out each row of ``z`` (n, p) is.

    Five shapes that outliers hardly turn, each given robust scales along its own axes.
    """
    order = np.argsort(z, axis=0, kind="stable")
    ranks: Floats = (np.argsort(order, axis=0, kind="stable") + 1).astype(np.float64)
    scores = normal_quantile((ranks - 1.0 / 3.0) / (len(z) + 1.0 / 3.0))
    length = np.sqrt(np.square(z).sum(axis=1))
    signs = z / np.maximum(length, np.finfo(np.float64).tiny)[:, np.newaxis]
    inner = z[np.argsort(length, kind="stable")[: ceil(len(z) / 2)]]
    shapes = np.stack(
        [_correlation(x) for x in (np.tanh(z), ranks, scores)]
        + [signs.T @ signs, _moments(inner[np.newaxis])[1][0]]
    )
    _, axes = np.linalg.eigh(shapes)
    along = z @ axes
    along -= np.median(along, axis=1, keepdims=True)
    scale = _spread(along, axis=1)
    if not (scale > 0.0).all():
        raise _FlatError
    return np.asarray(np.square(along / scale[:, np.newaxis]).sum(axis=2))


def _concentrated(z: Floats, subsets: Ints) -> tuple[Floats, Floats]:
    """Return squared distances (s, n) in each of ``subsets`` (s, h), and its log determinant."""
    centre, covariance = _moments(z[subsets])
    root = _roots(covariance)
    white = (z - centre[:, np.newaxis]) @ np.linalg.inv(root).transpose(0, 2, 1)
    pivots = np.diagonal(root, axis1=1, axis2=2)
    return np.square(white).sum(axis=2), 2.0 * np.log(pivots).sum(axis=1)


def _nearest(distances: Floats, count: int) -> Ints:
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return np.sort(order, axis=1)


def _moments(rows: Floats) -> tuple[Floats, Floats]:
    """Return means (s, p) and covariances (s, p, p), divisor n, of ``rows`` (s, n, p)."""
    centre = rows.mean(axis=1)
    apart = rows - centre[:, np.newaxis]
    return centre, apart.transpose(0, 2, 1) @ apart / rows.shape[1]


def _roots(covariance: Floats) -> Floats:
    """Return the Cholesky factors of (s, p, p); raise ``_FlatError`` if one is singular."""
    try:
        root: Floats = np.linalg.cholesky(covariance).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        raise _FlatError from None
    left = np.square(np.diagonal(root, axis1=1, axis2=2))
    if (left <= _FLAT * np.diagonal(covariance, axis1=1, axis2=2)).any():
        raise _FlatError
    return root


def _correlation(x: Floats) -> Floats:
    apart = x - x.mean(axis=0)
    apart /= np.sqrt(np.square(apart).sum(axis=0))
    return np.asarray(apart.T @ apart)


def _spread(x: Floats, axis: int) -> Floats:
    """Return the robust sd along ``axis``; the plain one where over half of the rows are equal."""
    middle = np.median(x, axis=axis, keepdims=True)
    robust = MAD_TO_SD * np.median(np.abs(x - middle), axis=axis)
    return np.asarray(np.where(robust > 0.0, robust, x.std(axis=axis)))


def _shrunk(rows: Floats) -> Scatter:
    centre = rows.mean(axis=0)
    covariance, _ = shrinkage(rows - centre)
    return Scatter(centre, covariance, np.ones(len(rows), dtype=np.bool_), "ledoit_wolf")


def shrinkage(deviations: Floats) -> tuple[Floats, float]:
    """Return the Ledoit–Wolf covariance of ``deviations`` (n, p) from their mean, and lambda.

    (1 − lambda) S + lambda m I, m the mean variance; positive definite always: lambda is 1 if
    less leaves it singular, and rows without any spread have the identity.
    """
    n, p = deviations.shape
    sample = deviations.T @ deviations / n
    variance = float(np.trace(sample)) / p
    if variance <= _SMALLEST**2:
        return np.eye(p), 1.0
    target = variance * np.eye(p)
    spread = float(np.square(sample - target).sum())
    lengths = np.square(deviations).sum(axis=1)
    noise = (float(np.square(lengths).sum()) / n - float(np.square(sample).sum())) / n
    weight = min(1.0, noise / spread) if spread > 0.0 else 1.0
    mixed = (1.0 - weight) * sample + weight * target
    try:
        _roots(mixed[np.newaxis])
    except _FlatError:
        return target, 1.0
    return mixed, weight
