"""The rank of a residual among the same stream's own past residuals, uniform by symmetry.

Apart, because the guarantee of every bet rests on it: fixed knots, randomised rank, then count.
Null: exchangeable residuals give iid uniform ranks.  Power: a shifted residual ranks at the end.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, Words, refuse_infinite
from .special import MAD_TO_SD

BASELINE: Final = 100  # residuals from which the knots are taken, not counted
_TAILS: Final = np.array([2.2, 2.5, 2.8, 3.1, 3.5, 4.0, 5.0, 7.0])  # robust standard deviations
_BODY: Final = 47  # knots at quantiles i / 48
_KNOTS: Final = _BODY + 2 * _TAILS.size  # 63
_BINS: Final = _KNOTS + 1
_GROUPS: Final = 16  # of four neighbouring bins
_MEAN_DEVIATION_TO_SD: Final = 1.2533
_FARTHEST: Final = float(np.finfo(np.float32).max)  # a knot is never infinite
_CHUNK: Final = 8192  # streams whose 63 comparisons stay in the cache
_LANE: Final = 21  # bits of a count within its group: three in one word
_MASK: Final = np.uint64(2**_LANE - 1)
MOST: Final = 2**_LANE - 1  # residuals that a stream counts: 121 days of blocks of 5 s
_LAST: Final = 3  # bin of a group
# By bin within a group: where the word holds the count below it, the count below the next, and
# what one more residual adds. Bit 63 is never set, so a shift by 63 is "none".
_LOWER: Final = np.array([63, 0, _LANE, 2 * _LANE], dtype=np.uint64)
_UPPER: Final = np.array([0, _LANE, 2 * _LANE, 63], dtype=np.uint64)
_ONE: Final = np.array([2**42 + 2**21 + 1, 2**42 + 2**21, 2**42, 0], dtype=np.uint64)
_GOLDEN: Final = 0x9E3779B97F4A7C15


@dataclass(slots=True)
class Ranks:
    """Per stream 63 fixed knots, and how many past residuals lie below each of them.

    Memory is what a block costs, so a residual is looked up in two steps, and changes one number
    a group and one word instead of all counts above it: every fourth knot is a fence between
    groups of four bins, and a leaf holds a group's own three knots beside its counts.
    Knots are float32: where a residual falls is a fixed score of it, so the ranks stay exact.
    A stream counts up to 2,097,151 residuals; from then on it ranks among those.
    Source: statistics.md B2.1 and G3 (smoothed online conformal ranks).
    """

    fences: npt.NDArray[np.float32]  # (n, 15) ascending; NaN before set_knots
    below: npt.NDArray[np.uint32]  # (n, 17): counted residuals below each group, last their number
    leaves: Words  # (n, 16, 3): two words of float32 knots, and one of the three counts below them

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` streams without knots: every rank is NaN until :meth:`set_knots`."""
        fences = np.full((_GROUPS - 1, n), np.nan, dtype=np.float32)  # one after another in memory
        below = np.zeros((_GROUPS + 1, n), dtype=np.uint32)
        return cls(fences.T, below.T, np.zeros((n, _GROUPS, 3), dtype=np.uint64))

    @classmethod
    def holding(cls, knots: npt.NDArray[np.float32], counts: Ints) -> Self:
        """Return streams with ``knots`` (n, 63) and ``counts`` (n, 64) as the properties tell.

        Raises ``ValueError`` for a stream that counts more than 2,097,151.
        """
        if counts.sum(axis=1).max(initial=0) > MOST:
            message = f"a stream counts at most {MOST} residuals"
            raise ValueError(message)
        made = cls.start(len(knots))
        made._fix(np.arange(len(knots)), knots)  # noqa: SLF001 - of this class
        parts = counts.reshape(-1, _GROUPS, 4)
        made.below[:, 1:] = np.cumsum(parts.sum(axis=2), axis=1)
        below = np.cumsum(parts[:, :, :3], axis=2).astype(np.uint64)
        made.leaves[:, :, 2] = (below << _LOWER[1:]).sum(axis=2, dtype=np.uint64)
        return made

    @property
    def knots(self) -> npt.NDArray[np.float32]:
        """Return the knots (n, 63), ascending."""
        knots = np.full((len(self.fences), _GROUPS, 4), np.nan, dtype=np.float32)
        knots[:, :, :3] = self.leaves.view(np.float32)[:, :, :3]
        knots[:, :-1, 3] = self.fences
        return knots.reshape(-1, _BINS)[:, :_KNOTS]

    @property
    def total(self) -> Ints:
        """Return how many residuals each stream has counted (n,)."""
        return self.below[:, -1].astype(np.int64)

    @property
    def counts(self) -> Ints:
        """Return how many counted residuals lie in each of the 64 bins (n, 64)."""
        within = self.leaves[:, :, 2:] >> _LOWER & _MASK
        starts = (self.below[:, :-1, None] + within).astype(np.int64).reshape(-1, _BINS)
        return np.diff(starts, axis=1, append=self.total[:, None])

    def set_knots(self, rows: Ints, baseline: Floats) -> None:
        """Fix the knots of ``rows`` from ``baseline`` (len(rows), 100) and forget their counts.

        NaN in the baseline is no value; a row of nothing else stays without knots.
        Raises ``ValueError`` for an infinity or another shape.
        """
        if baseline.shape != (len(rows), BASELINE):
            message = f"{len(rows)} rows need {BASELINE} residuals each, not {baseline.shape}"
            raise ValueError(message)
        refuse_infinite("a baseline residual", baseline)
        knots = np.clip(_knots(baseline), -_FARTHEST, _FARTHEST)
        self._fix(rows, knots.astype(np.float32))

    def _fix(self, rows: Ints, knots: npt.NDArray[np.float32]) -> None:
        leaves = np.zeros((len(rows), _GROUPS, 6), dtype=np.float32)
        leaves[:, :, :3] = np.pad(knots, ((0, 0), (0, 1))).reshape(-1, _GROUPS, 4)[:, :, :3]
        self.fences[rows] = knots[:, 3::4]
        self.leaves[rows] = leaves.view(np.uint64)
        self.below[rows] = 0

    def rank(self, w: Floats, uniform: Floats, learn: Bools) -> Floats:
        """Return the randomised rank u (n,) in (0, 1) of ``w`` among the past, then count ``w``.

        ``uniform`` (n,) in (0, 1) breaks ties.  u is NaN where w is NaN or knots are not set; rows
        with ``learn`` False are ranked but not counted.  Raises ``ValueError`` for an infinite w.
        """
        refuse_infinite("a residual", w)
        u = np.empty(w.shape)
        for start in range(0, w.size, _CHUNK):
            rows = slice(start, start + _CHUNK)
            u[rows] = self._rank_rows(rows, w[rows], uniform[rows], learn[rows])
        return u

    def _rank_rows(self, rows: slice, w: Floats, uniform: Floats, learn: Bools) -> Floats:
        fences, below = self.fences[rows].T, self.below[rows].T
        with np.errstate(over="ignore"):  # beyond float32 is outside all knots
            score = w.astype(np.float32)
        ranked = ~(np.isnan(score) | np.isnan(fences[0]))
        counted = learn & ranked & (below[-1] < MOST)
        above = np.greater(fences, score)
        fewer = np.add.reduce(above.view(np.uint8), axis=0, dtype=np.uint8)
        group = np.subtract(_GROUPS - 1, fewer.astype(np.intp))
        if not counted.all():
            above &= counted
        below[1:-1] += above.astype(np.uint32)
        below[-1] += counted
        start, among = self._count(rows, group, score, counted)
        u: Floats = among.astype(np.float64)
        u += 1.0
        u *= uniform
        u += start
        u /= below[-1] + (~counted).astype(np.float64)
        if not ranked.all():
            u[~ranked] = np.nan
        return u

    def _count(
        self,
        rows: slice,
        group: npt.NDArray[np.intp],
        score: npt.NDArray[np.float32],
        counted: Bools,
    ) -> tuple[Words, Words]:
        """Return how many lay below the bin of ``score`` (m,) and in it; count it in its leaf."""
        n, m = len(self.below), len(group)
        below, leaves = self.below.T.reshape(-1), self.leaves[rows]
        flat = leaves.reshape(-1)
        knots = flat.view(np.float32)
        at = group * n
        at += np.arange(rows.start, rows.start + m)
        start = below.take(at)  # not changed by this residual, which lies above it
        at += n
        members = below.take(at)
        members -= start
        members -= counted
        leaf = group
        leaf += np.arange(0, _GROUPS * m, _GROUPS)
        leaf *= 6
        part = (knots.take(leaf) <= score).view(np.uint8)
        for _ in range(2):
            leaf += 1
            part += knots.take(leaf) <= score
        leaf += 3
        leaf >>= 1
        words, part = flat.take(leaf), part.astype(np.intp)
        flat[leaf] = words + _ONE.take(part) * counted
        if not leaves.flags.c_contiguous:  # then ``flat`` is a copy
            leaves[...] = flat.reshape(leaves.shape)
        lower, upper = words >> _LOWER.take(part), words >> _UPPER.take(part)
        lower &= _MASK
        upper &= _MASK
        upper += members * (part == _LAST)
        upper -= lower
        lower += start
        return lower, upper


def _knots(baseline: Floats) -> Floats:
    """Return 47 quantiles and 8 + 8 tail points of each row, ascending; NaN for an empty row."""
    ordered = np.sort(baseline, axis=1)  # NaN goes last
    present = np.count_nonzero(~np.isnan(baseline), axis=1)
    levels = np.arange(1, _BODY + 1) / (_BODY + 1)
    median = _quantiles(ordered, present, np.array([0.5]))
    tails = _robust_sd(baseline, median, present)[:, None] * _TAILS
    body = _quantiles(ordered, present, levels)
    return np.sort(np.concatenate([body, median - tails, median + tails], axis=1), axis=1)


def _quantiles(ordered: Floats, present: npt.NDArray[np.intp], levels: Floats) -> Floats:
    """Return linear-interpolation quantiles (m, levels) of rows sorted with NaN last."""
    position = np.maximum(present - 1, 0)[:, None] * levels
    low = position.astype(np.intp)
    high = np.minimum(low + 1, np.maximum(present - 1, 0)[:, None])
    at_low = np.take_along_axis(ordered, low, axis=1)
    at_high = np.take_along_axis(ordered, high, axis=1)
    return at_low + (position - low) * (at_high - at_low)


def _robust_sd(baseline: Floats, median: Floats, present: npt.NDArray[np.intp]) -> Floats:
    """Return 1.4826 MAD; where more than half are equal the mean deviation; else one unit."""
    deviation = np.abs(baseline - median)
    mad = _quantiles(np.sort(deviation, axis=1), present, np.array([0.5]))[:, 0]
    mean = np.nansum(deviation, axis=1) / np.maximum(present, 1)
    fallback = np.where(mean > 0.0, _MEAN_DEVIATION_TO_SD * mean, 1.0)
    return np.where(mad > 0.0, MAD_TO_SD * mad, fallback)


def uniforms(keys: Words, block: int) -> Floats:
    """Return one number in the open interval (0, 1) per key (n,) for this block.

    Depends on key and block alone, on every platform, so that replay is exact.
    Source: SplitMix64 (Steele, Lea & Flood 2014), output number ``block`` of the stream ``key``.
    """
    u = np.empty(keys.shape)
    for start in range(0, keys.size, _CHUNK):
        bits = keys[start : start + _CHUNK] + np.uint64((block + 1) * _GOLDEN % 2**64)
        bits ^= bits >> np.uint64(30)
        bits *= np.uint64(0xBF58476D1CE4E5B9)
        bits ^= bits >> np.uint64(27)
        bits *= np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        # 52 bits and a half: with 53 the largest would round to 1.
        bits >>= np.uint64(12)
        u[start : start + _CHUNK] = bits
    u += 0.5
    u *= 2.0**-52
    return u


def stream_key(*parts: str) -> int:
    """Return a 64-bit key of a stream's name; ("a", "bc") and ("ab", "c") differ."""
    digest = blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest(), "little")
