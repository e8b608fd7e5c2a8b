"""The messages of the wire in decoded form, as agent and aggregator hold them.

Apart from any encoding, because replay passes them by hand and the live path over gRPC: what
is computed on either side must not know the difference (DESIGN.md section 5). UP2 is not here yet:
it still carries the engine's own outcome (aggregator/pipeline.py).

Rows S follow the sender's inventory. Columns M follow ``Inventory.metrics``. NaN means "none".
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One shard as its host reports it; ``id`` is the vendor's, never an index."""

    id: str
    kind: str
    sku: str
    job: str
    role: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a host has: its rows and columns until the next version."""

    host: str
    version: int
    shards: tuple[ShardRow, ...]
    metrics: tuple[str, ...]


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
class Plan:
    """The only source of parameters; an agent chooses none.

    ``groups`` peer group and ``pools`` pool of each shard id; ``needed`` members that a bet
    needs, by group, as (change, level); ``horizon`` seconds of an epoch.
    """

    id: int
    groups: Mapping[str, str]
    pools: Mapping[str, str]
    needed: Mapping[str, tuple[int, int]]
    change: tuple[ChangePlan, ...]
    level: tuple[LevelPlan, ...]
    horizon: float


@dataclass(frozen=True, slots=True)
class Up1:
    """Block values of a host, going up: ``x`` (S, M) raw, ``offset`` (S, M) of the streams.

    ``eligible`` (S,): may stand in its peers' summaries (clock in order, not frozen).
    """

    host: str
    rung: int
    block: int
    x: Float32s
    offset: Float32s
    eligible: Bits


@dataclass(frozen=True, slots=True)
class Down:
    """Three central order statistics of one peer group, going down once per block.

    ``count`` (M,) and ``s3`` (M, 3) of raw values; the same of offset-demeaned values;
    ``included`` (S,) rows of the receiving host that stand in them.
    """

    group: str
    rung: int
    block: int
    count_raw: Counts
    s3_raw: Float32s
    count_demeaned: Counts
    s3_demeaned: Float32s
    included: Bits
