"""The level channel at noise as large as its margin and larger, with its gate on.

Apart from the change channel's cells, because the null is another one (statistics.md G1): the
plan reviews every group, widens margins, moves to longer blocks, abstains, and all of that is run.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import Metric
from ...adapters.topology.model import Edge, Node, Topology
from ...aggregator.plan.epochs import Epochs
from ...aggregator.plan.level import LevelBook
from ...aggregator.plan.reports import Reports
from ...aggregator.state.fleet import Fleet, build_fleet
from ...engine.evalue import Validity
from ...engine.outcome import Outcome, Summary
from ...engine.peers import central
from ...engine.streams import Streams
from ...proto.messages import Inventory, ShardRow
from .count import SHOWN, Tally, Target
from .generate import Cell, Fleets
from .grid import Planned

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PEERS, NEEDED = 64, 8
MARGIN = 0.05
RATIOS = (0.5, 1.0, 2.0, 3.0)  # sd of a tick over the margin
STARTS = ((0.0, 1), (0.5, 1), (0.9, 1), (0.9, 30))  # φ of ticks, ticks of the first block
BLOCKS_OF_TAU = 30  # ticks for φ = .9 (3 τ, G1), one for φ = 0
TICKS, ONSET = 4500, 2500
EXCESS = 2.0  # sd of a tick beyond the margin: the fault of the power cells
METRIC = Metric(
    "step_time_seconds",
    "s",
    direction=1,
    margin=MARGIN,
    role_margin=2 * MARGIN,
    fast=5,
    slow=30,
    level=1,
)

AT_20 = "streams ever at M ≥ 20 while at least empirical"
AT_100 = "streams ever at M ≥ 100 while at least empirical"
CLAIMED = "groups with a class at the end"
BLOCK = "mean block at the end, ticks"
FOUND = "ill shards that reach M ≥ 100 with a class"
DELAY = "median ticks to M ≥ 100"


@dataclass(frozen=True, slots=True)
class Noise:
    """Own noise of ``ratio`` margins (sd of a tick), AR(1) ``phi``; ``block`` ticks to start."""

    ratio: float
    phi: float
    block: int


class Levels:
    """The level streams of ``fleets`` groups of one metric, at whatever rung the plan has them."""

    def __init__(self, fleets: int, block: int) -> None:
        """Lay out a rack of 64 equal shards for each fleet; the plan starts at ``block`` ticks."""
        self.fleet = _table(fleets, replace(METRIC, level=block))
        self.book = LevelBook(self.fleet, Epochs(), 1)
        self._reports = Reports(len(self.fleet.rows), 1)
        self._streams: dict[int, Streams] = {}
        self._folded: dict[int, Floats] = {}
        self._tick = -1
        self._nobody = np.zeros(len(self.fleet.rows), dtype=np.bool_)
        self._log_m: dict[int, Floats] = {}
        self._adopt()

    def step(self, x: Floats) -> None:
        """Take one tick (S,) of values, shard after shard of one fleet after the other."""
        self._tick += 1
        reviewed = False
        for rung in self._live:
            if self._tick % rung == 0:
                self._folded[rung] = np.zeros(len(x))
            if rung not in self._folded:
                continue  # opened in the middle of a block
            self._folded[rung] += x
            if (self._tick + 1) % rung == 0:
                reviewed |= self._block(rung, self._folded[rung] / rung)
        if reviewed:
            self._adopt()

    def believed(self) -> Floats:
        """Return ln M (S,) of the block length that counts, 0 where the group has no class."""
        log_m = np.zeros(len(self._nobody))
        for rung, held in self._log_m.items():
            at = np.flatnonzero(self._rungs[: len(held)] == rung)
            log_m[at] = held[at]
        shards = self.fleet.shard_count
        return np.where(self._validity >= Validity.EMPIRICAL, log_m, 0.0)[:shards]

    def standing(self) -> tuple[Bools, Floats]:
        """Return which shards (S,) have a class, and the block length that counts for each."""
        shards = self.fleet.shard_count
        return (self._validity >= Validity.EMPIRICAL)[:shards], self._rungs[:shards].astype(float)

    def _block(self, rung: int, x: Floats) -> bool:
        streams, shards = self._streams[rung], len(x)
        sent = x.astype(np.float32)
        needed = np.full(shards, NEEDED, dtype=np.int64)
        outcome = streams.step(self._tick // rung, sent[:, None], _summary(sent), needed, needed)
        self._log_m[rung] = outcome.level[:, 0]
        return self._review(rung, outcome)

    def _review(self, rung: int, outcome: Outcome) -> bool:
        rows = np.arange(self.fleet.shard_count)
        if not self._reports.hear_notes(rung, rows, outcome):
            return False
        return self.book.review(rung, self._reports.notes(rung), self._nobody)

    def _adopt(self) -> None:
        """Open and restart streams as the plan now says."""
        shards = self.fleet.shard_count
        self._rungs, self._validity = self.book.rungs()[:, 0], self.book.validity()[:, 0]
        # a rung that every group has left is of no use any more
        self._live = sorted(set(self._rungs[:shards].tolist()))
        for rung in self._live:
            if rung not in self._streams:
                keys = np.arange(shards, dtype=np.uint64)[:, None]
                side = np.array([METRIC.direction])
                self._streams[rung] = Streams(keys, side, max(1, TICKS // rung))
        for rung, streams in self._streams.items():
            margin, largest, epoch = self.book.settings(rung)
            streams.adopt_level(margin[:shards], largest[:shards], epoch[:shards])


def _summary(sent: npt.NDArray[np.float32]) -> Summary:
    middle = central(np.ascontiguousarray(sent.reshape(-1, PEERS).T))
    count, s3 = np.repeat(middle.count, PEERS), np.repeat(middle.s3, PEERS, axis=0)
    nothing = np.full((len(sent), 1, 3), np.nan, dtype=np.float32)
    return Summary(
        count[:, None],
        s3.astype(np.float32)[:, None],
        np.zeros((len(sent), 1), dtype=np.int64),
        nothing,
        np.ones(len(sent), dtype=np.bool_),
    )


def _table(fleets: int, metric: Metric) -> Fleet:
    racks = [f"rack-{f}" for f in range(fleets)]
    shards = [[f"gpu-{f}-{k}" for k in range(PEERS)] for f in range(fleets)]
    nodes = [Node("cluster", "cluster"), *(Node(r, "rack") for r in racks)]
    nodes += [Node(s, "gpu_shard") for members in shards for s in members]
    edges = [Edge("cluster", rack, "contains") for rack in racks]
    for rack, members in zip(racks, shards, strict=True):
        edges += [Edge(rack, shard, "contains") for shard in members]
    rows = [
        ShardRow(shard, "gpu_shard", f"sku-{f}", "train", "worker")
        for f, members in enumerate(shards)
        for shard in members
    ]
    inventory = Inventory("here", 1, tuple(rows), (metric.name,))
    return build_fleet([inventory], Topology(tuple(nodes), tuple(edges)), [metric])


def play(noise: Noise, excess: float, fleets: int, seed: int) -> Tally:
    """Play ``fleets`` of which one shard each is from tick 3,000 on ``excess`` higher; 0 = well."""
    drawn = Fleets(Cell("level", phi=noise.phi), np.random.default_rng(seed), fleets, PEERS)
    sd = noise.ratio * MARGIN
    levels, peak = Levels(fleets, noise.block), np.zeros((fleets, PEERS))
    delay = np.full(fleets, np.inf)
    for tick in range(TICKS):
        x = sd * drawn.blocks(1)[0].T
        if tick >= ONSET:
            x[:, 0] += excess
        levels.step(x.ravel())
        log_m = levels.believed().reshape(fleets, PEERS)
        np.maximum(peak, log_m, out=peak)
        if tick >= ONSET:
            delay[np.isinf(delay) & (log_m[:, 0] >= np.log(100.0))] = tick + 1 - ONSET
    claimed, rungs = levels.standing()
    first = np.arange(fleets) * PEERS
    one = np.ones(fleets)
    return Tally(
        {
            AT_20: _above(peak, np.log(20.0)),
            AT_100: _above(peak, np.log(100.0)),
            CLAIMED: np.array([claimed[first].astype(np.float64), one]),
            FOUND: np.array([np.isfinite(delay).astype(np.float64), one]),
        },
        {DELAY: delay[:, None]},
        {BLOCK: rungs[first]},
    )


def _above(peak: Floats, least: float) -> Floats:
    hits = (peak >= least).sum(axis=1)
    return np.array([hits, np.full_like(hits, peak.shape[1])], dtype=np.float64)


def planned() -> list[Planned]:
    """Return the cells of this family."""
    null = {AT_20: Target(0.05), AT_100: Target(0.01), CLAIMED: SHOWN, BLOCK: SHOWN}
    found = []
    for phi, block in STARTS:
        for ratio in RATIOS:
            noise = Noise(ratio, phi, block)
            name = f"noise {ratio:g} × margin, AR {phi:g}, from {block} ticks"
            # from blocks too short the plan must move first: how well it does is shown, not asked
            asked = ratio <= 1.0 and block >= BLOCKS_OF_TAU * phi
            least = Target(0.9, at_most=False) if asked else SHOWN
            ill = MARGIN + EXCESS * ratio * MARGIN
            well, run = partial(play, noise, 0.0), partial(play, noise, ill)
            found.append(Planned("level", name, "null", well, 100, 25, null))
            found.append(Planned("level", name, "power", run, 25, 25, {FOUND: least, DELAY: SHOWN}))
    return found
