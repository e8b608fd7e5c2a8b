"""Evidence against "nothing ever changed" when nobody knows when it did: an onset mixture.

Apart, because every channel runs its bets through this one machine and no other.
Null: fair bets keep the mean at 1 at any stopping time.  Power: no healthy past delays a fault.

Frozen: engine/onset.py as it first was, for bench/engine.py to measure against.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from tessera.engine.arrays import Bools, Floats, Ints

NEVER: Final = -1  # onset of a stream that has not bet
_EMPTY: Final = -1e30  # ln of "nothing left": finite in float32 too, and below any real bet
_CHUNK: Final = 8192  # streams whose accumulators stay in the cache
_ONE_IS_NOTHING: Final = 37.0  # ln R from which 1 + R rounds to R
_UNDERFLOW: Final = 1e-290  # shifted sums below lose digits: taken again term by term
_TOLERANCE: Final = 1e-9


@dataclass(slots=True)
class OnsetMixture:
    """Normalised Shiryaev-Roberts processes, J accumulators a stream, in the log domain.

    R_j <- (1 + R_j) exp(l_j) adds one possible onset a block; M = (sum_j w_j R_j + blocks left
    without an onset) / H is an e-process over a horizon of H blocks that were really bet.
    Source: statistics.md B2.3; e-detectors, arXiv 2203.03532.
    """

    log_r: Floats  # (n, J) ln R, -inf before the first bet
    weights: Floats  # (n, J) fixed for the epoch, rows summing to at most 1
    age: Ints  # (n,) blocks really bet
    horizon: Ints  # (n,) H, in blocks
    page: Floats  # (n, J) Page's cumulative sum, which dates the onset
    since: Ints  # (n, J) block in which that sum last left zero

    @classmethod
    def start(cls, weights: Floats, horizon: Ints) -> Self:
        """Return mixtures with M = 1: ``weights`` (n, J) >= 0, ``horizon`` (n,) >= 1 block.

        Raises ``ValueError`` for a negative weight, a row above 1 or a horizon below 1.
        """
        if not ((weights >= 0.0).all() and (weights.sum(axis=1) <= 1.0 + _TOLERANCE).all()):
            message = "onset weights are not negative and sum to at most 1"
            raise ValueError(message)
        _refuse_short(horizon)
        n, count = weights.shape
        return cls(
            log_r=np.full((count, n), -np.inf).T,
            weights=np.array(weights.T, order="C").T,  # accumulator after accumulator in memory
            age=np.zeros(n, dtype=np.int64),
            horizon=horizon.astype(np.int64),
            page=np.zeros((count, n)).T,
            since=np.full((count, n), NEVER, dtype=np.int64).T,
        )

    def step(self, log_bets: Floats, block: int) -> None:
        """Take the log bets (n, J) of ``block``; a row with a NaN is skipped as if never played.

        Blocks are numbered from 0 and come in order.
        Raises ``ValueError`` for +inf, a block below 0 or another shape, and changes nothing then.
        """
        if log_bets.shape != self.log_r.shape:
            message = f"log bets are {log_bets.shape}, the mixture is {self.log_r.shape}"
            raise ValueError(message)
        if block < 0:
            message = f"block {block}: blocks are numbered from 0"
            raise ValueError(message)
        if (log_bets == np.inf).any():
            message = "a log bet is +inf: no bet may be sure"
            raise ValueError(message)
        for start in range(0, len(self.age), _CHUNK):
            self._step_rows(slice(start, start + _CHUNK), log_bets, block)

    def _step_rows(self, rows: slice, log_bets: Floats, block: int) -> None:
        bets, log_r = log_bets[rows].T, self.log_r[rows].T
        page, age = self.page[rows].T, self.age[rows]
        bet = ~np.isnan(bets.sum(axis=0))
        where: Bools | bool = True if bet.all() else bet  # a mask that masks nothing costs twice
        new_onsets = age < self.horizon[rows]
        grown = _log_one_plus(log_r)
        if not new_onsets.all():
            np.copyto(grown, log_r, where=~new_onsets)
        _date(self.since[rows].T, block, (page <= 0.0) & bet)
        np.add(grown, bets, out=log_r, where=where)
        np.add(np.maximum(page, 0.0), bets, out=page, where=where)
        age += bet

    def log_m(self) -> Floats:
        """Return ln M (n,), always finite: 0 at age 0, -1e30 where no mass is left."""
        left = np.maximum(self.horizon - self.age, 0).astype(np.float64)
        log_sum = np.empty(left.shape)
        for start in range(0, left.size, _CHUNK):
            rows = slice(start, start + _CHUNK)
            log_sum[rows] = _log_sum(self.log_r[rows].T, self.weights[rows].T, left[rows])
        log_m: Floats = log_sum - np.log(self.horizon)
        return log_m

    def onset(self) -> Ints:
        """Return the block (n,) in which the heaviest accumulator last began to grow, or -1."""
        with np.errstate(divide="ignore"):  # ln 0 = -inf is meant
            heavy = self.log_r + np.log(self.weights)
        leader = heavy.argmax(axis=1)[:, None]
        return np.take_along_axis(self.since, leader, axis=1)[:, 0]

    def restart(self, rows: Ints, horizon: Ints) -> None:
        """Begin a new epoch in ``rows``: M = 1, the given horizon, the weights as they are."""
        _refuse_short(horizon)
        self.log_r[rows] = -np.inf
        self.page[rows] = 0.0
        self.since[rows] = NEVER
        self.age[rows] = 0
        self.horizon[rows] = horizon


def _log_sum(log_r: Floats, weights: Floats, left: Floats) -> Floats:
    """Return ln(sum_j w_j R_j + left) of accumulators (J, m), exact also far below underflow."""
    top = np.maximum(log_r.max(axis=0), 0.0)
    relative = log_r - top
    np.exp(relative, out=relative)
    mass = np.einsum("jm,jm->m", weights, relative) + left * np.exp(-top)
    deep = np.flatnonzero(mass < _UNDERFLOW)
    mass[deep] = 1.0
    log_sum: Floats = np.log(mass) + top
    if deep.size:
        log_sum[deep] = _log_sum_deep(log_r[:, deep], weights[:, deep], left[deep])
    return log_sum


def _log_sum_deep(log_r: Floats, weights: Floats, left: Floats) -> Floats:
    with np.errstate(divide="ignore"):  # ln 0 = -inf is meant
        terms = np.concatenate([log_r + np.log(weights), np.log(left)[None, :]])
    top = np.maximum(terms.max(axis=0), _EMPTY)
    mass = np.exp(terms - top).sum(axis=0)
    return np.where(mass > 0.0, top + np.log(np.maximum(mass, 1.0)), _EMPTY)


def _log_one_plus(log_r: Floats) -> Floats:
    """Return ln(1 + R) without a branch: exp and log are vectorised, logaddexp is not."""
    grown = np.minimum(log_r, _ONE_IS_NOTHING)
    np.exp(grown, out=grown)
    grown += 1.0
    np.log(grown, out=grown)
    return np.maximum(grown, log_r, out=grown)


def _date(since: Ints, block: int, begins: Bools) -> None:
    """Set ``since`` to ``block``, the latest yet, where a sum ``begins``: a maximum, no branch."""
    dated = begins.astype(np.int64)
    dated *= block - NEVER
    dated += NEVER
    np.maximum(since, dated, out=since)


def _refuse_short(horizon: Ints) -> None:
    if (horizon < 1).any():
        message = "a horizon is at least one block"
        raise ValueError(message)
