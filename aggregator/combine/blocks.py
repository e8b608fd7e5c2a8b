"""A block of the whole fleet: the hosts' values become what every peer group is told.

Apart from the pipeline, which knows when a block is complete and not what is made of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...engine.outcome import Outcome
from ...engine.peers import FEWEST
from ...proto.messages import Down
from ..plan.planner import Planner
from ..state.fleet import NODES_HOST, Fleet
from ..state.freezes import frozen_nodes
from ..state.move import Move
from .contrasts import Contrasts, NodeValues
from .gather import Block, Gathered
from .loadings import Loadings
from .peers import Summaries, Summariser
from .rollup import Rollup
from .temporal import Temporal

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Closed:
    """What a block has come to: all groups' summaries, and the values of the inner nodes.

    ``frozen`` (I,) are nodes of which too much was frozen to say anything.
    """

    found: Summaries
    values: NodeValues
    frozen: Bools


class Blocks:
    """Makes summaries, and the evidence of inner nodes, of one fleet's blocks.

    ``senders`` are the groups of each host's shards, by host.
    """

    def __init__(self, fleet: Fleet, horizon: float) -> None:
        """Take the fleet and the seconds of an epoch."""
        self._fleet = fleet
        in_company = fleet.group_sizes()[fleet.group] >= FEWEST
        self._rollup = Rollup(
            fleet.shards_beneath, fleet.shard_count, in_company[fleet.shard_count :]
        )
        like = [f"{s.sku},{s.job},{s.role}" for s in fleet.shards]
        self._loadings = Loadings(like, len(fleet.metrics))
        self._contrasts = Contrasts(fleet, horizon)
        counted = np.array([j for j, m in enumerate(fleet.metrics) if m.counted], dtype=np.int64)
        self._summariser = Summariser(fleet.group_rows(), len(fleet.rows), counted)
        self.temporal = Temporal(fleet, horizon)
        self.senders: Mapping[str, tuple[int, ...]] = {
            host: tuple(int(g) for g in np.unique(fleet.group[rows]))
            for host, rows in fleet.hosts.items()
            if host != NODES_HOST
        }

    def inherit(self, former: "Blocks", move: Move) -> None:
        """Take over what ``former`` has learned of shards, nodes and metrics still there."""
        self._loadings.inherit(former._loadings, move)  # noqa: SLF001 - of this class
        self._contrasts.inherit(former._contrasts, move)  # noqa: SLF001 - as above
        self.temporal.inherit(former.temporal, move)

    def adopt(self, planner: Planner) -> None:
        """Let the inner nodes' streams obey the plan as it stands."""
        self._contrasts.adopt(planner)
        self.temporal.adopt(planner)

    def close(self, rung: int, held: Gathered) -> Closed:
        """Make the summaries of a gathered block and the values of the inner nodes."""
        columns = np.flatnonzero(np.isfinite(held.x).any(axis=0))
        demeaned = held.x - held.offset
        apart = self._loadings.residuals(rung, held.x, held.offset, columns)
        m = held.x.shape[1]  # both values of the nodes in one go: the raw and the residual
        medians, behind = self._rollup.medians(
            np.hstack([held.x, apart]), np.concatenate([columns, columns + m])
        )
        frozen = frozen_nodes(self._fleet, held.frozen)
        medians[frozen], behind[frozen] = np.nan, 0
        raw, change = medians[:, :m], self._contrasts.steady(rung, medians[:, m:], behind[:, m:])
        nodes = np.ones(len(self._fleet.nodes), dtype=np.bool_)
        found = self._summariser.summarise(
            np.vstack([held.x, raw]),
            np.vstack([demeaned, self._contrasts.demeaned(rung, change)]),
            np.concatenate([held.eligible, nodes]),
            columns,
        )
        return Closed(found, NodeValues(raw, change), frozen)

    def nodes(self, at: Block, closed: Closed, needed: Ints) -> Outcome:
        """Return the evidence of the inner nodes; a bet needs ``needed`` members (2, G)."""
        return self._contrasts.step(*at, closed.values, closed.found, needed)

    def downs(
        self, host: str, at: Block, closed: Closed, held: Gathered, plan: int
    ) -> Iterator[Down]:
        """Yield what ``host`` is told of each group of its shards, under the plan of that id."""
        place, found = self._fleet.place(host), closed.found
        for g in self.senders[host]:
            yield Down(
                group=self._fleet.groups[g],
                rung=at[0],
                block=at[1],
                count_raw=place.back(found.count_raw[g], 0),
                s3_raw=place.back(found.s3_raw[g], np.nan),
                count_demeaned=place.back(found.count_demeaned[g], 0),
                s3_demeaned=place.back(found.s3_demeaned[g], np.nan),
                included=held.eligible[place.rows],
                total=None if found.total is None else place.back(found.total[g], np.nan),
                frozen=held.frozen[place.rows] if held.frozen.any() else None,
                plan=plan,
            )
