"""The plan of the change channel: φ, κ, rungs, epochs and class of every pool and metric.

Apart from the level channel's plan, because its questions are other ones: how much memory the
noise has, and whether what is left after φ is worth its name (statistics.md E, G2).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isnan, nan

import numpy as np
import numpy.typing as npt

from ...engine.calibration import (
    OWN_ENOUGH,
    WINDOWS,
    Calibration,
    judge,
    kappa,
    lag_one,
    long_run_variance,
    pooled_phi,
    rungs,
    significant,
    stream_kappa,
    stream_validity,
    tau_seconds,
)
from ...engine.evalue import Validity
from ...proto.messages import ChangePlan
from ..state.fleet import Fleet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

QUORUM = 0.8  # share of a pool's streams that must have reported before φ or κ is fixed
PATIENCE = 50  # blocks after the first report, when the rest is not waited for any longer
KEPT_WINDOWS = 400  # completed window sums remembered per stream and window length
JUDGED_EACH = 50  # blocks between two looks at the monitor
MOVED = 1.5  # a rung is left for another one that is nearer only from this ratio on


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
    phi: float = nan
    kappa: float = nan
    epoch: int = 0
    calibration: Calibration = Calibration(Validity.EMPIRICAL, 1.0, ("not enough windows yet",))
    floor: Validity = Validity.CONSTRUCTION
    rho: float = nan
    first_report: int = -1
    judged: int = -1
    recalibrated: bool = False
    lags: dict[int, Floats] = field(default_factory=dict)
    baseline: dict[int, Floats] = field(default_factory=dict)
    windows: dict[int, list[Floats]] = field(default_factory=lambda: {m: [] for m in WINDOWS})
    own: dict[int, float] = field(default_factory=dict)
    validity: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))


class ChangeBook:
    """All change cells of a fleet; each ``hear_…`` says whether the plan changed."""

    def __init__(self, fleet: Fleet, shortest: int) -> None:
        """Open a fast and a slow cell for each pool and metric, from the catalogue's rungs."""
        self._fleet = fleet
        self._shortest = shortest
        self.cells: dict[tuple[int, int, int], ChangeCell] = {}  # pool, column, slow
        for pool in range(len(fleet.pools)):
            for column, metric in enumerate(fleet.metrics):
                fast, slow = _at_least(metric.fast, metric.slow, shortest)
                self._open(pool, column, fast, slow=False)
                self._open(pool, column, slow, slow=True)

    def plans(self) -> Iterable[ChangePlan]:
        """Yield what the agents must know of every cell."""
        for cell in self.cells.values():
            yield ChangePlan(
                metric=self._fleet.metrics[cell.column].name,
                pool=self._fleet.pools[cell.pool],
                rung=cell.rung,
                phi=cell.phi,
                kappa=cell.kappa,
                epoch=cell.epoch,
                stream_kappa={self._fleet.rows[r]: k for r, k in cell.own.items()},
            )

    def settings(self, rung: int) -> tuple[Floats, Floats, Ints]:
        """Return φ, κ and epoch (R, M) at ``rung``; epoch −1 where there is no stream."""
        shape = (len(self._fleet.rows), len(self._fleet.metrics))
        phi, kappa_of = np.full((2, *shape), nan)
        epoch = np.full(shape, -1, dtype=np.int64)
        for cell in self._of(rung):
            phi[cell.rows, cell.column] = cell.phi
            kappa_of[cell.rows, cell.column] = cell.kappa
            epoch[cell.rows, cell.column] = cell.epoch
            for row, own in cell.own.items():
                kappa_of[row, cell.column] = own
        return phi, kappa_of, epoch

    def rungs(self, *, slow: bool) -> Ints:
        """Return the rung (R, M) of the fast or the slow change part."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for cell in self.cells.values():
            if cell.slow == slow:
                out[cell.rows, cell.column] = cell.rung
        return out

    def validity(self, *, slow: bool) -> npt.NDArray[np.int8]:
        """Return the class (R, M) that calibration leaves to the fast or the slow part."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int8)
        for cell in self.cells.values():
            if cell.slow == slow:
                out[cell.rows, cell.column] = cell.validity
        return out

    def hear_lags(self, rung: int, block: int, rows: Ints, lags: Floats) -> bool:
        """Take (n, Σ r r₋₁, Σ r²) of streams that have learned, ``lags`` (S, M, 3)."""
        changed = False
        for cell in self._of(rung):
            if not isnan(cell.phi):
                continue
            _note(cell.lags, rows, lags[:, cell.column], cell.rows)
            if self._complete(cell, len(cell.lags), block):
                self._fix_phi(cell)
                changed = True
        return changed

    def hear_baseline(self, rung: int, block: int, rows: Ints, scores: Floats) -> bool:
        """Take the baseline scores (S, M, 100) of streams that settled."""
        changed = False
        for cell in self._of(rung):
            _note(cell.baseline, rows, scores[:, cell.column], cell.rows)
            if isnan(cell.kappa) and self._complete(cell, len(cell.baseline), block):
                self._fix_kappa(cell)
                changed = True
        return changed

    def hear_windows(
        self, rung: int, block: int, rows: Ints, windows: dict[int, Floats]
    ) -> None:
        """Take completed sums of scores, m to (S, M), and judge the cells now and then."""
        for cell in self._of(rung):
            mine = np.isin(rows, cell.rows)
            for m, sums in windows.items():
                found = sums[mine, cell.column]
                found = found[np.isfinite(found)]
                if len(found):
                    cell.windows[m].append(found)
                    del cell.windows[m][:-KEPT_WINDOWS]
            if block >= cell.judged + JUDGED_EACH and not isnan(cell.kappa):
                cell.judged = block
                self._judge(cell)

    def hear_long_run(self, rung: int, variance: Floats, scores: Ints) -> bool:
        """Take V_i(25) (R, M) over ``scores`` (R, M); fix κ and κ_i once 400 are behind them."""
        changed = False
        for cell in self._of(rung):
            v, n = variance[cell.rows, cell.column], scores[cell.rows, cell.column]
            heard = n > 0
            if cell.recalibrated or not heard.any() or np.median(n[heard]) < OWN_ENOUGH:
                continue
            self._judge(cell)
            cell.kappa = cell.calibration.kappa
            self._fix_own(cell, v, n)
            cell.epoch, cell.recalibrated = cell.epoch + 1, True
            changed = True
        return changed

    def _open(self, pool: int, column: int, rung: int, *, slow: bool) -> None:
        rows = np.flatnonzero(self._fleet.pool == pool)
        cell = ChangeCell(pool, column, rung, slow, rows)
        cell.phi = 0.0 if slow else nan  # the slow rung is plain: its memory is paid by κ
        cell.validity = np.zeros(len(rows), dtype=np.int8)
        self.cells[pool, column, int(slow)] = cell

    def _of(self, rung: int) -> Iterable[ChangeCell]:
        return [cell for cell in self.cells.values() if cell.rung == rung]

    def _complete(self, cell: ChangeCell, heard: int, block: int) -> bool:
        """Say whether enough of the pool has reported, or the rest has been waited for."""
        if heard == 0:
            return False
        if cell.first_report < 0:
            cell.first_report = block
        return heard >= QUORUM * len(cell.rows) or block >= cell.first_report + PATIENCE

    def _fix_phi(self, cell: ChangeCell) -> None:
        sums = np.array(list(cell.lags.values()))
        phi = pooled_phi(lag_one(sums[:, 0], sums[:, 1], sums[:, 2]))
        cell.first_report = -1
        cell.lags = {}
        if isnan(phi):
            return
        cell.phi = phi
        self._choose_rungs(cell)

    def _choose_rungs(self, cell: ChangeCell) -> None:
        """Leave a rung that the pool's τ asks to leave: that part learns anew at another one."""
        fast, slow = rungs(tau_seconds(cell.phi, cell.rung), shortest=self._shortest)
        if _far(cell.rung, fast):
            self._open(cell.pool, cell.column, fast, slow=False)
        other = self.cells[cell.pool, cell.column, 1]
        if _far(other.rung, slow) and slow > self.cells[cell.pool, cell.column, 0].rung:
            self._open(cell.pool, cell.column, slow, slow=True)

    def _fix_kappa(self, cell: ChangeCell) -> None:
        scores = np.array(list(cell.baseline.values()))
        sums = {m: _window_sums(scores, m) for m in WINDOWS}
        cell.kappa = kappa(sums)
        cell.rho = float(np.median(_lag_one_of(scores)))
        cell.calibration = judge(sums, rho=cell.rho, slow=cell.slow)
        rows = np.array(list(cell.baseline))
        at = np.searchsorted(cell.rows, rows)
        v, n = np.full(len(cell.rows), nan), np.zeros(len(cell.rows), dtype=np.int64)
        v[at], n[at] = long_run_variance(scores), np.isfinite(scores).sum(axis=1)
        self._fix_own(cell, v, n)
        cell.baseline = {}

    def _judge(self, cell: ChangeCell) -> None:
        """Look at the monitor; the class of a cell only falls inside its epoch."""
        sums = {m: np.concatenate(w) for m, w in cell.windows.items() if w}
        if sums:
            cell.calibration = judge(sums, rho=cell.rho, slow=cell.slow)
            cell.validity = np.minimum(cell.validity, np.int8(cell.calibration.validity))

    def _fix_own(self, cell: ChangeCell, v: Floats, scores: Ints) -> None:
        """Fix κ_i and the class of every stream of the cell, from its own past."""
        known = np.where(scores > 0, v, nan)
        own = stream_kappa(cell.kappa, known, scores)
        larger = own > cell.kappa
        cell.own = {int(r): float(k) for r, k in zip(cell.rows[larger], own[larger], strict=True)}
        cell.validity = stream_validity(
            cell.calibration.validity, known, cell.kappa, scores
        ).astype(np.int8)
        out = significant(known, cell.kappa, scores)
        if out.any():
            reason = f"{int(out.sum())} of {len(out)} streams have memory of their own"
            cell.calibration = Calibration(
                cell.calibration.validity, cell.kappa, (*cell.calibration.reasons, reason)
            )


def _note(held: dict[int, Floats], rows: Ints, values: Floats, wanted: Ints) -> None:
    """Keep ``values`` (S, k) of those ``rows`` that are ``wanted`` and have any."""
    for i in np.flatnonzero(np.isfinite(values).any(axis=1) & np.isin(rows, wanted)):
        held[int(rows[i])] = values[i]


def _window_sums(scores: Floats, m: int) -> Floats:
    """Return m^−½ Σ z of consecutive windows of m (r, ⌊T/m⌋), NaN where a score is missing."""
    count = scores.shape[1] // m
    return scores[:, : count * m].reshape(len(scores), count, m).sum(axis=2) / np.sqrt(m)


def _lag_one_of(scores: Floats) -> Floats:
    product = scores[:, 1:] * scores[:, :-1]
    pairs = np.isfinite(product).sum(axis=1)
    square = np.nansum(scores**2, axis=1)
    return lag_one(pairs.astype(np.float64), np.nansum(product, axis=1), square)


def _at_least(fast: int, slow: int, shortest: int) -> tuple[int, int]:
    """Return the catalogue's rungs, lengthened where readings come too seldom for them."""
    if fast >= shortest and slow > fast:
        return fast, slow
    return rungs(2.0 * max(fast, shortest), shortest=shortest)


def _far(now: int, wanted: int) -> bool:
    return max(now, wanted) >= MOVED * min(now, wanted)
