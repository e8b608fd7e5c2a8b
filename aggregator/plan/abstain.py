"""Say who makes no claim on which channel, and why: silence must never look like health.

Apart from the books, because the reasons come from all of them and from the topology.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...engine.change import LEARNING_BLOCKS
from ...engine.evalue import Validity
from ...engine.peers import FEWEST
from ..state.fleet import Fleet
from .planner import Planner

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Abstention:
    """``scope`` (a group, a contrast or one node) makes no claim on ``channel``."""

    scope: str
    channel: str
    reason: str


def abstentions(fleet: Fleet, planner: Planner, learned: Ints) -> tuple[Abstention, ...]:
    """Return all, sorted; ``learned`` (2, R, M) blocks of fast and slow, −1 = not heard of."""
    found = {
        *_too_few(fleet, planner),
        *_not_enough_for_a_claim(fleet, planner),
        *_level(fleet, planner),
        *_uncalibrated(fleet, planner),
        *_learning(fleet, planner, learned),
    }
    return tuple(sorted(found))


def _too_few(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    sizes = fleet.group_sizes()
    for g in planner.members.too_few():
        what = (
            "peers" if (np.flatnonzero(fleet.group == g) < fleet.shard_count).all() else "siblings"
        )
        reason = f"fewer than three {what}: {sizes[g]} in the group, itself included"
        for channel in ("change", "level"):
            yield Abstention(_scope(fleet, int(g)), channel, reason)


def _not_enough_for_a_claim(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    best, reliable = planner.members.classes()[0], planner.members.reliable()[0]
    sizes = fleet.group_sizes()
    for g in np.flatnonzero((best == Validity.NONE) & (sizes >= FEWEST)):
        some = f"{reliable[g]} of {sizes[g]}" if reliable[g] < sizes[g] else f"{sizes[g]}"
        reason = f"{some} peers are too few for a claim (16 ranked, 32 controlled)"
        yield Abstention(_scope(fleet, int(g)), "change", reason)


def _level(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    for cell in planner.level.cells.values():
        if cell.margin is None or cell.validity == Validity.NONE:
            metric = fleet.metrics[cell.column].name
            yield Abstention(_scope(fleet, cell.group), "level", f"{metric}: {cell.reason}")


def _uncalibrated(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    """Yield what calibration leaves no class to, by group, with what is wrong."""
    best = planner.members.classes()[0]
    for cell in planner.change.cells.values():
        if np.isnan(cell.kappa) or cell.validity.max() > Validity.NONE:
            continue
        rung = f"{fleet.metrics[cell.column].name}: {'slow' if cell.slow else 'fast'} rung"
        reason = f"{rung}: {', '.join(cell.calibration.words)}"
        for g in np.unique(fleet.group[cell.rows]):
            if best[g] > Validity.NONE:  # the others have said already that they claim nothing
                yield Abstention(_scope(fleet, int(g)), "change", reason)


def _learning(fleet: Fleet, planner: Planner, learned: Ints) -> Iterator[Abstention]:
    """Yield what never ended its learning, by group and rung, and what never had a value."""
    for which, word in enumerate(("fast", "slow")):
        exists = planner.change.rungs(slow=bool(which)) > 0
        far = np.where(exists, np.maximum(learned[which], 0), LEARNING_BLOCKS)
        for g in np.unique(fleet.group[far.min(axis=1) < LEARNING_BLOCKS]):
            mine = far[fleet.group == g]
            silent = int((mine.max(axis=1) == 0).sum())
            if 0 < silent < len(mine):
                reason = f"{word} rung: {silent} of {len(mine)} never had a value beside peers"
                yield Abstention(_scope(fleet, int(g)), "change", reason)
            least = int(mine[mine.max(axis=1) > 0].min()) if silent < len(mine) else 0
            if least < LEARNING_BLOCKS:
                reason = f"{word} rung: learning ({least} of {LEARNING_BLOCKS} blocks)"
                yield Abstention(_scope(fleet, int(g)), "change", reason)


def _scope(fleet: Fleet, g: int) -> str:
    """Return the node's own id for a contrast of one, else the group's name."""
    rows = np.flatnonzero(fleet.group == g)
    return fleet.rows[rows[0]] if len(rows) == 1 else fleet.groups[g]
