"""The plan of the change channel: φ, κ, rungs, epochs and class of every pool and metric.

Apart from the level channel's plan, because its questions are other ones: how much memory the
noise has, and whether what is left after φ is worth its name (statistics.md E, G2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isnan, nan

import numpy as np
import numpy.typing as npt

from ...engine.calibration import (
    LADDER,
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
LENGTHENED, SHORTENED = 1.5, 3.0  # ratios from which, above which, another rung is worth moving to

UNKNOWN = Calibration(Validity.NONE, 1.0, ("nothing heard yet",))


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
    calibration: Calibration = UNKNOWN
    rho: float = nan
    outlying: float = 0.0
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
        self._epochs = 0  # ids are never reused
        for pool in range(len(fleet.pools)):
            for column, metric in enumerate(fleet.metrics):
                fast, slow = _at_least(metric.fast, metric.slow, shortest)
                self._open(pool, column, fast, slow=False)
                if slow:
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

    def epochs(self, *, slow: bool) -> Ints:
        """Return the epoch (R, M) of the fast or the slow change part, 0 where there is none."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for cell in self.cells.values():
            if cell.slow == slow:
                out[cell.rows, cell.column] = cell.epoch
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
            _note(cell.lags, rows, lags[:, cell.column], self._fleet.pool[rows] == cell.pool)
            if self._complete(cell, len(cell.lags), block):
                self._fix_phi(cell)
                changed = True
        return changed

    def hear_baseline(self, rung: int, block: int, rows: Ints, scores: Floats) -> bool:
        """Take the baseline scores (S, M, 100) of streams that settled."""
        changed = False
        for cell in self._of(rung):
            _note(cell.baseline, rows, scores[:, cell.column], self._fleet.pool[rows] == cell.pool)
            if isnan(cell.kappa) and self._complete(cell, len(cell.baseline), block):
                self._fix_kappa(cell)
                changed = True
        return changed

    def hear_windows(self, rung: int, block: int, rows: Ints, windows: dict[int, Floats]) -> bool:
        """Take completed sums of scores, m to (S, M); judge now and then, say if a class fell."""
        fell = False
        for cell in self._of(rung):
            mine = self._fleet.pool[rows] == cell.pool
            for m, sums in windows.items():
                found = sums[mine, cell.column]
                _keep(cell.windows[m], found, KEPT_WINDOWS * len(cell.rows))
            if block >= cell.judged + JUDGED_EACH and not isnan(cell.kappa):
                cell.judged = block
                fell |= self._judge(cell)
        return fell

    def hear_long_run(self, rung: int, variance: Floats, scores: Ints) -> bool:
        """Take V_i(25) (R, M) over ``scores`` (R, M); fix κ and κ_i once 400 are behind them."""
        changed = False
        for cell in self._of(rung):
            v, n = variance[cell.rows, cell.column], scores[cell.rows, cell.column]
            heard = n > 0
            if cell.recalibrated or not heard.any() or np.median(n[heard]) < OWN_ENOUGH:
                continue
            sums = _collected(cell)
            cell.kappa = kappa(sums)
            self._fix_own(cell, np.where(heard, v, nan), n, sums)
            self._epochs += 1
            cell.epoch, cell.recalibrated = self._epochs, True
            changed = True
        return changed

    def _open(self, pool: int, column: int, rung: int, *, slow: bool) -> None:
        rows = np.flatnonzero(self._fleet.pool == pool)
        left = self.cells.get((pool, column, int(slow)))
        self._epochs += left is not None
        cell = ChangeCell(pool, column, rung, slow, rows, epoch=self._epochs)
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
        other = self.cells.get((cell.pool, cell.column, 1))
        if other is None:
            return
        fast, slow = rungs(tau_seconds(cell.phi, cell.rung), shortest=self._shortest)
        new_fast = fast if _far(cell.rung, fast) else cell.rung
        new_slow = slow if _far(other.rung, slow) else other.rung
        if new_slow <= new_fast:
            new_fast, new_slow = fast, slow
        if new_fast != cell.rung:
            self._open(cell.pool, cell.column, new_fast, slow=False)
        if new_slow != other.rung:
            self._open(cell.pool, cell.column, new_slow, slow=True)

    def _fix_kappa(self, cell: ChangeCell) -> None:
        """Fix κ, κ_i and the classes of a new epoch from the baselines of its streams."""
        scores = np.array(list(cell.baseline.values()))
        sums = {m: _window_sums(scores, m) for m in WINDOWS}
        cell.kappa = kappa(sums)
        cell.rho = float(np.median(_lag_one_of(scores)))
        at = np.searchsorted(cell.rows, np.array(list(cell.baseline)))
        v, n = np.full(len(cell.rows), nan), np.zeros(len(cell.rows), dtype=np.int64)
        v[at], n[at] = long_run_variance(scores), np.isfinite(scores).sum(axis=1)
        self._fix_own(cell, v, n, sums)
        cell.baseline = {}
        for m, found in sums.items():  # the monitor goes on from here, or it would know too little
            _keep(cell.windows[m], found, KEPT_WINDOWS * len(cell.rows))

    def _fix_own(
        self, cell: ChangeCell, v: Floats, scores: Ints, sums: Mapping[int, Floats]
    ) -> None:
        """Fix κ_i and the class of every stream of the cell, from its own past V_i."""
        own = stream_kappa(cell.kappa, v, scores)
        larger = own > cell.kappa
        cell.own = {int(r): float(k) for r, k in zip(cell.rows[larger], own[larger], strict=True)}
        cell.outlying = float(significant(v, cell.kappa, scores)[scores > 0].mean())
        cell.calibration = self._judgement(cell, sums)
        cell.validity = stream_validity(cell.calibration.validity, v, cell.kappa, scores)

    def _judge(self, cell: ChangeCell) -> bool:
        """Look at the monitor; say if a class fell. Inside an epoch it only ever falls."""
        sums = _collected(cell)
        if not sums:
            return False
        before = cell.validity
        cell.calibration = self._judgement(cell, sums)
        cell.validity = np.minimum(before, np.int8(cell.calibration.validity))
        return bool((cell.validity < before).any())

    def _judgement(self, cell: ChangeCell, sums: Mapping[int, Floats]) -> Calibration:
        return judge(sums, rho=cell.rho, slow=cell.slow, outlying=cell.outlying)


def _collected(cell: ChangeCell) -> dict[int, Floats]:
    return {m: np.concatenate(w) for m, w in cell.windows.items() if w}


def _keep(held: list[Floats], sums: Floats, most: int) -> None:
    """Add the ``sums`` that exist to ``held``, and forget the oldest beyond ``most`` of them."""
    known = sums[np.isfinite(sums)]
    if len(known):
        held.append(known)
    while sum(map(len, held)) - len(held[0] if held else ()) >= most:
        del held[0]


def _note(held: dict[int, Floats], rows: Ints, values: Floats, wanted: Bools) -> None:
    """Keep ``values`` (S, k) of those ``rows`` that are ``wanted`` (S,) and have any."""
    for i in np.flatnonzero(np.isfinite(values).any(axis=1) & wanted):
        held[int(rows[i])] = values[i]


def _window_sums(scores: Floats, m: int) -> Floats:
    """Return m^−½ Σ z of consecutive windows of m (r, ⌊T/m⌋), NaN where a score is missing."""
    count = scores.shape[1] // m
    sums: Floats = scores[:, : count * m].reshape(len(scores), count, m).sum(axis=2)
    scaled: Floats = sums / np.sqrt(m)
    return scaled


def _lag_one_of(scores: Floats) -> Floats:
    product = scores[:, 1:] * scores[:, :-1]
    pairs = np.isfinite(product).sum(axis=1)
    square = np.nansum(scores**2, axis=1)
    return lag_one(pairs.astype(np.float64), np.nansum(product, axis=1), square)


def _at_least(fast: int, slow: int, shortest: int) -> tuple[int, int]:
    """Return the catalogue's rungs, lengthened where readings come too seldom for them.

    The slow one is 0 where the longest block is the only one left.
    """
    if fast >= shortest and slow > fast:
        return fast, slow
    if shortest >= LADDER[-1]:
        return LADDER[-1], 0
    return rungs(2.0 * max(fast, shortest), shortest=shortest)


def _far(now: int, wanted: int) -> bool:
    """Say whether to move: learning anew costs 200 blocks, and a block too long only delay."""
    return wanted >= LENGTHENED * now or now > SHORTENED * wanted
