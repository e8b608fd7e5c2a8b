"""The judge of one fleet: evidence becomes a selection, and that the next step of verdicts.

Apart from the pipeline, which brings the evidence: whatever is decided, told or asked about a
verdict passes through here.
"""

from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from ..combine.temporal import Moved
from ..plan.planner import Parts, Planner
from ..state.evidence import EvidenceTable, Leading
from ..state.fleet import Fleet
from ..state.move import Move
from .audit import Audit, of_transition
from .explained import Books, Explained, explained, of_gone
from .family import Selector
from .verdicts import Transition, Verdicts

Bools = npt.NDArray[np.bool_]


class Judge:
    """Selection and verdicts of one fleet, in step."""

    def __init__(self, fleet: Fleet, q: float) -> None:
        """Take the level ``q`` in (0, 1] at which e-BH runs; nothing is open."""
        self._fleet = fleet
        self._selector = Selector(fleet, q)
        self.verdicts = Verdicts(fleet)

    def inherit(self, former: "Judge", move: Move) -> None:
        """Take over the running maxima and the open verdicts."""
        self._selector.inherit(former._selector, move)  # noqa: SLF001 - of this class
        self.verdicts.inherit(former.verdicts, move)

    def recall(self, told: Sequence[Transition], opened: int) -> tuple[tuple[str, str], ...]:
        """Let what others were told be open: see :meth:`Verdicts.recall`."""
        return self.verdicts.recall(told, opened)

    def decide(
        self,
        now: float,
        planner: Planner,
        parts: Parts,
        table: EvidenceTable,
        moved: Moved | None = None,
    ) -> tuple[tuple[Transition, ...], tuple[Audit, ...]]:
        """Return what follows from the evidence as it stands, with a record of each step.

        ``moved`` is the root against its own past.
        """
        highest = max(table.highest(), -inf if moved is None else moved.log_e)
        if self._selector.quiet and highest < self._selector.least:
            return (), ()
        selection = self._selector.select(*table.merged(parts), moved)
        made = tuple(self.verdicts.update(now, selection, Leading(table, parts, planner, moved)))
        books = self._books(planner, parts, table)
        return made, tuple(of_transition(step, selection, books) for step in made)

    def explain(self, node: str, planner: Planner, parts: Parts, table: EvidenceTable) -> Explained:
        """Return all that is known of ``node``; raise ``KeyError`` for an unknown one."""
        if node in self._fleet.rows:
            row = self._fleet.rows.index(node)
            books = self._books(planner, parts, table)
            return explained(books, row, self.verdicts.of(row), self.verdicts.above(row))
        gone = self.verdicts.of_gone(node)
        if gone is None:
            raise KeyError(node)
        return of_gone(gone, self._selector.bar)

    def _books(self, planner: Planner, parts: Parts, table: EvidenceTable) -> Books:
        return Books(self._fleet, planner, parts, table, self._selector.bar)
