"""The messages that carry evidence, in decoded form, as agent and aggregator hold them.

Apart from any encoding, because replay passes them by hand and the live path over gRPC: what
is computed on either side must not know the difference (DESIGN.md section 5).

Rows S follow the sender's inventory. Columns M follow ``Inventory.metrics``. NaN means "none".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PathNode:
    """A node above a shard, as its host knows it."""

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One shard as its host reports it; ``id`` is the vendor's, never an index.

    ``path`` leads from the root to its parent, empty where the host does not know it.
    """

    id: str
    kind: str
    sku: str
    job: str
    role: str
    path: tuple[PathNode, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a host has: its rows and columns until the next version.

    ``metrics`` are the names of the columns: of a metric that is read, which is a column of its
    own, or that and a score of it behind a slash. ``units`` are theirs; ``interval`` s lie between
    two readings. ``schemas`` say in a line how each is read and judged: what is said otherwise is
    another measure. ``refreshes`` are the seconds between two values of each whose source is slower
    than that, 0 for the others.
    """

    host: str
    version: int
    shards: tuple[ShardRow, ...]
    metrics: tuple[str, ...]
    units: tuple[str, ...] = ()
    boot_id: str = ""
    interval: float = 1.0
    schemas: tuple[str, ...] = ()
    refreshes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Parameters of the change channel for one metric of one pool (a SKU) at one rung.

    ``phi`` in [0, 1) and ``kappa`` ≥ 1, NaN while unknown; ``epoch`` restarts M when it grows;
    ``stream_kappa`` κ_i by shard id where a stream's own is larger than the fleet's.
    """

    metric: str
    pool: str
    rung: int
    phi: float
    kappa: float
    epoch: int
    stream_kappa: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """Parameters of the level channel for one metric of one peer group.

    ``margin`` > 0 in contrast units; ``largest_lambda`` the cut of the betting grid, 0 = abstain.
    """

    metric: str
    group: str
    rung: int
    margin: float
    largest_lambda: float
    epoch: int


@dataclass(frozen=True, slots=True)
class Held:
    """An open verdict of a row, whose baseline of before is to be kept until it is closed.

    ``verdict`` its number; ``since`` the likely onset in Unix seconds, NaN = not known. What leads
    it is watched: ``channel`` ("change" or "level") of ``metric`` at ``rung``, from the block
    after ``opened`` on. Of no ``metric``, "", nothing is watched: what led it is gone.
    """

    verdict: int
    since: float
    channel: Literal["change", "level"]
    metric: str
    rung: int
    opened: int


@dataclass(frozen=True, slots=True)
class CountsPlan:
    """Parameters of one counted metric of one peer group.

    ``odds`` >= 1: times the odds of its exposure that a healthy member may err.
    """

    metric: str
    group: str
    rung: int
    odds: float
    epoch: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The only source of parameters; an agent chooses none.

    ``groups`` peer group and ``pools`` pool of each shard id; ``needed`` members that a bet
    needs, by group, as (change, level); ``horizon`` seconds of an epoch. ``from_block`` by rung
    is the first block under this plan, a rung that is not there obeys at once. ``epochs`` by shard
    id: a stream's epoch is the larger of that and its cell's. ``direction`` is each metric's bad
    side in {-1, 0, 1}; ``held`` rows with an open verdict, by id. ``born`` by shard id is the epoch
    with which it last began to learn anew; ``metric_epochs`` by shard id and column are those of
    single columns. ``inventory`` is the version that the receiving host is to follow.
    """

    id: int
    groups: Mapping[str, str]
    pools: Mapping[str, str]
    needed: Mapping[str, tuple[int, int]]
    change: tuple[ChangePlan, ...]
    level: tuple[LevelPlan, ...]
    horizon: float
    from_block: Mapping[int, int] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    direction: Mapping[str, int] = field(default_factory=dict)
    counts: tuple[CountsPlan, ...] = ()
    held: Mapping[str, Held] = field(default_factory=dict)
    born: Mapping[str, int] = field(default_factory=dict)
    metric_epochs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    inventory: int = 0


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time, in Unix seconds, in which ``nodes`` learn nothing and bet nothing, and why.

    Which blocks it covers is known before any value of them is read, or follows from the times of
    an event that knew none (``exogenous``): dropping a block for what is in it would destroy every
    guarantee (statistics.md B5). ``nodes`` are shards of the receiving host; in the aggregator,
    any nodes, with all that is beneath them.
    """

    id: str
    nodes: tuple[str, ...]
    start: float
    until: float
    reason: str
    exogenous: bool = False

    def covers(self, rung: int, block: int) -> bool:
        """Say whether nothing of a block may move.

        A person may have looked at the block in which a freeze was called for: only those that
        begin later are frozen by it. An event's own times freeze every block that they touch.
        """
        begins, ends = block * rung, (block + 1) * rung
        if not self.start < self.until or begins >= self.until:
            return False
        return ends > self.start if self.exogenous else begins >= self.start


@dataclass(frozen=True, slots=True)
class Up1:
    """Block values of a host, going up: ``x`` (S, M) raw, ``offset`` (S, M) of the streams.

    ``eligible`` (S,): may stand in its peers' summaries (clock in order, not frozen). ``plan``
    and ``inventory`` are those that the sender follows. ``frozen`` (S,), None = none of them.
    """

    host: str
    rung: int
    block: int
    x: Float32s
    offset: Float32s
    eligible: Bits
    plan: int = 0
    inventory: int = 1
    frozen: Bits | None = None


@dataclass(frozen=True, slots=True)
class Down:
    """Three central order statistics of one peer group, going down once per block.

    ``count`` (M,) and ``s3`` (M, 3) of raw values; the same of offset-demeaned values;
    ``included`` (S,) rows of the receiving host that stand in them; ``frozen`` (S,) those of which
    nothing may move in this block, None = none. ``total`` (M,) is the sum of the group's raw values
    in columns that are counted, NaN in the others; None = none is.
    """

    group: str
    rung: int
    block: int
    count_raw: Counts
    s3_raw: Float32s
    count_demeaned: Counts
    s3_demeaned: Float32s
    included: Bits
    plan: int = 0
    total: Float32s | None = None
    frozen: Bits | None = None


@dataclass(frozen=True, slots=True)
class LevelNotes:
    """What level streams noted of their past (S, M) when a review is due, −1 and NaN = no stream.

    ``runs`` and ``plusses`` (S, M, k): signs that followed so many plusses, and plusses among them.
    """

    observed: Ints
    median: Float32s
    noise_ratio: Float32s
    lag_one: Float32s
    runs: Ints
    plusses: Ints


@dataclass(frozen=True, slots=True)
class HeldNote:
    """How an open ``verdict`` of the shard in ``row`` goes on, absolute as all evidence is.

    ``turns`` since its opening, odd while it recovers; ``log_m`` rounded down of what runs since
    the last, over ``lasted`` seconds of evidence. ``low``, ``middle`` and ``high`` of the effect
    while it is open, in the metric's unit after its transform: NaN = nothing seen, ±∞ = no bound.
    """

    row: int
    verdict: int
    turns: int
    lasted: float
    log_m: float
    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Up2:
    """A host's evidence after a block, going up: absolute, so that none of it can be forged.

    ``change`` and ``level`` (S, M) ln M rounded down, NaN where no stream is; their epochs, −1
    where none is; their likely onsets as block numbers, −1 = none; ``learned`` (S, M) blocks of
    200, −1 = no stream. The rest is news for the plan, None or empty where there is none:
    ``lags`` (S, M, 3), ``baseline`` (S, M, 100), ``windows`` m to (S, M), ``long_run`` (S, M) over
    ``long_run_scores`` (S, M), ``review``. ``held`` are the open verdicts watched at this rung.
    """

    host: str
    rung: int
    block: int
    change: Float32s
    level: Float32s
    change_epoch: Ints
    level_epoch: Ints
    change_onset: Ints
    level_onset: Ints
    learned: Ints
    lags: Float32s | None = None
    baseline: Float32s | None = None
    windows: Mapping[int, Float32s] = field(default_factory=dict)
    long_run: Float32s | None = None
    long_run_scores: Ints | None = None
    review: LevelNotes | None = None
    plan: int = 0
    inventory: int = 1
    held: tuple[HeldNote, ...] = ()


@dataclass(frozen=True, slots=True)
class RawTicks:
    """Raw readings of one shard: ``at`` (T,) Unix seconds, ``values`` (T, M) of ``metrics``."""

    shard: str
    metrics: tuple[str, ...]
    at: Floats
    values: Float32s
