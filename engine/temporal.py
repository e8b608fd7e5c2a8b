"""A stream against nothing but its own past: has it jumped, if jumping is not its habit.

Apart from the change channel, because without peers nothing cancels: whatever wanders is taken out
by comparing with the recent past, and what jumps by habit must be found out first, and abstains.
Null: still noise, walks and a daily wave keep below 20, and long memory is not bet on.  Power: a
stream that lay still and then moves by four of its own sd is found.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import sqrt
from typing import Self

import numpy as np

from .arrays import Floats, Ints, Words, put_rows, refuse_infinite
from .bets import normal_score_bets, normal_scores, side_weights
from .calibration import MOST_KAPPA, OWN_ENOUGH, WINDOWS
from .onset import OnsetMixture
from .ranks import BASELINE, Ranks, uniforms

RECENT, APART = 100, 20  # a value is compared with the mean of 100, twenty blocks before it
LEARNING = RECENT + APART + BASELINE  # 220 blocks: what is compared with, and the knots
SUDDEN = 0.5  # sd, the deadband: a fleet that moves by less has not jumped
_LONGEST = WINDOWS[-1]


class Phase(IntEnum):
    """What a stream does: it learns its scale, then its habits, then it bets, or will not."""

    LEARNING = 0
    CALIBRATING = 1
    BETTING = 2
    ABSTAINING = 3


@dataclass(slots=True)
class OwnPast:
    """Mean squared overlapping sums of a stream's scores, over all window lengths.

    ``ring`` (n, 100) the last scores; ``scores`` (n,) so far; ``total`` and ``square`` (n, 4) the
    sum of the last m and Σ of its squares over all whole windows, m = 10, 25, 50, 100.
    """

    ring: Floats
    scores: Ints
    total: Floats
    square: Floats

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` streams without a past."""
        sums = np.zeros((2, n, len(WINDOWS)))
        return cls(np.zeros((n, _LONGEST)), np.zeros(n, dtype=np.int64), sums[0], sums[1])

    def update(self, z: Floats) -> None:
        """Take one block's scores (n,); NaN is skipped: a window is m scores, not m blocks."""
        rows = np.flatnonzero(~np.isnan(z))
        count = self.scores[rows]
        for column, m in enumerate(WINDOWS):
            left = np.where(count >= m, self.ring[rows, (count - m) % _LONGEST], 0.0)
            self.total[rows, column] += z[rows] - left
            whole = count + 1 >= m
            self.square[rows, column] += np.where(whole, self.total[rows, column] ** 2, 0.0)
        self.ring[rows, count % _LONGEST] = z[rows]
        self.scores[rows] += 1

    def variance(self) -> Floats:
        """Return V(m) (n, 4): 1 for independent scores, NaN before the first whole window."""
        windows = self.scores[:, None] - np.asarray(WINDOWS) + 1
        v = self.square / np.maximum(windows, 1) / np.asarray(WINDOWS)
        return np.where(windows > 0, v, np.nan)


class TemporalChannel:
    """Evidence that a stream has jumped against its own recent past, of no class at all.

    220 observed blocks give what it is compared with, and the knots of its ranks. ``calibration``
    scores after them say whether it lay still: no inflation V(m), m = 10 to 100, may be above 2,
    and the largest is its κ. Only then it bets. One that did not lie still is looked at again after
    as many; one that bets is looked at each time too, and stops for good when it surely wanders
    (two standard errors): a lower bar would stop one in ten for nothing. All of this reads past
    scores and nothing else.
    """

    def __init__(self, keys: Words, horizon: int, calibration: int) -> None:
        """Start ``n`` learning streams that watch both sides; ``horizon`` in blocks.

        Raises ``ValueError`` for a ``calibration`` below 400 scores: a shorter past tells nothing.
        """
        if calibration < OWN_ENOUGH:
            message = f"a past of {calibration} scores does not say if a stream lies still"
            raise ValueError(message)
        n = len(keys)
        self.keys = keys
        self.calibration = calibration
        self.phase: Ints = np.full(n, Phase.LEARNING, dtype=np.int64)
        self.kappa = np.full(n, np.nan)
        self.inflation = np.full((n, len(WINDOWS)), np.nan)  # at the last look
        self.observed = np.zeros(n, dtype=np.int64)
        self._recent = np.full((n, RECENT + APART), np.nan)
        self._apart = np.full((n, BASELINE), np.nan)  # the residuals that make the knots
        self._ranks = Ranks.start(n)
        self._past = OwnPast.start(n)
        self.mixture = OnsetMixture.start(
            side_weights(np.zeros(n, dtype=np.int64)), np.full(n, horizon, dtype=np.int64)
        )

    def step(self, block: int, x: Floats) -> None:
        """Take one block's values ``x`` (n,), NaN = none: nothing of that stream moves."""
        refuse_infinite("x", x)
        rows = np.flatnonzero(np.isfinite(x))
        w = np.full(len(x), np.nan)
        w[rows] = self._residual(rows, x[rows])
        self.observed[rows] += 1
        self._learn(rows[self.observed[rows] <= LEARNING], w)
        w[self.phase == Phase.LEARNING] = np.nan
        if np.isfinite(w).any():
            self._bet(block, w)
        self.phase[rows[self.observed[rows] == LEARNING]] = Phase.CALIBRATING

    def log_m(self) -> Floats:
        """Return ln M (n,): 0 where nothing was bet yet."""
        return self.mixture.log_m()

    def learned(self) -> Ints:
        """Return the blocks (n,) that a stream has seen of those after which it may bet."""
        return np.minimum(self.observed, self.needed)

    @property
    def needed(self) -> int:
        """Return the blocks after which a stream may bet at the earliest."""
        return LEARNING + self.calibration

    def restart(self, rows: Ints) -> None:
        """Begin a new epoch of ``rows`` (r,): M = 1, and what they have learned goes on."""
        self.mixture.restart(rows, self.mixture.horizon[rows])

    def forget(self, rows: Ints) -> None:
        """Let ``rows`` be as if just opened: M = 1, nothing learned."""
        n = len(rows)
        self.phase[rows], self.observed[rows] = Phase.LEARNING, 0
        self.kappa[rows], self.inflation[rows] = np.nan, np.nan
        self._recent[rows], self._apart[rows] = np.nan, np.nan
        put_rows(self._ranks, rows, Ranks.start(n))
        put_rows(self._past, rows, OwnPast.start(n))
        self.mixture.restart(rows, self.mixture.horizon[rows])

    def _residual(self, rows: Ints, x: Floats) -> Floats:
        """Return how far ``x`` is from the recent past, NaN before there is one; then keep it."""
        length = RECENT + APART
        at = self.observed[rows]
        order = (at[:, None] + np.arange(RECENT)) % length  # the oldest 100 of 120
        w: Floats = x - self._recent[rows[:, None], order].mean(axis=1)
        self._recent[rows, at % length] = x
        return w

    def _learn(self, rows: Ints, w: Floats) -> None:
        """Keep the residuals that make the knots, and make these of the last one."""
        at = self.observed[rows] - 1 - (LEARNING - BASELINE)
        mine = at >= 0
        self._apart[rows[mine], at[mine]] = w[rows[mine]]
        done = rows[self.observed[rows] == LEARNING]
        if len(done):
            self._ranks.set_knots(done, self._apart[done])

    def _bet(self, block: int, w: Floats) -> None:
        """Rank, bet where that is allowed, and look now and then at what has become of the past."""
        z = normal_scores(self._ranks.rank(w, uniforms(self.keys, block), np.isfinite(w)))
        betting = self.phase == Phase.BETTING
        kappa = np.where(betting, self.kappa, 1.0)
        over = np.flatnonzero(self.mixture.age >= self.mixture.horizon)
        self.mixture.restart(over, self.mixture.horizon[over])  # an epoch by the clock: M = 1
        self.mixture.step(normal_score_bets(np.where(betting, z, np.nan), kappa, SUDDEN), block)
        self._past.update(z)
        due = np.flatnonzero(~np.isnan(z) & (self._past.scores == self.calibration))
        if len(due):
            self._look(due)

    def _look(self, rows: Ints) -> None:
        """Judge the past of ``rows``: who lay still bets, who bets and surely wandered stops."""
        found = self._past.variance()[rows]
        self.inflation[rows] = found
        unsure = np.asarray([sqrt(4.0 / 3.0 * m / self.calibration) for m in WINDOWS])
        betting, ever = self.phase[rows] == Phase.BETTING, ~np.isnan(self.kappa[rows])
        wanders = (found * (1.0 - 2.0 * unsure) > MOST_KAPPA).any(axis=1)
        begins = ~ever & (found <= MOST_KAPPA).all(axis=1)
        self.kappa[rows[begins]] = np.maximum(found[begins].max(axis=1), 1.0)
        goes_on = (betting & ~wanders) | begins
        self.phase[rows] = np.where(goes_on, Phase.BETTING, Phase.ABSTAINING)
        put_rows(self._past, rows, OwnPast.start(len(rows)))
