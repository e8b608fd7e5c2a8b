"""The topology: nodes, edges, what lies beneath what, and a digest that means "unchanged".

Apart, because peers, roll-ups and attribution need one graph with checked, fixed meaning.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

SHARD_KINDS = frozenset({"gpu_shard", "tpu_shard", "trainium_chip", "inferentia_chip", "mig_slice"})
LOGICAL_KINDS = frozenset({"stage", "job", "role", "service"})

# Relations that carry a fault from one node to what depends on it; all others (network, NVLink,
# PCIe neighbours) are kept and hashed but never walked upward.
DOWNWARD = frozenset({"contains", "power_supply", "powers", "cooling", "cools"})
UPWARD = frozenset({"powered_by", "cooled_by"})


# kind_rank, the name cut into text and numbers, the name itself to tell "r1" from "r01".
_Place = tuple[int, tuple[str | int, ...], str]


class BadTopology(ValueError):  # noqa: N818 - named for what it says
    """Say what is wrong with a topology: ``where``, ``what``, ``todo`` and perhaps ``file``."""

    def __init__(self, where: str, what: str, todo: str, file: str = "") -> None:
        """Keep the facts; the text is made of them when asked for."""
        super().__init__(where, what, todo, file)
        self.where = where
        self.what = what
        self.todo = todo
        self.file = file

    def __str__(self) -> str:
        """Return one line: file, place, what is wrong, what to do."""
        place = ": ".join(part for part in (self.file, self.where) if part)
        return f"{place}: {self.what}; {self.todo}"

    def within(self, file: str) -> "BadTopology":
        """Return the same fault with the name of the file it was found in."""
        return BadTopology(self.where, self.what, self.todo, file)


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of the fleet: a shard, host, rack, PSU, cooling zone, stage, switch."""

    id: str
    kind: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """One directed relation between two nodes, by their ids."""

    source: str
    target: str
    relationship: str


@dataclass(frozen=True, slots=True)
class Topology:
    """A checked graph of nodes and edges; shards and children come in *graph order*.

    Graph order is depth first along containment, physical nodes before logical ones, then by
    name with numbers compared as numbers: it depends on the content, not on the order of a file.
    A node of a shard kind that contains shards (a GPU cut into MIG slices) is an inner node.

    Raises ``BadTopology`` for a duplicate id, an edge to nowhere, or a cycle.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    shards: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _nodes: dict[str, Node] = field(init=False, repr=False, compare=False)
    _children: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _parents: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _homes: dict[str, str] = field(init=False, repr=False, compare=False)
    _downward: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the graph and lay out what every question needs."""
        nodes = _unique(self.nodes)
        _refuse_unknown_ends(nodes, self.edges)
        order = {name: (kind_rank(node.kind), _natural(name), name) for name, node in nodes.items()}
        names = sorted(nodes, key=order.__getitem__)
        pairs = [_downward_pair(e) for e in self.edges if e.relationship in DOWNWARD | UPWARD]
        boxes = [(e.source, e.target) for e in self.edges if e.relationship == "contains"]
        children = _adjacent(pairs, order)
        parents = _adjacent([(below, above) for above, below in pairs], order)
        homes = _adjacent([(below, above) for above, below in boxes], order)
        downward = _parents_first(names, children, parents)
        above_shards = _above_shards(nodes, children, downward)
        walk = _depth_first(names, _adjacent(boxes, order), homes)
        shards = tuple(n for n in walk if nodes[n].kind in SHARD_KINDS and n not in above_shards)
        self._set("_nodes", nodes)
        self._set("_children", children)
        self._set("_parents", parents)
        self._set("_homes", {name: above[0] for name, above in homes.items()})
        self._set("_downward", downward)
        self._set("shards", shards)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the only way to fill a frozen dataclass

    def node(self, name: str) -> Node:
        """Return the node called ``name``; raise ``KeyError`` if there is none."""
        return self._nodes[name]

    def __contains__(self, name: object) -> bool:
        """Say whether a node of that id exists."""
        return name in self._nodes

    def children(self, name: str) -> tuple[str, ...]:
        """Return the nodes directly beneath ``name`` by containment, power or cooling."""
        return self._children.get(name, ())

    def parents(self, name: str) -> tuple[str, ...]:
        """Return the nodes directly above ``name`` by containment, power or cooling."""
        return self._parents.get(name, ())

    def path(self, name: str) -> tuple[str, ...]:
        """Return the containing nodes of ``name`` from the root down, without itself."""
        found: list[str] = []
        above = self._homes.get(name)
        while above is not None:
            found.append(above)
            above = self._homes.get(above)
        return tuple(reversed(found))

    def beneath(self) -> dict[str, tuple[str, ...]]:
        """Return for every inner node with shards beneath it those shards, in graph order.

        Nodes without shards beneath (switches, processors, network cards) are left out.
        """
        number = {name: i for i, name in enumerate(self.shards)}
        found: dict[str, set[int]] = {name: {i} for name, i in number.items()}
        for name in reversed(self._downward):
            below = [found[child] for child in self.children(name) if child in found]
            if below:
                found[name] = below[0] if len(below) == 1 else set().union(*below)
        return {
            name: tuple(self.shards[i] for i in sorted(found[name]))
            for name in self._downward
            if name in found and name not in number
        }

    def members(self, name: str) -> tuple[str, ...]:
        """Return the shards beneath one node (itself if it is a shard), in graph order."""
        reached = set(_depth_first((name,), self._children, {}))
        return tuple(shard for shard in self.shards if shard in reached)

    def digest(self) -> str:
        """Return the SHA-256 of the content: the same for any order of nodes, edges or keys."""
        nodes = sorted([n.id, n.kind, sorted(n.metadata.items())] for n in self.nodes)
        edges = sorted({(e.source, e.target, e.relationship) for e in self.edges})
        text = json.dumps([nodes, edges], ensure_ascii=True, separators=(",", ":"))
        return sha256(text.encode("ascii")).hexdigest()


def kind_rank(kind: str) -> int:
    """Return 0 for physical kinds and 1 for logical ones, which explain only after them."""
    return int(kind in LOGICAL_KINDS)


def _natural(name: str) -> tuple[str | int, ...]:
    return tuple(int(p) if i % 2 else p for i, p in enumerate(re.split(r"([0-9]+)", name)))


def _unique(nodes: Iterable[Node]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        if node.id in found:
            where = f"node {node.id!r}"
            raise BadTopology(where, "its id occurs twice", "give each its own id")
        found[node.id] = node
    return found


def _refuse_unknown_ends(nodes: Mapping[str, Node], edges: Iterable[Edge]) -> None:
    for number, edge in enumerate(edges, start=1):
        for name in (edge.source, edge.target):
            if name not in nodes:
                where = f"edge {number} ({edge.source} {edge.relationship} {edge.target})"
                todo = "add that node or remove the edge"
                raise BadTopology(where, f"there is no node {name!r}", todo)


def _downward_pair(edge: Edge) -> tuple[str, str]:
    if edge.relationship in UPWARD:
        return edge.target, edge.source
    return edge.source, edge.target


def _adjacent(
    pairs: Iterable[tuple[str, str]], order: Mapping[str, _Place]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for first, second in pairs:
        found.setdefault(first, set()).add(second)
    return {name: tuple(sorted(ends, key=order.__getitem__)) for name, ends in found.items()}


def _parents_first(
    names: list[str],
    children: Mapping[str, tuple[str, ...]],
    parents: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    waiting = {name: len(parents.get(name, ())) for name in names}
    ready = [name for name, count in waiting.items() if count == 0]
    for name in ready:  # grows while it is walked
        for child in children.get(name, ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    if len(ready) < len(names):
        loop = _loop(set(names) - set(ready), parents)
        where = f"node {loop[0]!r}"
        what = f"lies beneath itself: {' > '.join(loop)}"
        raise BadTopology(where, what, "remove one of these relations")
    return tuple(ready)


def _loop(stuck: set[str], parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    name = min(stuck)
    trail: list[str] = []
    while name not in trail:
        trail.append(name)
        name = next(above for above in parents[name] if above in stuck)
    return [name, *reversed(trail[trail.index(name) :])]


def _above_shards(
    nodes: Mapping[str, Node], children: Mapping[str, tuple[str, ...]], downward: tuple[str, ...]
) -> set[str]:
    above: set[str] = set()
    for name in reversed(downward):
        below = children.get(name, ())
        if any(child in above or nodes[child].kind in SHARD_KINDS for child in below):
            above.add(name)
    return above


def _depth_first(
    names: Iterable[str],
    children: Mapping[str, tuple[str, ...]],
    homes: Mapping[str, tuple[str, ...]],
) -> list[str]:
    roots = [name for name in names if name not in homes]
    seen: dict[str, None] = {}
    stack = list(reversed(roots))
    while stack:
        name = stack.pop()
        if name not in seen:
            seen[name] = None
            stack.extend(reversed(children.get(name, ())))
    return list(seen)
