"""Merge evidence about one node, in logarithms, under any dependence between its parts.

Apart from selection, which compares nodes: merging decides what one node's evidence *is*.
Null: the mean of e-values has mean <= 1 however they depend on one another, and a part whose
class was lost counts nothing.  Power: one part that grows carries the mean, at the price of its
weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np

from .arrays import Floats, Ints
from .evalue import Classes, EValues, Validity, refuse_no_evidence

WEIGHT_TOLERANCE = 1e-9  # weights that add up to 1 in floating point


def log_weighted_mean(log_e: Floats | Sequence[Floats], weights: Floats) -> Floats:
    """Return ln Σ w e over the first axis: the only admissible symmetric merge (1912.06116).

    ``log_e`` (k, n), or k arrays (n,), or (k,) for one node; −∞ is e = 0. ``weights`` (k,) or
    (k, n), >= 0, adding up to <= 1 over the parts; what they leave out of 1 counts as e = 0.
    Raises ``ValueError`` for NaN or +∞, no parts at all, and weights that are none.
    """
    parts = _stack(log_e)
    share = np.asarray(weights, dtype=np.float64)
    if share.shape == parts.shape[:1]:
        share = share.reshape(-1, *[1] * (parts.ndim - 1))
    _refuse_weights(np.broadcast_to(share, parts.shape))
    with np.errstate(divide="ignore"):
        return _log_sum(parts + np.log(share))


def log_mean(log_e: Floats | Sequence[Floats]) -> Floats:
    """Return ln of the plain mean of e over the first axis; errors as `log_weighted_mean`."""
    parts = _stack(log_e)
    return np.asarray(_log_sum(parts) - log(len(parts)))


def log_product(log_e: Floats | Sequence[Floats]) -> Floats:
    """Return ln Π e over the first axis, −∞ where a factor is 0.

    An e-value only for processes on disjoint, sequentially independent data (statistics.md B3);
    never across metrics or neighbours. Errors as `log_weighted_mean`.
    """
    return np.asarray(_stack(log_e).sum(axis=0))


def subtree(own: Floats, children: Floats | Sequence[Floats]) -> Floats:
    """Return ln of ½ own + ½ mean of the children: "nothing wrong at or below" (B3).

    ``own`` (n,) log evidence of the node's own contrast; ``children`` (k, n), or k arrays (n,).
    A node without children is its own subtree.
    """
    if len(children) == 0:
        refuse_no_evidence(own)
        return own
    return log_mean([own, log_mean(children)])


def two_values(log_m: Floats, validity: Classes, weights: Floats) -> tuple[EValues, EValues]:
    """Return a node's (controlled, ranked) values from the same weights, DESIGN.md section 2.

    ``log_m``, ``validity`` and ``weights`` (k, n): the parts of ``n`` nodes. *Controlled* is
    Σ w M with a part below CONSTRUCTION as 0 (safe even when decided by looking), of the lowest
    class that counts. *Ranked* is Σ w M of the parts of at least EMPIRICAL, the others as the
    constant 1. Where every weighted part is CONSTRUCTION or better the two coincide, class
    included; elsewhere ranked is EMPIRICAL at best, because a part that turns into 1 inside an
    epoch may have stood below 1, and no e-value may be raised by looking. NONE (and e = 0, or
    e = 1) where no part counts. Errors as `log_weighted_mean`.
    """
    weighted = weights > 0
    sound = weighted & (validity >= Validity.CONSTRUCTION)
    shown = weighted & (validity >= Validity.EMPIRICAL)
    controlled = log_weighted_mean(np.where(sound, log_m, -np.inf), weights)
    ranked = log_weighted_mean(np.where(shown, log_m, 0.0), weights)
    lowest = _lowest_class(validity, sound)
    best = np.where(shown.any(axis=0), Validity.EMPIRICAL, Validity.NONE)
    same = (weighted == sound).all(axis=0)
    return EValues(controlled, lowest), EValues(ranked, np.where(same, lowest, best))


@dataclass(slots=True)
class RunningMaximum:
    """The highest log evidence of ``n`` nodes so far, and when each first crossed.

    ``log_max`` (n,) from 0; ``steps`` (n,) values taken; ``first`` (n,) the step, from 0, of the
    first crossing, −1 before it; it never goes back.
    """

    log_max: Floats
    steps: Ints
    first: Ints

    @classmethod
    def start(cls, n: int) -> Self:
        """Return ``n`` nodes without evidence: maximum e = 1."""
        return cls(np.zeros(n), np.zeros(n, dtype=np.int64), np.full(n, -1, dtype=np.int64))

    def update(self, log_e: Floats, log_threshold: float) -> None:
        """Take the log evidence (n,) of now; NaN, a node not heard of, changes nothing.

        Raises ``ValueError`` for +∞.
        """
        heard = ~np.isnan(log_e)
        refuse_no_evidence(log_e[heard])
        self.log_max = np.fmax(self.log_max, log_e)
        crossed = heard & (self.first < 0) & (self.log_max >= log_threshold)
        self.first[crossed] = self.steps[crossed]
        self.steps[heard] += 1


def _stack(log_e: Floats | Sequence[Floats]) -> Floats:
    if len(log_e) == 0:
        message = "no parts to merge"
        raise ValueError(message)
    parts = np.asarray(log_e, dtype=np.float64)
    refuse_no_evidence(parts)
    return parts


def _refuse_weights(weights: Floats) -> None:
    total = weights.sum(axis=0)
    if np.isnan(weights).any() or (weights < 0).any() or (total > 1 + WEIGHT_TOLERANCE).any():
        message = f"weights must be >= 0 and add up to <= 1, not to {np.max(total)}"
        raise ValueError(message)


def _log_sum(terms: Floats) -> Floats:
    """Return ln Σ exp over the first axis, without overflow; −∞ where all terms are."""
    top = terms.max(axis=0)
    shift = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(terms - shift).sum(axis=0)) + shift)


def _lowest_class(validity: Classes, counted: np.typing.NDArray[np.bool_]) -> Classes:
    """Return the least class of the counted parts (n,), NONE where none is."""
    least = np.where(counted, validity, np.int8(Validity.THEOREM)).min(axis=0)
    return np.where(counted.any(axis=0), least, np.int8(Validity.NONE))
