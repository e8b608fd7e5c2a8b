"""Where the rows, columns and groups of one fleet stand in the next one.

Apart from what is carried over, because every table of the aggregator is moved by the same names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ...proto.messages import ShardRow
from .fleet import Fleet

Ints = npt.NDArray[np.int64]
Table = npt.NDArray[np.generic]

GONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """``before`` and ``after``, and where what both have stands in each, as pairs of arrays.

    A row is the same if its name is, and if it is a shard in both or in neither.
    """

    before: Fleet
    after: Fleet
    rows: tuple[Ints, Ints]
    columns: tuple[Ints, Ints]
    groups: tuple[Ints, Ints]

    @classmethod
    def of(cls, before: Fleet, after: Fleet) -> Self:
        """Return the move between two fleets."""
        was, now = _common(before.rows, after.rows)
        same = (was < before.shard_count) == (now < after.shard_count)
        names = [[metric.name for metric in fleet.metrics] for fleet in (before, after)]
        return cls(
            before=before,
            after=after,
            rows=(was[same], now[same]),
            columns=_common(*names),
            groups=_common(before.groups, after.groups),
        )

    @property
    def shards(self) -> tuple[Ints, Ints]:
        """Return where the shards that both fleets have stand in each."""
        was, now = self.rows
        return was[was < self.before.shard_count], now[now < self.after.shard_count]

    @property
    def nodes(self) -> tuple[Ints, Ints]:
        """Return the same for inner nodes, numbered from 0."""
        was, now = self.rows
        s, t = self.before.shard_count, self.after.shard_count
        return was[was >= s] - s, now[now >= t] - t

    def to_row(self) -> Ints:
        """Return the row after (R,) of every row before, −1 = gone."""
        return _inverse(self.rows, len(self.before.rows))

    def to_column(self) -> Ints:
        """Return the column after (M,) of every column before, −1 = gone."""
        return _inverse(self.columns, len(self.before.metrics))

    def to_group(self) -> Ints:
        """Return the group after (G,) of every group before, −1 = gone."""
        return _inverse(self.groups, len(self.before.groups))

    def table(self, was: Table, now: Table) -> None:
        """Write what rows and columns of ``was`` (R, M, …) stay into ``now``."""
        now[np.ix_(self.rows[1], self.columns[1])] = was[np.ix_(self.rows[0], self.columns[0])]

    def parts(self, was: Table, now: Table) -> None:
        """Write what stays of ``was`` (3, M, R) into ``now``."""
        every = np.arange(len(was))
        there = np.ix_(every, self.columns[1], self.rows[1])
        now[there] = was[np.ix_(every, self.columns[0], self.rows[0])]

    def changed(self) -> Mapping[str, Ints]:
        """Return the rows after that are something else now, by what it is that changed."""
        found: dict[str, list[int]] = {}
        for was, now in zip(*(rows.tolist() for rows in self.rows), strict=True):
            reason = self._reason(was, now)
            if reason:
                found.setdefault(reason, []).append(now)
        return {why: np.array(rows, dtype=np.int64) for why, rows in found.items()}

    def joined(self) -> Ints:
        """Return the rows after that were not there before."""
        new = np.ones(len(self.after.rows), dtype=np.bool_)
        new[self.rows[1]] = False
        return np.flatnonzero(new)

    def left(self) -> tuple[str, ...]:
        """Return the names of the rows that are not there any more."""
        return tuple(self.before.rows[r] for r in np.flatnonzero(self.to_row() == GONE))

    def _reason(self, was: int, now: int) -> str:
        before, after = self.before, self.after
        if now < after.shard_count:
            old, new = _likeness(before.shards[was]), _likeness(after.shards[now])
            if old != new:
                return f"it is {new} now, it was {old}"
        old, new = before.groups[before.group[was]], after.groups[after.group[now]]
        return f"its group is {new} now, it was {old}" if old != new else ""


def _likeness(shard: ShardRow) -> str:
    return f"sku={shard.sku},job={shard.job},role={shard.role}"


def _common(before: Sequence[str], after: Sequence[str]) -> tuple[Ints, Ints]:
    """Return where the names that both have stand in each, in the order before."""
    place = {name: i for i, name in enumerate(after)}
    pairs = [(i, place[name]) for i, name in enumerate(before) if name in place]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _inverse(pairs: tuple[Ints, Ints], count: int) -> Ints:
    to = np.full(count, GONE, dtype=np.int64)
    to[pairs[0]] = pairs[1]
    return to
