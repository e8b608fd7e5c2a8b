"""A recording as a corpus: what each shard was apart from its peers, block by block.

Apart from reading, because what a shard shares with its peers (load, weather, pauses) is no news
of it: raw values would mark every pause of the job as an incident.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..adapters.catalogue import LADDER, Metric, apply_transform
from ..adapters.recording import Recording
from ..adapters.topology.model import Topology
from ..agent.fold import Fold
from ..agent.rates import Rates
from ..aggregator.state.peer_groups import peer_groups
from ..engine.peers import central, leave_one_out_median
from ..engine.special import MAD_TO_SD
from ..proto.messages import ShardRow
from .corpus import Corpus, without_absent
from .judged import judged_metrics, shortest_rung
from .ticks import Ticks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FAR: Final = 3.0  # robust sd off a line, from which on a block does not bend it
ENOUGH: Final = 200  # blocks that a screen of all metrics should have


def corpus_of(recording: Recording, ticks: Ticks) -> Corpus:
    """Return the shards of ``recording`` as runs of blocks, their judged metrics as signals.

    A signal is what is left of the block's value, on the scale on which its metric is judged, by a
    line on the leave-one-out median of the shard's peer group: its offset and its loading are its
    own, and no news (statistics.md B6.2). A group of fewer than three has none. Raises
    ``ValueError`` with one line for a recording with nothing to judge.
    """
    columns, metrics = _moving(*judged_metrics(recording))
    rung = _rung(ticks, metrics, recording.path)
    starts, blocks = _blocks(ticks, columns, metrics, rung)
    apart = _apart(blocks, _groups(recording.topology, recording.shards))
    names = [m.name for m in metrics]
    runs = [without_absent(apart[:, i], names) for i in range(len(recording.shards))]
    return Corpus(
        source=recording.path,
        of="recording",
        seed=f"{recording.times[0]:g}..{recording.times[-1]:g}",
        names=recording.shards,
        signals=tuple(signals for _, signals in runs),
        rows=tuple(rows for rows, _ in runs),
        document={},
        tick=float(rung),
        starts=tuple(starts),
    )


def _moving(
    columns: Sequence[int], metrics: Sequence[Metric]
) -> tuple[Sequence[int], Sequence[Metric]]:
    """Return the metrics that have a value in each tick: rare errors are not far, they are rare."""
    kept = [(j, m) for j, m in zip(columns, metrics, strict=True) if not m.counted]
    return [j for j, _ in kept], [m for _, m in kept]


def _rung(ticks: Ticks, metrics: Sequence[Metric], path: Path) -> int:
    """Return the longest fast block of ``metrics`` of which there are enough."""
    shortest = shortest_rung(ticks.interval, f"{path}: its readings")
    longest = max([shortest, *(metric.fast for metric in metrics)])
    usable = [r for r in LADDER if shortest <= r <= longest and ticks.seconds >= ENOUGH * r]
    return max(usable, default=shortest)


def _blocks(
    ticks: Ticks, columns: Sequence[int], metrics: Sequence[Metric], rung: int
) -> tuple[list[float], Floats]:
    """Return the starts (B,) and the values (B, S, M) of all blocks of ``rung`` seconds."""
    own = ticks.intervals[list(columns)].tolist()
    counters = [j for j, metric in enumerate(metrics) if metric.kind == "counter"]
    rates = Rates(counters, [own[j] for j in counters])
    fold = Fold((ticks.values.shape[1], len(metrics)), ticks.interval, own)
    fold.watch({rung: np.arange(len(metrics))})
    sealed = []
    for at, readings in ticks:
        rated = rates.push(at, readings[:, list(columns)])
        for j, metric in enumerate(metrics):
            rated[:, j] = apply_transform(metric, rated[:, j])
        sealed += fold.push(at, rated)
    values = [block.x.astype(np.float64) for block in sealed]
    shape = (0, ticks.values.shape[1], len(metrics))
    return [float(b.index * rung) for b in sealed], np.array(values).reshape(-1, *shape[1:])


def _apart(blocks: Floats, groups: Sequence[Ints]) -> Floats:
    """Return ``blocks`` (B, S, M) less their lines on the medians of their ``groups`` of rows."""
    apart = np.full_like(blocks, np.nan)
    for rows in groups:
        values = blocks[:, rows]  # (B, K, M)
        members = values.transpose(1, 0, 2).reshape(len(rows), -1)
        middle = central(members)
        others = leave_one_out_median(members, middle.count, middle.s3)
        left = _off_line(
            members.reshape(-1, len(blocks), blocks.shape[2]),
            others.reshape(-1, len(blocks), blocks.shape[2]),
        )
        apart[:, rows] = left.transpose(1, 0, 2)
    return apart


def _off_line(values: Floats, others: Floats) -> Floats:
    """Return the distance (K, B, M) of ``values`` to their line on (1, ``others``), over B blocks.

    Least squares, then again without what lies more than three robust sd off the first line.
    """
    near = np.isfinite(values) & np.isfinite(others)
    left = _residual(values, others, near)
    with np.errstate(invalid="ignore"):  # a stream without a value has no spread
        spread = MAD_TO_SD * _median(np.abs(left - _median(left)))
        near &= np.abs(left) <= FAR * spread
    return _residual(values, others, near)


def _residual(y: Floats, c: Floats, used: Bools) -> Floats:
    count = np.maximum(used.sum(axis=1, keepdims=True), 1)
    y = y - np.where(used, y, 0.0).sum(axis=1, keepdims=True) / count
    c = c - np.where(used, c, 0.0).sum(axis=1, keepdims=True) / count
    square = np.where(used, c * c, 0.0).sum(axis=1, keepdims=True)
    cross = np.where(used, c * y, 0.0).sum(axis=1, keepdims=True)
    slope = cross / np.where(square > 0.0, square, 1.0)
    left: Floats = y - slope * c
    return left


def _median(values: Floats) -> Floats:
    """Return the median over blocks (K, 1, M) of what is there, NaN where nothing is."""
    filled = np.where(np.isfinite(values), values, np.inf)
    count = np.isfinite(values).sum(axis=1, keepdims=True)
    ordered = np.sort(filled, axis=1)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=1)
    return np.where(count > 0, middle, np.nan)


def _groups(topology: Topology, shards: Sequence[str]) -> list[Ints]:
    """Return the rows of each peer group."""
    place = {name: i for i, name in enumerate(shards)}
    rows = []
    for name in shards:
        node = topology.node(name)
        about = node.metadata
        likeness = (about.get("sku", ""), about.get("job", ""), about.get("role", ""))
        rows.append(ShardRow(name, node.kind, *likeness))
    found = peer_groups(rows, topology)
    return [np.array([place[m] for m in group.members], dtype=np.int64) for group in found]
