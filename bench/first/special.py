"""The quantile function of the normal law.

Apart, so that an agent carries no scipy.
Null: it agrees with scipy over its whole domain.  Power: a probability outside it is refused.

Frozen: engine/special.py as it first was, for bench/engine.py to measure against.
"""

from typing import Final

import numpy as np

from tessera.engine.arrays import Bools, Floats

MAD_TO_SD: Final = 1.4826  # median absolute deviation to standard deviation, of a Gaussian

# Wichura (1988), algorithm AS 241 (PPND16), Applied Statistics 37:477-484: numerators and
# denominators, highest power first, of the centre, the shoulder and the far tail.
_CENTRE: Final = (
    (
        2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
        4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
        1.3314166789178437745e2, 3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
        2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
        4.2313330701600911252e1, 1.0,
    ),
)  # fmt: skip
_SHOULDER: Final = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
        1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
        4.63033784615654529590e0, 1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
        1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
        2.05319162663775882187e0, 1.0,
    ),
)  # fmt: skip
_FAR: Final = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
        2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
        5.46378491116411436990e0, 6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
        7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
        5.99832206555887937690e-1, 1.0,
    ),
)  # fmt: skip
_CENTRE_HALF_WIDTH: Final = 0.425
_SHOULDER_END: Final = 5.0  # in sqrt(-ln of the tail probability)
_CHUNK: Final = 8192  # streams whose intermediate arrays stay in the second-level cache

_Fraction = tuple[tuple[float, ...], tuple[float, ...]]


def normal_quantile(p: Floats) -> Floats:
    """Return the standard normal quantile of each ``p`` in (0, 1), any shape; NaN stays NaN.

    Relative error about 1e-16 (AS 241).  Raises ``ValueError`` for a ``p`` outside (0, 1).
    """
    if ((p <= 0.0) | (p >= 1.0)).any():
        message = "a normal quantile exists for probabilities strictly between 0 and 1 only"
        raise ValueError(message)
    flat = np.ravel(p)
    quantiles = np.empty(flat.shape)
    for start in range(0, flat.size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        quantiles[rows] = _quantile(flat[rows])
    return quantiles.reshape(np.shape(p))


def _quantile(p: Floats) -> Floats:
    off_centre = p - 0.5
    quantiles = off_centre * _ratio(_CENTRE_HALF_WIDTH**2 - off_centre**2, _CENTRE)
    outside = np.flatnonzero(np.abs(off_centre) > _CENTRE_HALF_WIDTH)
    tail = p[outside]
    size = _tail_size(np.minimum(tail, 1.0 - tail))
    quantiles[outside] = np.copysign(size, off_centre[outside])
    return quantiles


def _tail_size(probability: Floats) -> Floats:
    """Return |quantile| for tail probabilities in (0, 0.075)."""
    root = np.sqrt(-np.log(probability))
    far: Bools = root > _SHOULDER_END
    size = _ratio(root - 1.6, _SHOULDER)
    if far.any():
        size[far] = _ratio(root[far] - _SHOULDER_END, _FAR)
    return size


def _ratio(x: Floats, fraction: _Fraction) -> Floats:
    numerator, denominator = fraction
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    value = np.full(x.shape, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value
