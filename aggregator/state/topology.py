"""The topology of the hosts that have reported: what a file says, and what they say themselves.

Apart from reading files, because hosts come and go, and a fleet of which nobody wrote a file has
a topology all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...adapters.topology.model import BadTopology, Edge, Node, Topology, kind_rank
from ...proto.messages import Inventory, PathNode, ShardRow

CLUSTER, HOST = "cluster", "host"  # kinds
NOTHING = Topology((), ())


def topology_of(
    inventories: Sequence[Inventory], static: Topology | None, cluster: str
) -> Topology:
    """Return ``static`` and, added to it, every shard of ``inventories`` that it does not know.

    Such a shard hangs beneath the path that its host reports, or beneath a node of kind host that
    is named by its host; what has a place in ``static`` keeps it. Whatever is contained in nothing
    hangs beneath the one node of kind cluster, called ``cluster`` where there is none yet.
    Raises ``BadTopology`` (a ``ValueError`` of one line) that names a host for two kinds or two
    places of one id and for a path through a shard, and for a loop.
    """
    told = NOTHING if static is None else static
    grown = _Grown(told, {node.id: node for node in told.nodes})
    for inventory in inventories:
        grown.note_shards(inventory)
    for inventory in inventories:
        for shard in inventory.shards:
            if shard.id not in told:
                grown.hang(shard, inventory.host)
    grown.crown(cluster)
    return grown.topology()


@dataclass(slots=True)
class _Grown:
    """A topology while it grows: ``homes`` child to (parent, host that said so)."""

    told: Topology
    nodes: dict[str, Node]
    homes: dict[str, tuple[str, str]] = field(default_factory=dict)
    shards: dict[str, str] = field(default_factory=dict)  # to the host that reports it

    def note_shards(self, inventory: Inventory) -> None:
        self.shards.update((shard.id, inventory.host) for shard in inventory.shards)

    def hang(self, shard: ShardRow, host: str) -> None:
        """Add a shard, the nodes of its path, and what contains what."""
        path = shard.path or (PathNode(host, HOST),)
        above = ""
        for node in path:
            if node.id in self.shards:
                where, todo = _where(shard.id, host), "correct the path on that host"
                raise BadTopology(where, f"its path leads through the shard {node.id!r}", todo)
            self._add(node, host)
            self._place(node.id, above, host)
            above = node.id
        self._add(PathNode(shard.id, shard.kind), host)
        self._place(shard.id, above, host)

    def crown(self, cluster: str) -> None:
        """Hang whatever is contained in nothing beneath the one cluster."""
        found = [node.id for node in self.nodes.values() if node.kind == CLUSTER]
        roots = self._roots(everywhere=not found)
        if len(found) == 1:
            cluster = found[0]
        elif roots or found:
            self._add(PathNode(cluster, CLUSTER), "")
            roots = self._roots(everywhere=True)
        for root in roots:
            if root != cluster:
                self._place(root, cluster, "")

    def topology(self) -> Topology:
        added = (Edge(above, name, "contains") for name, (above, _) in self.homes.items())
        return Topology(tuple(self.nodes.values()), (*self.told.edges, *added))

    def _add(self, node: PathNode, host: str) -> None:
        held = self.nodes.setdefault(node.id, Node(node.id, node.kind))
        if held.kind != node.kind:
            what = f"is of kind {node.kind!r} here and of kind {held.kind!r} elsewhere"
            raise BadTopology(_where(node.id, host), what, "give each its own id, or one kind")

    def _place(self, name: str, above: str, host: str) -> None:
        """Note that ``above`` contains ``name``, unless that has a place in what was told."""
        if not above or (name in self.told and self.told.path(name)):
            return
        held = self.homes.setdefault(name, (above, host))
        if held[0] != above:
            what = f"lies in {above!r} here and in {held[0]!r} by host {held[1]!r}"
            raise BadTopology(_where(name, host), what, "correct the path on one of them")

    def _roots(self, *, everywhere: bool) -> Sequence[str]:
        """Return shards and physical boxes that are contained in nothing, as far as they are new.

        ``everywhere``: those that were told too.
        """
        contains = [e for e in self.told.edges if e.relationship == "contains"]
        inside = {e.target for e in contains} | self.homes.keys()
        boxes = {above for above, _ in self.homes.values()} | {e.source for e in contains}
        boxes.update(self.told.shards)
        new = (n for n in self.nodes.values() if everywhere or n.id not in self.told)
        return [n.id for n in new if n.id in boxes and n.id not in inside and not kind_rank(n.kind)]


def _where(name: str, host: str) -> str:
    return f"host {host!r}, node {name!r}" if host else f"node {name!r}"
