"""The counts channel: one member's rare errors, given how many its group had in the same block.

Apart, because a count has no noise to rank: given the group's total it is binomial, and the bet
is exact without a past. What is counted are errored ticks, so that a burst is one event.
Null: a member errs at most at twice the odds of its peers.  Power: one that errs alone is found.
"""

from math import lgamma, log, log1p
from typing import Final

import numpy as np

from .arrays import Bools, Floats, Ints, keep_rows, refuse_infinite
from .onset import OnsetMixture
from .peers import FEWEST

ODDS: Final = 2.0  # times the odds of its exposure a member may err: equals differ by that much
ALTERNATIVES: Final = 8
MOST: Final = log(100.0)  # nats that one block may say, however many errors it holds

# Beyond the margin: midpoints of eight equal shares of a beta prime (1/2, 1/2) above 1, whose
# quantile at (1 + v)/2 is tan²(pi (1 + v)/4). From 1.2 to 415 times the margin.
_BEYOND: Final = np.tan(np.pi / 4.0 * (1.0 + (np.arange(ALTERNATIVES) + 0.5) / ALTERNATIVES)) ** 2


def equal_share(members: Ints) -> Floats:
    """Return each member's share (n,) of its group's exposure, NaN among fewer than three."""
    return np.where(members >= FEWEST, 1.0 / np.maximum(members, 1), np.nan)


def largest_healthy(share: Floats, odds: Floats) -> Floats:
    """Return p0 (n,) in (0, 1): the probability that an error is this member's, at the margin.

    ``share`` (n,) of the exposure in (0, 1); ``odds`` (n,) at least 1. NaN stays NaN.
    Raises ``ValueError`` for a number outside its domain.
    """
    if (odds < 1.0).any() or (share <= 0.0).any() or (share >= 1.0).any():
        message = "a share lies in (0, 1) and a margin in odds is at least 1"
        raise ValueError(message)
    return _probability(share, odds)


def counts_bets(x: Floats, total: Floats, share: Floats, odds: Floats) -> Floats:
    """Return log bets (n, 8) on ``x`` errors of a member among ``total`` of its group, itself in.

    l_j = ln Bin(x; total, p_j)/Bin(x; total, p0), with p_j at 1.2 to 415 times the odds of p0,
    at most ln 100. Given the total, E[exp(l_j)] <= 1 for every p <= p0, exactly: the ratio grows
    with x. NaN, and so no bet, where a number is missing, no whole one or out of range, and where
    the group had no error at all. Source: statistics.md B2.4 (c).
    """
    sane = (total >= 1.0) & (x >= 0.0) & (x <= total) & (x == np.floor(x))
    hits = np.where(sane & (total == np.floor(total)), x, np.nan)
    misses = total - hits
    null = largest_healthy(share, odds)
    bets = np.empty((ALTERNATIVES, len(x)))
    for j, beyond in enumerate(_BEYOND):
        p = _probability(share, odds * beyond)
        bets[j] = hits * np.log(p / null) + misses * (np.log1p(-p) - np.log1p(-null))
    return np.minimum(bets, MOST).T


def beta_mixture(x: int, total: int, null: float) -> float:
    """Return ln of the e-value that mixes all p in (p0, 1) alike, for one fixed window.

    Closed form: the integral of p^x (1 − p)^(n−x) above p0 is B(x+1, n−x+1) P(Bin(n+1, p0) <= x).
    Exact for every p <= p0 = ``null`` in (0, 1). Raises ``ValueError`` for numbers out of range.
    Source: statistics.md B2.4 (c).
    """
    if not (0 <= x <= total and 0.0 < null < 1.0):
        message = f"{x} errors of {total} at p0 = {null}: 0 <= x <= n and p0 in (0, 1)"
        raise ValueError(message)
    log_null, log_other = log(null), log1p(-null)
    terms = [
        _log_choose(total + 1, k) + k * log_null + (total + 1 - k) * log_other for k in range(x + 1)
    ]
    log_tail = float(np.logaddexp.reduce(terms))
    log_beta = -_log_choose(total, x) - log(total + 1.0)
    return log_beta + log_tail - x * log_null - (total - x) * log_other - log_other


class CountsChannel:
    """Evidence that a stream errs more than its peers, from any block on."""

    def __init__(self, odds: Floats, horizon: int) -> None:
        """Start ``n`` streams with margins ``odds`` >= 1 (n,), ``horizon`` in blocks."""
        n = len(odds)
        self.odds = odds.astype(np.float64)
        self.observed = np.zeros(n, dtype=np.int64)
        self.mixture = OnsetMixture.start(
            np.full((n, ALTERNATIVES), 1.0 / ALTERNATIVES), np.full(n, horizon, dtype=np.int64)
        )

    def step(self, block: int, x: Floats, total: Floats, share: Floats, may_bet: Bools) -> None:
        """Take one block's errors ``x`` of groups' ``total``, each (n,), given ``share``; NaN = no.

        A block without an error in the whole group says nothing and uses up no horizon: whether
        it is bet hangs on the total only, which the bet takes as given.
        """
        refuse_infinite("a count", x)
        refuse_infinite("a total", total)
        self.observed += np.isfinite(x)
        bets = counts_bets(np.where(may_bet, x, np.nan), total, share, self.odds)
        self.mixture.step(bets, block)

    def restart(self, rows: Ints, odds: Floats, horizon: int) -> None:
        """Begin a new epoch of ``rows``: M = 1 and the margin given."""
        self.odds[rows] = odds
        self.mixture.restart(rows, np.full(len(rows), horizon, dtype=np.int64))

    def forget(self, rows: Ints) -> None:
        """Let ``rows`` be as if just opened; they keep their margin and bet at once."""
        self.observed[rows] = 0
        self.mixture.restart(rows, self.mixture.horizon[rows])

    def log_m(self) -> Floats:
        """Return ln M (n,): 0 where nothing was bet yet."""
        return self.mixture.log_m()

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``, which go on as they are, in their order."""
        keep_rows(self, rows, len(self.odds))


def _probability(share: Floats, odds: Floats) -> Floats:
    """Return the probability at ``odds`` times those of ``share``."""
    weighed = odds * share
    return weighed / (1.0 - share + weighed)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)
