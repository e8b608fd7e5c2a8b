"""The chi-square law computed: probabilities, and quantiles at levels that no table has.

Apart, because fixed levels are read from a table, but a robust fit asks for a share h of n.
Null: both agree with scipy to 1e-10.  Power: what is outside their domains is refused.
"""

import math
from functools import lru_cache
from typing import Final

_ENOUGH: Final = 1e-16  # relative size of a term that no longer counts
_TINIEST: Final = 1e-300  # instead of a zero denominator
_HALVINGS: Final = 200  # more than a double has bits from its largest number to its smallest


def probability(x: float, df: int) -> float:
    """Return P(X <= ``x``) for X chi-square with ``df`` >= 1 degrees of freedom; ``x`` >= 0.

    The regularised incomplete gamma function P(df/2, x/2): its series below the mode, the
    continued fraction of its complement above (Abramowitz and Stegun 6.5.29 and 6.5.31).
    """
    if not (df >= 1 and x >= 0.0):
        message = f"no chi-square probability of x={x} at df={df}: x >= 0 and df >= 1"
        raise ValueError(message)
    a, half = df / 2.0, x / 2.0
    if half == 0.0:
        return 0.0
    if math.isinf(half):
        return 1.0
    density = math.exp(a * math.log(half) - half - math.lgamma(a))
    return density * _series(a, half) if half < a + 1.0 else 1.0 - density * _fraction(a, half)


@lru_cache(maxsize=1024)
def quantile(p: float, df: int) -> float:
    """Return the x with P(X <= x) = ``p`` in (0, 1), to about 1e-15 relative, by bisection."""
    if not 0.0 < p < 1.0:
        message = f"a chi-square quantile exists for 0 < p < 1, not for {p}"
        raise ValueError(message)
    low, high = 0.0, float(df)
    while probability(high, df) < p:
        low, high = high, 2.0 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle in {low, high}:
            break
        low, high = (middle, high) if probability(middle, df) < p else (low, middle)
    return high


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    at = a
    while term > _ENOUGH * total:
        at += 1.0
        term *= x / at
        total += term
    return total


def _fraction(a: float, x: float) -> float:
    """Return the continued fraction by Lentz's rule (Numerical Recipes, section 6.2)."""
    b = x + 1.0 - a
    c, d = 1.0 / _TINIEST, 1.0 / b
    value = d
    step, i = 0.0, 0
    while abs(step - 1.0) > _ENOUGH * 4.0:
        i += 1
        weight = -i * (i - a)
        b += 2.0
        d = 1.0 / _away_from_zero(weight * d + b)
        c = _away_from_zero(b + weight / c)
        step = c * d
        value *= step
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINIEST else _TINIEST
