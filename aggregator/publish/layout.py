"""The rows of a fleet as a terminal draws them: what they are and what contains them.

Apart from the views, because rows change when the fleet does, and views with every block.
"""

from ...adapters.topology.model import Topology
from ...proto.schema import console
from ..state.fleet import NODES_HOST, Fleet


def layout(fleet: Fleet, topology: Topology, version: int) -> console.Layout:
    """Return the layout of ``fleet``, which was built from ``topology``, as ``version`` ≥ 1."""
    stand_in = {
        name: fleet.shard_count + i for i, node in enumerate(fleet.nodes) for name in node.names
    }
    host_of = {
        fleet.rows[row]: host
        for host, rows in fleet.hosts.items()
        if host != NODES_HOST
        for row in rows
    }
    rows = [
        console.Row(
            id=name,
            kind=fleet.kinds[i],
            parent=_parent(i, name, topology, stand_in),
            host=host_of.get(name, ""),
        )
        for i, name in enumerate(fleet.rows)
    ]
    return console.Layout(version=version, shards=fleet.shard_count, rows=rows)


def _parent(row: int, name: str, topology: Topology, stand_in: dict[str, int]) -> int:
    """Return 1 + the row that contains ``row`` most closely, 0 where none does."""
    if name not in topology:
        return 0
    above = (stand_in[node] for node in reversed(topology.path(name)) if node in stand_in)
    return next((found + 1 for found in above if found != row), 0)
