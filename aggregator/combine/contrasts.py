"""Contrasts of the inner nodes: the same streams as an agent's, over medians of shards.

Apart from roll-up, which only makes the values: here a node meets its siblings.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import together
from ...engine.joint_rows import Together
from ...engine.outcome import Outcome, Summary
from ...engine.peers import FEWEST
from ...engine.ranks import stream_key
from ...engine.streams import Streams
from ...engine.watch import Hold, Lead, hold_at
from ..plan.planner import Planner
from ..state.fleet import NODES_HOST, Fleet
from ..state.move import GONE, Move
from .peers import Summaries

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LOST = 0.25  # share of a node's usual members beyond which a block says nothing of change
FOLLOWS = 1 / 50  # members a block by which the usual number follows the present one


@dataclass(frozen=True, slots=True)
class NodeValues:
    """The two values (I, M) of each node in a block, NaN = none.

    ``level`` is the median of its shards' raw values. ``change`` is the median of what they are
    beyond their own offsets and loadings: of raw values, far apart as healthy shards are, another
    shard would be the median after each shared step and each loss.
    """

    level: Float32s
    change: Float32s


@dataclass(slots=True)
class _Rung:
    """The nodes' streams of one rung, one table for each value, and ``usual`` members (I, M)."""

    change: Streams
    level: Streams
    usual: Floats


class Contrasts:
    """The streams of all inner nodes of a fleet, rung by rung."""

    def __init__(self, fleet: Fleet, horizon: float) -> None:
        """Take the fleet and the seconds of an epoch."""
        self._fleet = fleet
        self._rows = fleet.hosts[NODES_HOST]
        self._horizon = horizon
        self._direction = np.array([m.direction for m in fleet.metrics], dtype=np.int64)
        self._rungs: dict[int, _Rung] = {}
        siblings = fleet.group_sizes()[fleet.group[self._rows]]
        self._alone = (siblings < FEWEST)[:, None]  # never to bet, so never to learn for it
        self._moved = np.zeros(len(self._rows), dtype=np.bool_)  # among other siblings from now on
        self._born = np.zeros(len(self._rows), dtype=np.int64)

    def adopt(self, planner: Planner) -> None:
        """Obey the plan, as agents do; a node with fewer than two siblings has no stream."""
        own, born = planner.own_epochs()[self._rows], planner.born()[self._rows]
        again = np.flatnonzero((born > self._born) & ~self._moved)
        self._born = born
        for rung in planner.rungs():
            held = self._rungs.get(rung) or self._open(rung)
            self._rungs[rung] = held
            holds = self._holds(planner, rung)
            for streams in (held.change, held.level):
                streams.anew(np.flatnonzero(self._moved))
                streams.relearn(again)
                streams.release(holds)  # first: a released row begins an epoch in this plan
            phi, kappa, epoch = planner.change.settings(rung)
            epoch = self._epochs(epoch[self._rows], own)
            held.change.adopt_change(phi[self._rows], kappa[self._rows], epoch)
            margin, largest, epoch = planner.level.settings(rung)
            epoch = self._epochs(epoch[self._rows], own)
            held.level.adopt_level(margin[self._rows], largest[self._rows], epoch)
            for streams in (held.change, held.level):
                streams.hold(holds)
        self._moved[:] = False

    def inherit(self, former: "Contrasts", move: Move) -> None:
        """Take over the streams of the nodes and metrics that are still there."""
        (was, now), columns = move.nodes, move.to_column()
        self._born[now] = former._born[was]  # noqa: SLF001 - of this class
        for now_among in move.changed().values():
            self._moved[now_among[now_among >= move.after.shard_count] - move.after.shard_count] = (
                True
            )
        row = np.full(len(move.before.nodes), GONE, dtype=np.int64)
        row[was] = now
        place = row[:, None] * len(move.after.metrics) + columns
        place = np.where((row[:, None] != GONE) & (columns != GONE), place, GONE).ravel()
        for rung, held in former._rungs.items():  # noqa: SLF001 - of this class
            mine = self._rungs[rung] = self._open(rung)
            mine.change.inherit(held.change, place)
            mine.level.inherit(held.level, place)
            known = np.flatnonzero(place != GONE)
            mine.usual.ravel()[place[known]] = held.usual.ravel()[known]

    def _holds(self, planner: Planner, rung: int) -> dict[int, Hold]:
        """Return the nodes that are held, and what of them is watched at ``rung``."""
        column = {metric.name: j for j, metric in enumerate(self._fleet.metrics)}
        first = self._fleet.shard_count
        return {
            row - first: hold_at(
                rung,
                held.verdict,
                held.since,
                Lead(held.channel, column.get(held.metric, -1), held.rung, held.opened),
            )
            for row, held in planner.held.items()
            if row >= first
        }

    def _epochs(self, epoch: Ints, own: Ints) -> Ints:
        """Return the streams' epochs (I, M), −1 for who has no siblings to be compared with."""
        later = np.where(epoch >= 0, np.maximum(epoch, own[:, None]), epoch)
        return np.where(self._alone, -1, later)

    def steady(self, rung: int, medians: Float32s, behind: Ints) -> Float32s:
        """Return the ``medians`` (I, M) of residuals, NaN where too many members are lost.

        ``behind`` (I, M) are the shards that each is of; three quarters of the usual number must
        be there. That number follows what is present slowly, a member in fifty blocks.
        """
        held = self._rungs[rung]
        present = behind > 0
        first = np.where(held.usual > 0, held.usual, behind)
        step = np.clip(behind - first, -FOLLOWS, FOLLOWS)
        held.usual = np.where(present, first + step, held.usual)
        return np.where(behind >= (1.0 - LOST) * held.usual, medians, np.float32(np.nan))

    def demeaned(self, rung: int, change: Float32s) -> Float32s:
        """Return the nodes' values (I, M) less their own offsets, as siblings compare them.

        While an offset is being learned it is taken for 0: what shards are beyond their offsets
        and loadings lies about 0 already.
        """
        return change - np.nan_to_num(self._rungs[rung].change.offset)

    def step(
        self, rung: int, block: int, values: NodeValues, found: Summaries, needed: Ints
    ) -> Outcome:
        """Take the nodes' ``values``, all groups' summaries and ``needed`` members (2, G)."""
        group, held = self._fleet.group[self._rows], self._rungs[rung]
        everyone = np.ones(len(self._rows), dtype=np.bool_)
        raw = found.count_raw[group], found.s3_raw[group]
        demeaned = found.count_demeaned[group], found.s3_demeaned[group]
        members = needed[0, group], needed[1, group]
        change = held.change.step(
            block, values.change, Summary(*demeaned, *demeaned, everyone), *members
        )
        level = held.level.step(block, values.level, Summary(*raw, *raw, everyone), *members)
        return replace(
            change,
            level=level.level,
            level_epoch=level.level_epoch,
            level_onset=level.level_onset,
            review=level.review,
            held=(*change.held, *level.held),
        )

    def _open(self, rung: int) -> _Rung:
        keys = np.array(
            [
                [stream_key(self._fleet.rows[r], m.name, str(rung)) for m in self._fleet.metrics]
                for r in self._rows
            ],
            dtype=np.uint64,
        ).reshape(len(self._rows), len(self._fleet.metrics))
        horizon = max(1, round(self._horizon / rung))
        column, columns = together([m.name for m in self._fleet.metrics])
        jointly = Together(column, np.array(columns, dtype=np.int64))
        return _Rung(
            change=Streams(keys, self._direction, horizon, jointly),
            level=Streams(keys, self._direction, horizon),
            usual=np.zeros(keys.shape),
        )
