"""Contrasts of the inner nodes: the same streams as an agent's, over medians of shards.

Apart from roll-up, which only makes the values: here a node meets its siblings.
"""

import numpy as np
import numpy.typing as npt

from ...engine.ranks import stream_key
from ...engine.streams import Outcome, Streams, Summary
from ..plan.planner import Planner
from ..state.fleet import NODES_HOST, Fleet
from .peers import Summaries

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Contrasts:
    """The streams of all inner nodes of a fleet, rung by rung."""

    def __init__(self, fleet: Fleet, horizon: float) -> None:
        """Take the fleet and the seconds of an epoch."""
        self._fleet = fleet
        self._rows = fleet.hosts[NODES_HOST]
        self._horizon = horizon
        self._direction = np.array([m.direction for m in fleet.metrics], dtype=np.int64)
        self._streams: dict[int, Streams] = {}

    def adopt(self, planner: Planner) -> None:
        """Obey the plan, as agents do."""
        for rung in planner.rungs():
            streams = self._streams.get(rung) or self._open(rung)
            self._streams[rung] = streams
            phi, kappa, epoch = planner.change.settings(rung)
            streams.adopt_change(phi[self._rows], kappa[self._rows], epoch[self._rows])
            margin, largest, epoch = planner.level.settings(rung)
            streams.adopt_level(margin[self._rows], largest[self._rows], epoch[self._rows])

    def offset(self, rung: int) -> Float32s:
        """Return the offsets (I, M) that the nodes' streams have learned."""
        return self._streams[rung].offset

    def step(self, rung: int, block: int, x: Float32s, found: Summaries, needed: Ints) -> Outcome:
        """Take the nodes' values ``x`` (I, M), all groups' summaries and ``needed`` (2, G)."""
        group = self._fleet.group[self._rows]
        summary = Summary(
            count_raw=found.count_raw[group],
            s3_raw=found.s3_raw[group],
            count_demeaned=found.count_demeaned[group],
            s3_demeaned=found.s3_demeaned[group],
            included=np.ones(len(self._rows), dtype=np.bool_),
        )
        return self._streams[rung].step(block, x, summary, needed[0, group], needed[1, group])

    def _open(self, rung: int) -> Streams:
        keys = np.array(
            [
                [stream_key(self._fleet.rows[r], m.name, str(rung)) for m in self._fleet.metrics]
                for r in self._rows
            ],
            dtype=np.uint64,
        ).reshape(len(self._rows), len(self._fleet.metrics))
        return Streams(keys, self._direction, max(1, round(self._horizon / rung)))
