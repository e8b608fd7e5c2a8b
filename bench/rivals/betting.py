"""A betting e-process on clipped deviations from a plug-in baseline, raw or whitened.

Apart from the charts, because its bar is no tuned one but a promise: 1/α, by Ville's inequality.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .charts import Floats

Bools = npt.NDArray[np.bool_]

CLIP = 3.0  # standard deviations, to which a deviation of ±1 belongs
EDGE = 1.0 - 1e-6  # of the largest bet
LEAST = 1e-12  # of the wealth, and far below any that counts
STEEPEST = 0.95  # of the lag coefficient


@dataclass(frozen=True, slots=True)
class Betting:
    """Bets the ratio of past moments on z = clip(w / 3σ), as the reference implementation does.

    ``whitened`` takes w = x − φ·last with each stream's own φ, else w = x; both about the mean
    of the baseline. Source: Waudby-Smith and Ramdas (2024), JRSS-B 86:1, for bets of this kind.
    """

    whitened: bool

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return ln wealth (blocks, n); a missing block changes nothing."""
        mean, sd = np.nanmean(learned, axis=0), np.nanstd(learned, axis=0, ddof=1)
        phi = lag_coefficient(learned - mean) if self.whitened else np.zeros(len(mean))
        state = _Wealth.start(len(mean))
        last, out = np.zeros(len(mean)), np.empty_like(watched)
        for block, now in enumerate(watched - mean):
            z = np.clip((now - phi * last) / (CLIP * sd), -1.0, 1.0)
            seen = ~np.isnan(now)
            last = np.where(seen, now, last)
            state.step(np.where(seen, z, 0.0), seen)
            out[block] = state.log_wealth
        return out


@dataclass(slots=True)
class _Wealth:
    """Wealth, the last bet and the moments of z of many streams, all (n,)."""

    log_wealth: Floats
    bet: Floats
    count: Floats
    first: Floats
    second: Floats

    @classmethod
    def start(cls, n: int) -> "_Wealth":
        return cls(*np.zeros((5, n)))

    def step(self, z: Floats, seen: Bools) -> None:
        """Bet on ``z`` in [-1, 1] where it was ``seen``, from the moments before it."""
        bet = self._next_bet()
        gain = np.log(np.maximum(1.0 + bet * z, LEAST))
        grown = np.maximum(self.log_wealth + gain, np.log(LEAST))
        self.log_wealth = np.where(seen, grown, self.log_wealth)
        self.bet = np.where(seen, bet, self.bet)
        self.count += seen
        share = seen / np.maximum(self.count, 1.0)
        self.first += share * (z - self.first)
        self.second += share * (z * z - self.second)

    def _next_bet(self) -> Floats:
        known = self.second > 0.0
        ratio = np.divide(self.first, self.second, out=np.zeros_like(self.first), where=known)
        denominator = 1.0 + self.bet * self.first
        usable = known & (np.abs(denominator) >= 1e-9)  # noqa: PLR2004  the reference's own guard
        slope = np.divide(self.first, denominator, out=np.zeros_like(self.first), where=usable)
        step = np.clip(self.bet + slope / np.maximum(self.second, 1e-6), -EDGE, EDGE)
        return np.where(np.abs(ratio) <= EDGE, ratio, np.where(usable, step, 0.0))


def lag_coefficient(centred: Floats) -> Floats:
    """Return each stream's lag-one coefficient (n,), Kendall's bias taken out, in [0, 0.95].

    ``centred`` (blocks, n), NaN = missing; pairs with a missing member are left out.
    """
    both = ~np.isnan(centred[1:]) & ~np.isnan(centred[:-1])
    before, after = np.where(both, centred[:-1], 0.0), np.where(both, centred[1:], 0.0)
    phi = (before * after).sum(axis=0) / (before * before).sum(axis=0)
    phi = phi + (1.0 + 3.0 * phi) / both.sum(axis=0)
    clipped: Floats = np.clip(phi, 0.0, STEEPEST)
    return clipped
