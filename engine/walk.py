"""What lies above several shards that fired: the nodes they share, and how odd that would be.

Apart from `attribution`, which tells a list of selected nodes: this asks the same of bare firings,
before or without any contrast of the nodes above them.
Null: shards without a common node share none, however many fire.  Power: two under one PSU do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .arrays import Floats
from .attribution import binomial_upper_tail, group_mean_e

Groups: TypeAlias = Mapping[int, Mapping[int, int]]

FEWEST = 2  # fired shards that make a node worth a word


@dataclass(frozen=True, slots=True)
class Firing:
    """Shard ``shard`` (an index) fired ``at`` (seconds)."""

    shard: int
    at: float


@dataclass(frozen=True, slots=True)
class Shared:
    """A ``node`` above the fired ``members``, ``hops`` above the nearest shard of its ``group``.

    ``members`` are sorted and different, and fired from ``first`` to ``last``; ``group`` holds all
    shards beneath the node, fired or not.
    """

    node: int
    hops: int
    group: tuple[int, ...]
    members: tuple[int, ...]
    first: float
    last: float

    def chance(self, rate: float) -> float:
        """Return P(as many of the group fire), each alone with ``rate`` in [0, 1] when healthy."""
        return binomial_upper_tail(len(self.members), len(self.group), rate)

    def log_e(self, log_e: Floats) -> float:
        """Return ln of the mean e of the whole group, of ``log_e`` (n,) by shard: an e-value."""
        return group_mean_e(log_e[list(self.group)])


def groups(parents: Sequence[Sequence[int]], shards: Sequence[int], hops: int = 1) -> Groups:
    """Return each node within ``hops`` >= 1 above a shard with {shard beneath: its distance}.

    ``parents[v]`` are the nodes directly above node v by containment, power or cooling. The walk
    goes upward only: a way up to a rack and down again to another shard's PSU explains nothing.
    """
    found: dict[int, dict[int, int]] = {}
    for shard in shards:
        here = {shard}
        for distance in range(1, hops + 1):
            here = {above for node in here for above in parents[node]}
            for node in here:
                found.setdefault(node, {}).setdefault(shard, distance)
    return found


def shared(
    beneath: Groups, fired: Sequence[Firing], fewest: int = FEWEST, window: float | None = None
) -> list[Shared]:
    """Return the nodes of :func:`groups` above at least ``fewest`` fired shards, by index.

    With a ``window`` (seconds) a node's members are the most different shards that fired within
    one, in the earliest of several. Firings of what is no shard are passed over.
    """
    found = []
    for node, distance in sorted(beneath.items()):
        mine = sorted((f for f in fired if f.shard in distance), key=lambda f: (f.at, f.shard))
        together = mine if window is None else _densest(mine, window)
        members = tuple(sorted({f.shard for f in together}))
        if len(members) >= fewest:
            group, nearest = tuple(sorted(distance)), min(distance.values())
            first, last = together[0].at, together[-1].at
            found.append(Shared(node, nearest, group, members, first, last))
    return found


def _densest(fired: Sequence[Firing], window: float) -> Sequence[Firing]:
    """Return the stretch of ``fired``, in time, of at most ``window`` with most shards in it."""
    best: Sequence[Firing] = fired[:0]
    most, start = 0, 0
    inside: Counter[int] = Counter()
    for end, firing in enumerate(fired):
        inside[firing.shard] += 1
        while firing.at - fired[start].at > window:
            inside[fired[start].shard] -= 1
            start += 1
        count = sum(held > 0 for held in inside.values())
        if count > most:
            best, most = fired[start : end + 1], count
    return best
