"""A host's evidence: block values out (UP1), peer summaries in (DOWN), evidence out (UP2).

Apart from the engine, because it speaks the wire's messages and obeys the plan; the engine
does neither. A block without a DOWN is never bet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..adapters.metric import JOINT
from ..adapters.scored import together
from ..engine.arrays import Ints
from ..engine.joint_rows import Together
from ..engine.knowledge import Knowledge
from ..engine.outcome import Summary
from ..engine.peers import FEWEST
from ..engine.ranks import stream_key
from ..engine.streams import Streams
from ..engine.watch import Hold, Lead, hold_at
from ..proto.messages import Down, Inventory, Plan, Up1, Up2
from .fold import Block
from .report import report
from .succession import Succession
from .warm import Asked, Warm

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Rung:
    """The streams of one rung under ``plan``, and the block of it that waits for its DOWN.

    ``groups`` (S,) peer group of each row; ``needed`` (2, S) members that a bet needs; ``born``
    (S,) epoch with which each row last began to learn.
    """

    streams: Streams
    plan: Plan
    groups: npt.NDArray[np.str_]
    needed: Ints
    born: Ints
    obeyed: int = -1
    waiting: dict[int, Float32s] = field(default_factory=dict)


class Evidence:
    """The streams of one host under the aggregator's plan.

    What it holds is a function of the plans adopted and the blocks answered, in their order, and
    of nothing else: a journal of these brings it back to the last bit.
    """

    def __init__(self, inventory: Inventory, warm: Warm | None = None) -> None:
        """Take what the host has, its rows and columns, and what a baseline knows of them."""
        self.inventory = inventory
        self._shape = (len(inventory.shards), len(inventory.metrics))
        self._rungs: dict[int, _Rung] = {}
        self._warm = warm
        self._pending: list[Plan] = []  # oldest first; a rung obeys each from its own block on

    @property
    def plan(self) -> Plan | None:
        """Return the newest plan, obeyed already or not."""
        return self._pending[-1] if self._pending else None

    def columns(self) -> dict[int, Ints]:
        """Return the metric columns that each rung of the newest plan needs, for the fold to watch.

        Those of other hosts' shards and of inner nodes too: a host whose own shards have too few
        peers still sends the values that their stage or rack is judged by.
        """
        if self.plan is None:
            return {}
        place = {metric: j for j, metric in enumerate(self.inventory.metrics) if metric != JOINT}
        pairs = {(c.rung, place[c.metric]) for c in self.plan.change if c.metric in place}
        pairs |= {(v.rung, place[v.metric]) for v in self.plan.level if v.metric in place}
        pairs |= {(c.rung, place[c.metric]) for c in self.plan.counts if c.metric in place}
        wanted: dict[int, list[int]] = {}
        for rung, column in sorted(pairs):
            wanted.setdefault(rung, []).append(column)
        return {rung: np.array(columns, dtype=np.int64) for rung, columns in wanted.items()}

    def adopt(self, plan: Plan) -> None:
        """Take ``plan``; each rung obeys it from the block on that it names for that rung.

        Raises ``ValueError`` for a plan that leaves out a shard of this host; the former stays.
        """
        self._refuse_stranger(self.inventory, plan)
        if self.plan is not None and plan.id <= self.plan.id:
            return  # repeated, or overtaken on its way
        self._pending.append(plan)
        self._drop_obeyed()

    def follow(self, inventory: Inventory, plan: Plan) -> None:
        """Let rows and columns be those of ``inventory``, for which ``plan`` was made; adopt it.

        Streams of what is the same go on as they are; the others begin with their plan. Raises
        ``ValueError`` for a plan that leaves out one of the shards; nothing is changed then.
        """
        self._refuse_stranger(inventory, plan)
        move = Succession.of(self.inventory, inventory)
        self.inventory, self._shape = inventory, move.shape
        for rung, state in self._rungs.items():
            streams = self._streams(rung, plan)  # which knows the bad side of what is new
            streams.inherit(state.streams, move.place)
            kept, now = move.rows >= 0, move.rows[move.rows >= 0]
            groups = [""] * move.shape[0]  # of new rows no summary comes before their plan
            for row, group in zip(now.tolist(), state.groups[kept].tolist(), strict=True):
                groups[row] = group
            needed = np.full((2, move.shape[0]), FEWEST, dtype=np.int64)
            born = np.zeros(move.shape[0], dtype=np.int64)
            needed[:, now], born[now] = state.needed[:, kept], state.born[kept]
            state.streams, state.groups = streams, np.array(groups, dtype=np.str_)
            state.needed, state.born = needed, born
            state.waiting = {block: move.table(x) for block, x in state.waiting.items()}
        if self._warm is not None:
            self._warm.follow(move)
        self.adopt(plan)

    def asks_for(self, rung: int, block: int) -> bool:
        """Say whether a plan asks for the block already: a new rung has a first one."""
        return rung in self._rungs or self._first(rung, self._due(rung, block)) is not None

    def offer(self, block: Block) -> Up1:
        """Return the block's values for the aggregator and wait for its DOWN.

        Raises ``ValueError`` before a plan that has the block's rung.
        """
        state = self._obey(block.rung, block.index)
        state.waiting = {block.index: block.x}
        return Up1(
            host=self.inventory.host,
            rung=block.rung,
            block=block.index,
            x=block.x,
            offset=state.streams.offset.copy(),  # a message does not change once it is made
            eligible=np.ones(self._shape[0], dtype=np.bool_),
            plan=state.plan.id,
            inventory=self.inventory.version,
        )

    def drain_said(self) -> tuple[str, ...]:
        """Return, once, what became of the baseline where streams were opened."""
        if self._warm is None:
            return ()
        said, self._warm.said = tuple(self._warm.said), []
        return said

    def knowledge(self) -> Iterator[tuple[int, Ints, Knowledge]]:
        """Yield rung, flat places in (S, M) and what is known of all settled change streams."""
        for rung, state in sorted(self._rungs.items()):
            for at, known in state.streams.knowledge():
                yield rung, at, known

    def waits_for(self, rung: int, block: int) -> Float32s | None:
        """Return the values (S, M) of a block that waits for its DOWN, None if it does not."""
        state = self._rungs.get(rung)
        return state.waiting.get(block) if state else None

    def answer(self, downs: Sequence[Down]) -> Up2 | None:
        """Bet the block that ``downs`` (one per peer group, same block) are about.

        Returns None for a block that is not waiting: answered before, or given up. Of rows that are
        frozen in it nothing moves.
        """
        rung, block = downs[0].rung, downs[0].block
        state = self._rungs.get(rung)
        x = state.waiting.pop(block, None) if state else None
        if state is None or x is None:
            return None
        frozen = downs[0].frozen
        if frozen is not None:
            x = np.where(frozen[:, None], np.float32(np.nan), x)
        outcome = state.streams.step(block, x, self._summary(downs, state.groups), *state.needed)
        return report(self.inventory, rung, outcome, state.plan.id)

    def _obey(self, rung: int, block: int) -> _Rung:
        """Let ``rung`` obey, one after the other, the plans that are due by ``block``."""
        due = self._due(rung, block)
        state = self._rungs.get(rung) or self._open(rung, due)
        for plan in (p for p in due if p.id > state.obeyed and p.id >= state.plan.id):
            groups, born = self._groups(plan), self._born(plan)
            other = groups != state.groups
            state.streams.anew(np.flatnonzero(other))
            state.streams.relearn(np.flatnonzero((born > state.born) & ~other))
            state.plan, state.obeyed, state.born = plan, plan.id, born
            state.groups, state.needed = groups, self._needed(plan)
            holds = self._holds(plan, rung)
            state.streams.release(holds)  # first: a released row begins an epoch in this plan
            self._adopt_change(rung, state.streams, plan)
            self._adopt_level(rung, state.streams, plan)
            self._adopt_counts(rung, state.streams, plan)
            state.streams.hold(holds)
        self._drop_obeyed()
        return state

    def _due(self, rung: int, block: int) -> list[Plan]:
        """Return the plans that ``rung`` is to obey by ``block``, oldest first."""
        return [p for p in self._pending if p.from_block.get(rung, block) <= block]

    def _first(self, rung: int, due: Sequence[Plan]) -> Plan | None:
        """Return the plan under which the streams of ``rung`` are opened."""
        return next((p for p in reversed(due) if _has(p, rung)), None)

    def _open(self, rung: int, due: Sequence[Plan]) -> _Rung:
        plan = self._first(rung, due)
        if plan is None:
            message = f"a block of {rung} s was sealed, but no plan asks for it"
            raise ValueError(message)
        streams = self._streams(rung, plan)
        state = _Rung(streams, plan, self._groups(plan), self._needed(plan), self._born(plan))
        self._rungs[rung] = state
        return state

    def _refuse_stranger(self, inventory: Inventory, plan: Plan) -> None:
        unknown = [s.id for s in inventory.shards if s.id not in plan.groups]
        if unknown:
            message = f"plan {plan.id} does not know shard {unknown[0]} of {inventory.host}"
            raise ValueError(message)

    def _drop_obeyed(self) -> None:
        """Forget plans that no rung still waits to obey; the newest is always kept."""
        newest = self._pending[-1]
        obeyed = [s.plan.id for rung, s in self._rungs.items() if _has(newest, rung)]
        least = min(obeyed, default=-1)
        self._pending = [p for p in self._pending if p.id >= least or p is newest]

    def _groups(self, plan: Plan) -> npt.NDArray[np.str_]:
        """Return each row's peer group, "" of a row that is newer than ``plan``."""
        return np.array([plan.groups.get(s.id, "") for s in self.inventory.shards], dtype=np.str_)

    def _born(self, plan: Plan) -> Ints:
        return np.array([plan.born.get(s.id, 0) for s in self.inventory.shards], dtype=np.int64)

    def _needed(self, plan: Plan) -> Ints:
        needed = [plan.needed.get(group, (FEWEST, FEWEST)) for group in self._groups(plan).tolist()]
        return np.array(needed, dtype=np.int64).reshape(-1, 2).T

    def _streams(self, rung: int, plan: Plan) -> Streams:
        keys = np.array(
            [
                [stream_key(s.id, m, str(rung)) for m in self.inventory.metrics]
                for s in self.inventory.shards
            ],
            dtype=np.uint64,
        ).reshape(self._shape)
        direction = np.array(
            [plan.direction.get(m, 0) for m in self.inventory.metrics], dtype=np.int64
        )
        column, columns = together(self.inventory.metrics)
        jointly = Together(column, np.array(columns, dtype=np.int64))
        return Streams(keys, direction, max(1, round(plan.horizon / rung)), jointly)

    def _adopt_change(self, rung: int, streams: Streams, plan: Plan) -> None:
        phi, kappa = np.full((2, *self._shape), np.nan)
        epoch = np.full(self._shape, -1, dtype=np.int64)
        pools = np.array([plan.pools.get(s.id, "") for s in self.inventory.shards])
        for cell in (c for c in plan.change if c.rung == rung):
            if cell.metric not in self.inventory.metrics:
                continue
            j = self.inventory.metrics.index(cell.metric)
            rows = pools == cell.pool
            phi[rows, j], kappa[rows, j], epoch[rows, j] = cell.phi, cell.kappa, cell.epoch
            for i in np.flatnonzero(rows) if cell.stream_kappa else ():
                kappa[i, j] = cell.stream_kappa.get(self.inventory.shards[i].id, cell.kappa)
        at = streams.adopt_change(phi, kappa, self._own_epochs(epoch, plan))
        if self._warm is not None and len(at):
            group = self._groups(plan)[at // self._shape[1]]
            asked = Asked(at, phi.ravel()[at], kappa.ravel()[at], group)
            self._warm.begin(rung, streams, asked)

    def _adopt_level(self, rung: int, streams: Streams, plan: Plan) -> None:
        margin, largest = np.full((2, *self._shape), np.nan)
        epoch = np.full(self._shape, -1, dtype=np.int64)
        groups = self._groups(plan)
        for cell in (v for v in plan.level if v.rung == rung):
            if cell.metric not in self.inventory.metrics:
                continue
            j = self.inventory.metrics.index(cell.metric)
            rows = groups == cell.group
            margin[rows, j], largest[rows, j] = cell.margin, cell.largest_lambda
            epoch[rows, j] = cell.epoch
        streams.adopt_level(margin, largest, self._own_epochs(epoch, plan))

    def _holds(self, plan: Plan, rung: int) -> dict[int, Hold]:
        """Return the rows that ``plan`` holds, and what of them is watched at ``rung``."""
        place = {metric: j for j, metric in enumerate(self.inventory.metrics)}
        rows = ((i, plan.held.get(s.id)) for i, s in enumerate(self.inventory.shards))
        return {
            i: hold_at(
                rung,
                held.verdict,
                held.since,
                Lead(held.channel, place.get(held.metric, -1), held.rung, held.opened),
            )
            for i, held in rows
            if held is not None
        }

    def _adopt_counts(self, rung: int, streams: Streams, plan: Plan) -> None:
        odds, epoch = np.full(self._shape, np.nan), np.full(self._shape, -1, dtype=np.int64)
        groups = self._groups(plan)
        for cell in (c for c in plan.counts if c.rung == rung):
            if cell.metric not in self.inventory.metrics:
                continue
            j = self.inventory.metrics.index(cell.metric)
            rows = groups == cell.group
            odds[rows, j], epoch[rows, j] = cell.odds, cell.epoch
        streams.adopt_counts(odds, self._own_epochs(epoch, plan))

    def _own_epochs(self, epoch: Ints, plan: Plan) -> Ints:
        """Return the streams' epochs (S, M): the latest of cell's, shard's and their own."""
        own = np.zeros(self._shape, dtype=np.int64)
        for i, shard in enumerate(self.inventory.shards):
            of_columns = plan.metric_epochs.get(shard.id, {})
            own[i] = [of_columns.get(metric, 0) for metric in self.inventory.metrics]
            own[i] = np.maximum(own[i], plan.epochs.get(shard.id, 0))
        return np.where(epoch >= 0, np.maximum(epoch, own), epoch)

    def _summary(self, downs: Sequence[Down], groups: npt.NDArray[np.str_]) -> Summary:
        """Return what each row's own group sent, row by row; a group that sent nothing has none."""
        s, m = self._shape
        none = np.full((s, m, 3), np.nan, dtype=np.float32)
        found = Summary(
            count_raw=np.zeros((s, m), dtype=np.int64),
            s3_raw=none.copy(),
            count_demeaned=np.zeros((s, m), dtype=np.int64),
            s3_demeaned=none,
            included=np.zeros(s, dtype=np.bool_),
            total=none[:, :, 0].copy(),
        )
        for down in downs:
            rows = groups == down.group
            found.count_raw[rows], found.s3_raw[rows] = down.count_raw, down.s3_raw
            found.count_demeaned[rows] = down.count_demeaned
            found.s3_demeaned[rows] = down.s3_demeaned
            found.included[rows] = down.included[rows]
            if found.total is not None and down.total is not None:
                found.total[rows] = down.total
        return found


def _has(plan: Plan, rung: int) -> bool:
    """Say whether ``plan`` has streams at ``rung``."""
    rungs = {c.rung for c in plan.change} | {v.rung for v in plan.level}
    return rung in rungs or any(cell.rung == rung for cell in plan.counts)
