"""The rank of a residual among the same stream's own past residuals, uniform by symmetry.

Apart, because the guarantee of every bet rests on it: fixed knots, randomised rank, then count.
Null: exchangeable residuals give iid uniform ranks.  Power: a shifted residual ranks at the end.

Frozen: engine/ranks.py as it first was, for bench/engine.py to measure against.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from first.special import MAD_TO_SD

from tessera.engine.arrays import Bools, Floats, Ints, Words, refuse_infinite

BASELINE: Final = 100  # residuals from which the knots are taken, not counted
_TAILS: Final = np.array([2.2, 2.5, 2.8, 3.1, 3.5, 4.0, 5.0, 7.0])  # robust standard deviations
_BODY: Final = 47  # knots at quantiles i / 48
_KNOTS: Final = _BODY + 2 * _TAILS.size  # 63
_BINS: Final = _KNOTS + 1
_MEAN_DEVIATION_TO_SD: Final = 1.2533
_CHUNK: Final = 8192  # streams whose 63 comparisons stay in the cache
_GOLDEN: Final = 0x9E3779B97F4A7C15


@dataclass(slots=True)
class Ranks:
    """Per stream 63 fixed knots and the number of past residuals below each of them.

    Counts are cumulative, so that one pass of comparisons both finds the bin and counts it.
    Both tables lie knot after knot in memory.  Knots are float32: where a residual falls is a
    fixed score of it, so the ranks stay exact, at half the memory traffic.
    Source: statistics.md B2.1 and G3 (smoothed online conformal ranks).
    """

    knots: npt.NDArray[np.float32]  # (n, 63) ascending; NaN before set_knots
    counts: npt.NDArray[np.uint32]  # (n, 64): how many counted residuals lie in bins below j
    total: Ints  # (n,) counted residuals

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` streams without knots: every rank is NaN until :meth:`set_knots`."""
        knots = np.full((_KNOTS, n), np.nan, dtype=np.float32)
        counts = np.zeros((_BINS, n), dtype=np.uint32)
        return cls(knots.T, counts.T, np.zeros(n, dtype=np.int64))

    def set_knots(self, rows: Ints, baseline: Floats) -> None:
        """Fix the knots of ``rows`` from ``baseline`` (len(rows), 100) and forget their counts.

        NaN in the baseline is no value; a row of nothing else stays without knots.
        Raises ``ValueError`` for an infinity or another shape.
        """
        if baseline.shape != (len(rows), BASELINE):
            message = f"{len(rows)} rows need {BASELINE} residuals each, not {baseline.shape}"
            raise ValueError(message)
        refuse_infinite("a baseline residual", baseline)
        self.knots[rows] = _knots(baseline)
        self.counts[rows] = 0
        self.total[rows] = 0

    def rank(self, w: Floats, uniform: Floats, learn: Bools) -> Floats:
        """Return the randomised rank u (n,) in (0, 1) of ``w`` among the past, then count ``w``.

        ``uniform`` (n,) in (0, 1) breaks ties.  u is NaN where w is NaN or knots are not set; rows
        with ``learn`` False are ranked but not counted.  Raises ``ValueError`` for an infinite w.
        """
        refuse_infinite("a residual", w)
        u = np.empty(w.shape)
        above = np.empty((_KNOTS, min(w.size, _CHUNK)), dtype=np.bool_)
        for start in range(0, w.size, _CHUNK):
            rows = slice(start, start + _CHUNK)
            u[rows] = self._rank_rows(rows, w[rows], uniform[rows], learn[rows], above)
        return u

    def _rank_rows(
        self, rows: slice, w: Floats, uniform: Floats, learn: Bools, scratch: Bools
    ) -> Floats:
        knots, counts, total = self.knots[rows].T, self.counts[rows].T, self.total[rows]
        ranked = ~np.isnan(w) & ~np.isnan(knots[0])
        counted = learn & ranked
        above = np.greater(knots, w.astype(np.float32), out=scratch[:, : w.size])
        place = _KNOTS - np.add.reduce(above.view(np.uint8), axis=0, dtype=np.uint8).astype(np.intp)
        if not counted.all():
            above &= counted
        counts[1:] += above  # first, because it brings the rows of both look-ups into the cache
        total += counted
        stream = np.arange(w.size)
        below = counts[place, stream].astype(np.float64)  # unchanged: above is False up to place
        upper = np.where(place < _KNOTS, counts[np.minimum(place + 1, _KNOTS), stream], total)
        among = upper - counted - below
        u: Floats = (below + uniform * (among + 1.0)) / (total - counted + 1.0)
        if not ranked.all():
            u[~ranked] = np.nan
        return u


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
    bits = keys + np.uint64((block + 1) * _GOLDEN % 2**64)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    # 52 bits and a half: with 53 the largest would round to 1.
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def stream_key(*parts: str) -> int:
    """Return a 64-bit key of a stream's name; ("a", "bc") and ("ab", "c") differ."""
    digest = blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest(), "little")
