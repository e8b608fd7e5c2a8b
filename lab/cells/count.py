"""What was counted in a cell: shares, medians and means, with intervals clustered by fleet.

Apart from playing, because streams of one fleet share its common mode: whoever took them for
independent would print intervals that are too short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import comb, inf, sqrt
from statistics import median

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NORMAL = 1.959963984540054  # Φ⁻¹(0.975), for intervals of 95 %


@dataclass(frozen=True, slots=True)
class Target:
    """What a number is held against; ``limit`` None only shows it.

    ``errors`` standard errors of a mean are granted on top.
    """

    limit: float | None
    at_most: bool = True
    errors: float = 0.0


SHOWN = Target(None)


@dataclass(frozen=True, slots=True)
class Count:
    """One measured number with its interval of 95 % and the target it is held against."""

    what: str
    value: float
    low: float
    high: float
    target: float | None
    at_most: bool = True
    share: bool = True

    @property
    def met(self) -> bool:
        """Say whether the number itself, not its interval, is on the right side of the target."""
        if self.target is None:
            return True
        return self.value <= self.target if self.at_most else self.value >= self.target


@dataclass(frozen=True, slots=True)
class Tally:
    """What was seen in some fleets of a cell, by the words that the page uses.

    ``shares`` (2, fleets): how many, and of how many; ``delays`` (fleets, streams), infinite =
    never; ``means`` (fleets,).
    """

    shares: Mapping[str, Floats] = field(default_factory=dict)
    delays: Mapping[str, Floats] = field(default_factory=dict)
    means: Mapping[str, Floats] = field(default_factory=dict)


def joined(tallies: Sequence[Tally]) -> Tally:
    """Return one tally of all fleets; all have seen the same things."""
    first = tallies[0]
    return Tally(
        {w: np.concatenate([t.shares[w] for t in tallies], axis=1) for w in first.shares},
        {w: np.concatenate([t.delays[w] for t in tallies]) for w in first.delays},
        {w: np.concatenate([t.means[w] for t in tallies]) for w in first.means},
    )


def counts(tally: Tally, targets: Mapping[str, Target]) -> list[Count]:
    """Return every number of ``tally`` against its target, in the order of ``targets``.

    Raises ``KeyError`` for a target that nothing was counted for.
    """
    return [_count(tally, what, target) for what, target in targets.items()]


def _count(tally: Tally, what: str, target: Target) -> Count:
    if what in tally.shares:
        hits, of = tally.shares[what]
        return Count(what, *clustered_share(hits, of), target.limit, target.at_most)
    if what in tally.delays:
        found = clustered_median(tally.delays[what])
        return Count(what, *found, target.limit, target.at_most, share=False)
    values = tally.means[what]
    mean, error = float(values.mean()), _error(values)
    limit = target.limit
    if limit is not None and target.errors:
        limit += target.errors * error
    low, high = mean - NORMAL * error, mean + NORMAL * error
    return Count(what, mean, low, high, limit, target.at_most, share=False)


def seed_of(*words: object) -> int:
    """Return a seed hashed from ``words``: neighbours in number are strangers as seeds."""
    text = "-".join(map(str, words))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def clustered_share(hits: Floats, of: Floats) -> tuple[float, float, float]:
    """Return the share of ``hits`` (fleets,) among ``of`` (fleets,), and its interval of 95 %.

    Korn and Graubard (1998): the score interval for as many independent streams as would be as
    uncertain as these fleets. Where none or all are hits the streams of a fleet tell nothing of
    each other, and count as one.
    """
    trials, fleets = float(of.sum()), len(of)
    if trials == 0:
        return np.nan, 0.0, 1.0
    value = float(hits.sum()) / trials
    return value, *share_interval(value, _independent(hits, of, value, fleets))


def _independent(hits: Floats, of: Floats, value: float, fleets: int) -> float:
    """Return how many independent streams are worth these fleets."""
    alone = value * (1.0 - value)
    if alone == 0.0:
        return float(fleets)
    trials = float(of.sum())
    # variance of a ratio: of the fleets' residuals from the common share
    spread = float(((hits - value * of) ** 2).sum()) / trials**2
    return alone / max(spread, alone / trials)


def clustered_median(delays: Floats) -> tuple[float, float, float]:
    """Return the median of ``delays`` (fleets, streams), infinite = never, and its interval.

    Woodruff (1952): the interval of the share below the median, read off the delays themselves.
    """
    ordered = np.sort(delays.ravel())
    middle = median(ordered.tolist())
    if delays.shape[1] == 1:
        low, high = median_interval(len(ordered))
        return middle, float(ordered[low]), float(ordered[high])
    below = (delays <= middle).sum(axis=1).astype(np.float64)
    of = np.full(len(delays), float(delays.shape[1]))
    share = float(below.sum() / of.sum())
    low_share, high_share = share_interval(0.5, _independent(below, of, share, len(delays)))
    last = len(ordered) - 1
    return middle, float(ordered[int(low_share * last)]), float(ordered[round(high_share * last)])


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return the interval of 95 % for a ``share`` in [0, 1] seen in ``n`` > 0 cases.

    Source: Wilson (1927), the score interval.
    """
    z = NORMAL**2 / n
    middle = (share + z / 2) / (1 + z)
    half = sqrt(z * share * (1 - share) + z * z / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def median_interval(n: int) -> tuple[int, int]:
    """Return which two of ``n`` ≥ 1 sorted values (from 0) hold the median with 95 %.

    By signs alone, whatever the distribution; below six values they hold it less often.
    """
    below, k = 0, 0
    while 2 * (below + comb(n, k)) <= 0.05 * 2**n:
        below += comb(n, k)
        k += 1
    low = max(0, k - 1)
    return low, n - 1 - low


def text_of(value: float | None, *, share: bool) -> str:
    """Return ``value`` as the page prints it: a percentage, a number, ∞, or a dash."""
    if value is None:
        return "–"
    if abs(value) == inf:
        return "∞" if value > 0 else "−∞"
    return f"{100 * value:.3g} %" if share else f"{value:.4g}"


def _error(values: Floats) -> float:
    """Return the standard error of the mean of independent fleets, infinite for one alone."""
    return float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else inf
