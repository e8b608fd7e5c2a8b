"""Tune every rival on one set of healthy fleets, then watch it on others.

Apart from page and plots, which only show the rows that come out of here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from tessera.lab.cells.count import Count, clustered_median, clustered_share, seed_of
from tessera.lab.cells.generate import Cell

from .charts import Floats
from .rival import LEVEL, Rival, alarms, highest, tuned
from .streams import OURS_ALONE, Feed, found_after, play

CHUNK = 20  # fleets that are played at once
BLOCK = 30  # ticks of a block where the noise has memory: one length for all, about 3 τ at AR .9
CALM = 2.0 * LEVEL  # tuned on as few fleets, a bar is not exact
SHIFT = 1.0  # own sd of the shifted shards
IID = Cell("iid")
CELLS = (
    IID,
    Cell("AR .9", phi=0.9, block=BLOCK),
    Cell("AR .99", phi=0.99, block=BLOCK),
    Cell("loadings ±40 %", loading=0.4),
    Cell(
        "t3, offsets, loadings",
        phi=0.9,
        block=BLOCK,
        innovations="t3",
        offset=3.0,
        scale=0.3,
        loading=0.4,
    ),
    Cell(
        "all combined",
        phi="both",
        block=BLOCK,
        innovations="t3",
        offset=3.0,
        scale=0.3,
        loading=0.4,
        missing=0.1,
    ),
)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """What one rival did: false alarms by cell, and delay and share found of a shift in iid."""

    rival: Rival
    false: Mapping[str, Count]
    delay: Count
    found: Count

    @property
    def calm(self) -> bool:
        """Say whether at most ``CALM`` of healthy streams are alarmed on in every cell."""
        return not self.loud

    @property
    def loud(self) -> dict[str, float]:
        """Return the shares of the cells in which it alarms on more healthy streams than that."""
        return {cell: c.value for cell, c in self.false.items() if c.value > CALM}


def measured(rivals: Sequence[Rival], fleets: int, prefix: str, tell: Tell) -> list[Row]:
    """Return a row for each of the ``rivals``, every cell on so many ``fleets``."""
    tell("tuning")
    open_ = [rival for rival in rivals if not rival.fixed]
    ready = _tuned(rivals, _parts(IID, 0.0, fleets, (prefix, "tuning"), open_))
    false: list[dict[str, Count]] = [{} for _ in ready]
    for cell in CELLS:
        tell(cell.name)
        feeds = _parts(cell, 0.0, fleets, (prefix, "null", cell.name), ready)
        for row, alarm in zip(false, _alarms(ready, feeds), strict=True):
            hits = np.isfinite(alarm).sum(axis=1).astype(np.float64)
            row[cell.name] = _share(cell.name, hits, alarm.shape[1])
    tell("power")
    shifted = _alarms(ready, _parts(IID, SHIFT, fleets, (prefix, "power"), ready))
    return [_row(*parts) for parts in zip(ready, false, shifted, strict=True)]


def _row(rival: Rival, false: Mapping[str, Count], alarm: Floats) -> Row:
    delay = found_after(alarm)
    middle = Count("delay", *clustered_median(delay), None, share=False)
    hits = np.isfinite(delay).sum(axis=1).astype(np.float64)
    return Row(rival, false, middle, _share("found", hits, delay.shape[1]))


def _share(what: str, hits: Floats, of: int) -> Count:
    return Count(what, *clustered_share(hits, np.full(len(hits), float(of))), None)


def _parts(
    cell: Cell, size: float, fleets: int, words: tuple[str, ...], rivals: Sequence[Rival]
) -> Iterator[Mapping[str, Feed]]:
    """Yield the feeds of all fleets, some at a time, their seeds hashed from ``words``."""
    alone = any(rival.fed == OURS_ALONE for rival in rivals)
    for part, start in enumerate(range(0, fleets, CHUNK)):
        count = min(CHUNK, fleets - start)
        yield play(cell, size, count, seed_of(*words, part), alone=alone)


def _tuned(rivals: Sequence[Rival], feeds: Iterator[Mapping[str, Feed]]) -> list[Rival]:
    open_ = [rival for rival in rivals if not rival.fixed]
    tops: list[list[Floats]] = [[] for _ in open_]
    for part in feeds:
        for number, rival in enumerate(open_):
            grown = zip_longest(tops[number], highest(rival, part), fillvalue=np.empty(0))
            tops[number] = [np.concatenate(pair) for pair in grown]
    set_ = iter([tuned(rival, top) for rival, top in zip(open_, tops, strict=True)])
    return [rival if rival.fixed else next(set_) for rival in rivals]


def _alarms(rivals: Sequence[Rival], feeds: Iterator[Mapping[str, Feed]]) -> list[Floats]:
    """Return the first alarms (fleets, shards) of each of the ``rivals``."""
    seen = [[alarms(rival, part) for rival in rivals] for part in feeds]
    return [np.concatenate(parts) for parts in zip(*seen, strict=True)]
