"""The evidence of every row as last heard: log M of its parts, merged into two values.

Apart from the streams, which may run on other machines: what arrives here is absolute, so that
a lost or repeated message can make it old but never wrong (DESIGN.md section 5).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...engine.evalue import EValues, Validity
from ...engine.merging import two_values
from ...engine.outcome import Outcome
from ..combine.temporal import Moved
from ..plan.parts import LEVEL, Parts
from ..plan.planner import Planner
from .fleet import Fleet
from .move import Move

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TELLING = 0.05  # share of a node's evidence from which on a metric is named


@dataclass(frozen=True, slots=True)
class Lead:
    """What carries a row's evidence: its strongest part, metrics, class, onset in seconds.

    ``part`` 0 fast change, 1 slow change, 2 level, of the metric in ``column``; ``why_ranked``
    what keeps it from being controlled, "" if only the evidence is not enough yet. ``family`` is
    that of the strongest part, as in DESIGN.md section 8.
    """

    channel: Literal["change", "level", "temporal"]
    metrics: tuple[str, ...]
    validity: str
    since: float
    part: int
    column: int
    why_ranked: str = ""
    family: str = "A mean"


class EvidenceTable:
    """ln M (3, M, R) and onsets of all parts; axis 0 is fast change, slow change, level.

    ``learned`` (2, R, M): blocks that the fast and the slow change stream have learned, −1 = none.
    """

    def __init__(self, fleet: Fleet) -> None:
        """Start with M = 1 everywhere."""
        self._fleet = fleet
        shape = (3, len(fleet.metrics), len(fleet.rows))
        self._log_m = np.zeros(shape)
        self._since = np.full(shape, np.nan)
        self._validity = np.zeros(shape, dtype=np.int8)
        self._epochs = np.zeros(shape, dtype=np.int64)
        self.learned = np.full((2, shape[2], shape[1]), -1, dtype=np.int64)

    def inherit(self, former: "EvidenceTable", move: Move) -> None:
        """Take over what ``former`` held of the rows and metrics that are still there."""
        for name in ("_log_m", "_since", "_validity", "_epochs"):
            move.parts(getattr(former, name), getattr(self, name))
        for was, now in zip(former.learned, self.learned, strict=True):
            move.table(was, now)

    def log_m(self) -> Floats:
        """Return ln M (3, M, R) as last heard."""
        return self._log_m.copy()

    def since(self) -> Floats:
        """Return the likely onsets (3, M, R) in seconds, NaN where there is none."""
        return self._since.copy()

    def highest(self) -> float:
        """Return the largest ln M of all parts: no merged value lies above it or above 0."""
        return float(self._log_m.max())

    def hear(self, rung: int, rows: Ints, outcome: Outcome, parts: Parts) -> None:
        """Take the evidence of ``rows`` (S,) for the parts whose rung ``outcome`` is of."""
        at_rung = parts.rungs[:, :, rows] == rung
        for part, metric in np.argwhere(at_rung.any(axis=2)):
            heard = np.flatnonzero(at_rung[part, metric])
            mine = rows[heard]
            level = part == LEVEL
            log_m = (outcome.level if level else outcome.change)[heard, metric]
            onset = (outcome.level_onset if level else outcome.change_onset)[heard, metric]
            epoch = (outcome.level_epoch if level else outcome.change_epoch)[heard, metric]
            known = np.isfinite(log_m) & (epoch == parts.epochs[part, metric, mine])
            mine, onset = mine[known], onset[known]
            self._log_m[part, metric, mine] = log_m[known]
            self._since[part, metric, mine] = np.where(onset >= 0, onset * float(rung), np.nan)
            if not level:
                self.learned[part, mine, metric] = outcome.learned[heard, metric][known]

    def forget(self, moved: Bools, learns: Bools) -> None:
        """Set M = 1 for parts (3, M, R) whose epoch has ended; those that ``learns`` know nothing.

        What they have learned is −1 until it is heard in their new epoch.
        """
        self._log_m[moved] = 0.0
        self._since[moved] = np.nan
        self.learned[learns[:LEVEL].transpose(0, 2, 1)] = -1

    def of(self, row: int) -> tuple[Floats, Floats]:
        """Return ln M (3, M) of one row as last heard, and its onsets (s, NaN = none)."""
        return self._log_m[:, :, row].copy(), self._since[:, :, row].copy()

    def merged(self, parts: Parts) -> tuple[EValues, EValues, Bools]:
        """Return the controlled and the ranked values (R,), and the rows that begin anew.

        Those are the rows of which a part lost its class or ended its epoch since the last time.
        """
        ended = (parts.validity < self._validity) | (parts.epochs != self._epochs)
        anew: Bools = np.any(ended, axis=(0, 1), keepdims=True)[0, 0]
        self._validity, self._epochs = parts.validity.copy(), parts.epochs.copy()
        return *self.values(parts), anew

    def values(self, parts: Parts) -> tuple[EValues, EValues]:
        """Return the controlled and the ranked values (R,) as they stand, and change nothing."""
        rows = self._log_m.shape[2]
        flat, weights = self._log_m.reshape(-1, rows), parts.weights.reshape(-1, rows)
        return two_values(flat, parts.validity.reshape(-1, rows), weights)

    def lead(self, row: int, parts: Parts, *, controlled: bool) -> Lead:
        """Return what carries ``row`` among the parts that count for its guarantee."""
        least = Validity.CONSTRUCTION if controlled else Validity.EMPIRICAL
        counts = (parts.validity[:, :, row] >= least) & (parts.weights[:, :, row] > 0)
        with np.errstate(divide="ignore"):  # ln 0 = −inf is meant
            log_part = np.where(
                counts, np.log(parts.weights[:, :, row]) + self._log_m[:, :, row], -np.inf
            )
        part, metric = np.unravel_index(int(log_part.argmax()), log_part.shape)
        by_metric = np.logaddexp.reduce(log_part, axis=0)
        order = np.argsort(-by_metric, kind="stable")
        telling = by_metric >= np.logaddexp.reduce(by_metric) + np.log(TELLING)
        return Lead(
            channel="level" if part == LEVEL else "change",
            metrics=tuple(self._fleet.metrics[j].name for j in order if telling[j]),
            validity=Validity(int(parts.validity[part, metric, row])).word,
            since=float(self._since[part, metric, row]),
            part=int(part),
            column=int(metric),
            family=self._fleet.metrics[int(metric)].family,
        )


@dataclass(frozen=True, slots=True)
class Leading:
    """How to find out what carries a row, at the moment of one selection.

    ``moved`` is the root against its own past, if it has one.
    """

    table: EvidenceTable
    parts: Parts
    planner: Planner
    moved: Moved | None = None

    def of(self, row: int, *, controlled: bool) -> Lead:
        """Return the lead of ``row`` among the parts that count for its guarantee."""
        if self.moved is not None and row == self.moved.row:
            return _of_the_root(self.moved)
        lead = self.table.lead(row, self.parts, controlled=controlled)
        if controlled:
            return lead
        return replace(lead, why_ranked=self.planner.why_ranked(row, lead.part, lead.column))


def _of_the_root(moved: Moved) -> Lead:
    return Lead(
        channel="temporal",
        metrics=moved.metrics,
        validity=Validity.NONE.word,
        since=moved.since,
        part=-1,
        column=-1,
        why_ranked="it has nothing to be compared with but its own past",
    )
