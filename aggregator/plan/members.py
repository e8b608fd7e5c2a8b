"""How many peers a group can count on, what class that carries, and what a bet needs.

Apart, because the number of peers limits both channels and changes for its own reasons: shards
come, go and fall silent.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from ...engine.evalue import Validity
from ...engine.peers import FEWEST
from ..state.fleet import Fleet
from ..state.move import Move

Ints = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int8]

# Members K with a value, the shard itself included, and the best class from there on.
RANKED_FROM = 16
CHANGE = ((32, Validity.CONSTRUCTION), (RANKED_FROM, Validity.EMPIRICAL), (3, Validity.NONE))
LEVEL = ((8, Validity.CONSTRUCTION), (3, Validity.EMPIRICAL))

REMEMBERED = 200  # blocks of counts
LOOK_EACH = 20  # blocks
RELIABLE = 10  # percentile of the counts that a group can rely on
SETTLED = 0.8  # share of the members with a value that must have an offset, or a group still learns


class Members:
    """Reliable members (2, G) of every group, for the change and for the level channel."""

    def __init__(self, fleet: Fleet) -> None:
        """Believe the sizes of the groups until counts have been heard."""
        self._fleet = fleet
        self._reliable = np.stack([fleet.group_sizes()] * 2)
        self._counts: deque[tuple[Ints, Ints]] = deque(maxlen=REMEMBERED)
        self._heard = 0
        self._grown = np.zeros(len(self._reliable[0]), dtype=np.bool_)
        self._risen: list[int] = []

    def inherit(self, former: "Members", move: Move) -> None:
        """Take over the counts of groups that are still there.

        A group that has grown is as good as before until the new members have been counted.
        """
        was, now = move.groups
        sizes = self._fleet.group_sizes()
        held = former._reliable  # noqa: SLF001 - of this class
        self._reliable[:, now] = np.minimum(held[:, was], sizes[now])
        better = _best(np.stack([sizes] * 2)) > self.classes()
        self._grown[now] = better[:, now].any(axis=0)
        self._heard = former._heard  # noqa: SLF001 - of this class
        for counts in former._counts:  # noqa: SLF001 - of this class
            moved = np.zeros((2, len(sizes)), dtype=np.int64)
            moved[:, now] = np.stack(counts)[:, was]
            self._counts.append((moved[0], moved[1]))

    def drain_risen(self) -> list[int]:
        """Return the groups whose class rose since the last call: their epoch ends."""
        risen, self._risen = self._risen, []
        return risen

    def hear(self, demeaned: Ints, raw: Ints) -> bool:
        """Take one block's counts (G, M); say whether a class changed.

        It falls at once, and rises only where the group has grown: that ends the group's epoch.
        A block in which a group has no value (it is of another rung's metrics), or in which many
        of its members have no offset yet, tells nothing of losses.
        """
        known = np.where(demeaned >= SETTLED * raw, demeaned, 0)
        self._counts.append((known.max(axis=1), raw.max(axis=1)))
        self._heard += 1
        if self._heard % LOOK_EACH:
            return False
        before = self.classes()
        for channel in range(2):
            counts = np.sort([c[channel] for c in self._counts], axis=0)  # nothing (0) comes first
            told = np.count_nonzero(counts, axis=0)
            at = len(counts) - told + (told - 1) * RELIABLE // 100
            groups = np.flatnonzero(told >= LOOK_EACH)
            self._rise(channel, groups, counts[at[groups], groups])
            reliable = np.minimum(self._reliable[channel, groups], counts[at[groups], groups])
            self._reliable[channel, groups] = reliable
        return bool((self.classes() != before).any())

    def _rise(self, channel: int, groups: Ints, found: Ints) -> None:
        """Let grown ``groups`` have as many members as were ``found`` if their class is better."""
        before = self._reliable[channel, groups]
        better = _best(np.stack([found] * 2))[channel] > _best(np.stack([before] * 2))[channel]
        better &= self._grown[groups]
        self._reliable[channel, groups[better]] = found[better]
        self._risen.extend(groups[better].tolist())

    def reliable(self) -> Ints:
        """Return the members (2, G) that a group can count on."""
        return self._reliable.copy()

    def classes(self) -> Classes:
        """Return the best class (2, G) that the number of members allows."""
        return _best(self._reliable)

    def needed(self) -> Ints:
        """Return the members (2, G) that a block needs to be bet at the group's class."""
        out = np.full(self._reliable.shape, FEWEST, dtype=np.int64)
        for channel, ladder in enumerate((CHANGE, LEVEL)):
            for members, _ in reversed(ladder):
                out[channel][self._reliable[channel] >= members] = members
        return out

    def too_few(self) -> Ints:
        """Return the groups with fewer than three members: they abstain."""
        return np.flatnonzero(self._fleet.group_sizes() < FEWEST)


def _best(members: Ints) -> Classes:
    """Return the best class (2, n) that so many ``members`` (2, n) allow, by channel."""
    out = np.zeros(members.shape, dtype=np.int8)
    for channel, ladder in enumerate((CHANGE, LEVEL)):
        for least, validity in reversed(ladder):
            out[channel][members[channel] >= least] = validity
    return out
