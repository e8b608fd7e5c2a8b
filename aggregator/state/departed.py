"""Shards that their host reports no more: they keep their place in the fleet for one epoch.

Apart from the inventories, because nobody reports these any more, and yet the number of hypotheses
must not fall inside an epoch, nor may what was ill leave the screen by leaving the host.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from ...proto.messages import Inventory, PathNode, ShardRow
from .topology import HOST

KEPT: Final = 7 * 86_400.0  # seconds: the longest epoch by the clock
MOST_OF_A_HOST: Final = 64  # shards; the oldest go first
MARK: Final = " (gone)"  # behind a host's name


@dataclass(frozen=True, slots=True)
class _Left:
    """A shard as it was when it left, and when that was (monotonic s)."""

    shard: ShardRow
    inventory: Inventory
    at: float


class Departed:
    """The shards that have left, by id, in the order in which they did."""

    def __init__(self) -> None:
        """Start with none."""
        self._left: dict[str, _Left] = {}

    def note(self, before: Inventory, after: Inventory, now: float) -> None:
        """Take a host's inventory ``after`` in the place of the one ``before``, at ``now``."""
        here = {shard.id for shard in after.shards}
        for shard in before.shards:
            if shard.id not in here:
                self._left[shard.id] = _Left(_placed(shard, before.host), before, now)
        mine = [name for name, left in self._left.items() if left.inventory.host == before.host]
        for name in mine[: max(0, len(mine) - MOST_OF_A_HOST)]:
            del self._left[name]

    def back(self, inventory: Inventory) -> None:
        """Forget what ``inventory`` has again, as a shard or (a GPU that was cut) above one."""
        for shard in inventory.shards:
            for name in (shard.id, *(node.id for node in shard.path)):
                self._left.pop(name, None)

    def forget(self, host: str) -> None:
        """Forget the shards of ``host``."""
        self._left = {n: left for n, left in self._left.items() if left.inventory.host != host}

    def expire(self, now: float) -> bool:
        """Forget those whose epoch is over; say whether there were any."""
        before = len(self._left)
        self._left = {name: left for name, left in self._left.items() if now - left.at < KEPT}
        return len(self._left) < before

    def inventories(self, taken: Collection[str]) -> tuple[Inventory, ...]:
        """Return them as inventories of hosts that are never heard of, none of the names ``taken``.

        Shards of one host stand apart where it had other metrics when they left: the weights of
        what they had may not move.
        """
        groups: dict[tuple[str, tuple[str, ...]], list[_Left]] = {}
        for left in self._left.values():
            groups.setdefault((left.inventory.host, left.inventory.metrics), []).append(left)
        found: dict[str, Inventory] = {}
        for (host, _), shards in groups.items():
            name = f"{host}{MARK}"
            while name in taken or name in found:
                name += MARK
            rows = tuple(left.shard for left in shards)
            found[name] = replace(shards[0].inventory, host=name, shards=rows)
        return tuple(found.values())


def _placed(shard: ShardRow, host: str) -> ShardRow:
    """Return ``shard`` beneath its host, which it would hang under if that still reported it."""
    return shard if shard.path else replace(shard, path=(PathNode(host, HOST),))
