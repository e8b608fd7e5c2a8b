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
from ..proto.messages import ShardRow
from .corpus import Corpus, without_absent
from .judged import judged_metrics, shortest_rung
from .ticks import Ticks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ENOUGH: Final = 200  # blocks that a screen of all metrics should have


def corpus_of(recording: Recording, ticks: Ticks) -> Corpus:
    """Return the shards of ``recording`` as runs of blocks, their judged metrics as signals.

    A signal is the block's value, on the scale on which its metric is judged, less the
    leave-one-out median of the shard's peer group; a group of fewer than three has none. Raises
    ``ValueError`` with one line for a recording with nothing to judge.
    """
    columns, metrics = judged_metrics(recording)
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


def _rung(ticks: Ticks, metrics: Sequence[Metric], path: Path) -> int:
    """Return the longest fast block of ``metrics`` of which there are enough."""
    shortest = shortest_rung(ticks.interval, f"{path}: its readings")
    longest = max(shortest, *(metric.fast for metric in metrics))
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
        judged = [apply_transform(m, rated[:, j]) for j, m in enumerate(metrics)]
        sealed += fold.push(at, np.stack(judged, axis=1))
    values = [block.x.astype(np.float64) for block in sealed]
    shape = (0, ticks.values.shape[1], len(metrics))
    return [float(b.index * rung) for b in sealed], np.array(values).reshape(-1, *shape[1:])


def _apart(blocks: Floats, groups: Sequence[Ints]) -> Floats:
    """Return ``blocks`` (B, S, M) less the leave-one-out medians of their ``groups`` of rows."""
    apart = np.full_like(blocks, np.nan)
    for rows in groups:
        values = blocks[:, rows]  # (B, K, M)
        members = values.transpose(1, 0, 2).reshape(len(rows), -1)
        middle = central(members)
        others = leave_one_out_median(members, middle.count, middle.s3)
        apart[:, rows] = (members - others).reshape(len(rows), len(blocks), -1).transpose(1, 0, 2)
    return apart


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
