"""Bets on ranks: log factors whose mean is at most one while ranks are uniform, up to a deadband.

Apart, because this is where a rank becomes evidence and where "too small to care" is decided.
Null: the mean factor of uniform ranks is at most 1.  Power: ranks pushed to one end grow it.

Frozen: engine/bets.py as it first was, for bench/engine.py to measure against.
"""

from typing import Final

import numpy as np
from first.special import normal_quantile

from tessera.engine.arrays import Floats, Ints

LAMBDAS: Final = (0.25, 0.5, 1.0, 2.0)
LINEAR_LAMBDAS: Final = (0.25, 0.5, 0.95)
DEADBAND: Final = 0.1  # residual standard deviations
_CLIP: Final = 5e-4


def normal_scores(u: Floats) -> Floats:
    """Return z = the normal quantile of ``u`` in (0, 1), clipped to 5e-4 from either end.

    Any shape; NaN stays NaN.  |z| is at most 3.29, so no single block can decide anything.
    """
    return normal_quantile(np.clip(u, _CLIP, 1.0 - _CLIP))


def normal_score_bets(z: Floats, kappa: Floats, deadband: float = DEADBAND) -> Floats:
    """Return log bets (n, 8): upward for the four lambdas, then downward; NaN z gives a NaN row.

    l = lambda (s z / sqrt(kappa) - d) - lambda^2 / 2, ``kappa`` (n,) >= 1, ``deadband`` d >= 0.
    Null (statistics.md B2.2): E[exp(lambda s z / sqrt kappa) | past] <= exp(lambda d + lambda^2/2).
    Raises ``ValueError`` for a kappa below 1 or NaN.
    """
    if not (kappa >= 1.0).all():
        message = "kappa is at least 1: a calibration may only weaken a bet"
        raise ValueError(message)
    score = z / np.sqrt(kappa)
    bets = np.empty((2 * len(LAMBDAS), z.size))
    for half, signed in enumerate((score, -score)):
        for j, stake in enumerate(LAMBDAS):
            bets[half * len(LAMBDAS) + j] = stake * (signed - deadband) - stake**2 / 2.0
    return bets.T


def linear_bets(u: Floats, deadband: float = DEADBAND) -> Floats:
    """Return bounded log bets (n, 6) on ranks ``u`` in (0, 1): three upward, three downward.

    log(1 + lambda (s (2u - 1) - d) / (1 + d)) needs only E[s (2u - 1) | past] <= d: for metrics
    whose tails fail the check of the normal scores.  NaN u gives a NaN row.
    """
    centred = 2.0 * u - 1.0
    bets = np.empty((2 * len(LINEAR_LAMBDAS), u.size))
    for half, signed in enumerate((centred, -centred)):
        for j, stake in enumerate(LINEAR_LAMBDAS):
            bets[half * len(LINEAR_LAMBDAS) + j] = stake * (signed - deadband) / (1.0 + deadband)
    return np.log1p(bets, out=bets).T


def side_weights(direction: Ints) -> Floats:
    """Return weights (n, 8) over :func:`normal_score_bets`, rows summing to 1.

    ``direction`` (n,): 0 watches both sides (eighths), +1 or -1 that side alone (quarters).
    Raises ``ValueError`` for any other direction.
    """
    if (np.abs(direction) > 1).any():
        message = "a direction is -1 (down is bad), 0 (both) or +1 (up is bad)"
        raise ValueError(message)
    shares = np.array([[0.0, 0.25], [0.125, 0.125], [0.25, 0.0]])  # by direction + 1: up, down
    return np.repeat(shares[direction + 1], len(LAMBDAS), axis=1)
