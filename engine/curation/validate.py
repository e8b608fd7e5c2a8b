"""Stage 3b: look once more at what curation leaves, and say what comes of the whole.

Apart from the stages that mark, because it must be able to say that they did not suffice.
Null: ordinary clean corpora pass, 99 in 100 and more.  Power: one that still holds an incident
does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..arrays import Bools, Floats
from .fleet import FleetScreen, fleet_events
from .screen import Screened, screen

READY: Final = 0.05  # drop up to which a baseline is ready without a warning
HETEROGENEOUS: Final = 0.15  # and from which on the corpus is not of one kind


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether what is left is ordinary: ``further`` ticks that a second pass would mark, and why.

    ``reasons`` is empty where it passed.
    """

    further: int
    judged: int
    fleet: FleetScreen
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Say whether nothing is held against what is left."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Curation:
    """What all stages say of N runs: by run what the screen said and the ticks ``withheld`` (T,).

    ``withheld`` are marked ticks and those in an incident of the fleet; all of a run that is no
    baseline. Ticks are marked and stay where they are: time goes on without holes.
    """

    screened: tuple[Screened, ...]
    fleet: FleetScreen
    withheld: tuple[Bools, ...]
    validation: Validation

    @property
    def drop(self) -> float:
        """Return the withheld share of all ticks, 0 of none."""
        total = sum(len(out) for out in self.withheld)
        return sum(int(out.sum()) for out in self.withheld) / max(total, 1)


def curate(runs: Sequence[Floats]) -> Curation:
    """Run all stages over ``runs``, each (T_i, p_i), whose ticks of one number were simultaneous.

    A tick is a row; NaN = no value. Numbers are taken as :func:`screen` takes them.
    """
    screened = tuple(screen(rows) for rows in runs)
    fleet = _fleet(screened)
    withheld = tuple(
        (s.marked | fleet.windows[: len(s.marked)])
        if s.is_baseline
        else np.ones(len(s.marked), dtype=np.bool_)
        for s in screened
    )
    return Curation(screened, fleet, withheld, validate(runs, withheld))


def validate(runs: Sequence[Floats], withheld: Sequence[Bools]) -> Validation:
    """Say whether ``runs`` without the ``withheld`` ticks are a corpus with nothing to curate.

    The measure is that of a first pass: it has no incident, no run in it would be refused, and the
    ticks that would be marked again are fewer than a ready baseline may drop. It is not that no
    tick would be: clean data always has a most distant tick, and refusing it for that refuses all.
    """
    left = [
        np.where(out[:, None], np.nan, rows)
        for rows, out in zip(runs, withheld, strict=True)
        if not out.all()
    ]
    again = [screen(rows) for rows in left]
    fleet = _fleet(again)
    further = sum(int(s.marked.sum()) for s in again)
    judged = sum(int(s.judged.sum()) for s in again if not s.skipped)
    return Validation(further, judged, fleet, tuple(_reasons(again, fleet, further, judged)))


def _reasons(again: Sequence[Screened], fleet: FleetScreen, further: int, judged: int) -> list[str]:
    """Return what is held against what is left, in words."""
    found = []
    if judged == 0:
        found.append("no tick is left that could be judged")
    if fleet.incidents:
        first, last = fleet.incidents[0]
        count = len(fleet.incidents)
        found.append(f"{count} incident(s) of the fleet are left, the first at {first} to {last}")
    bad = sum(not s.is_baseline for s in again)
    if bad:
        found.append(f"{bad} of {len(again)} runs would lose more than a tenth of their ticks")
    if further > READY * max(judged, 1):
        found.append(f"{further} of {judged} ticks would be marked again")
    return found


def _fleet(screened: Sequence[Screened]) -> FleetScreen:
    """Return the fleet's stage over runs that may be of different length, by their baselines."""
    kept = [s for s in screened if s.is_baseline and not s.skipped]
    length = max((len(s.judged) for s in screened), default=0)
    raised, judged = np.zeros((2, length, len(kept)), dtype=np.bool_)
    for i, s in enumerate(kept):
        raised[: len(s.raised), i] = s.raised
        judged[: len(s.judged), i] = s.judged
    return fleet_events(raised, judged)
