"""One-step-ahead residuals of a stream against its peers, by recursive least squares.

Apart, because offsets and unequal loadings vanish here and nowhere else, without a look ahead.
Null: Gaussian noise about any line gives iid normal residuals.  Power: a shift shows in the next.

Frozen: engine/recursive.py as it first was, for bench/engine.py to measure against.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from tessera.engine.arrays import Bools, Floats, Ints, refuse_infinite

_CHUNK: Final = 8192  # streams whose intermediate arrays stay in the cache


@dataclass(slots=True)
class Recursive:
    """Per stream the regression of x on (1, c): posterior mean and covariance, and the last pair.

    Inputs are centred and in robust residual units, so the noise variance of the model is 1.
    Source: Brown, Durbin & Evans (1975), JRSS-B 37:149; statistics.md B1.5 and E.
    """

    theta: Floats  # (n, 2) intercept, slope
    p: Floats  # (n, 3) posterior covariance P00, P01, P11
    last_x: Floats  # (n,) NaN where missing
    last_c: Floats  # (n,)
    steps: Ints  # (n,) pairs learnt from

    @classmethod
    def start(cls, n: int, *, intercept_sd: float = 10.0, slope_sd: float = 0.3) -> Self:
        """Return ``n`` streams at the prior: mean (0, 1), the given standard deviations."""
        theta = np.zeros((2, n))
        theta[1] = 1.0
        p = np.zeros((3, n))
        p[0], p[2] = intercept_sd**2, slope_sd**2
        nothing = np.full(n, np.nan)
        # Streams first for every reader, one coefficient after the other in memory for the step.
        return cls(theta.T, p.T, nothing, nothing.copy(), np.zeros(n, dtype=np.int64))

    def step(self, x: Floats, c: Floats, phi: Floats, learn: Bools) -> Floats:
        """Return the standardised residual w (n,) of ``x`` given peers ``c``, then learn from it.

        With ``phi`` in [0, 1) the pair is quasi-differenced: x - phi last_x on c - phi last_c.
        w is NaN where x, c or, if phi is not 0, a predecessor is missing.  Rows with ``learn``
        False give w and move on to the next pair, but leave theta and P alone.
        Raises ``ValueError`` for an infinite ``x`` or ``c``.
        """
        refuse_infinite("the value of a stream", x)
        refuse_infinite("the peers of a stream", c)
        w = np.empty(x.shape)
        for start in range(0, x.size, _CHUNK):
            rows = slice(start, start + _CHUNK)
            target, regressor = self._differenced(rows, x[rows], c[rows], phi[rows])
            w[rows] = self._residual_then_learn(rows, target, regressor, learn[rows])
        self.last_x[:] = x
        self.last_c[:] = c
        return w

    def _differenced(self, rows: slice, x: Floats, c: Floats, phi: Floats) -> tuple[Floats, Floats]:
        if not phi.any():
            return x, c
        plain = phi == 0.0
        target = np.where(plain, x, x - phi * self.last_x[rows])
        regressor = np.where(plain, c, c - phi * self.last_c[rows])
        return target, regressor

    def _residual_then_learn(self, rows: slice, x: Floats, c: Floats, learn: Bools) -> Floats:
        """Emit w = e / sqrt(v), v = 1 + z'Pz with z = (1, c); then update where it was seen."""
        intercept, slope = self.theta[rows].T
        p00, p01, p11 = self.p[rows].T
        gain0 = p00 + p01 * c
        gain1 = p01 + p11 * c
        v = 1.0 + np.maximum(gain0 + gain1 * c, 0.0)  # rounding must not make z'Pz negative
        error = x - intercept - slope * c
        w: Floats = error / np.sqrt(v)
        seen = learn & np.isfinite(w) & np.isfinite(v)
        step = error / v
        np.add(intercept, gain0 * step, out=intercept, where=seen)
        np.add(slope, gain1 * step, out=slope, where=seen)
        _shrink(self.p[rows], c, v, seen)
        self.steps[rows] += seen
        return w


def _shrink(p: Floats, c: Floats, v: Floats, seen: Bools) -> None:
    """Update P (m, 3) by (1, c) without subtracting on its diagonal: it stays a covariance.

    P - Pzz'P / v = (P + det(P) (c, -1)(c, -1)') / v for 2 x 2: the diagonal is a sum of terms that
    are not negative, whatever rounding did before.
    """
    p00, p01, p11 = p.T
    determinant = np.maximum(p00 * p11 - p01 * p01, 0.0)
    drop = determinant * c
    np.divide(p00 + drop * c, v, out=p00, where=seen)
    np.divide(p01 - drop, v, out=p01, where=seen)
    np.divide(p11 + determinant, v, out=p11, where=seen)
