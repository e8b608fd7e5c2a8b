"""The root against its own past: it has no siblings, and yet the whole fleet may move at once.

Apart from the contrasts of the other nodes, because nothing cancels here: its evidence is of no
class, is always ranked, and opens a verdict of its own kind (DESIGN.md section 2, *temporal*).
Null: a fleet whose shared load wanders or steps by habit is abstained from.  Power: one that lay
still for a day and then moves as a whole is named, at the root.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np
import numpy.typing as npt

from ...engine.calibration import OWN_ENOUGH
from ...engine.merging import log_mean
from ...engine.peers import FEWEST
from ...engine.ranks import stream_key
from ...engine.temporal import Phase, TemporalChannel
from ..plan.planner import Planner
from ..state.fleet import Fleet
from ..state.move import Move

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CENTRED_AFTER = 20  # blocks of a shard whose mean is what it is measured from
PRESENT = 0.75  # share of the shards that must have a value
DAY = 86_400.0  # seconds: habits are daily, and less than one cycle says nothing of them
NAMED = 2  # metrics called by name in a sentence
TELLING = 0.05  # share of the evidence from which on a metric is named


@dataclass(frozen=True, slots=True)
class Moved:
    """The root's ``row``, its merged ln e, and what carries that: metrics and onset (s or NaN)."""

    row: int
    log_e: float
    metrics: tuple[str, ...]
    since: float


@dataclass(slots=True)
class _Column:
    """One metric at one rung: ``count`` and ``mean`` (S,) of each shard's first values."""

    rung: int
    count: Ints
    mean: Floats
    channel: TemporalChannel


class Temporal:
    """The temporal contrast of one fleet's root; of a fleet with no such root it says nothing."""

    def __init__(self, fleet: Fleet, horizon: float) -> None:
        """Take the fleet and the seconds of an epoch."""
        self._fleet = fleet
        self._horizon = horizon
        self.row = _root(fleet)
        self._born = np.zeros(len(fleet.rows), dtype=np.int64)
        self._columns: dict[int, _Column] = {}

    def inherit(self, former: "Temporal", move: Move) -> None:
        """Take over what was learned, if it is the same root and most shards are the same."""
        (was, now), to = move.shards, move.to_column()
        stay = np.isin(now, np.concatenate([*move.changed().values(), [-1]]), invert=True)
        was, now = was[stay], now[stay]
        self._born[move.rows[1]] = former._born[move.rows[0]]  # noqa: SLF001 - of this class
        same = self.row >= 0 and former.row >= 0 and self._name == former._name  # noqa: SLF001 - of this class
        if not same or len(now) < PRESENT * self._fleet.shard_count:
            return
        for column, held in former._columns.items():  # noqa: SLF001 - of this class
            if to[column] >= 0:
                mine = self._columns[int(to[column])] = self._open(int(to[column]), held.rung)
                mine.count[now], mine.mean[now] = held.count[was], held.mean[was]
                mine.channel = held.channel

    def adopt(self, planner: Planner) -> None:
        """Follow the slow rungs of the shards, and begin anew with whoever was told to."""
        if self.row < 0:
            return
        born = planner.born()
        anew = born > self._born
        self._born = born
        rungs = planner.change.rungs(slow=True)[: self._fleet.shard_count].max(axis=0, initial=0)
        for column in np.flatnonzero(rungs).tolist():
            held = self._columns.get(column)
            if held is None or held.rung != rungs[column]:
                held = self._columns[column] = self._open(column, int(rungs[column]))
            held.count[anew[: self._fleet.shard_count]] = 0
            if anew[self.row]:
                held.channel.forget(np.array([0]))

    def step(self, rung: int, block: int, x: Float32s, frozen_nodes: Bools) -> None:
        """Take the values ``x`` (S, M) of a block; a frozen root takes none."""
        if self.row < 0 or frozen_nodes[self.row - self._fleet.shard_count]:
            return
        for column, held in self._columns.items():
            if held.rung == rung:
                value = _value(held, x[:, column].astype(np.float64))
                held.channel.step(block, np.array([value]))

    def moved(self) -> Moved | None:
        """Return the evidence as it stands, None where there is no root or nothing was learned."""
        if self.row < 0 or not self._columns:
            return None
        columns = np.array(list(self._columns))
        log_m = np.array([held.channel.log_m()[0] for held in self._columns.values()])
        order = np.argsort(-log_m, kind="stable")
        telling = log_m >= np.logaddexp.reduce(log_m) + np.log(TELLING)
        lead = self._columns[int(columns[order[0]])]
        onset = int(lead.channel.mixture.onset()[0])
        return Moved(
            row=self.row,
            log_e=float(log_mean(log_m)),
            metrics=tuple(
                self._fleet.metrics[int(columns[i])].name for i in order.tolist() if telling[i]
            ),
            since=onset * float(lead.rung) if onset >= 0 else float("nan"),
        )

    def restart(self) -> None:
        """Let M = 1 everywhere and go on from what is known: its verdict was closed."""
        for held in self._columns.values():
            held.channel.restart(np.array([0]))

    def words(self) -> Iterator[str]:
        """Yield what becomes of the root's metrics, those alike in one sentence."""
        for what, metrics in self._by_state().items():
            yield f"against its own past, {metrics}: {what}"

    def abstained(self) -> Iterator[str]:
        """Yield why nothing is bet on metrics of the root, those alike in one sentence."""
        for what, metrics in self._by_state(but=Phase.BETTING).items():
            yield f"{metrics}: {what}"

    def _by_state(self, but: Phase | None = None) -> Mapping[str, str]:
        """Return metrics by what they do, but those of one phase; two are called by name."""
        found: dict[str, list[str]] = {}
        for column, held in self._columns.items():
            if but is None or held.channel.phase[0] != but:
                names = found.setdefault(_state(held.channel), [])
                names.append(self._fleet.metrics[column].name)
        return {what: _names(names) for what, names in found.items()}

    @property
    def _name(self) -> str:
        return self._fleet.rows[self.row]

    def _open(self, column: int, rung: int) -> _Column:
        shards = self._fleet.shard_count
        key = stream_key(self._name, self._fleet.metrics[column].name, str(rung), "temporal")
        calibration = max(OWN_ENOUGH, ceil(DAY / rung))
        horizon = max(1, round(self._horizon / rung))
        channel = TemporalChannel(np.array([key], dtype=np.uint64), horizon, calibration)
        return _Column(rung, np.zeros(shards, dtype=np.int64), np.zeros(shards), channel)


def _root(fleet: Fleet) -> int:
    """Return the row of the node above all shards if it has no siblings, −1 if there is none."""
    sizes = fleet.group_sizes()
    for i, node in enumerate(fleet.nodes):
        row = fleet.shard_count + i
        if len(node.members) == fleet.shard_count and sizes[fleet.group[row]] < FEWEST:
            return row
    return -1


def _value(held: _Column, x: Floats) -> float:
    """Return the median distance of the shards from where each began, NaN if many are missing."""
    known = np.isfinite(x)
    learning = known & (held.count < CENTRED_AFTER)
    held.mean[learning & (held.count == 0)] = 0.0
    held.count[learning] += 1
    held.mean[learning] += (x[learning] - held.mean[learning]) / held.count[learning]
    there = known & ~learning & (held.count >= CENTRED_AFTER)
    if there.sum() < max(PRESENT * len(x), 1):
        return float("nan")
    return float(np.median(x[there] - held.mean[there]))


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return f"{', '.join(names[:NAMED])} and {more} more" if more > 0 else " and ".join(names)


def _state(channel: TemporalChannel) -> str:
    """Return in words what a stream of one does."""
    match Phase(int(channel.phase[0])):
        case Phase.BETTING:
            return f"it lay still, kappa {channel.kappa[0]:.2f}, and is watched"
        case Phase.ABSTAINING:
            worst = float(channel.inflation[0].max(initial=-inf))
            return f"it wanders or steps by habit (inflation {worst:.1f}, at most 2 is still)"
        case _:
            seen, needed = int(channel.learned()[0]), channel.needed
            return f"learning what its habits are ({seen} of {needed} blocks)"
