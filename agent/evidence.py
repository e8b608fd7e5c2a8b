"""A host's evidence: block values out (UP1), peer summaries in (DOWN), outcome out (UP2).

Apart from the engine, because it speaks the wire's messages and obeys the plan; the engine
does neither. A block without a DOWN is never bet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..engine.arrays import Ints
from ..engine.outcome import Outcome, Summary
from ..engine.ranks import stream_key
from ..engine.streams import Streams
from ..proto.messages import Down, Inventory, Plan, Up1
from .fold import Block

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Rung:
    """The streams of one rung, and the block of it that waits for its DOWN."""

    streams: Streams
    waiting: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)


class Evidence:
    """The streams of one host under the aggregator's plan."""

    def __init__(
        self,
        inventory: Inventory,
        direction: Mapping[str, int],
    ) -> None:
        """Take what the host has and each metric's bad ``direction`` in {-1, 0, +1}."""
        self.inventory = inventory
        self._direction = np.array([direction[m] for m in inventory.metrics], dtype=np.int64)
        self._shape = (len(inventory.shards), len(inventory.metrics))
        self._rungs: dict[int, _Rung] = {}
        self._plan: Plan | None = None
        self._needed = np.zeros((2, self._shape[0]), dtype=np.int64)
        self._senders: tuple[str, ...] = ()
        self._place = np.zeros(self._shape[0], dtype=np.int64)

    def columns(self) -> dict[int, Ints]:
        """Return the metric columns that each rung of the plan needs, for the fold to watch.

        Those of other hosts' shards and of inner nodes too: a host whose own shards have too few
        peers still sends the values that their stage or rack is judged by.
        """
        if self._plan is None:
            return {}
        place = {metric: j for j, metric in enumerate(self.inventory.metrics)}
        pairs = {(c.rung, place[c.metric]) for c in self._plan.change if c.metric in place}
        pairs |= {(v.rung, place[v.metric]) for v in self._plan.level if v.metric in place}
        wanted: dict[int, list[int]] = {}
        for rung, column in sorted(pairs):
            wanted.setdefault(rung, []).append(column)
        return {rung: np.array(columns, dtype=np.int64) for rung, columns in wanted.items()}

    def adopt(self, plan: Plan) -> None:
        """Obey ``plan``: open the streams it names, take its φ, κ and margins, restart epochs.

        Raises ``ValueError`` for a plan that leaves out a shard of this host; the former stays.
        """
        unknown = [s.id for s in self.inventory.shards if s.id not in plan.groups]
        if unknown:
            message = f"plan {plan.id} does not know shard {unknown[0]} of {self.inventory.host}"
            raise ValueError(message)
        self._plan, self._senders = plan, ()
        for i, shard in enumerate(self.inventory.shards):
            self._needed[:, i] = plan.needed[plan.groups[shard.id]]
        for rung in {c.rung for c in plan.change} | {v.rung for v in plan.level}:
            state = self._rungs.get(rung) or self._new_rung(rung, plan)
            self._rungs[rung] = state
            self._adopt_change(rung, state.streams, plan)
            self._adopt_level(rung, state.streams, plan)

    def offer(self, block: Block) -> Up1:
        """Return the block's values for the aggregator and wait for its DOWN."""
        state = self._rungs[block.rung]
        state.waiting = {block.index: block.x}
        return Up1(
            host=self.inventory.host,
            rung=block.rung,
            block=block.index,
            x=block.x,
            offset=state.streams.offset.copy(),  # a message does not change once it is made
            eligible=np.ones(self._shape[0], dtype=np.bool_),
        )

    def answer(self, downs: Sequence[Down]) -> Outcome | None:
        """Bet the block that ``downs`` (one per peer group, same block) are about.

        Returns None for a block that is not waiting: answered before, or given up.
        Raises ``ValueError`` before the first plan.
        """
        if self._plan is None:
            message = "a DOWN arrived before any Plan: the aggregator must send the Plan first"
            raise ValueError(message)
        rung, block = downs[0].rung, downs[0].block
        state = self._rungs.get(rung)
        x = state.waiting.pop(block, None) if state else None
        if state is None or x is None:
            return None
        return state.streams.step(block, x, self._summary(downs, self._plan), *self._needed)

    def _new_rung(self, rung: int, plan: Plan) -> _Rung:
        keys = np.array(
            [
                [stream_key(s.id, m, str(rung)) for m in self.inventory.metrics]
                for s in self.inventory.shards
            ],
            dtype=np.uint64,
        )
        return _Rung(Streams(keys, self._direction, max(1, round(plan.horizon / rung))))

    def _adopt_change(self, rung: int, streams: Streams, plan: Plan) -> None:
        phi, kappa = np.full((2, *self._shape), np.nan)
        epoch = np.full(self._shape, -1, dtype=np.int64)
        pools = np.array([plan.pools[s.id] for s in self.inventory.shards])
        for cell in (c for c in plan.change if c.rung == rung):
            j = self.inventory.metrics.index(cell.metric)
            rows = pools == cell.pool
            phi[rows, j], kappa[rows, j], epoch[rows, j] = cell.phi, cell.kappa, cell.epoch
            for i in np.flatnonzero(rows) if cell.stream_kappa else ():
                kappa[i, j] = cell.stream_kappa.get(self.inventory.shards[i].id, cell.kappa)
        streams.adopt_change(phi, kappa, epoch)

    def _adopt_level(self, rung: int, streams: Streams, plan: Plan) -> None:
        margin, largest = np.full((2, *self._shape), np.nan)
        epoch = np.full(self._shape, -1, dtype=np.int64)
        groups = np.array([plan.groups[s.id] for s in self.inventory.shards])
        for cell in (v for v in plan.level if v.rung == rung):
            j = self.inventory.metrics.index(cell.metric)
            rows = groups == cell.group
            margin[rows, j], largest[rows, j] = cell.margin, cell.largest_lambda
            epoch[rows, j] = cell.epoch
        streams.adopt_level(margin, largest, epoch)

    def _summary(self, downs: Sequence[Down], plan: Plan) -> Summary:
        """Return what each row's own group sent, row by row."""
        names = tuple(down.group for down in downs)
        if names != self._senders:
            place = {name: g for g, name in enumerate(names)}
            groups = (plan.groups[s.id] for s in self.inventory.shards)
            self._senders, self._place = names, np.array([place[g] for g in groups])
        at = self._place
        return Summary(
            count_raw=np.stack([d.count_raw for d in downs])[at],
            s3_raw=np.stack([d.s3_raw for d in downs])[at],
            count_demeaned=np.stack([d.count_demeaned for d in downs])[at],
            s3_demeaned=np.stack([d.s3_demeaned for d in downs])[at],
            included=np.stack([d.included for d in downs])[at, np.arange(len(at))],
        )
