"""Levels: which inner nodes are hypotheses of their own, and which siblings they stand among.

Apart from peer groups, because a shard's peers are alike by job and role, while a node's
siblings are alike by what lies beneath them.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from ...adapters.topology.model import Topology, kind_rank
from ...engine.peers import FEWEST
from ...proto.messages import ShardRow

Signature = frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class InnerNode:
    """A hypothesis above the shards.

    ``names`` are the nodes with exactly these shards beneath, the one nearest to them first;
    ``children`` are hypotheses directly beneath; ``contrast`` is the sibling group and
    ``equals`` says whether its siblings hold the same roles (the narrow margin applies).
    """

    id: str
    kind: str
    names: tuple[str, ...]
    members: tuple[str, ...]
    children: tuple[str, ...]
    contrast: str
    equals: bool
    logical: bool


def inner_nodes(shards: Sequence[ShardRow], topology: Topology) -> tuple[InnerNode, ...]:
    """Return the inner hypotheses, those nearest to the shards first.

    A node with one shard is that shard; nodes with the same shards are one hypothesis.
    """
    known = {shard.id: (shard.sku, shard.job, shard.role) for shard in shards}
    beneath = {
        node: tuple(s for s in members if s in known)
        for node, members in topology.beneath().items()
    }
    same: dict[tuple[str, ...], list[str]] = {}
    for node in sorted(
        beneath, key=lambda n: (kind_rank(topology.node(n).kind), _depth(n, topology))
    ):
        if len(beneath[node]) > 1:
            same.setdefault(beneath[node], []).append(node)
    chosen = {names[0]: (tuple(names), members) for members, names in same.items()}
    stand_in = {name: first for first, (names, _) in chosen.items() for name in names}
    signature = {n: frozenset(known[s] for s in members) for n, (_, members) in chosen.items()}
    contrast = _contrasts({n: topology.node(n).kind for n in chosen}, signature)
    nodes = [
        InnerNode(
            id=node,
            kind=topology.node(node).kind,
            names=names,
            members=members,
            children=_children(names, topology, stand_in, known),
            contrast=contrast[node][0],
            equals=contrast[node][1],
            logical=bool(kind_rank(topology.node(node).kind)),
        )
        for node, (names, members) in chosen.items()
    ]
    return tuple(sorted(nodes, key=lambda n: len(n.members)))


def _depth(node: str, topology: Topology) -> int:
    """Return minus the number of containers above: the lowest of a chain sorts first."""
    return -len(topology.path(node))


def _contrasts(
    kind: Mapping[str, str], signature: Mapping[str, Signature]
) -> Mapping[str, tuple[str, bool]]:
    """Return each node's sibling group and whether its siblings are equals.

    Nodes of one kind, SKUs and jobs stand together; where three or more share their roles too
    they are equals, the others are compared with each other across roles.
    """
    groups: dict[tuple[str, frozenset[tuple[str, str]]], list[str]] = {}
    for node, what in kind.items():
        work = frozenset((sku, job) for sku, job, _ in signature[node])
        groups.setdefault((what, work), []).append(node)
    found: dict[str, tuple[str, bool]] = {}
    for (what, work), nodes in groups.items():
        jobs = "+".join(sorted({job for _, job in work}))
        skus = "+".join(sorted({sku for sku, _ in work}))
        name = f"kind={what},sku={skus},job={jobs}"
        by_roles: dict[Signature, list[str]] = {}
        for node in nodes:
            by_roles.setdefault(signature[node], []).append(node)
        mixed = [ns for ns in by_roles.values() if len(ns) < FEWEST and len(by_roles) > 1]
        for roles, alike in by_roles.items():
            if alike in mixed:
                found.update(dict.fromkeys(alike, (f"{name},across roles", False)))
                continue
            word = "+".join(sorted({role for _, _, role in roles}))
            found.update(dict.fromkeys(alike, (f"{name},role={word}", True)))
    return found


def _children(
    names: Sequence[str],
    topology: Topology,
    stand_in: Mapping[str, str],
    shards: Container[str],
) -> tuple[str, ...]:
    """Return the hypotheses directly beneath any of ``names``, looking through folded nodes."""
    found: dict[str, None] = {}
    stack = [child for name in names for child in reversed(topology.children(name))]
    while stack:
        child = stack.pop()
        if child in names:
            continue
        if child in stand_in:
            found[stand_in[child]] = None
        elif child in shards:
            found[child] = None
        else:  # a folded node, or one without shards: look through
            stack.extend(reversed(topology.children(child)))
    return tuple(found)
