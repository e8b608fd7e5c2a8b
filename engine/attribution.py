"""Explain selected nodes by the highest one that accounts for them, over a graph of indices.

Apart from selection: this decides only how a list is told, and can remove from it, never add.
A property that holds: every selected leaf is reported or explained by something reported above
it.  What must fail: a cycle, and a host blamed for one of its eight shards or one of its two.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Self

import numpy as np

from .arrays import Bools, Floats, Ints
from .merging import log_mean

MAJORITY = 0.5  # of a node's children, from which on the node explains them
PAIR = 2  # children of whom half is one: whichever it is, it speaks for itself

_MESSAGE = "indptr must rise from 0 to len(indices), and indices be nodes"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Nodes 0 … N−1 and the children of each, a directed graph without cycles.

    ``indptr`` (N+1,) and ``indices``: the children of node v are
    ``indices[indptr[v]:indptr[v+1]]``. ``rank`` (N,): 0 for physical, 1 for logical nodes.
    ``height`` (N,): the longest way down, 0 for a leaf. Made by `Family.of`.
    """

    indptr: Ints
    indices: Ints
    rank: Ints
    height: Ints

    @classmethod
    def of(cls, indptr: Ints, indices: Ints, rank: Ints | None = None) -> Self:
        """Return the family with its heights; ``ValueError`` for a cycle or a broken index."""
        n = len(indptr) - 1
        steps = np.diff(indptr)
        if n < 0 or indptr[0] != 0 or (steps < 0).any() or indptr[-1] != len(indices):
            raise ValueError(_MESSAGE)
        if len(indices) and not (indices.min() >= 0 and indices.max() < n):
            raise ValueError(_MESSAGE)
        ranks = np.zeros(n, dtype=np.int64) if rank is None else rank
        return cls(indptr, indices, ranks, _heights(np.repeat(np.arange(n), steps), indices, n))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def children(self, node: int) -> Ints:
        """Return the direct children of ``node``."""
        return self.indices[self.indptr[node] : self.indptr[node + 1]]

    def beneath(self, node: int, through: Bools | None = None) -> Iterator[int]:
        """Yield every node below ``node`` once, past those only that ``through`` (N,) allows."""
        seen: set[int] = set()
        ahead = self.children(node).tolist()
        while ahead:
            here = ahead.pop()
            if here not in seen:
                seen.add(here)
                yield here
                if through is None or through[here]:
                    ahead += self.children(here).tolist()


def explain_away(selected: Bools, has_contrast: Bools, family: Family) -> tuple[Ints, Ints]:
    """Return the nodes to report, sorted, and what explains each node (N,), −1 for nothing.

    Reported is the highest node that is ``selected`` (N,) by a contrast of its own and of whose
    children at least half are selected, or none; all that is selected beneath it is explained.
    Of two children both must be: the median of two moves with either, so that a rack of two hosts
    is selected whenever one of them is ill, and half would blame it for that one each time.
    Children count if they have a hypothesis (``has_contrast`` (N,)); through one that has none,
    its own children count instead. Of nodes that explain the very same selected ends, one is
    reported, physical before logical, then higher, and it explains the others. A selected node
    whose children disagree is neither reported nor explained (−1): what is beneath speaks for
    it. Explaining away is no second test (statistics.md B3).
    """
    chosen = selected & has_contrast
    claims = _claims(chosen, has_contrast, family)
    speaker = _speakers(claims, family)
    explained = np.full(len(family), -1, dtype=np.int64)
    reported: list[int] = []
    for node in sorted(set(speaker.values()), key=lambda v: (-family.height[v], family.rank[v], v)):
        if explained[node] < 0:
            reported.append(node)
            _explain(claims[node].beneath, node, explained)
    for node, other in speaker.items():
        if node != other:
            _explain((node,), other if explained[other] < 0 else int(explained[other]), explained)
    return np.array(sorted(reported), dtype=np.int64), explained


def binomial_upper_tail(k: int, n: int, p: float) -> float:
    """Return P(X >= k) of X ~ Binomial(n, p), exact, summed in logarithms.

    ``n`` >= 0, ``p`` in [0, 1]. How surprising k of n members would be if they fired
    independently; under a shared load they do not, and it is too small.
    """
    if n < 0 or not 0.0 <= p <= 1.0:
        message = f"no binomial of {n} trials at {p}"
        raise ValueError(message)
    if k <= 0 or (p == 1.0 and k <= n):
        return 1.0
    if k > n or p == 0.0:
        return 0.0
    first = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p)
    i = np.arange(k, n)
    ratios = np.log((n - i) / (i + 1.0)) + (log(p) - log1p(-p))
    terms = np.concatenate([[0.0], np.cumsum(ratios)])
    top = float(terms.max())
    return min(1.0, exp(first + top) * float(np.exp(terms - top).sum()))


def group_mean_e(log_e: Floats) -> float:
    """Return ln of the mean e of a group's members (k,): an e-value under any dependence.

    −∞ if all are 0. Raises ``ValueError`` for no members, NaN or +∞.
    """
    return float(log_mean(log_e))


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a node would explain: the selected ``beneath`` it, and the ``ends`` among them."""

    beneath: tuple[int, ...]
    ends: frozenset[int]


def _claims(chosen: Bools, has_contrast: Bools, family: Family) -> dict[int, _Claim]:
    """Return the chosen nodes whose children agree, with what each would explain."""
    below = {
        int(v): tuple(w for w in family.beneath(int(v)) if chosen[w])
        for v in np.flatnonzero(chosen)
    }
    return {
        v: _Claim(inner, frozenset(w for w in inner if not below[w]) or frozenset([v]))
        for v, inner in below.items()
        if _children_agree(v, chosen, has_contrast, family)
    }


def _children_agree(node: int, chosen: Bools, has_contrast: Bools, family: Family) -> bool:
    """Return whether none, most, or half of three or more children with a hypothesis are chosen."""
    counted = [v for v in family.beneath(node, through=~has_contrast) if has_contrast[v]]
    share, half = int(chosen[counted].sum()), MAJORITY * len(counted)
    return share == 0 or share > half or (share == half and len(counted) > PAIR)


def _speakers(claims: dict[int, _Claim], family: Family) -> dict[int, int]:
    """Return for each claim the one that speaks for all with the same ends."""
    same: dict[frozenset[int], list[int]] = {}
    for node, claim in claims.items():
        same.setdefault(claim.ends, []).append(node)
    best = {
        ends: min(nodes, key=lambda v: (family.rank[v], -family.height[v], v))
        for ends, nodes in same.items()
    }
    return {node: best[claim.ends] for node, claim in claims.items()}


def _explain(nodes: tuple[int, ...], by: int, explained: Ints) -> None:
    """Write ``by`` where a node is not explained yet: what stands higher has spoken first."""
    free = [v for v in nodes if explained[v] < 0]
    explained[free] = by


def _heights(parents: Ints, children: Ints, n: int) -> Ints:
    """Return the longest way down from each of ``n`` nodes; ``ValueError`` for a cycle."""
    height = np.zeros(n, dtype=np.int64)
    for _ in range(n + 1):
        higher = np.zeros(n, dtype=np.int64)
        np.maximum.at(higher, parents, height[children] + 1)
        if (higher == height).all():
            return height
        height = higher
    message = "the family has a cycle"
    raise ValueError(message)
