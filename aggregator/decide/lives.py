"""What goes on behind an open verdict: who is held for it, its recovery, and how large it is.

Apart from verdicts, which open and close: this only remembers what has been heard since, and says
when that makes a step. Falling evidence, a new epoch, silence and missing data make none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import Metric
from ...engine.evalue import Validity
from ...engine.recovery import QUIET_SECONDS
from ...engine.watch import Watched
from ..plan.parts import LEVEL
from ..state.evidence import Lead
from ..state.move import GONE, Move
from .explain import reason_lost, reason_recovered, reason_recovering, reason_relapsed

Ints = npt.NDArray[np.int64]

TurnWord = Literal["recovering", "reopened", "closed"]
PER_CENT: Final = 100.0
UNWATCHED: Final = -1  # part and column of a hold whose lead is gone
NO_LEAD: Final = (0, 0, -1)  # of no epoch: nothing that it loses is the verdict's


@dataclass(frozen=True, slots=True)
class Effect:
    """How far ``metric`` is from where it belongs: a 95 % band that holds at all times together.

    ``low`` and ``high`` are infinite while there is no bound. ``unit`` is "%" for metrics that are
    judged by their logarithm. Of blocks after the opening only.
    """

    low: float
    middle: float
    high: float
    unit: str
    metric: str
    validity_class: str


@dataclass(frozen=True, slots=True)
class Life:
    """The hold of a row: its ``number``, and the row whose open verdict is its ``keeper``.

    ``part`` and ``column`` are watched; ``lead`` (part, column, epoch) carried the claim last;
    ``since`` and ``opened`` in seconds; ``note`` is the newest that was heard, at ``rung``.
    """

    number: int
    keeper: int
    part: int
    column: int
    since: float
    opened: float
    validity: str
    lead: tuple[int, int, int]
    note: Watched | None = None
    rung: int = 0


class Lives:
    """The holds of all rows with an open verdict, and of those folded into one, by row."""

    def __init__(self) -> None:
        """Hold nobody."""
        self.by_row: dict[int, Life] = {}

    def begin(self, row: int, number: int, at: float, lead: Lead, epoch: int) -> None:
        """Hold ``row`` for its own verdict; one that is held for another's stays held as it was."""
        carried = (lead.part, lead.column, epoch)
        held = self.by_row.get(row)
        if held is None:
            held = Life(number, row, lead.part, lead.column, lead.since, at, lead.validity, carried)
        self.by_row[row] = replace(held, keeper=row, lead=carried)

    def fold(self, row: int, above: int) -> None:
        """Keep all that was held for the verdict of ``row`` for the one of ``above``."""
        for kept, life in self.by_row.items():
            if life.keeper == row:
                self.by_row[kept] = replace(life, keeper=above)

    def end(self, row: int) -> None:
        """Let go of all that was held for the verdict of ``row``."""
        self.by_row = {kept: life for kept, life in self.by_row.items() if life.keeper != row}

    def hear(self, rung: int, rows: Ints, told: Sequence[Watched]) -> None:
        """Take what is known of held ``rows`` (S,), each by its place there."""
        for watched in told:
            row = int(rows[watched.row])
            life = self.by_row.get(row)
            if life is not None and life.number == watched.verdict:
                self.by_row[row] = replace(life, note=watched, rung=rung)

    def turned(self, row: int, *, recovering: bool) -> tuple[TurnWord, str] | None:
        """Return the step that follows for the verdict of ``row``, with its reason, if any does."""
        life = self.by_row.get(row)
        if life is None or life.note is None:
            return None
        odd = life.note.turns % 2 == 1
        lasted = float(life.note.lasted * life.rung)
        if odd and not recovering:
            return "recovering", reason_recovering(level=life.part == LEVEL)
        if recovering and not odd:
            return "reopened", reason_relapsed() if life.note.turns else reason_lost()
        if recovering and lasted >= QUIET_SECONDS:
            return "closed", reason_recovered(lasted)
        return None

    def effect(self, row: int, metrics: Sequence[Metric]) -> Effect | None:
        """Return the effect of the verdict of ``row``, None where nothing was seen yet."""
        life = self.by_row.get(row)
        if life is None or life.note is None or isnan(life.note.middle) or life.column < 0:
            return None
        metric, note = metrics[life.column], life.note
        low, middle, high = (_told(metric, v) for v in (note.low, note.middle, note.high))
        return Effect(low, middle, high, _unit(metric), metric.name, _class(life))

    def inherit(self, former: "Lives", move: Move) -> None:
        """Take over the holds of rows whose own and whose keeper's node are still there."""
        to, column = move.to_row(), move.to_column()
        for row, life in former.by_row.items():
            now, keeper = int(to[row]), int(to[life.keeper])
            if GONE in {now, keeper}:
                continue
            part, of, epoch = life.lead
            lead = (part, int(column[of]), epoch) if column[of] != GONE else NO_LEAD
            kept = replace(life, keeper=keeper, lead=lead)
            at = int(column[life.column]) if life.column >= 0 else GONE
            lost = replace(kept, part=UNWATCHED, column=UNWATCHED, note=None)
            self.by_row[now] = lost if at == GONE else replace(kept, column=at)

    def held(self) -> Iterator[tuple[int, Life]]:
        """Yield all rows that are held, ascending."""
        yield from sorted(self.by_row.items())


def _told(metric: Metric, value: float) -> float:
    """Return an effect as people read it: shares of metrics judged by their logarithm."""
    shares = metric.transform == "log" and isfinite(value)  # no bound stays none
    return PER_CENT * float(np.expm1(value)) if shares else value


def _class(life: Life) -> str:
    """Return the class of a band: its blocks may still have some memory, signs were looked at."""
    if life.part == LEVEL or life.validity == Validity.NONE.word:
        return life.validity
    return Validity.EMPIRICAL.word


def _unit(metric: Metric) -> str:
    if metric.transform == "log":
        return "%"
    return metric.unit if metric.transform == "identity" else f"{metric.transform}({metric.unit})"
