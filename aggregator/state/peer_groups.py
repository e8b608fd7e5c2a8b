"""Peer groups: which shards should look alike in this block.

Apart, and free of anything that needs the whole fleet's evidence, because peer groups are the
unit that can later be spread over processes (DESIGN.md section 6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...adapters.topology.model import Topology
from ...engine.ranks import stream_key
from ...proto.messages import ShardRow

SMALLEST = 32  # members from which a node is a group of its own: K of class construction
LARGEST = 256  # members above which a group is cut in topology order


@dataclass(frozen=True, slots=True)
class PeerGroup:
    """Shards of one (sku, job, role), nearest in the topology; ``name`` is stable."""

    name: str
    members: tuple[str, ...]


def peer_groups(shards: Sequence[ShardRow], topology: Topology) -> tuple[PeerGroup, ...]:
    """Return the groups of all ``shards``, each shard in exactly one.

    A group is the smallest containing node with at least 32 members of the same (sku, job,
    role), or all of them where no node has; above 256 it is cut in topology order.
    """
    alike: dict[tuple[str, str, str], list[str]] = {}
    order = {shard: i for i, shard in enumerate(topology.shards)}
    for shard in sorted(shards, key=lambda s: (order.get(s.id, len(order)), s.id)):
        alike.setdefault((shard.sku, shard.job, shard.role), []).append(shard.id)
    found: list[PeerGroup] = []
    for (sku, job, role), members in alike.items():
        name = f"sku={sku},job={job},role={role}"
        for place, near in _by_place(members, topology).items():
            found.extend(_cut(f"{name},in={place}" if place else name, near))
    return tuple(found)


def _by_place(members: Sequence[str], topology: Topology) -> Mapping[str, list[str]]:
    """Return members by the smallest containing node that holds 32 of them, "" for the rest."""
    if len(members) < 2 * SMALLEST:
        return {"": list(members)}
    paths = {shard: topology.path(shard) if shard in topology else () for shard in members}
    count: dict[str, int] = {}
    for path in paths.values():
        for node in path:
            count[node] = count.get(node, 0) + 1
    placed: dict[str, list[str]] = {}
    for shard, path in paths.items():
        home = next((node for node in reversed(path) if count[node] >= SMALLEST), "")
        placed.setdefault(home, []).append(shard)
    large = {place: near for place, near in placed.items() if place and len(near) >= SMALLEST}
    housed = {shard for near in large.values() for shard in near}
    rest = [shard for shard in members if shard not in housed]  # siblings found a smaller home
    return {**large, "": rest} if rest else large


def _cut(name: str, members: list[str]) -> list[PeerGroup]:
    """Cut a group of more than 256 into runs of 128 to 256 members.

    Each cut is before the member whose name hashes lowest among those where it may be, so that a
    host that joins or leaves moves the cuts near it and no others; a run is called by its first.
    """
    runs, start = [], 0
    while len(members) - start > LARGEST:
        last = min(start + LARGEST, len(members) - LARGEST // 2)
        cut = min(range(start + LARGEST // 2, last + 1), key=lambda i: stream_key(members[i]))
        runs.append(members[start:cut])
        start = cut
    runs.append(members[start:])
    names = [name, *(f"{name},from={run[0]}" for run in runs[1:])]
    return [PeerGroup(n, tuple(run)) for n, run in zip(names, runs, strict=True)]
