"""When the fleet is formed, and of whom: inventories are gathered until it is quiet.

Apart from the fleet's table, because who may claim a shard, and when enough have come, is decided
over minutes and by the clock.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from ...proto.messages import Inventory
from .departed import Departed

NEVER: Final = float("-inf")


class Assembly:
    """The newest inventory of every host, and whether they are to be made a fleet now."""

    def __init__(self, expect_hosts: int, gather_seconds: float) -> None:
        """Take how many hosts will come (0 = nobody knows) and how long it has to be quiet."""
        self._expected = expect_hosts
        self._quiet = gather_seconds
        self._inventories: dict[str, Inventory] = {}
        self._owner: dict[str, str] = {}  # host by shard
        self._departed = Departed()
        self._changed_at = NEVER
        self._pending = False
        self.formed = False

    @property
    def inventories(self) -> Mapping[str, Inventory]:
        """Return the newest inventory of each host."""
        return self._inventories

    def waiting(self) -> int:
        """Return how many expected hosts have not come yet; 0 once the fleet was formed."""
        return 0 if self.formed else max(0, self._expected - len(self._inventories))

    def claim(self, inventory: Inventory, now: float) -> str:
        """Take a host's inventory at ``now`` (monotonic s); return "" or why it is refused.

        A shard belongs to the host that claimed it first, until that host reports without it or
        has to :meth:`give` it.
        """
        for shard in inventory.shards:
            owner = self._owner.get(shard.id, inventory.host)
            if owner != inventory.host:
                return (
                    f"shard {shard.id}: host {owner} reports it too; "
                    "stop that agent, or wait a minute if that machine is gone"
                )
        held = self._inventories.get(inventory.host)
        self._inventories[inventory.host] = inventory
        if held is not None and _same(held, inventory):
            return ""
        for shard in held.shards if held else ():
            del self._owner[shard.id]
        self._owner.update((shard.id, inventory.host) for shard in inventory.shards)
        if held is not None and self.formed:
            self._departed.note(held, inventory, now)
        self._departed.back(inventory)
        self._changed_at, self._pending = now, True
        return ""

    def owner(self, shard: str) -> str | None:
        """Return the host that has ``shard``."""
        return self._owner.get(shard)

    def rivals(self, inventory: Inventory) -> tuple[str, ...]:
        """Return the other hosts that have shards of ``inventory``, sorted."""
        owners = {self._owner.get(shard.id, inventory.host) for shard in inventory.shards}
        return tuple(sorted(owners - {inventory.host}))

    def give(self, host: str, inventory: Inventory) -> Inventory | None:
        """Let the shards of ``inventory`` that ``host`` has be claimed; return what it has left.

        A host that is left with none is known no more: None.
        """
        held, lost = self._inventories[host], {shard.id for shard in inventory.shards}
        rest = tuple(shard for shard in held.shards if shard.id not in lost)
        for shard in held.shards:
            if shard.id in lost:
                del self._owner[shard.id]
        if not rest:
            del self._inventories[host]
            return None
        self._inventories[host] = replace(held, shards=rest)
        return self._inventories[host]

    def forget(self, hosts: Collection[str], now: float) -> None:
        """Leave ``hosts`` out of the next fleet, which is due, and let others have their shards."""
        for host in hosts:
            held = self._inventories.pop(host, None)
            if held is None:
                continue
            for shard in held.shards:
                del self._owner[shard.id]
            self._departed.forget(host)
            self._changed_at, self._pending = now, True

    def expire(self, now: float) -> None:
        """Leave out of the next fleet what left a host so long ago that its epoch is over."""
        if self._departed.expire(now):
            self._changed_at, self._pending = now, True

    def due(self, now: float) -> bool:
        """Say whether a fleet is to be formed at ``now``: all have come, or it has been quiet."""
        if not self._pending or not any(i.shards for i in self._inventories.values()):
            return False
        complete = not self.formed and 0 < self._expected <= len(self._inventories)
        return complete or now - self._changed_at >= self._quiet

    def take(self) -> tuple[Inventory, ...]:
        """Return the inventories of the fleet to be formed, by name of the host, and note it.

        Behind them stand those of shards that have left.
        """
        self._pending, self.formed = False, True
        reported = tuple(inventory for _, inventory in sorted(self._inventories.items()))
        return (*reported, *self._departed.inventories(self._inventories))


def _same(one: Inventory, other: Inventory) -> bool:
    """Say whether two inventories make the same rows and columns of a fleet."""
    pace = (one.interval, one.refreshes)
    return same_rows(one, other) and pace == (other.interval, other.refreshes)


def same_rows(one: Inventory, other: Inventory) -> bool:
    """Say whether messages that follow one inventory mean the same under the other."""
    rows = (one.shards, one.metrics, one.schemas)
    return rows == (other.shards, other.metrics, other.schemas)
