"""The fleet as one table: a row for every shard and every inner node, with its group of peers.

Apart, because every later stage (summaries, plan, merging, selection) works on these row
numbers and must agree on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import Metric
from ...adapters.topology.model import Topology
from ...proto.messages import Inventory, ShardRow
from .levels import InnerNode, inner_nodes
from .peer_groups import peer_groups

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Number = TypeVar("Number", np.float32, np.int64)

NODES_HOST = ""  # the sender of inner nodes' evidence is the aggregator itself


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host's values stand in the fleet: its ``rows``, and columns ``there`` of ``here``.

    ``columns`` is the fleet's M, ``metrics`` the host's; those not judged have no place.
    """

    rows: Ints
    here: Ints
    there: Ints
    columns: int
    metrics: int

    @property
    def cells(self) -> tuple[Ints, Ints]:
        """Return the index of the host's values in an array (S, M) of the fleet."""
        return self.rows[:, None], self.there[None, :]

    def back(self, values: npt.NDArray[Number], nothing: float) -> npt.NDArray[Number]:
        """Return the fleet's ``values`` (M, …) in the host's columns, ``nothing`` in the others."""
        out = np.full_like(values, nothing, shape=(self.metrics, *values.shape[1:]))
        out[self.here] = values[self.there]
        return out


@dataclass(frozen=True, slots=True)
class Fleet:
    """Rows 0 … S−1 are shards, S … R−1 inner nodes; columns are ``metrics``.

    ``group`` (R,) index into ``groups``; ``pool`` (R,) index into ``pools``, whose rows share φ
    and κ (a SKU, or the nodes of one contrast); ``equals`` (R,) whether the group is of equals;
    ``hosts`` sender to its rows; ``reported`` sender to the metrics it has, in its own order, and
    ``schemas`` to how each of these is read; ``has`` (R, M) whether a row has a column, or a shard
    beneath it does;
    ``places`` sender to where its values stand; ``shards_beneath`` rows of each inner node.
    """

    metrics: tuple[Metric, ...]
    rows: tuple[str, ...]
    kinds: tuple[str, ...]
    shards: tuple[ShardRow, ...]
    nodes: tuple[InnerNode, ...]
    groups: tuple[str, ...]
    group: Ints
    pools: tuple[str, ...]
    pool: Ints
    equals: Bools
    hosts: Mapping[str, Ints]
    reported: Mapping[str, tuple[str, ...]]
    places: Mapping[str, Place]
    shards_beneath: tuple[Ints, ...]
    has: Bools
    schemas: Mapping[str, Mapping[str, str]]

    @property
    def shard_count(self) -> int:
        """Return S."""
        return len(self.shards)

    def place(self, host: str) -> Place:
        """Return where the values of ``host`` stand."""
        return self.places[host]

    def group_sizes(self) -> Ints:
        """Return the members of each group (G,)."""
        return np.bincount(self.group, minlength=len(self.groups)).astype(np.int64)

    def group_rows(self) -> tuple[Ints, ...]:
        """Return the rows of each group, ascending."""
        edges = np.cumsum(self.group_sizes())[:-1]
        return tuple(np.split(np.argsort(self.group, kind="stable"), edges))


def build_fleet(
    inventories: Sequence[Inventory], topology: Topology, metrics: Sequence[Metric]
) -> Fleet:
    """Return the table of all ``inventories``' shards and the inner nodes above them.

    Raises ``ValueError`` naming a shard that two hosts claim.
    """
    shards = tuple(shard for inventory in inventories for shard in inventory.shards)
    row = {shard.id: i for i, shard in enumerate(shards)}
    if len(row) != len(shards):
        claimed = [s.id for s in shards]
        twice = next(name for name in claimed if claimed.count(name) > 1)
        message = f"shard {twice!r} is in two inventories: a shard belongs to one host"
        raise ValueError(message)
    nodes = inner_nodes(shards, topology)
    group_of = {m: g.name for g in peer_groups(shards, topology) for m in g.members}
    names = [group_of[s.id] for s in shards] + [n.contrast for n in nodes]
    groups = {name: i for i, name in enumerate(dict.fromkeys(names))}
    pool_names = [f"sku={s.sku}" for s in shards] + [n.contrast for n in nodes]
    pools = {name: i for i, name in enumerate(dict.fromkeys(pool_names))}
    hosts = {i.host: np.array([row[s.id] for s in i.shards], dtype=np.int64) for i in inventories}
    places = {i.host: _place(hosts[i.host], i.metrics, metrics) for i in inventories}
    hosts[NODES_HOST] = np.arange(len(shards), len(shards) + len(nodes))
    beneath = tuple(np.array([row[m] for m in n.members]) for n in nodes)
    return Fleet(
        metrics=tuple(metrics),
        rows=(*row, *(n.id for n in nodes)),
        kinds=(*(s.kind for s in shards), *(n.kind for n in nodes)),
        shards=shards,
        nodes=nodes,
        groups=tuple(groups),
        group=np.array([groups[n] for n in names], dtype=np.int64),
        pools=tuple(pools),
        pool=np.array([pools[n] for n in pool_names], dtype=np.int64),
        equals=np.array([True] * len(shards) + [n.equals for n in nodes], dtype=np.bool_),
        hosts=hosts,
        reported={i.host: i.metrics for i in inventories},
        places=places,
        shards_beneath=beneath,
        has=_has(tuple(places.values()), beneath, (len(shards), len(metrics))),
        schemas={i.host: dict(zip(i.metrics, i.schemas, strict=False)) for i in inventories},
    )


def _has(places: Sequence[Place], beneath: Sequence[Ints], shape: tuple[int, int]) -> Bools:
    has = np.zeros(shape, dtype=np.bool_)
    for place in places:
        has[place.cells] = True
    above = [has[members].any(axis=0) for members in beneath]
    return np.vstack([has, *above])


def _place(rows: Ints, reported: Sequence[str], metrics: Sequence[Metric]) -> Place:
    known = {metric.name: j for j, metric in enumerate(metrics)}
    pairs = [(i, known[name]) for i, name in enumerate(reported) if name in known]
    here, there = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Place(rows, here, there, len(metrics), len(reported))
