"""The joint channel: how far a row's residuals lie together from where they used to.

Apart from the change channel, whose residuals it takes: two metrics may each stay within their
own past and yet not go together any more, and only their distance in all columns at once shows it.
Null: residuals that go on as they were stay quiet.  Power: two that part, each by little, do not.
"""

from typing import Final

import numpy as np

from .arrays import Floats, Ints, Words, keep_rows, put_rows, refuse_infinite, take_rows
from .baseline import Settled
from .bets import normal_score_bets, normal_scores, side_weights
from .calibration import WindowSums
from .change import LEARNING_BLOCKS
from .memory import Memory
from .onset import OnsetMixture
from .ranks import BASELINE, Ranks, uniforms
from .scatter import fit

FEWEST_COLUMNS: Final = 2  # one alone is the change channel's
FITTED_ON: Final = LEARNING_BLOCKS - BASELINE  # vectors; as many distances follow for the knots
MEMBER, STRANGER = 0.9, 0.1  # share of those vectors from which on, to which, a column is in, out
PATIENCE: Final = 2 * FITTED_ON  # vectors after which a column in between is out
ENOUGH: Final = FITTED_ON // 2  # of them that must be complete
LARGEST: Final = 1e30  # a distance that float32 still holds


class JointChannel:
    """Evidence that a row's residuals have parted (statistics.md B2.4 a), for rows of one rung.

    A row learns from 100 vectors: which columns are its members, and their robust centre and
    scatter. The distances of the next 100 are its knots; later ones are ranked among its own past
    ones, and bet on when they are large. What the fit has seen is never ranked or counted.
    """

    def __init__(self, keys: Words, columns: int, horizon: int) -> None:
        """Start ``n`` learning rows of so many ``columns`` p, ``horizon`` in blocks."""
        n = len(keys)
        self.keys = keys
        self.kappa = np.full(n, np.nan)
        self.fitted = np.zeros(n, dtype=np.bool_)
        self.settled = np.zeros(n, dtype=np.bool_)
        self.members = np.zeros((n, columns), dtype=np.bool_)
        self.learning = True
        self._seen = np.zeros(n, dtype=np.int64)  # vectors before the fit
        self._vectors = np.full((n, FITTED_ON, columns), np.nan)
        self._told = np.zeros(n, dtype=np.int64)  # distances before the first rank
        self._distances = np.full((n, BASELINE), np.nan)
        self._centre = np.zeros((n, columns))
        self._white = np.zeros((n, columns, columns))
        self._ranks = Ranks.start(n)
        self._windows = WindowSums.start(n)
        self._memory = Memory.start(n)
        self.held = np.zeros(n, dtype=np.bool_)
        self._late = np.zeros(n, dtype=np.bool_)  # learned at least in part while it was held
        self._aside = Ranks.start(n)  # what held rows had counted when their verdict opened
        upward = side_weights(np.ones(n, dtype=np.int64))
        self.mixture = OnsetMixture.start(upward, np.full(n, horizon, dtype=np.int64))

    def step(self, block: int, w: Floats) -> dict[int, Floats]:
        """Take one block's residuals ``w`` (n, p), NaN = none; return windows completed.

        A vector that lacks a member is neither learned from nor bet on. Raises ``ValueError``
        for an infinite residual.
        """
        refuse_infinite("a residual", w)
        distance = self.distance(w)  # by what was fitted before this block
        if self.learning:
            self._remember(w)
            self._collect(distance)
        return self._bet(block, distance)

    def distance(self, w: Floats) -> Floats:
        """Return how far (n,) each row of ``w`` (n, p) lies out in its members, NaN = unknown."""
        complete = self.fitted & (np.isfinite(w) | ~self.members).all(axis=1)
        apart = np.where(self.members & complete[:, None], w - self._centre, 0.0)
        white = np.einsum("nij,nj->ni", self._white, apart)
        length = np.sqrt(np.square(np.clip(white, -LARGEST, LARGEST)).sum(axis=1))
        return np.where(complete, np.minimum(length, LARGEST), np.nan)

    def may_settle(self) -> Ints:
        """Return the rows that have their knots' distances and wait to be settled."""
        return np.flatnonzero(~self.settled & (self._told >= BASELINE))

    def settle(self, rows: Ints) -> Settled:
        """End the learning of ``rows``: fix the knots, and tell the distances' scores."""
        self._ranks.set_knots(rows, self._distances[rows])
        scores = scores_in_order(self._distances[rows], self.keys[rows])
        self.settled[rows] = True
        self.learning = not self.settled.all()
        if not self.learning:
            self._vectors, self._distances = self._vectors[:0], self._distances[:0]
        return Settled(rows, scores)

    def obey(self, kappa: Floats) -> None:
        """Take the plan's κ (n,), NaN = not known yet."""
        self.kappa = np.where(np.isfinite(kappa), kappa, self.kappa)

    def restart(self, rows: Ints, horizon: int) -> None:
        """Begin a new epoch by the clock: M = 1, everything learned is kept (G5)."""
        self.mixture.restart(rows, np.full(len(rows), horizon, dtype=np.int64))

    def forget(self, rows: Ints) -> None:
        """Let ``rows`` be as if just opened: what their members are is learned again, M = 1."""
        n, count = len(self.keys), len(rows)
        if count == 0:
            return
        if not self.learning:
            self._vectors = np.full((n, FITTED_ON, self.members.shape[1]), np.nan)
            self._distances = np.full((n, BASELINE), np.nan)
        self.learning = True
        self.kappa[rows] = np.nan
        self.fitted[rows] = self.settled[rows] = self.members[rows] = False
        self._seen[rows] = self._told[rows] = 0
        self._vectors[rows], self._distances[rows] = np.nan, np.nan
        put_rows(self._ranks, rows, Ranks.start(count))
        put_rows(self._aside, rows, Ranks.start(count))
        self._late[rows] = self.held[rows]
        put_rows(self._windows, rows, WindowSums.start(count))
        put_rows(self._memory, rows, Memory.start(count))
        self.mixture.restart(rows, self.mixture.horizon[rows])

    def hold(self, rows: Ints) -> None:
        """Set aside what ``rows`` have counted until now; they go on betting and counting."""
        put_rows(self._aside, rows, take_rows(self._ranks, rows))
        self.held[rows] = True
        self._late[rows] = ~self.settled[rows]

    def release(self, rows: Ints, horizon: int) -> None:
        """Let ``rows`` go on from what was set aside for them, with M = 1 (G5).

        One that was still learning when it was held has learned from an ill row: it learns anew.
        """
        put_rows(self._ranks, rows, take_rows(self._aside, rows))
        self.held[rows] = False
        self.restart(rows, horizon)
        self.forget(rows[self._late[rows]])

    def waits_for_kappa(self, rows: Ints) -> bool:
        """Say whether one of ``rows`` has settled and is still without its κ."""
        return bool((self.settled[rows] & np.isnan(self.kappa[rows])).any())

    def log_m(self) -> Floats:
        """Return ln M (n,): 0 where nothing was bet yet."""
        return self.mixture.log_m()

    def learned(self) -> Ints:
        """Return vectors and distances learned (n,), 200 when a row has settled and may bet."""
        so_far = np.minimum(self._seen, FITTED_ON) + self._told
        return np.where(self.settled, LEARNING_BLOCKS, so_far)

    def long_run_variance(self) -> tuple[Floats, Ints]:
        """Return V_i(25) (n,), NaN before one window, and the scores behind it (n,) (G2)."""
        return self._memory.variance(), self._memory.scores.copy()

    def keep(self, rows: Ints) -> None:
        """Let go of all rows but ``rows``, which go on as they are, in their order."""
        keep_rows(self, rows, len(self.keys))

    def _remember(self, w: Floats) -> None:
        some = np.isfinite(w).sum(axis=1) >= FEWEST_COLUMNS
        rows = np.flatnonzero(some & ~self.fitted)
        self._vectors[rows, self._seen[rows] % FITTED_ON] = w[rows]
        self._seen[rows] += 1
        for row in rows[self._seen[rows] >= FITTED_ON]:
            self._fit(int(row))

    def _fit(self, row: int) -> None:
        """Choose the members of ``row`` and fit their scatter, unless a column is just coming."""
        there = np.isfinite(self._vectors[row])
        share = there.mean(axis=0)
        members = share >= MEMBER
        coming = ((share > STRANGER) & ~members).any() and self._seen[row] < PATIENCE
        complete = there[:, members].all(axis=1)
        if coming or members.sum() < FEWEST_COLUMNS or complete.sum() < ENOUGH:
            return
        found = fit(self._vectors[row][complete][:, members])
        self._centre[row, members] = found.centre
        at = np.flatnonzero(members)
        self._white[row] = 0.0
        self._white[row][np.ix_(at, at)] = np.linalg.inv(np.linalg.cholesky(found.covariance))
        self.members[row], self.fitted[row] = members, True

    def _collect(self, distance: Floats) -> None:
        """Keep the first 100 distances after the fit, from which the knots will come."""
        rows = np.flatnonzero(np.isfinite(distance) & (self._told < BASELINE))
        self._distances[rows, self._told[rows]] = distance[rows]
        self._told[rows] += 1

    def _bet(self, block: int, distance: Floats) -> dict[int, Floats]:
        if not self.settled.any():
            return {}
        known = np.isfinite(self.kappa)
        far = np.where(self.settled & known, distance, np.nan)
        u = self._ranks.rank(far, uniforms(self.keys, block), np.ones(len(far), dtype=np.bool_))
        z = normal_scores(u)
        self.mixture.step(normal_score_bets(z, np.where(known, self.kappa, 1.0)), block)
        healthy = np.where(self.held, np.nan, z)  # what is ill says nothing of the null
        self._memory.update(healthy)
        return self._windows.update(healthy)


def scores_in_order(values: Floats, keys: Words) -> Floats:
    """Return normal scores (r, b) of each of ``values`` (r, b) among those before it in its row.

    Independent standard normal if a row is exchangeable, whatever its law; ties and the first
    values are decided by each row's key of ``keys`` (r,). A mean that moves shows in their sums.
    """
    u = np.empty(values.shape)
    for b in range(values.shape[1]):
        before, now = values[:, :b], values[:, b, None]
        below, among = (before < now).sum(axis=1), (before == now).sum(axis=1)
        u[:, b] = (below + uniforms(keys, b) * (among + 1.0)) / (b + 1.0)
    return normal_scores(u)
