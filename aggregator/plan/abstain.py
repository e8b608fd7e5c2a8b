"""Say who makes no claim on which channel, and why: silence must never look like health.

Apart from the books, because the reasons come from all of them and from the topology.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import JOINT, SCORES
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
        *_counts(fleet, planner),
        *_uncalibrated(fleet, planner),
        *_learning(fleet, planner, learned),
        *_too_long(fleet, planner),
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


def _counts(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    for cell in planner.counts.cells.values():
        if cell.validity == Validity.NONE:
            metric = fleet.metrics[cell.column].name
            yield Abstention(_scope(fleet, cell.group), "counts", f"{metric}: {cell.reason}")


def _uncalibrated(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    """Yield what calibration leaves no class to, by group, with what is wrong."""
    best = planner.members.classes()[0]
    for cell in planner.change.cells.values():
        if np.isnan(cell.kappa) or cell.validity.max() > Validity.NONE:
            continue
        metric = fleet.metrics[cell.column]
        rung = f": {'slow' if cell.slow else 'fast'} rung" if metric.paired else ""
        reason = f"{metric.name}{rung}: {', '.join(cell.calibration.words)}"
        for g in np.unique(fleet.group[cell.rows]):
            if best[g] > Validity.NONE:  # the others have said already that they claim nothing
                yield Abstention(_scope(fleet, int(g)), "change", reason)


def _learning(fleet: Fleet, planner: Planner, learned: Ints) -> Iterator[Abstention]:
    """Yield what never ended its learning, by group and rung, and what never had a value."""
    paired = np.array([metric.paired for metric in fleet.metrics], dtype=np.bool_)
    joint = np.array([metric.score == JOINT for metric in fleet.metrics], dtype=np.bool_)
    parts = (
        (0, paired, "fast rung"),
        (1, paired, "slow rung"),
        (0, ~paired & ~joint, "scores of ticks"),
        (0, joint, "joint"),
    )
    for which, columns, word in parts:
        exists = (planner.change.rungs(slow=bool(which)) > 0) & columns
        far = np.where(exists, np.maximum(learned[which], 0), LEARNING_BLOCKS)
        for g in np.unique(fleet.group[far.min(axis=1) < LEARNING_BLOCKS]):
            mine = far[fleet.group == g]
            silent = int((mine.max(axis=1) == 0).sum())
            if 0 < silent < len(mine):
                reason = f"{word}: {silent} of {len(mine)} never had a value beside peers"
                yield Abstention(_scope(fleet, int(g)), "change", reason)
            least = int(mine[mine.max(axis=1) > 0].min()) if silent < len(mine) else 0
            if least < LEARNING_BLOCKS:
                reason = f"{word}: learning ({least} of {LEARNING_BLOCKS} blocks)"
                yield Abstention(_scope(fleet, int(g)), "change", reason)


def _too_long(fleet: Fleet, planner: Planner) -> Iterator[Abstention]:
    """Yield the scores whose blocks are too long, or too short, to be learned at all."""
    lengths, anybody = planner.change.lengths, (fleet.group_sizes() >= FEWEST).any()
    for metric in fleet.metrics if anybody else ():
        if metric.score in SCORES and not lengths.fits(metric.fast):
            blocks = f"blocks of {metric.fast} s"
            long = f"{LEARNING_BLOCKS} {blocks} are more than half of an epoch"
            reason = long if metric.fast >= lengths.shortest else f"{blocks} are too short here"
            yield Abstention(metric.base, "change", f"scores of ticks: {reason}")


def _scope(fleet: Fleet, g: int) -> str:
    """Return the node's own id for a contrast of one, else the group's name."""
    rows = np.flatnonzero(fleet.group == g)
    return fleet.rows[rows[0]] if len(rows) == 1 else fleet.groups[g]
