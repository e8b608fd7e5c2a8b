"""One pool, metric and rung of the change channel: what the plan knows of it, and waits for.

Apart from the book of all of them, because everything here concerns one null and its streams.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan, log, nan, sqrt
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...engine.calibration import (
    Calibration,
    long_run_variance,
    significant,
    stream_kappa,
    stream_validity,
)
from ...engine.change import LEARNING_BLOCKS
from ...engine.evalue import Validity
from ...engine.reason import Code, Reason
from .monitor import Monitor

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Value = TypeVar("Value", float, Floats)

QUORUM = 0.8  # share of a pool's live streams that must have reported before φ or κ is fixed
PATIENCE = 50  # blocks after the first report, when the rest is not waited for any longer
HIGH, HIGH_SHARE = log(20.0), 0.05  # Ville: P(ever M ≥ 20) ≤ .05 under the null
FEW_HIGH = 3  # streams that may stand there in a pool of any size

UNKNOWN = Calibration(Validity.NONE, 1.0, (Reason(Code.UNHEARD),))


@dataclass(slots=True)
class ChangeCell:
    """What the plan holds of one (pool, metric, rung), and what it has heard to decide it.

    Streams are the rows of the pool. A cell waits for φ, then for κ, then it is betting.
    """

    pool: int
    column: int
    rung: int
    slow: bool
    rows: Ints
    monitor: Monitor
    epoch: int
    phi: float = nan
    kappa: float = nan
    calibration: Calibration = UNKNOWN
    first_report: int = -1
    judged: int = -1
    recalibrated: bool = False
    moved: bool = False
    warm: str = ""  # id of the baseline that it started from
    alive: set[int] = field(default_factory=set)
    known: set[int] = field(default_factory=set)  # rows whose baseline has been heard
    lags: dict[int, Floats] = field(default_factory=dict)
    baseline: dict[int, Floats] = field(default_factory=dict)
    own: dict[int, float] = field(default_factory=dict)
    young: dict[int, float] = field(default_factory=dict)  # blocks of a short past, by row
    validity: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))

    def inherit(self, former: "ChangeCell", to: Ints) -> None:
        """Take over what ``former`` knows; ``to`` is the row now of every row then, −1 = gone.

        Rows that are new to a cell that bets already have the class of their pool until their own
        baseline is heard.
        """
        here = set(self.rows.tolist())
        fresh = here - {int(to[row]) for row in former.rows}
        same = (self.rung, self.kappa) == (
            former.rung,
            former.kappa,
        )  # of one and the same baseline
        warm = {row: k for row, k in self.own.items() if same and row in fresh}
        young = {row: n for row, n in self.young.items() if same and row in fresh}
        self.rung, self.epoch = former.rung, former.epoch
        self.phi, self.kappa = former.phi, former.kappa
        self.calibration, self.monitor = former.calibration, former.monitor
        self.monitor.resize(len(self.rows))
        self.first_report, self.judged = former.first_report, former.judged
        self.recalibrated, self.moved, self.warm = former.recalibrated, former.moved, former.warm
        self.alive = {int(to[row]) for row in former.alive} & here
        self.known = {int(to[row]) for row in former.known} & here
        self.lags, self.baseline = _here(former.lags, to, here), _here(former.baseline, to, here)
        self.own = {**warm, **_here(former.own, to, here)}
        self.young = {**young, **_here(former.young, to, here)}
        best = Validity.NONE if isnan(self.kappa) else self.calibration.validity
        held = dict(zip(to[former.rows].tolist(), former.validity.tolist(), strict=True))
        validity = [held.get(row, int(best)) for row in self.rows.tolist()]
        self.validity = np.array(validity, dtype=np.int8)
        self._cap_young()

    def complete(self, heard: int, block: int) -> bool:
        """Say whether enough of the pool has reported, or the rest has been waited for."""
        if heard == 0:
            return False
        if self.first_report < 0:
            self.first_report = block
        return heard >= QUORUM * len(self.alive) or block >= self.first_report + PATIENCE

    def fix_kappa(self) -> None:
        """Fix κ, κ_i and the classes of a new epoch from the baselines of the streams."""
        scores = np.array(list(self.baseline.values()))
        self.monitor.begin(scores)
        self.kappa = self.monitor.kappa()
        at = np.searchsorted(self.rows, np.array(list(self.baseline)))
        v, n = np.full(len(self.rows), nan), np.zeros(len(self.rows), dtype=np.int64)
        v[at], n[at] = long_run_variance(scores), np.isfinite(scores).sum(axis=1)
        self.fix_own(v, n)
        self.known = set(self.baseline)
        self.baseline, self.alive = {}, set()

    def fix_late(self, late: dict[int, Floats]) -> None:
        """Fix κ_i and the class of streams that settled after their pool."""
        scores = np.array(list(late.values()))
        v, n = long_run_variance(scores), np.isfinite(scores).sum(axis=1)
        self.known.update(late)
        own = stream_kappa(self.kappa, v, n)
        self.own.update(zip(late, own.tolist(), strict=True))
        at = np.searchsorted(self.rows, np.array(list(late)))
        self.validity[at] = stream_validity(self.calibration.validity, v, self.kappa, n)

    def fix_own(self, v: Floats, scores: Ints) -> None:
        """Fix κ_i and the class of every stream from its own past, V_i over ``scores`` (rows,)."""
        own = stream_kappa(self.kappa, v, scores)
        larger = own > self.kappa
        self.own = {int(r): float(k) for r, k in zip(self.rows[larger], own[larger], strict=True)}
        self.monitor.outlying = float(significant(v, self.kappa, scores)[scores > 0].mean())
        self.calibration = self.monitor.judgement()
        self.validity = stream_validity(self.calibration.validity, v, self.kappa, scores)
        self._cap_young()

    def cross(self, log_m: Floats, healthy: npt.NDArray[np.bool_]) -> bool:
        """Give up the class if more streams stand at M ≥ 20 than a valid null lets.

        ``log_m`` and ``healthy`` (rows,): at most one stream in twenty may ever stand there, and
        those with an open verdict are not counted. One fault moves one stream; when a tenth of
        a pool moves at once, it is the null that is wrong (statistics.md B4, G2).
        """
        counted = healthy & (self.validity > Validity.NONE)
        n, high = int(counted.sum()), int((log_m[counted] >= HIGH).sum())
        if high <= max(FEW_HIGH, HIGH_SHARE * n + 3.0 * sqrt(HIGH_SHARE * (1.0 - HIGH_SHARE) * n)):
            return False
        return self.give_up(Reason(Code.CROSSINGS, (high, n)))

    def give_up(self, reason: Reason | None) -> bool:
        """Let no stream have a class, for a ``reason``, None = there is none; say if one had."""
        if reason is None or self.validity.max(initial=0) == Validity.NONE:
            return False
        self.calibration = Calibration(
            Validity.NONE, self.calibration.kappa, (reason, *self.calibration.reasons)
        )
        self.validity = np.zeros_like(self.validity)
        return True

    def is_young(self, scores: Ints) -> bool:
        """Say whether a stream of a short past lacks 200 blocks of its own, by ``scores`` (R,).

        One that is not heard is not waited for.
        """
        heard = {row: before for row, before in self.young.items() if scores[row] > 0}
        return any(scores[row] < before + LEARNING_BLOCKS for row, before in heard.items())

    def _cap_young(self) -> None:
        """Let streams of a short past be empirical at best until they have one of their own."""
        at = np.searchsorted(self.rows, np.array(list(self.young), dtype=np.int64))
        self.validity[at] = np.minimum(self.validity[at], np.int8(Validity.EMPIRICAL))

    def demote(self) -> bool:
        """Look at the monitor; say if a class fell. Inside an epoch it only ever falls."""
        before = self.validity
        if before.max(initial=0) == Validity.NONE:
            return False
        now = self.monitor.judgement()
        if now.validity <= self.calibration.validity:  # else the reason of what fell would be lost
            self.calibration = now
        self.validity = np.minimum(before, np.int8(self.calibration.validity))
        return bool((self.validity < before).any())


def _here(held: Mapping[int, Value], to: Ints, here: set[int]) -> dict[int, Value]:
    """Return what is ``held`` by row under the rows' new numbers, of the rows that are ``here``."""
    moved = {int(to[row]): value for row, value in held.items()}
    return {row: value for row, value in moved.items() if row in here}


def note(held: dict[int, Floats], rows: Ints, values: Floats, wanted: Ints) -> None:
    """Keep ``values`` (S, k) of those ``rows`` that are ``wanted`` and have any."""
    for i in np.flatnonzero(np.isfinite(values).any(axis=1) & np.isin(rows, wanted)):
        held[int(rows[i])] = values[i]
