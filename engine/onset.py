"""Evidence against "nothing ever changed" when nobody knows when it did: an onset mixture.

Apart, because every channel runs its bets through this one machine and no other.
Null: fair bets keep the mean at 1 at any stopping time.  Power: no healthy past delays a fault.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints

NEVER: Final = -1  # onset of a stream that has not bet
_EMPTY: Final = -1e30  # ln of "nothing left": finite in float32 too, and below any real bet
_CHUNK: Final = 8192
_LATEST: Final = 2**32 - 1  # blocks of a second until the year 2106
_TAME: Final = 100.0  # nats: a bet up to this cannot carry a plain R out of float64
_SMALLEST, _LARGEST = 1e-250, 1e250  # R that are kept as plain numbers
_NEAR: Final = 500.0  # |ln R| from which a logarithm becomes a plain number again
_ONE_IS_NOTHING: Final = 37.0  # ln R from which 1 + R rounds to R
_UNDERFLOW: Final = 1e-290  # sums below lose digits: taken again term by term
_TOLERANCE: Final = 1e-9


@dataclass(slots=True)
class OnsetMixture:
    """Normalised Shiryaev-Roberts processes, J accumulators a stream; evidence in logarithms.

    R_j <- (1 + R_j) exp(l_j) adds one possible onset a block; M = (sum_j w_j R_j + blocks left
    without an onset) / H is an e-process over a horizon of H blocks that were really bet.
    A row holds R itself while all of it lies within 1e±250, at one exponential a bet; a ``far``
    row holds ln R until it is back. Nobody outside sees which.
    Source: statistics.md B2.3; e-detectors, arXiv 2203.03532.
    """

    r: Floats  # (n, J) R, 0 before the first bet; ln R in a far row
    far: Bools  # (n,)
    weights: Floats  # (n, J) fixed for the epoch, rows summing to at most 1
    age: Ints  # (n,) blocks really bet
    horizon: Ints  # (n,) H, in blocks
    page: Floats  # (n, J) Page's cumulative sum, at least 0, which dates the onset
    since: npt.NDArray[np.uint32]  # (n, J) 1 + the block in which that sum last left zero, or 0
    evidence: Floats  # (n,) ln M

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
            r=np.zeros((count, n)).T,
            far=np.zeros(n, dtype=np.bool_),
            weights=np.array(weights.T, order="C").T,  # accumulator after accumulator in memory
            age=np.zeros(n, dtype=np.int64),
            horizon=horizon.astype(np.int64),
            page=np.zeros((count, n)).T,
            since=np.zeros((count, n), dtype=np.uint32).T,
            evidence=np.zeros(n),
        )

    @property
    def log_r(self) -> Floats:
        """Return ln R (n, J), -inf before the first bet."""
        return self._log_r(np.arange(len(self.age)))

    def step(self, log_bets: Floats, block: int, rows: slice = slice(None)) -> None:
        """Take the log bets (n, J) of ``block``; a row with a NaN is skipped as if never played.

        Blocks are numbered from 0 and come in order. ``rows`` are the streams whose bets these
        are, neighbours and by default all: bets made part by part never leave the cache.
        Raises ``ValueError`` for +inf, a block outside [0, 2^32 - 1) or another shape, and changes
        nothing then.
        """
        first, last, _ = rows.indices(len(self.age))
        if log_bets.shape != (last - first, self.r.shape[1]):
            message = f"log bets are {log_bets.shape}, the mixture is {self.r[rows].shape}"
            raise ValueError(message)
        if not 0 <= block < _LATEST:
            message = f"block {block}: blocks are numbered from 0 and end at {_LATEST}"
            raise ValueError(message)
        if not log_bets.max(initial=0.0) <= _TAME and (log_bets == np.inf).any():
            message = "a log bet is +inf: no bet may be sure"
            raise ValueError(message)
        for start in range(first, last, _CHUNK):
            part = slice(start, min(start + _CHUNK, last))
            self._step_rows(part, log_bets[start - first : part.stop - first].T, block)

    def log_m(self) -> Floats:
        """Return ln M (n,), always finite: 0 at age 0, -1e30 where no mass is left."""
        return self.evidence.copy()

    def onset(self) -> Ints:
        """Return the block (n,) in which the heaviest accumulator last began to grow, or -1."""
        leader = (self.log_r + _log(self.weights)).argmax(axis=1)[:, None]
        last = np.take_along_axis(self.since, leader, axis=1)[:, 0].astype(np.int64)
        return last + NEVER

    def restart(self, rows: Ints, horizon: Ints) -> None:
        """Begin a new epoch in ``rows``: M = 1, the given horizon, the weights as they are."""
        _refuse_short(horizon)
        self.r[rows] = 0.0
        self.far[rows] = False
        self.page[rows] = 0.0
        self.since[rows] = 0
        self.age[rows] = 0
        self.horizon[rows] = horizon
        self.evidence[rows] = 0.0

    def _step_rows(self, rows: slice, bets: Floats, block: int) -> None:
        """Take the bets (J, m) of neighbouring ``rows``: far rows and wild bets in logarithms."""
        opens: Bools = self.age[rows] < self.horizon[rows]
        if bets.min() >= -_TAME and bets.max() <= _TAME and not self.far[rows].any():
            self._date(rows, bets, block, bet=None)
            self._grow(rows, bets, opens)
            self.age[rows] += 1
        else:
            bet: Bools = ~np.any(np.isnan(bets), axis=0)
            bets, opens = np.where(bet, bets, 0.0), opens & bet
            self._date(rows, bets, block, bet)
            odd = np.flatnonzero(bet & (self.far[rows] | (np.abs(bets) > _TAME).any(axis=0)))
            grown = _grown(self._log_r(rows.start + odd).T, bets[:, odd], opens[odd])
            self._grow(rows, np.clip(bets, -_TAME, _TAME), opens)
            self._put_logs(rows.start + odd, grown)
            self.age[rows] += bet
        self._send_far(rows, all_open=bool(opens.all()))
        self._weigh(rows)

    def _date(self, rows: slice, bets: Floats, block: int, bet: Bools | None) -> None:
        """Note ``block``, the latest yet, where a sum is about to leave zero: no branch."""
        page, since = self.page[rows].T, self.since[rows].T
        begins = page == 0.0
        if bet is not None:
            begins &= bet
        dated = begins.astype(np.uint32)
        dated *= np.uint32(block + 1)
        np.maximum(since, dated, out=since)
        page += bets
        np.maximum(page, 0.0, out=page)

    def _grow(self, rows: slice, bets: Floats, opens: Bools) -> None:
        r = self.r[rows].T
        r += 1.0 if opens.all() else opens.astype(np.float64)
        r *= np.exp(bets)

    def _send_far(self, rows: slice, *, all_open: bool) -> None:
        """Take the logarithm of rows that are no longer within the bounds of plain numbers.

        Where every row has just been given another onset, a bet away from 1, none is too small.
        """
        r, has_bet = self.r[rows].T, self.age[rows] > 0
        if r.max() <= _LARGEST and (all_open or r.min() >= _SMALLEST):
            return
        outside = ((r > _LARGEST) | (r < _SMALLEST)).any(axis=0)
        gone = np.flatnonzero(outside & has_bet & ~self.far[rows])
        self._put_logs(rows.start + gone, _log(r[:, gone]))

    def _log_r(self, rows: Ints) -> Floats:
        r, far = self.r[rows], self.far[rows, None]
        return np.where(far, r, _log(np.where(far, 1.0, r)))

    def _put_logs(self, rows: Ints, log_r: Floats) -> None:
        """Keep ln R (J, k) of ``rows``, as plain numbers where all of a row allow it."""
        near = (np.abs(log_r) <= _NEAR).all(axis=0)
        self.r[rows] = np.where(near, np.exp(np.where(near, log_r, 0.0)), log_r).T
        self.far[rows] = ~near

    def _weigh(self, rows: slice) -> None:
        """Form ln M = ln(sum_j w_j R_j + left) - ln H of ``rows``."""
        left = np.maximum(self.horizon[rows] - self.age[rows], 0).astype(np.float64)
        mass, part = left.copy(), np.empty(left.shape)
        with np.errstate(invalid="ignore"):  # 0 times the -inf of a far row, weighed again below
            for r, weight in zip(self.r[rows].T, self.weights[rows].T, strict=True):
                mass += np.multiply(r, weight, out=part)
        mass /= self.horizon[rows]
        if mass.min() >= _UNDERFLOW and not self.far[rows].any():
            np.log(mass, out=self.evidence[rows])
        else:
            deep = np.flatnonzero(self.far[rows] | ~(mass >= _UNDERFLOW))
            mass[deep] = 1.0
            np.log(mass, out=self.evidence[rows])
            at = rows.start + deep
            log_sum = _log_sum(self._log_r(at).T, self.weights[at].T, left[deep])
            self.evidence[at] = log_sum - np.log(self.horizon[at])


def _log_sum(log_r: Floats, weights: Floats, left: Floats) -> Floats:
    """Return ln(sum_j w_j R_j + left) of accumulators (J, k), term by term."""
    terms = np.concatenate([log_r + _log(weights), _log(left)[None, :]])
    top = np.maximum(terms.max(axis=0), _EMPTY)
    mass = np.exp(terms - top).sum(axis=0)
    return np.where(mass > 0.0, top + np.log(np.maximum(mass, 1.0)), _EMPTY)


def _grown(log_r: Floats, bets: Floats, opens: Bools) -> Floats:
    """Return ln((1 + R) exp(l)), or ln(R exp(l)) where no onset ``opens``, of (J, k)."""
    one_more = np.log(np.exp(np.minimum(log_r, _ONE_IS_NOTHING)) + 1.0)
    return np.where(opens, np.maximum(one_more, log_r), log_r) + bets


def _log(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):  # ln 0 = -inf is meant
        return np.log(values)


def _refuse_short(horizon: Ints) -> None:
    if (horizon < 1).any():
        message = "a horizon is at least one block"
        raise ValueError(message)
