"""The judge of one fleet: evidence becomes a selection, and that the next step of verdicts.

Apart from the pipeline, which brings the evidence: whatever is decided, told or asked about a
verdict passes through here.
"""

from collections.abc import Sequence
from math import floor, inf

import numpy as np
import numpy.typing as npt

from ...engine.calibration import LADDER
from ...engine.evalue import Validity
from ...engine.watch import Watched
from ...proto.messages import Held
from ..combine.temporal import Moved
from ..plan.parts import LEVEL, Parts
from ..plan.planner import Planner
from ..state.evidence import EvidenceTable, Leading
from ..state.fleet import Fleet
from ..state.move import Move
from .audit import Audit, of_transition
from .explain import reason_demoted, reason_shorter
from .explained import Books, Explained, explained, of_gone
from .family import Selector
from .lives import Effect, Life
from .transition import Transition
from .verdicts import Verdicts

Ints = npt.NDArray[np.int64]


class Judge:
    """Selection and verdicts of one fleet, in step."""

    def __init__(self, fleet: Fleet, q: float) -> None:
        """Take the level ``q`` in (0, 1] at which e-BH runs; nothing is open."""
        self._fleet, self._q = fleet, q
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
        return made, tuple(of_transition(step, self._q, books) for step in made)

    def live(
        self, now: float, planner: Planner, parts: Parts, table: EvidenceTable
    ) -> tuple[tuple[Transition, ...], tuple[Audit, ...]]:
        """Return the steps of open verdicts, with their records: before anything is selected."""
        made = (*self.verdicts.live(now), *self._relabelled(now, planner, parts))
        books = self._books(planner, parts, table)
        return made, tuple(of_transition(step, self._q, books) for step in made)

    def close(self, verdict: str, actor: str, reason: str) -> None:
        """Let ``actor`` close an open verdict in the next step; raise ``KeyError`` for no such."""
        self.verdicts.close(verdict, actor, reason)

    def hear(self, rung: int, rows: Ints, told: Sequence[Watched]) -> None:
        """Take what is known of the open verdicts of ``rows`` (S,)."""
        self.verdicts.lives.hear(rung, rows, told)

    def held(self, parts: Parts) -> dict[int, Held]:
        """Return what the plan has to say of every row that is held, by row."""
        return {row: self._held(row, life, parts) for row, life in self.verdicts.lives.held()}

    def effects(self) -> dict[str, Effect]:
        """Return how large the effects of the open verdicts are, by verdict."""
        found = ((v, self.verdicts.effect(v)) for v in self.verdicts.open_verdicts)
        return {verdict.id: effect for verdict, effect in found if effect is not None}

    def _held(self, row: int, life: Life, parts: Parts) -> Held:
        """Return the hold of ``row``; of a part that it has no more, no stream is watched."""
        watched = min(life.part, life.column) >= 0
        lead = int(parts.rungs[life.part, life.column, row]) if watched else 0
        rung = lead or LADDER[0]
        return Held(
            verdict=life.number,
            since=life.since,
            channel="level" if life.part == LEVEL else "change",
            metric=self._fleet.metrics[life.column].name if lead else "",
            rung=rung,
            opened=max(0, floor(life.opened / rung)),
        )

    def _relabelled(self, now: float, planner: Planner, parts: Parts) -> list[Transition]:
        """Take the claim from verdicts whose class was lost, and from those too weak without them.

        Inside an epoch only: a verdict outlives the epoch of its opening with the class it had.
        """
        lives, claimed = self.verdicts.lives.by_row, self.verdicts.claimed()
        done: list[Transition] = []
        for row in claimed:
            part, column, epoch = lives[row].lead if row in lives else (0, 0, -1)
            validity = int(parts.validity[part, column, row])
            if epoch == parts.epochs[part, column, row] and validity < Validity.CONSTRUCTION:
                why = reason_demoted(planner.why_ranked(row, part, column))
                done.append(self.verdicts.relabel(row, now, Validity(validity).word, why))
        if done:
            left = self._selector.still_claimed(
                {row: made.log_e for row, made in self.verdicts.claimed().items()}
            )
            weak = [row for row in self.verdicts.claimed() if row not in left]
            done += [self._shortened(row, now) for row in weak]
        return done

    def _shortened(self, row: int, now: float) -> Transition:
        held = self.verdicts.claimed()[row]
        return self.verdicts.relabel(row, now, held.validity_class, reason_shorter())

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
