"""Score a replay against what the recording says was wrong: who was found, how late, who else.

Apart, because nothing of the truth may reach the player.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..adapters.recording_read import Truth
from ..aggregator.decide.transition import Transition


@dataclass(frozen=True, slots=True)
class Score:
    """Nodes ``found`` with their delay in seconds from onset, ``missed``, and ``false``."""

    found: dict[str, float]
    missed: tuple[str, ...]
    false: tuple[str, ...]


def score(truth: Truth, transitions: Iterable[Transition], still_open: Iterable[str]) -> Score:
    """Return how the open verdicts compare with ``truth``; an onset not given counts from 0."""
    opened: dict[str, float] = {}
    for transition in transitions:
        if transition.transition == "opened":
            opened.setdefault(transition.node, transition.at)
    now = set(still_open)
    found = {
        node: opened[node] - truth.onset.get(node, 0.0)
        for node in truth.open
        if node in now and node in opened
    }
    return Score(
        found=found,
        missed=tuple(sorted(set(truth.open) - set(found))),
        false=tuple(sorted(now - set(truth.open))),
    )
