"""The rules of the level channel: signs against a margin, their bets, and who may bet.

Apart from the change channel's bets, because its null is another one: the contrast exceeds the
margin at most half the time given the past signs (statistics.md G1).
Null: an offset just inside the margin never crosses 100, and the gate refuses memory at the
scale of the margin.  Power: 8 % against a margin of 5 % crosses 100 within 40 blocks, and a
quarter of a group that falls ill before a look at its memory does not close its channel.
"""

from dataclasses import dataclass
from math import isnan, sqrt

import numpy as np

from .arrays import Bools, Floats, Ints, refuse_infinite
from .evalue import Validity
from .peers import FEWEST
from .special import MAD_TO_SD

LEVEL_LAMBDAS = (0.1, 0.25, 0.5, 0.9)

SPREADS_IN_A_MARGIN = 4.0  # the margin covers four times the group's own healthy spread
MOST_MARGINS = 4.0  # wider than this is a group of unequals, and it abstains
RUN = 4  # plusses in a row behind which the next sign is judged

FULL_MEMBERS = 8
ENOUGH_RUNS = 200
FAIR, MOST_MEMORY = 0.5, 0.7  # p4 that the null allows, and that a cut grid may still bear
MOST_GROWTH = 0.9  # of (1 + lambda) p4
Z_95 = 1.6448536269514722  # one-sided
MEDIAN_TO_MEAN = 1.2533141373155003  # sqrt(pi/2): their standard errors, of a Gaussian
OUTLYING = 3.0  # robust sd above the median, from where plusses are a fault's and not the group's
QUIET, MOST_LAG_ONE = 1.0 / 3.0, 0.3
FEWEST_VALUES = 3
FAR_TOO_NOISY = 1e6  # noise ratio of a contrast that stands at or beyond the margin


def signs(r: Floats, margin: Floats) -> Floats:
    """Return +1 where ``r`` (n,) > ``margin`` (n,), −1 otherwise, equality included.

    ``r`` is the contrast, positive on the bad side. NaN in either is no bet; infinity refused.
    """
    refuse_infinite("r", r)
    refuse_infinite("margin", margin)
    return np.where(np.isnan(r) | np.isnan(margin), np.nan, np.where(r > margin, 1.0, -1.0))


def level_bets(sign: Floats) -> Floats:
    """Return the log bets ln(1 + λ s) (n, 4) of the signs (n,); a NaN sign is a row of NaN."""
    bets: Floats = np.log1p(sign[:, None] * np.asarray(LEVEL_LAMBDAS))
    return bets


def level_weights(largest_lambda: Floats) -> Floats:
    """Return equal weights (n, 4) over the λ <= ``largest_lambda`` (n,); zeros where none is."""
    allowed = np.asarray(LEVEL_LAMBDAS) <= largest_lambda[:, None]
    count: Ints = allowed.sum(axis=1, keepdims=True)
    return np.divide(allowed, np.maximum(count, 1))


def healthy_spread(contrasts: Floats) -> float:
    """Return 1.4826 MAD of the members' long-run contrasts (k,), NaN ignored; NaN if all are.

    From the past, fixed at epoch start; below five members pool several groups of the same job.
    """
    refuse_infinite("contrasts", contrasts)
    known = contrasts[~np.isnan(contrasts)]
    if len(known) == 0:
        return float("nan")
    return float(MAD_TO_SD * np.median(np.abs(known - np.median(known))))


def effective_margin(margin: float, spread: float) -> float | None:
    """Return max(margin, 4 spread); None beyond four margins, where the group must abstain.

    ``margin`` > 0; ``spread`` >= 0, or NaN while it is not known yet: then the margin itself.
    """
    if not margin > 0.0:
        message = f"a margin must be above 0, not {margin}"
        raise ValueError(message)
    if isnan(spread):
        return margin
    wide = max(margin, SPREADS_IN_A_MARGIN * spread)
    return wide if wide <= MOST_MARGINS * margin else None


@dataclass(slots=True)
class PlusRuns:
    """Counts for p_k = P(+ | k plusses before it), k = 0 … 4, from signs only.

    ``streak`` (n,) plusses in a row up to now; ``runs`` (n, 5) blocks whose k predecessors were
    all +, ``plusses`` (n, 5) of those that were + themselves.
    """

    streak: Ints
    runs: Ints
    plusses: Ints

    @classmethod
    def start(cls, n: int) -> "PlusRuns":
        """Return ``n`` streams without a past."""
        counts = np.zeros((2, n, RUN + 1), dtype=np.int64)
        return cls(np.zeros(n, dtype=np.int64), counts[0], counts[1])

    def update(self, sign: Floats) -> None:
        """Take one block's signs (n,); a missing one breaks the run."""
        plus = sign > 0
        judged = np.greater_equal.outer(self.streak, np.arange(RUN + 1)) & ~np.isnan(sign)[:, None]
        self.runs += judged
        self.plusses += judged & plus[:, None]
        self.streak = np.where(plus, self.streak + 1, 0)

    def restart(self, rows: Ints) -> None:
        """Forget the past of ``rows``: it was judged against another margin."""
        self.streak[rows], self.runs[rows], self.plusses[rows] = 0, 0, 0

    def ended(self) -> tuple[Ints, Ints]:
        """Return (runs, plusses), each (n, 5), without the streak that is still under way.

        It may be a fault that has just begun, and says nothing yet of how streaks end; a stream
        without memory loses one streak by it, wherever it is looked at.
        """
        under_way = np.maximum(self.streak[:, None] - np.arange(RUN + 1), 0)
        return self.runs - under_way, self.plusses - under_way


def in_company(plusses: Ints) -> Bools:
    """Return which streams (n,) make about as many plusses (n, 5) as the median one, or fewer.

    Those more than three robust sd above it, among all signs or behind four plusses, are ill or
    have a memory of their own: pooled, they would speak for all others. At least half remain.
    """
    alike = np.ones(len(plusses), dtype=np.bool_)
    for count in (plusses[:, 0], plusses[:, RUN]):
        if len(count):
            above = count - np.median(count)
            alike &= above <= OUTLYING * MAD_TO_SD * np.median(np.abs(above))
    return alike


def own_memory(runs: Ints, plusses: Ints) -> Bools:
    """Return which streams (n,) surely make + more often than not behind one to four plusses.

    ``runs`` and ``plusses`` (n, 5) by run length; by the score test of one half (95 %), each.
    """
    excess = 2 * plusses - runs
    sure: Bools = np.any(excess[:, 1:] > Z_95 * np.sqrt(runs[:, 1:]), axis=1)
    return sure


def group_lag(lag_one: Floats, values: Ints) -> float:
    """Return the median of autocorrelations (n,), within ±.3 unless it is surely beyond (95 %).

    ``values`` (n,) are behind each; NaN is left out, and returned where nothing else is. Without
    the error, a group at .25 would be refused by chance at one look or another, for good.
    """
    known = ~np.isnan(lag_one)
    if not known.any():
        return float("nan")
    middle = float(np.median(lag_one[known]))
    error = Z_95 * MEDIAN_TO_MEAN / sqrt(max(int(values[known].sum()), 1))
    if abs(middle) - error > MOST_LAG_ONE:
        return middle
    return min(max(middle, -MOST_LAG_ONE), MOST_LAG_ONE)


def own_lag(lag_one: Floats, values: Ints) -> Bools:
    """Return which autocorrelations (n,) of a group are surely above .3 and above its median."""
    known = ~np.isnan(lag_one)
    typical = max(float(np.median(lag_one[known])), MOST_LAG_ONE) if known.any() else MOST_LAG_ONE
    sure: Bools = lag_one - Z_95 / np.sqrt(np.maximum(values, 1)) > typical
    return sure


@dataclass(frozen=True, slots=True)
class Gate:
    """What the level channel of a group may claim, the largest λ that it may bet, and why."""

    validity: Validity
    largest_lambda: float
    reason: str


def gate(*, members: int, runs: Ints, plusses: Ints, noise_ratio: float, lag_one: float) -> Gate:
    """Judge a group of ``members`` by p4 = plusses/runs, pooled, fixed at epoch start (G1).

    ``runs`` and ``plusses`` (5,) by run length. Below 200 runs of four, the ``noise_ratio`` (see
    `noise`) and the lag-one autocorrelation stand in for p4; NaN there means not known, and
    refuses. K = 3 to 7 is EMPIRICAL at best. So is noise that is large and yet without memory:
    its runs are too few to be counted, but nothing contradicts the null, which independent
    noise of any size fulfils.
    """
    if members < FEWEST:
        return Gate(Validity.NONE, 0.0, "fewer than three peers")
    best = Validity.CONSTRUCTION if members >= FULL_MEMBERS else Validity.EMPIRICAL
    few = "" if members >= FULL_MEMBERS else f"only {members} peers"
    fair = Gate(best, LEVEL_LAMBDAS[-1], few)
    if runs[RUN] >= ENOUGH_RUNS:
        return _by_runs(int(plusses[RUN]), int(runs[RUN]), fair)
    refusal = _refusal(runs, plusses, noise_ratio, lag_one)
    if refusal:
        return Gate(Validity.NONE, 0.0, refusal)
    if noise_ratio <= QUIET:
        return fair
    return Gate(Validity.EMPIRICAL, LEVEL_LAMBDAS[-1], f"{runs[RUN]} runs are too few for p4")


def _refusal(runs: Ints, plusses: Ints, noise_ratio: float, lag_one: float) -> str:
    """Return what speaks against the null while p4 cannot be measured, or nothing."""
    if isnan(noise_ratio) or isnan(lag_one):
        return "noise not known yet"
    if abs(lag_one) > MOST_LAG_ONE:
        return _memory(f"lag one {lag_one:.2f}")
    for k in range(1, RUN):
        if runs[k] and lower_limit(int(plusses[k]), int(runs[k])) > FAIR:
            return _memory(f"p{k} = {plusses[k] / runs[k]:.2f}")
    return ""


def _by_runs(plusses: int, runs: int, fair: Gate) -> Gate:
    p4 = plusses / runs
    if p4 > MOST_MEMORY:
        return Gate(Validity.NONE, 0.0, _memory(f"p4 = {p4:.2f}"))
    if upper_limit(plusses, runs) <= FAIR:
        return fair
    return Gate(Validity.EMPIRICAL, min(LEVEL_LAMBDAS[-1], MOST_GROWTH / p4 - 1.0), _fair(p4))


def upper_limit(plusses: int, runs: int) -> float:
    """Return Wilson's upper 95 % limit (one-sided) of a share, ``runs`` > 0 (JASA 22:209, 1927)."""
    share, z2 = plusses / runs, Z_95 * Z_95
    spread = Z_95 * sqrt(share * (1.0 - share) / runs + z2 / (4.0 * runs * runs))
    return (share + z2 / (2.0 * runs) + spread) / (1.0 + z2 / runs)


def lower_limit(plusses: int, runs: int) -> float:
    """Return Wilson's lower 95 % limit (one-sided) of a share, ``runs`` > 0."""
    return 1.0 - upper_limit(runs - plusses, runs)


def noise(history: Floats, margin: Floats | float) -> tuple[Floats, Floats]:
    """Return each stream's noise ratio and lag-one autocorrelation, both (n,).

    ``history`` (n, T) contrasts, oldest first, NaN missing; ``margin`` (n,) or one for all. The
    ratio is robust sd/(margin − |median|), 1e6 where the median stands at the margin or beyond
    it; NaN with fewer than three values. Only neighbours in time make a pair; the
    autocorrelation is corrected for its small-sample bias as `calibration.lag_one` is.
    """
    refuse_infinite("history", history)
    centre = _row_median(history)
    deviation = history - centre[:, None]
    sd = MAD_TO_SD * _row_median(np.abs(deviation))
    room = margin - np.abs(centre)
    ratio = np.where(room > 0.0, sd / np.where(room > 0.0, room, 1.0), FAR_TOO_NOISY)
    known = (~np.isnan(history)).sum(axis=1) >= FEWEST_VALUES
    return (
        np.where(known, np.minimum(ratio, FAR_TOO_NOISY), np.nan),
        np.where(known, _lag_one(deviation), np.nan),
    )


def _lag_one(deviation: Floats) -> Floats:
    """Return each row's lag-one autocorrelation over the pairs that exist; 0 if nothing moves."""
    product = deviation[:, 1:] * deviation[:, :-1]
    pairs = np.maximum((~np.isnan(product)).sum(axis=1), 1)
    values = np.maximum((~np.isnan(deviation)).sum(axis=1), 1)
    variance = np.nansum(deviation * deviation, axis=1) / values
    moves = variance > 0.0
    return np.where(moves, np.nansum(product, axis=1) / pairs / np.where(moves, variance, 1.0), 0.0)


def _row_median(values: Floats) -> Floats:
    """Return the median of each row, NaN for an empty one (numpy would warn)."""
    middle = np.full(len(values), np.nan)
    rows = np.unique(np.nonzero(~np.isnan(values))[0])
    middle[rows] = np.nanmedian(values[rows], axis=1) if len(rows) else np.nan
    return middle


def _memory(measure: str) -> str:
    return f"memory at the scale of the margin ({measure}): next longer block"


def _fair(p4: float) -> str:
    return f"p4 = {p4:.2f} may exceed one half"
