"""The one glyph of each node: what is the worst that is known of it.

Apart from the map, because list, help and plain summary show the same glyphs, and because which
state hides which is a decision.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .view import Bytes, Kind, State, Verdict, View

QUIETEST_SHARE = 0.25  # of the bar; below it evidence is the noise of a healthy fleet
STEPS = 8


class Mark(IntEnum):
    """What a glyph says, mildest first: a glyph of many shows the largest.

    Evidence that a shard holds while it learns or abstains is shown, and of a silent or frozen one
    is not: it is old.
    """

    NONE = 0
    QUIET = 1
    ABSTAINED = 2
    LEARNING = 3
    FROZEN = 4
    EVIDENCE = 5  # the first of eight steps
    STRONGEST = EVIDENCE + STEPS - 1
    SILENT = STRONGEST + 1
    RANKED = SILENT + 1
    CONTROLLED = RANKED + 1
    FACT = CONTROLLED + 1


GLYPHS = " ··~*▁▂▃▄▅▆▇█×?!F"  # by Mark
PLAIN_GLYPHS = " .,~*12345678x?!F"

OF_KIND: dict[Kind, Mark] = {
    "fact": Mark.FACT,
    "controlled": Mark.CONTROLLED,
    "ranked": Mark.RANKED,
}
_OF_STATE = np.zeros(256, dtype=np.uint8)  # a state of a later version looks like no device
for _state, _mark in (
    (State.QUIET, Mark.QUIET),
    (State.LEARNING, Mark.LEARNING),
    (State.ABSTAINED, Mark.ABSTAINED),
    (State.ALONE, Mark.ABSTAINED),
    (State.SILENT, Mark.SILENT),
    (State.FROZEN, Mark.FROZEN),
    (State.GONE, Mark.NONE),
):
    _OF_STATE[_state] = _mark
_BETS = (State.QUIET, State.LEARNING, State.ABSTAINED, State.ALONE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A line of the legend: glyphs and what they say."""

    mark: Mark
    words: str


LEGEND = (
    Meaning(Mark.FACT, "fact: a hard event of the hardware or the host"),
    Meaning(Mark.CONTROLLED, "open, controlled: may be read as the false discovery rate above"),
    Meaning(Mark.RANKED, "open, ranked: a suspect, without that guarantee"),
    Meaning(Mark.SILENT, "silent: its host has not been heard of"),
    Meaning(Mark.EVIDENCE, "evidence, from a quarter of what opens a verdict up to all of it"),
    Meaning(Mark.FROZEN, "frozen: an event covers it, nothing is bet"),
    Meaning(Mark.LEARNING, "learning: not yet able to say that it is well"),
    Meaning(Mark.ABSTAINED, "dim: abstains, or has too few peers"),
    Meaning(Mark.QUIET, "quiet"),
    Meaning(Mark.NONE, "no device"),
)


def glyph(mark: int, *, ascii_only: bool = False) -> str:
    """Return the one character of ``mark``."""
    return (PLAIN_GLYPHS if ascii_only else GLYPHS)[mark]


def marks(view: View) -> Bytes:
    """Return a ``Mark`` for each row (R,): its verdict, else its state or its evidence."""
    out = _OF_STATE[view.state]
    out[view.layout.shards :] = Mark.NONE  # what a node's shards do is theirs to show
    with np.errstate(invalid="ignore"):  # −∞ of no bar at all
        share = view.log_e / np.float32(view.bar)
    held = np.isfinite(share) & (share >= QUIETEST_SHARE) & np.isin(view.state, _BETS)
    steps = (share[held] - QUIETEST_SHARE) / (1 - QUIETEST_SHARE) * STEPS
    out[held] = Mark.EVIDENCE + np.minimum(steps.astype(np.int64), STEPS - 1)
    row_of = {row.id: index for index, row in enumerate(view.layout.rows)} if view.open else {}
    for verdict in view.open:
        row = row_of.get(verdict.node)
        if row is not None:
            out[row] = max(int(out[row]), OF_KIND[verdict.kind])
    return out


def worst_first(view: View) -> list[Verdict]:
    """Return the open verdicts: facts, controlled, ranked; the newest of each first."""
    return sorted(view.open, key=lambda v: (-OF_KIND[v.kind], -v.opened, v.node))
