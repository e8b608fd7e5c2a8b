"""Let the product itself learn a curated recording, and keep what it learned as a baseline.

Apart from curating, which says what is ordinary: this plays, by the code that is live, and takes
down what agents and aggregator know at the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from ..adapters.recording import Recording
from ..agent.warm import columns_of
from ..aggregator.decide.transition import Transition
from ..aggregator.plan.warm import records, streams_of
from ..engine.curation.validate import Curation
from ..engine.knowledge import nothing, put
from ..proto.baseline_file import Baseline, Cell, Stream
from .corpus import Corpus
from .lockstep import Lockstep
from .replay import Player
from .ticks import Ticks

Place = tuple[str, str, int]  # shard, metric, rung


def learn(recording: Recording, ticks: Ticks, corpus: Corpus, found: Curation) -> Baseline:
    """Return what the product learns from ``recording``, curated as ``found``.

    The windows of an incident are as if nobody had measured in them, for all alike. A shard that
    is no baseline, or that had a verdict, is left out with the reason. Single marked ticks stay:
    they are in the counts of ranks, which are never trimmed by value (statistics.md B6.5).
    """
    player = Player(recording, without_incidents(ticks, corpus, found))
    told = list(player.transitions())
    left_out = {
        **_with_verdict(told, player.lockstep),
        **{
            name: "more than 10 % of its ticks are marked"
            for name, about in zip(corpus.names, found.screened, strict=True)
            if not about.is_baseline
        },
    }
    cells, windows = _cells(player.lockstep)
    streams, columns = _streams(player.lockstep, left_out)
    return Baseline(
        source=recording.path.name,
        window=(float(recording.times[0]), float(recording.times[-1])),
        cells=tuple(cells),
        streams=tuple(streams),
        columns=columns,
        windows=windows,
        left_out=left_out,
    )


def without_incidents(ticks: Ticks, corpus: Corpus, found: Curation) -> Ticks:
    """Return ``ticks`` without the values read during incidents of the fleet."""
    during = np.zeros(len(ticks), dtype=np.bool_)
    for first, last in found.fleet.incidents:
        began, ended = corpus.starts[first], corpus.starts[last] + corpus.tick
        during |= (ticks.times >= began) & (ticks.times < ended)
    return replace(ticks, values=np.where(during[:, None, None], np.nan, ticks.values))


def _with_verdict(told: Iterable[Transition], lockstep: Lockstep) -> Mapping[str, str]:
    """Return the shards at or beneath a node that had a verdict, and which."""
    fleet, found = lockstep.fleet, {}
    for made in told:
        row = fleet.rows.index(made.node)
        beneath = row - fleet.shard_count
        rows = [row] if beneath < 0 else fleet.shards_beneath[beneath].tolist()
        for shard in rows:
            found[fleet.rows[shard]] = f"a verdict was opened on {made.node}"
    return found


def _cells(
    lockstep: Lockstep,
) -> tuple[list[Cell], dict[tuple[int, int], npt.NDArray[np.float32]]]:
    cells: list[Cell] = []
    windows: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
    held = lockstep.pipeline.planner.change.cells
    for record, sums in records(iter(held.values()), lockstep.fleet):
        windows.update({(len(cells), m): s.astype(np.float32) for m, s in sums.items()})
        cells.append(record)
    return cells, windows


def _streams(
    lockstep: Lockstep, left_out: Mapping[str, str]
) -> tuple[Sequence[Stream], dict[str, npt.NDArray[np.generic]]]:
    """Return the streams of all that settled and is not left out, and what they know."""
    fleet, held = lockstep.fleet, lockstep.pipeline.planner.change.cells.values()
    cells = [c for c in held if int(c.rows[0]) < fleet.shard_count]
    planned = chain.from_iterable(streams_of(cell, fleet) for cell in cells)
    by_place: dict[Place, Stream] = {(s.shard, s.metric, s.rung): s for s in planned}
    parts, streams = [], []
    inventory = lockstep.evidence.inventory
    for rung, at, known in lockstep.evidence.knowledge():
        rows, columns = np.divmod(at, len(inventory.metrics))
        places = [
            (inventory.shards[i].id, inventory.metrics[j], rung)
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
        kept = [
            i for i, place in enumerate(places) if place in by_place and place[0] not in left_out
        ]
        streams += [by_place[places[i]] for i in kept]
        parts.append(known.only(np.array(kept, dtype=np.int64)))
    whole, start = nothing(len(streams)), 0
    for part in parts:
        count = len(part.offset)
        put(whole, np.arange(start, start + count), part)
        start += count
    return streams, columns_of(whole)
