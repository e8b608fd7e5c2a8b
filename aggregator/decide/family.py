"""Select and attribute: from every row's two values to the nodes that a person is told of.

Apart from the life of a verdict, because selection has no memory but the running maximum, and
whatever happens to a verdict later may not touch it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from ...engine.attribution import Family, explain_away
from ...engine.evalue import EValues, Validity
from ...engine.peers import FEWEST
from ...engine.selection import (
    ControlledList,
    RankedList,
    controlled,
    ranked,
    sup_fdr_adjust,
)
from ..combine.temporal import Moved
from ..state.fleet import Fleet
from ..state.move import Move

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MANY_OF_A_GROUP = 0.2  # share of a group beyond which several selected shards are not faults
SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected in one step, by row.

    ``controlled`` may be read as FDR ≤ q; ``reported`` (sorted rows) is what either test selects
    and attribution keeps; ``explained_by`` (R,) the reported node above a selected row, −1 =
    none; ``heterogeneous`` (R,) rows whose group disagrees as a whole. ``listed`` (R,) is the
    length of the list that a row was selected in, 0 = not selected, and ``log_e`` (R,) its value
    in that test: at least ``threshold`` − ln ``listed``.
    """

    controlled: ControlledList
    reported: Ints
    explained_by: Ints
    heterogeneous: Bools
    listed: Ints
    log_e: Floats

    @property
    def threshold(self) -> float:
        """Return ln(N/q), the bar of a list of one in nats."""
        return log(self.controlled.n / self.controlled.q)


class Selector:
    """The family of all hypotheses of one fleet, N fixed, with its running maximum."""

    def __init__(self, fleet: Fleet, q: float) -> None:
        """Take the level ``q`` in (0, 1] at which e-BH runs."""
        self._fleet = fleet
        self._q = q
        self._family = _graph(fleet)
        self._has_contrast = fleet.group_sizes()[fleet.group] >= FEWEST
        self._peak = np.full(len(fleet.rows), -np.inf)
        self.least = float(-np.log(q))  # no e below 1/q is ever selected, whatever the others are
        self.quiet = True

    def inherit(self, former: "Selector", move: Move) -> None:
        """Take over the running maxima of the rows that are still there."""
        self._peak[move.rows[1]] = former._peak[move.rows[0]]  # noqa: SLF001 - of this class
        self.quiet = former.quiet

    @property
    def bar(self) -> float:
        """Return ln(N/q), what a list of one needs in nats."""
        return log(len(self._peak) / self._q)

    def select(
        self,
        controlled_values: EValues,
        ranked_values: EValues,
        anew: Bools,
        moved: Moved | None = None,
    ) -> Selection:
        """Run both tests on this step's values (R,); ``anew`` (R,) lost a class or an epoch ended.

        ``moved``: the root, which has no siblings, stands in the ranked test by its own past.

        The running maximum of such a row starts anew: what it held was believed under a null
        that has been given up.
        """
        held = np.where(anew, -np.inf, self._peak)
        self._peak = np.maximum(held, controlled_values.log_e)
        adjusted = sup_fdr_adjust(self._peak)
        ranked_values = _with(ranked_values, moved)
        self.quiet = bool(adjusted.max() < self.least)
        if self.quiet and ranked_values.log_e.max() < self.least:
            return self._nothing(adjusted)
        mine = EValues(adjusted, controlled_values.validity)
        by_rank, first = ranked(ranked_values, self._q), controlled(mine, self._q)
        chosen = np.zeros(len(adjusted), dtype=np.bool_)
        chosen[by_rank.members] = chosen[first.members] = True
        has_contrast = self._has_contrast.copy()
        if moved is not None:
            has_contrast[moved.row] = True
        reported, explained_by = explain_away(chosen, has_contrast, self._family)
        keep = np.isin(np.arange(len(adjusted)), reported)
        odd = self._heterogeneous(chosen, keep, explained_by)
        zeroed = EValues(np.where(odd, -np.inf, adjusted), controlled_values.validity)
        claimed = controlled(zeroed, self._q, keep)
        listed, log_e = _passed(len(adjusted), (first, by_rank, claimed))
        return Selection(
            controlled=claimed,
            reported=reported,
            explained_by=explained_by,
            heterogeneous=odd,
            listed=listed,
            log_e=log_e,
        )

    def still_claimed(self, opened: Mapping[int, float]) -> frozenset[int]:
        """Return which of the ``opened`` rows hold as one controlled list of their own.

        Each with the log e of its opening or with its running maximum, whichever is more.
        """
        log_e = sup_fdr_adjust(self._peak)
        for row, at_opening in opened.items():
            log_e[row] = max(log_e[row], at_opening)
        rows = np.array(sorted(opened), dtype=np.int64)
        left = ControlledList.check(rows, log_e, len(log_e), self._q)
        return frozenset(left.members.tolist())

    def _nothing(self, adjusted: Floats) -> Selection:
        n = len(self._fleet.rows)
        none = np.empty(0, dtype=np.int64)
        return Selection(
            controlled=ControlledList.check(none, adjusted, n, self._q),
            reported=none,
            explained_by=np.full(n, -1, dtype=np.int64),
            heterogeneous=np.zeros(n, dtype=np.bool_),
            listed=np.zeros(n, dtype=np.int64),
            log_e=np.full(n, -np.inf),
        )

    def _heterogeneous(self, chosen: Bools, keep: Bools, explained_by: Ints) -> Bools:
        """Return the selected shards of groups that disagree as a whole (G1)."""
        shards = self._fleet.shard_count
        alone = (chosen & keep & (explained_by < 0))[:shards]
        group = self._fleet.group[:shards]
        count = np.bincount(group[alone], minlength=len(self._fleet.groups))
        size = np.bincount(group, minlength=len(self._fleet.groups))
        odd = (count >= SEVERAL) & (count > MANY_OF_A_GROUP * size)
        out = np.zeros(len(chosen), dtype=np.bool_)
        out[:shards] = alone & odd[group]
        return out


def _passed(n: int, lists: Sequence[ControlledList | RankedList]) -> tuple[Ints, Floats]:
    """Return for each of ``n`` rows the length of the last list that names it, and its value there.

    The claim comes last, so that a claim is explained by the test that made it.
    """
    listed, log_e = np.zeros(n, dtype=np.int64), np.full(n, -np.inf)
    for found in lists:
        listed[found.members] = len(found)
        log_e[found.members] = found.log_e
    return listed, log_e


def _with(values: EValues, moved: Moved | None) -> EValues:
    """Return ``values`` (R,) with the root's own past in its row, of no class."""
    if moved is None:
        return values
    log_e, validity = values.log_e.copy(), values.validity.copy()
    log_e[moved.row], validity[moved.row] = moved.log_e, Validity.NONE
    return EValues(log_e, validity)


def _graph(fleet: Fleet) -> Family:
    """Return the hypotheses as a graph of row numbers."""
    row = {name: i for i, name in enumerate(fleet.rows)}
    none: list[list[int]] = [[] for _ in range(fleet.shard_count)]
    children = none + [[row[c] for c in node.children] for node in fleet.nodes]
    lengths = [len(c) for c in children]
    return Family.of(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([c for cs in children for c in cs], dtype=np.int64),
        np.array([0] * fleet.shard_count + [int(n.logical) for n in fleet.nodes], dtype=np.int64),
    )
