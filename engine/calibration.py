"""Judge, live, whether the null of the change channel still deserves its name.

Apart from the machine that bets: nothing here sees a raw value, only scores and their sums, so
that it may gate evidence without spoiling it (statistics.md B4, E, G2).
Null: independent scores stay green.  Power: shared memory, one stream's own, and drift are told
apart, and each lowers the class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isnan, log, sqrt
from typing import Self

import numpy as np

from .arrays import Floats, Ints
from .evalue import Classes, Validity
from .reason import Code, Reason
from .special import MAD_TO_SD

LADDER = (1, 2, 5, 10, 30, 60, 120, 300, 600)  # seconds: block lengths that exist
WINDOWS = (10, 25, 50, 100)  # scores in one window sum
HIGHEST_PHI = 0.999
SHORTEST_TAU, LONGEST_TAU = 1e-2, 1e7  # ticks: beyond what a block length can tell
FAST_SHARE, SLOW_SHARE = 0.5, 3.0  # of tau
VIF_SE = 2.33  # standard error of (1.4826 MAD)² of one window
FEWEST_WINDOWS, ENOUGH_FOR_DRIFT = 50, 2000

GREEN_KAPPA, MOST_KAPPA, MOST_DRIFT = 1.05, 2.0, 1.2
GREEN_SE, GREEN_LAG_ONE, GREEN_OUTLYING = 0.03, 0.15, 0.02
OVER_WHITE = 0.85
OWN_WINDOW, OWN_ENOUGH = 25, 400  # scores behind a stream's own variance
OWN_SPREAD, OWN_MOST = 2.7, 3.0
FEWEST_STREAMS = 3  # of a pool, from which on their spread means something


def lag_one(n: Floats, cross: Floats, square: Floats) -> Floats:
    """Return the lag-one autocorrelation per stream, + (1 + 3 rho)/n for its small-sample bias.

    ``n`` pairs, ``cross`` = Σ r_b r_{b−1}, ``square`` = Σ r_b², all of one shape; NaN without
    pairs or without movement. Bias: Kendall, Biometrika 41:403 (1954).
    """
    known = (n > 0) & (square > 0)
    rho = cross / np.where(known, square, np.nan)
    return rho + (1.0 + 3.0 * rho) / np.where(known, n, np.nan)


def pooled_phi(rho: Floats) -> float:
    """Return the fleet's one phi: the median of ``rho`` in [0, 0.999]; NaN if all are missing."""
    known = rho[~np.isnan(rho)]
    return float(np.clip(np.median(known), 0.0, HIGHEST_PHI)) if len(known) else float("nan")


def tau_seconds(block_phi: float, length: int) -> float:
    """Return the memory tau of an AR(1) at ticks whose *block means* correlate by ``block_phi``.

    ``length`` ticks of one second in a block; tau = −1/ln phi of the tick. Not −length/ln
    ``block_phi``, which takes a mean for a sample and is too long by 1.5 (tau of many blocks) to
    5.4 (tau a twentieth of a block). 0 for ``block_phi`` <= 0, NaN for NaN; ``ValueError`` from 1.
    """
    if block_phi >= 1.0 or length < 1:
        message = f"no AR(1) has correlation {block_phi} between means of {length} ticks"
        raise ValueError(message)
    if isnan(block_phi):
        return block_phi
    if block_phi <= 0.0:
        return 0.0
    low, high = log(SHORTEST_TAU), log(LONGEST_TAU)
    for _ in range(60):
        middle = (low + high) / 2.0
        if block_correlation(exp(middle), length) < block_phi:
            low = middle
        else:
            high = middle
    return exp((low + high) / 2.0)


def block_correlation(tau: float, length: int) -> float:
    """Return the correlation of neighbouring means of ``length`` ticks of an AR(1), tau > 0.

    phi (1 + … + phi^(L−1))² over L + 2 Σ_k (L − k) phi^k, phi = exp(−1/tau): sums of positive
    terms, because the closed form cancels.
    """
    power = np.exp(-np.arange(length) / tau)
    inside = length + 2.0 * float(((length - np.arange(1, length)) * power[1:]).sum())
    return exp(-1.0 / tau) * float(power.sum()) ** 2 / inside


def rungs(tau: float, *, shortest: int = 5, longest: int = 600) -> tuple[int, int]:
    """Return the (fast, slow) block lengths nearest tau/2 and 3 tau, nearest as a ratio.

    From the ladder between ``shortest`` and ``longest`` seconds; fast < slow always. Raises
    ``ValueError`` for an unknown tau or fewer than two rungs.
    """
    ladder = [rung for rung in LADDER if shortest <= rung <= longest]
    if isnan(tau) or len(ladder) < 2:  # noqa: PLR2004 - two rungs are wanted
        message = f"no two rungs between {shortest} and {longest} s for tau {tau}"
        raise ValueError(message)
    fast = _nearest(ladder[:-1], FAST_SHARE * tau)
    slow = _nearest(ladder, SLOW_SHARE * tau)
    return fast, max(slow, ladder[ladder.index(fast) + 1])


@dataclass(slots=True)
class WindowSums:
    """Sums of scores over consecutive windows of 10, 25, 50 and 100, per stream.

    ``partial`` and ``filled`` (n, 4): the sum of the open window and the scores in it.
    """

    partial: Floats
    filled: Ints

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` streams with empty windows."""
        shape = (n, len(WINDOWS))
        return cls(np.zeros(shape), np.zeros(shape, dtype=np.int64))

    def update(self, z: Floats) -> dict[int, Floats]:
        """Take one block's scores (n,), NaN skipped; return the windows that it completed.

        By window length m, only those that some stream completed: m^−½ Σ z (n,), NaN elsewhere.
        """
        heard = ~np.isnan(z)
        self.partial[heard] += z[heard, None]
        self.filled[heard] += 1
        full = self.filled >= np.asarray(WINDOWS)
        done = {}
        for column in np.flatnonzero(full.any(axis=0)):
            sums = self.partial[:, column] / sqrt(WINDOWS[column])
            done[WINDOWS[column]] = np.where(full[:, column], sums, np.nan)
        self.partial[full] = 0.0
        self.filled[full] = 0
        return done


def vif(sums: Floats) -> tuple[float, float]:
    """Return the variance inflation (1.4826 MAD)² of window sums and its standard error.

    ``sums`` of any shape, pooled over streams and windows, NaN ignored; 1 for independent scores.
    MAD, so that a few per cent of true faults do not move it. (NaN, NaN) without windows.
    """
    known = sums[~np.isnan(sums)]
    if len(known) == 0:
        return float("nan"), float("nan")
    value = float((MAD_TO_SD * np.median(np.abs(known - np.median(known)))) ** 2)
    return value, VIF_SE * value / sqrt(len(known))


def kappa(sums: Mapping[int, Floats]) -> float:
    """Return max(1, max VIF(m)) over the window lengths m with at least 50 windows.

    Each VIF(m) less its standard error: the largest of four noisy estimates is too large, in a
    healthy fleet of 64 by 18 % after 100 scores and 10 % after 400 (3 % and 2 % like this), and
    a 4 sd fault would pay for it with a third of its speed. A large fleet loses nothing by it.
    """
    enough = [vif(s) for s in sums.values() if _windows(s) >= FEWEST_WINDOWS]
    return max([1.0, *(value - error for value, error in enough)])


def long_run_variance(z: Floats, m: int = OWN_WINDOW) -> Floats:
    """Return V_i(m) (n,) of scores ``z`` (n, T): mean squared overlapping window sum over m.

    Missing scores are skipped, so a window is m scores and not m blocks; NaN below one window.
    """
    missing = np.isnan(z)
    order = np.argsort(missing, axis=1, kind="stable")
    ordered = np.take_along_axis(np.where(missing, 0.0, z), order, axis=1)
    total = np.pad(np.cumsum(ordered, axis=1), ((0, 0), (1, 0)))
    window = total[:, m:] - total[:, :-m]
    complete = np.arange(window.shape[1]) + m <= (~missing).sum(axis=1, keepdims=True)
    count = complete.sum(axis=1)
    square = np.where(complete, window * window, 0.0).sum(axis=1)
    return np.where(count > 0, square / np.maximum(count, 1) / m, np.nan)


def stream_kappa(pooled: float, v: Floats, blocks: Ints) -> Floats:
    """Return kappa_i (n,) of the streams of one pool: the pooled one, or their own if larger.

    ``v`` (n,) from `long_run_variance`, over ``blocks`` (n,) scores; NaN leaves the pooled one.
    Below 400 scores V_i counts with its relative standard error sqrt(4/3·25/n) added: until a
    stream is known it bets as if it had the memory that cannot be excluded, because the pooled
    kappa is blind to a minority (G2). From 400 on V_i is shrunk towards the pool's mean by the
    share of the spread that is only noise: none of it in a pool whose streams differ, nearly
    all of it in one whose streams are alike.
    """
    unsure = np.sqrt(4.0 / 3.0 * OWN_WINDOW / np.maximum(blocks, 1))
    known = (blocks >= OWN_ENOUGH) & ~np.isnan(v)
    shrunk = np.where(known, v, np.nan)
    if np.count_nonzero(known) >= FEWEST_STREAMS:
        mean, spread = float(v[known].mean()), float(v[known].var())
        noise = float(np.mean((mean * unsure[known]) ** 2))
        real = max(0.0, 1.0 - noise / spread) if spread > 0.0 else 0.0
        shrunk = mean + real * (shrunk - mean)
    return np.fmax(np.where(known, shrunk, v * (1.0 + unsure)), pooled)


def significant(v: Floats, pooled: float, blocks: Ints) -> np.typing.NDArray[np.bool_]:
    """Return where V_i (n,) is out: above kappa (1 + 3 sqrt(2.7·25/n)), n ``blocks`` (n,) (G2)."""
    spread = np.sqrt(OWN_SPREAD * OWN_WINDOW / np.maximum(blocks, 1))
    return v > pooled * (1.0 + 3.0 * spread)


def stream_validity(pooled: Validity, v: Floats, kappa: float, blocks: Ints) -> Classes:
    """Return each stream's class (n,): the ``pooled`` one, EMPIRICAL if out, NONE if V_i > 3.

    A stream whose V_i is not known yet (NaN) has the class of its fleet.
    """
    least = np.where(significant(v, kappa, blocks), Validity.EMPIRICAL, Validity.THEOREM)
    least = np.where(v > OWN_MOST, Validity.NONE, least)
    return np.minimum(least, pooled).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The class that one rung of a (metric, SKU) deserves, its kappa, and why not better."""

    validity: Validity
    kappa: float
    reasons: tuple[Reason, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Return the reasons as sentences."""
        return tuple(map(str, self.reasons))


def judge(
    sums: Mapping[int, Floats], *, rho: float, slow: bool, outlying: float = 0.0
) -> Calibration:
    """Judge one rung of a (metric, SKU) by the window sums of its past scores (G2).

    ``sums`` by window length, any shape, as `WindowSums` completes them; ``rho`` the lag-one
    autocorrelation of the scores; ``outlying`` the share of streams that are out by V_i. Green,
    that is nothing below, is CONSTRUCTION; a reason without a fault (over-whitening) leaves it.
    """
    value = kappa(sums)
    faults = [*_drift(sums, slow=slow), *_inflation(sums, value, slow=slow)]
    faults += _coverage(sums, rho, outlying)
    validity = min([Validity.CONSTRUCTION, *(least for least, _ in faults)])
    white = [Reason(Code.OVER_WHITE, (m,)) for m in sums if _bounds(sums[m])[1] < OVER_WHITE]
    return Calibration(validity, value, (*(reason for _, reason in faults), *white))


Fault = tuple[Validity, Reason]


def _inflation(sums: Mapping[int, Floats], value: float, *, slow: bool) -> list[Fault]:
    """Return what kappa says: red or not, and too much for any scaling."""
    if value > MOST_KAPPA:
        return [(Validity.NONE, Reason(Code.KAPPA, (value, MOST_KAPPA)))]
    red = [
        m for m in sums if _windows(sums[m]) >= FEWEST_WINDOWS and _bounds(sums[m])[0] > GREEN_KAPPA
    ]
    if red:
        return [(Validity.EMPIRICAL, Reason(Code.INFLATED, (value,), tuple(red)))]
    if slow and value > GREEN_KAPPA:
        return [(Validity.EMPIRICAL, Reason(Code.SLOW_KAPPA, (value,)))]
    return []


def _coverage(sums: Mapping[int, Floats], rho: float, outlying: float) -> list[Fault]:
    """Return what keeps a rung that is not red from being green."""
    faults = []
    if not vif(sums.get(WINDOWS[-1], np.empty(0)))[1] <= GREEN_SE:
        faults.append(Reason(Code.FEW_WINDOWS))
    if not abs(rho) <= GREEN_LAG_ONE:
        faults.append(Reason(Code.LAG_ONE, (rho,)))
    if outlying > GREEN_OUTLYING:
        faults.append(Reason(Code.OUTLYING, (100 * outlying,)))
    return [(Validity.EMPIRICAL, fault) for fault in faults]


def _drift(sums: Mapping[int, Floats], *, slow: bool) -> list[Fault]:
    """Return drift where VIF(100)/VIF(10) is above 1.2, or three standard errors more if unsure.

    Of the fast rung only: the slow one is plain by design, and its kappa pays for the memory.
    """
    short, long = sums.get(WINDOWS[0], np.empty(0)), sums.get(WINDOWS[-1], np.empty(0))
    count = _windows(long)
    if slow or count < FEWEST_WINDOWS or not vif(short)[0] > 0.0:
        return []
    ratio = vif(long)[0] / vif(short)[0]
    unsure = VIF_SE * ratio * sqrt(1.0 / count + 1.0 / _windows(short))
    if ratio > MOST_DRIFT + (0.0 if count >= ENOUGH_FOR_DRIFT else 3.0 * unsure):
        return [(Validity.NONE, Reason(Code.DRIFT, (ratio,)))]
    return []


def _windows(sums: Floats) -> int:
    return int(np.count_nonzero(~np.isnan(sums)))


def _bounds(sums: Floats) -> tuple[float, float]:
    """Return the inflation less and plus two standard errors."""
    value, error = vif(sums)
    return value - 2.0 * error, value + 2.0 * error


def _nearest(ladder: list[int], length: float) -> int:
    return min(ladder, key=lambda rung: abs(log(rung / max(length, SHORTEST_TAU))))
