"""Form a fleet of what hosts report, whoever of them is wrong about the wiring.

Apart from the fleet's table and the topology, which refuse what contradicts itself: one host's
mistake must not leave all the others unwatched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...adapters.catalogue import Catalogue
from ...adapters.topology.model import BadTopology, Topology
from ...proto.messages import Inventory
from .fleet import Fleet, build_fleet
from .metrics import judged
from .topology import topology_of


@dataclass(frozen=True, slots=True)
class Formation:
    """A fleet, the topology it was built from, and ``refused``: why, by host, it was not asked."""

    fleet: Fleet
    topology: Topology
    refused: dict[str, str]


def form(
    inventories: Sequence[Inventory],
    catalogue: Catalogue,
    static: Topology,
    cluster: str,
    shortest: int,
) -> Formation | None:
    """Return the fleet of ``inventories``, None where no host has a metric that is judged.

    The wiring that a host reports is not used where it contradicts that of hosts before it.
    """
    metrics = judged(inventories, catalogue, shortest)
    if not metrics:
        return None
    asked, refused = list(inventories), {}
    while True:
        try:
            topology = topology_of(asked, static, cluster)
        except BadTopology:
            i, bad = _first_wrong(asked, static, cluster)
            if asked[i].host in refused:
                raise  # its names alone contradict the file: there is nothing left to leave out
            refused[asked[i].host] = str(bad)
            asked[i] = _without_wiring(asked[i])
        else:
            return Formation(build_fleet(inventories, topology, metrics), topology, refused)


def _first_wrong(
    inventories: Sequence[Inventory], static: Topology, cluster: str
) -> tuple[int, BadTopology]:
    """Return the first host with which there is no topology, and why."""
    low, high = 0, len(inventories)  # of the first `low` there is one, of the first `high` none
    found = _fault(inventories, static, cluster)
    while high - low > 1:
        middle = (low + high) // 2
        fault = _fault(inventories[:middle], static, cluster)
        if fault is None:
            low = middle
        else:
            high, found = middle, fault
    if found is None:
        message = "these hosts have a topology"
        raise ValueError(message)
    return high - 1, found


def _fault(inventories: Sequence[Inventory], static: Topology, cluster: str) -> BadTopology | None:
    try:
        topology_of(inventories, static, cluster)
    except BadTopology as bad:
        return bad
    return None


def _without_wiring(inventory: Inventory) -> Inventory:
    shards = tuple(replace(shard, path=()) for shard in inventory.shards)
    return replace(inventory, shards=shards)
