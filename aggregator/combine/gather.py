"""Gather a block's messages from all hosts: when is it complete, and how long is it waited for.

Apart from what is made of a block, because these are the only places where the aggregator waits.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import floor

import numpy as np
import numpy.typing as npt

from ...proto.messages import Up1, Up2
from ..state.fleet import Fleet
from ..state.move import Move

Float32s = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

LONGEST_WAIT = 5.0  # seconds after the end of a block, or half of the block if that is less

Block = tuple[int, int]  # rung in seconds, index


def waited_until(block: Block) -> float:
    """Return the time (s) until which a block is waited for (DESIGN.md section 5, DOWN)."""
    rung, index = block
    return (index + 1) * rung + min(LONGEST_WAIT, rung / 2)


@dataclass(slots=True)
class Gathered:
    """The values of a block's shards: ``x`` and ``offset`` (S, M), ``eligible`` (S,), senders.

    ``frozen`` (S,) are rows of which nothing may move, as their hosts say.
    """

    x: Float32s
    offset: Float32s
    eligible: Bools
    frozen: Bools
    hosts: set[str] = field(default_factory=set)

    @property
    def told(self) -> Bools:
        """Return the rows (S,) that may stand in summaries, or may not because they are frozen."""
        return self.eligible | self.frozen

    def freeze(self, rows: Bools) -> None:
        """Let ``rows`` (S,) be frozen too: no value of a frozen row is seen by anybody."""
        self.frozen |= rows
        self.x[self.frozen] = np.nan
        self.eligible &= ~self.frozen


class GatherUp1:
    """Blocks on their way in."""

    def __init__(self, fleet: Fleet) -> None:
        """Take the fleet, whose rows and columns the values are written into."""
        self._fleet = fleet
        self._held: dict[Block, Gathered] = {}
        self._closed: dict[int, int] = {}  # the last block of each rung that was taken out
        self._began = -np.inf

    def inherit(self, former: "GatherUp1", move: Move) -> None:
        """Take over the blocks on their way, of hosts whose shards and metrics are the same."""
        self._began, self._closed = former._began, former._closed  # noqa: SLF001 - of this class
        (was, now), (left, here) = move.shards, move.columns
        same = _same_hosts(move)
        for block, held in former._held.items():  # noqa: SLF001 - of this class
            mine = self._held[block] = self._nothing()
            mine.x[np.ix_(now, here)] = held.x[np.ix_(was, left)]
            mine.offset[np.ix_(now, here)] = held.offset[np.ix_(was, left)]
            mine.eligible[now] = held.eligible[was]
            mine.frozen[now] = held.frozen[was]
            mine.hosts.update(held.hosts & same)

    def begin(self, now: float) -> None:
        """Serve no block that began before ``now``: part of it was sent to somebody else.

        A clock that was ahead until now must not make every block too late.
        """
        self._began = now
        self._closed = {r: min(block, floor(now / r)) for r, block in self._closed.items()}
        self._held = {at: held for at, held in self._held.items() if at[0] * at[1] <= now}

    def take(self, up1: Up1) -> None:
        """Write a host's block into the fleet's; what is repeated or too late is dropped."""
        block = (up1.rung, up1.block)
        if up1.block <= self._closed.get(up1.rung, -1) or up1.block * up1.rung < self._began:
            return
        held = self._held.get(block)
        if held is None:
            held = self._held[block] = self._nothing()
        if up1.host in held.hosts:
            return
        place = self._fleet.place(up1.host)
        held.x[place.cells] = up1.x[:, place.here]
        held.offset[place.cells] = up1.offset[:, place.here]
        held.eligible[place.rows] = up1.eligible
        if up1.frozen is not None:
            held.frozen[place.rows] = up1.frozen
        held.hosts.add(up1.host)

    def newest_closed(self) -> float:
        """Return when the newest block began (seconds) that was taken out, −∞ before the first."""
        return max((float(b * r) for r, b in self._closed.items()), default=-np.inf)

    def ready(self, expected: Collection[str], now: float | None) -> list[Block]:
        """Return the blocks that all ``expected`` have sent, or that nobody waits for at ``now``.

        ``now`` None: they are waited for however long it takes. Shorter rungs first, in order.
        A block of which no row is eligible waits for others until then: it may be of a wrong clock.
        """
        return sorted(
            block
            for block, held in self._held.items()
            if (held.hosts.issuperset(expected) and (now is None or held.told.any()))
            or (now is not None and now >= waited_until(block))
        )

    def close(self, block: Block) -> Gathered | None:
        """Take a block out, and every older one of its rung with it: evidence comes in order."""
        rung, index = block
        if index <= self._closed.get(rung, -1):
            return None
        self._closed[rung] = index
        found = self._held.pop(block)
        for older in [at for at in self._held if at[0] == rung and at[1] < index]:
            del self._held[older]
        return found

    def _nothing(self) -> Gathered:
        shape = (self._fleet.shard_count, len(self._fleet.metrics))
        nothing = np.full((2, *shape), np.nan, dtype=np.float32)
        no_row = np.zeros((2, shape[0]), dtype=np.bool_)
        return Gathered(nothing[0], nothing[1], no_row[0], no_row[1])


@dataclass(slots=True)
class _Awaited:
    """The evidence of one block: who was asked for it, until when, and what has come."""

    asked: frozenset[str]
    until: float
    come: dict[str, Up2] = field(default_factory=dict)


class GatherUp2:
    """Evidence on its way in: that of a block is heard together, whatever order it comes in."""

    def __init__(self) -> None:
        """Start with nothing asked for."""
        self._awaited: dict[Block, _Awaited] = {}
        self._newest: dict[tuple[str, int], int] = {}

    def inherit(self, former: "GatherUp2", move: Move) -> None:
        """Take over what is asked of hosts whose shards and metrics are the same."""
        same = _same_hosts(move)
        self._newest = former._newest  # noqa: SLF001 - of this class
        for block, held in former._awaited.items():  # noqa: SLF001 - of this class
            come = {host: up2 for host, up2 in held.come.items() if host in same}
            self._awaited[block] = _Awaited(held.asked & same, held.until, come)

    def begin(self, now: float) -> None:
        """Take no block after ``now`` for heard: the clock was ahead when it was."""
        self._newest = {key: min(b, floor(now / key[1])) for key, b in self._newest.items()}

    def ends_before(self, up2: Up2) -> bool:
        """Say whether ``up2`` is older than what was heard of its host already."""
        return up2.block < self._newest.get((up2.host, up2.rung), -1)

    def forget(self, host: str) -> None:
        """Take whatever ``host`` says next for news: it begins anew."""
        self._newest = {key: block for key, block in self._newest.items() if key[0] != host}

    def ask(self, block: Block, hosts: Iterable[str], now: float) -> None:
        """Note that summaries of ``block`` went out to ``hosts``."""
        until = now + min(LONGEST_WAIT, block[0] / 2)
        self._awaited[block] = _Awaited(frozenset(hosts), until)

    def take(self, up2: Up2) -> Up2 | None:
        """Keep what belongs to an awaited block; return what comes too late to be heard together.

        Repeated and overtaken evidence is dropped: the newest block of a host and rung wins.
        """
        awaited = self._awaited.get((up2.rung, up2.block))
        if awaited is not None and up2.host in awaited.asked:
            awaited.come.setdefault(up2.host, up2)
            return None
        return up2 if self._is_news(up2) else None

    def ready(self, expected: Collection[str], now: float | None) -> list[Block]:
        """Return the blocks whose evidence has come from all who were asked and are ``expected``.

        Or that nobody waits for at ``now``; shorter rungs first, in order.
        """
        return sorted(
            block
            for block, awaited in self._awaited.items()
            if awaited.come.keys() >= awaited.asked.intersection(expected)
            or (now is not None and now >= awaited.until)
        )

    def close(self, block: Block) -> Mapping[str, Up2]:
        """Take out the news of a block, by host in order of name."""
        come = self._awaited.pop(block).come
        return {host: come[host] for host in sorted(come) if self._is_news(come[host])}

    def _is_news(self, up2: Up2) -> bool:
        key = (up2.host, up2.rung)
        if up2.block <= self._newest.get(key, -1):
            return False
        self._newest[key] = up2.block
        return True


def _same_hosts(move: Move) -> frozenset[str]:
    """Return the hosts whose messages have the same rows and columns as before."""
    before, after = move.before, move.after
    return frozenset(
        host
        for host, metrics in after.reported.items()
        if before.reported.get(host) == metrics and _shards(before, host) == _shards(after, host)
    )


def _shards(fleet: Fleet, host: str) -> list[str]:
    return [fleet.rows[row] for row in fleet.hosts[host]]
