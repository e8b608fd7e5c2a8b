"""Run many fleets through the product's change channel at one rung, and calibrate each as it does.

Apart from the cells, because all of them, and the comparison, must bet with exactly this machine:
`engine.change` for the evidence, `aggregator.plan.cell` for φ, κ, κ_i and the class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...aggregator.plan.cell import ChangeCell
from ...aggregator.plan.change import JUDGED_EACH
from ...aggregator.plan.members import CHANGE, RELIABLE, REMEMBERED
from ...aggregator.plan.monitor import Monitor
from ...engine.bets import side_weights
from ...engine.calibration import OWN_ENOUGH, lag_one, pooled_phi
from ...engine.change import ChangeChannel
from ...engine.peers import FEWEST, Central, central
from ...engine.reference import BlockPeers, reference

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Classes = npt.NDArray[np.int8]

SUSPECTS = 4  # streams at M ≥ 20 below which the crossing gate cannot close


@dataclass(frozen=True, slots=True)
class Setting:
    """How a machine is run: ``slow`` is the plain rung, without φ; ``horizon`` H in blocks.

    ``pool`` neighbouring fleets share φ and κ as racks of one SKU do; ``direction`` is bad in
    {-1, 0, +1}.
    """

    slow: bool = False
    horizon: int = 1000
    pool: int = 1
    direction: int = 0


class Machine:
    """The change streams of ``fleets`` × ``peers`` shards of one metric at one rung.

    Streams are kept flat, shard after shard: (peers, fleets) in C order. A fleet learns, gets φ
    and κ, bets in a first epoch, and begins its second one when 400 scores tell κ_i (G2).
    """

    def __init__(self, fleets: int, peers: int, setting: Setting, seed: int) -> None:
        """Start learning; ``seed`` in [0, 2^63) makes the keys that break ties of ranks."""
        n = fleets * peers
        keys = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)
        direction = np.full(n, setting.direction, dtype=np.int64)
        self.shape = (peers, fleets)
        self.setting = setting
        self.channel = ChangeChannel(keys, direction, setting.horizon)
        self.block = -1
        self.cells = [self._open(rows) for rows in self._pools(n)]
        self._at = np.arange(n)
        self._present: list[Ints] = []  # members with an offset, block by block while learning
        self._needed = np.full(fleets, FEWEST, dtype=np.int64)
        self._group = np.tile(np.arange(fleets), peers)

    @property
    def betting(self) -> bool:
        """Say whether every fleet has its κ."""
        return not any(np.isnan(cell.kappa) for cell in self.cells)

    @property
    def settled(self) -> bool:
        """Say whether every fleet has begun its second epoch."""
        return all(cell.recalibrated for cell in self.cells)

    def step(self, x: Floats, shift: Floats | None = None) -> None:
        """Take one block (peers, fleets), NaN = missing, and let every fleet hear of it.

        With a ``shift`` (peers, fleets) every shard is judged as if it *alone* were shifted: its
        own value moves, what the others show it stays healthy. Calibration then stands still,
        for it would take one fault in each fleet for one in each shard.
        """
        self.block += 1
        sent = x.astype(np.float32).ravel()
        peers = self._peers(sent)
        median = reference(self.channel, self._at, self._at, peers)
        own = sent if shift is None else (x + shift).astype(np.float32).ravel()
        enough = peers.count_demeaned >= self._needed[self._group]
        windows = self.channel.step(self.block, own, median, enough)
        if shift is None:
            self._hear(windows)

    def log_m(self) -> Floats:
        """Return ln M (peers, fleets)."""
        return self.channel.log_m().reshape(self.shape)

    def age(self) -> Ints:
        """Return the blocks bet in this epoch (peers, fleets)."""
        return self.channel.mixture.age.reshape(self.shape)

    def validity(self) -> Classes:
        """Return the class of every stream (peers, fleets) by calibration alone."""
        out = np.zeros(len(self._at), dtype=np.int8)
        for cell in self.cells:
            out[cell.rows] = cell.validity
        return out.reshape(self.shape)

    def begin(self, horizon: int, direction: int) -> None:
        """Begin an epoch of all fleets by the clock: M = 1, what was learned stays.

        ``horizon`` in blocks; ``direction`` as in `Setting`. A copy may begin another epoch.
        """
        every = np.full(len(self._at), direction, dtype=np.int64)
        self.channel.mixture.weights[:] = side_weights(every)
        self.channel.restart(self._at, horizon)

    def _pools(self, n: int) -> list[Ints]:
        fleets, pool = self.shape[1], self.setting.pool
        of = np.arange(n) % fleets // pool
        return [np.flatnonzero(of == p) for p in range(-(-fleets // pool))]

    def _open(self, rows: Ints) -> ChangeCell:
        slow = self.setting.slow
        cell = ChangeCell(0, 0, 1, slow, rows, Monitor(len(rows), slow=slow), 0)
        cell.phi = 0.0 if slow else np.nan
        cell.validity = np.zeros(len(rows), dtype=np.int8)
        return cell

    def _peers(self, sent: Float32s) -> BlockPeers:
        """Return what each stream is told: its fleet's raw and demeaned summaries."""
        demeaned = self._central(self.channel.demeaned(sent))
        if not self.betting and demeaned.count.any():
            self._present.append(demeaned.count)
        raw = self._central(sent) if self.channel.learning else demeaned
        return BlockPeers(
            sent,
            np.ones(len(sent), dtype=np.bool_),
            raw.count[self._group],
            raw.s3[self._group].astype(np.float32),
            demeaned.count[self._group],
            demeaned.s3[self._group].astype(np.float32),
            np.full(len(sent), np.nan, dtype=np.float32),  # nothing here is counted
        )

    def _central(self, values: Float32s) -> Central:
        return central(values.reshape(self.shape))

    def _hear(self, windows: dict[int, Floats]) -> None:
        """Do what the plan does of every cell, in its order: learn, judge, recalibrate."""
        if not self.betting or self.channel.learning:
            self._hear_learning()
        telling = self._telling()
        variance, scores = self._long_run()
        for number, cell in enumerate(self.cells):
            if windows:
                cell.monitor.hear({m: sums[cell.rows] for m, sums in windows.items()})
            if np.isnan(cell.kappa):
                continue
            if self.block >= cell.judged + JUDGED_EACH and windows:
                cell.judged = self.block
                cell.demote()
            if not cell.recalibrated:
                self._recalibrate(cell, variance, scores)
            if telling[number]:
                cell.cross(self.channel.log_m()[cell.rows], np.ones(len(cell.rows), dtype=np.bool_))

    def _telling(self) -> list[bool]:
        """Return which cells have so many streams at M ≥ 20 that the crossing gate must look."""
        if not self.betting:
            return [False] * len(self.cells)
        high = self.channel.log_m() >= np.log(20.0)
        if np.count_nonzero(high) < SUSPECTS:
            return [False] * len(self.cells)
        return [
            bool(cell.validity.any() and np.count_nonzero(high[cell.rows]) >= SUSPECTS)
            for cell in self.cells
        ]

    def _hear_learning(self) -> None:
        learned = self.channel.learned()
        ready = self.channel.ready()
        sums = self.channel.lag_sums(ready)
        for cell in self.cells:
            if np.isnan(cell.kappa):
                cell.alive.update(cell.rows[learned[cell.rows] > 0].tolist())
            if np.isnan(cell.phi):
                mine = np.isin(ready, cell.rows)
                cell.lags.update(zip(ready[mine].tolist(), sums[mine], strict=True))
                if cell.complete(len(cell.lags), self.block):
                    self._fix_phi(cell)
        self._tell()
        self._settle()
        self._tell()
        if self.betting and self._present:
            self._fix_members()

    def _fix_members(self) -> None:
        """Let a bet need as many members as the class asks that a fleet can rely on."""
        reliable = np.percentile(self._present[-REMEMBERED:], RELIABLE, axis=0, method="lower")
        for least, _ in reversed(CHANGE):
            self._needed[reliable >= least] = least
        self._present.clear()

    def _fix_phi(self, cell: ChangeCell) -> None:
        told = np.array(list(cell.lags.values()))
        cell.phi = pooled_phi(lag_one(told[:, 0], told[:, 1], told[:, 2]))
        cell.first_report, cell.lags = -1, {}

    def _settle(self) -> None:
        ready = self.channel.ready()
        ready = ready[np.isfinite(self.channel.phi[ready])]
        settled = self.channel.settle(ready) if len(ready) else None
        for cell in self.cells:
            if settled is not None:
                mine = np.isin(settled.rows, cell.rows)
                heard = dict(zip(settled.rows[mine].tolist(), settled.scores[mine], strict=True))
                if not np.isnan(cell.kappa):
                    if heard:
                        cell.fix_late(heard)
                    continue
                cell.baseline.update(heard)
            if np.isnan(cell.kappa) and cell.complete(len(cell.baseline), self.block):
                cell.fix_kappa()

    def _long_run(self) -> tuple[Floats, Ints]:
        """Return V_i(25) of every stream and the scores behind it, nothing once all know theirs."""
        if self.settled:
            return np.zeros(0), np.zeros(0, dtype=np.int64)
        return self.channel.long_run_variance()

    def _recalibrate(self, cell: ChangeCell, variance: Floats, scores: Ints) -> None:
        """Begin the second epoch once the pool's median stream has 400 scores (G2)."""
        v, n = variance[cell.rows], scores[cell.rows]
        if n.max() < OWN_ENOUGH or np.median(n) < OWN_ENOUGH:
            return
        cell.kappa = cell.monitor.kappa()
        cell.fix_own(np.where(n > 0, v, np.nan), n)
        cell.recalibrated = True
        self.channel.restart(cell.rows, self.setting.horizon)
        self._tell()

    def _tell(self) -> None:
        """Let the channel obey what the cells have fixed."""
        phi, kappa = self.channel.phi.copy(), self.channel.kappa.copy()
        for cell in self.cells:
            phi[cell.rows] = cell.phi
            kappa[cell.rows] = cell.kappa
            for row, own in cell.own.items():
                kappa[row] = own
        self.channel.obey(phi, kappa, np.zeros(len(phi), dtype=np.bool_))
