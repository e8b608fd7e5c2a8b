"""Autoregressive noise of one series: its coefficients, its order, and the series without it.

Apart from calibration, which needs the one lag of a fleet: curation and explanation look back at
a single recorded series and may fit what that series has.
Null: white noise is left as it is.  Power: the coefficients of an AR(2) are found and taken out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .arrays import Floats

HIGHEST_ORDER: Final = 30
_VALUES_A_LAG: Final = 10
_NOTHING: Final = 1e-12  # share of the variance below which nothing is left to explain


@dataclass(frozen=True, slots=True)
class Autoregression:
    """x_t − mean = Σ ``coefficients``[k] (x_{t−1−k} − mean) + noise of ``variance``.

    ``coefficients`` (p,), p >= 0; ``reflections`` (p,) the partial autocorrelations.
    """

    coefficients: Floats
    reflections: Floats
    variance: float

    @property
    def order(self) -> int:
        """Return p."""
        return len(self.coefficients)


def autocovariance(x: Floats, order: int) -> Floats:
    """Return the autocovariances (order + 1,) of ``x`` (n,) at lags 0 … order, divisor n.

    Raises ``ValueError`` for a gap, an infinity, or an order outside 0 … n − 1.
    """
    if x.ndim != 1 or not 0 <= order < len(x) or not np.isfinite(x).all():
        message = f"no autocovariance of order {order}: it needs more finite values than that"
        raise ValueError(message)
    apart = x - x.mean()
    lags = [float(apart[k:] @ apart[: len(x) - k]) / len(x) for k in range(order + 1)]
    return np.array(lags)


def levinson(covariance: Floats) -> list[Autoregression]:
    """Return the models of order 0 … p that ``covariance`` (p + 1,) implies.

    The Levinson–Durbin recursion (Durbin 1960, Rev. Int. Stat. Inst. 28:233). It ends early
    where an order leaves no noise.
    """
    models = [Autoregression(np.empty(0), np.empty(0), float(covariance[0]))]
    while models[-1].order < len(covariance) - 1:
        last = models[-1]
        if last.variance <= _NOTHING * covariance[0]:
            break
        known = covariance[last.order : 0 : -1]
        rest = float(covariance[last.order + 1] - last.coefficients @ known)
        reflection = rest / last.variance
        coefficients = last.coefficients - reflection * last.coefficients[::-1]
        models.append(
            Autoregression(
                np.append(coefficients, reflection),
                np.append(last.reflections, reflection),
                last.variance * (1.0 - reflection**2),
            )
        )
    return models


def fit(x: Floats, highest: int | None = None) -> Autoregression:
    """Return the autoregression of ``x`` (n,) by the least AIC, n ln variance + 2 p (Akaike 1974).

    Orders 1 … ``highest`` are compared, by default n/10 and at most 30; order 0 only for a
    series without movement. Raises ``ValueError`` as :func:`autocovariance` does.
    """
    n = len(x)
    most = min(HIGHEST_ORDER, max(1, n // _VALUES_A_LAG)) if highest is None else highest
    models = levinson(autocovariance(x, most))
    some = [m for m in models if m.order and m.variance > 0.0]
    return min(some, key=lambda m: n * np.log(m.variance) + 2 * m.order, default=models[0])


def whitened(x: Floats, mean: float, model: Autoregression) -> Floats:
    """Return ``x`` (n,) less what its past predicts; before the first value is the mean.

    A missing value is predicted by nothing and predicts nothing: NaN stays, and counts as the
    mean for those after it.
    """
    apart = x - mean
    past = np.where(np.isnan(apart), 0.0, apart)
    white = apart + mean
    for k, coefficient in enumerate(model.coefficients, start=1):
        white[k:] -= coefficient * past[: max(len(x) - k, 0)]
    return white
