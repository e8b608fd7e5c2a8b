"""The plan of the change channel: φ, κ, rungs, epochs and class of every pool and metric.

Apart from the level channel's plan, because its questions are other ones: how much memory the
noise has, and whether what is left after φ is worth its name (statistics.md E, G2).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan, nan
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import JOINT
from ...engine.calibration import OWN_ENOUGH, Calibration, lag_one, pooled_phi
from ...engine.evalue import Validity
from ...engine.peers import FEWEST
from ...proto.baseline_file import Baseline
from ...proto.messages import ChangePlan
from ..state.fleet import Fleet
from ..state.move import Move
from .cell import ChangeCell, note
from .epochs import BY_THE_CLOCK, Epochs
from .joint import joint_column, moved_together, shared_rungs
from .lengths import Lengths
from .members import RANKED_FROM
from .monitor import Monitor
from .reports import Reports
from .warm import WarmStart

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNSEATED: Mapping[str, int] = MappingProxyType({})
JUDGED_EACH = 50  # blocks between two looks at the monitor


@dataclass(frozen=True, slots=True)
class Fallen:
    """A cell lost a class that it does not get back before its epoch ends, and why."""

    scope: str
    calibration: Calibration


class ChangeBook:
    """All change cells of a fleet; each ``hear_…`` says whether the plan changed."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that decides what is opened
        self,
        fleet: Fleet,
        epochs: Epochs,
        *,
        shortest: int,
        horizon: float,
        fixed_rungs: bool = False,
        baseline: Baseline | None = None,
    ) -> None:
        """Open a fast and a slow cell for each pool and metric, from the catalogue's rungs.

        One cell, the fast one, for a score beside the mean; none if it cannot learn in time.
        ``shortest`` rung and ``horizon`` in seconds; ``fixed_rungs``: τ moves none of them. What
        a ``baseline`` covers starts from it.
        """
        self._fleet = fleet
        self.lengths = Lengths.within(shortest, horizon, fixed=fixed_rungs)
        self.cells: dict[tuple[int, int, int], ChangeCell] = {}  # pool, column, slow
        self._epochs = epochs
        warm = None if baseline is None else WarmStart(baseline, fleet, self.lengths)
        self._fallen: list[Fallen] = []
        inner = np.arange(len(fleet.rows)) >= fleet.shard_count
        least = np.where(inner, RANKED_FROM, FEWEST)  # what only suspects, no node says
        enough = fleet.group_sizes()[fleet.group] >= least
        for pool in range(len(fleet.pools)):
            rows = np.flatnonzero((fleet.pool == pool) & enough)
            for column, metric in enumerate(fleet.metrics if len(rows) else ()):
                fast, slow = self.lengths.start(metric.fast, metric.slow)
                if metric.counted or metric.score == JOINT:
                    continue
                if not metric.paired:
                    fast, slow = metric.fast, 0
                    if not self.lengths.fits(fast):
                        continue
                if warm is not None:
                    fast, slow = warm.rungs(pool, column, (fast, slow))
                self._open(pool, column, fast, rows, slow=False)
                if slow:
                    self._open(pool, column, slow, rows, slow=True)
        self.cold = [] if warm is None else self._begin_warm(warm)
        self._seat_joint()

    def _begin_warm(self, warm: WarmStart) -> list[tuple[str, str]]:
        """Let the cells start that can; return the scopes of the others, and why they learn."""
        for cell in self.cells.values():
            if warm.begin(cell, self._scope(cell)):
                cell.warm = warm.id
                cell.epoch = self._epochs.begin(self._scope(cell), _since(cell))
        for column in range(len(self._fleet.metrics)):
            self._follow(column)
        return warm.cold

    def inherit(self, former: "ChangeBook", move: Move) -> None:
        """Take over the cells of pools and metrics that are still there."""
        held = {former.name(cell): cell for cell in former.cells.values()}
        to = move.to_row()
        for cell in self.cells.values():
            known = held.get(self.name(cell))
            if known is not None:
                cell.inherit(known, to)
            elif cell.warm:  # the epoch that it began was counted by nobody
                cell.epoch = self._epochs.begin(self._scope(cell), _since(cell))
        old = {former._scope(cell) for cell in former.cells.values()}  # noqa: SLF001 - of this class
        self.cold = [(scope, why) for scope, why in self.cold if scope not in old]
        for column in range(len(self._fleet.metrics)):
            self._follow(column)
        self._seat_joint(former.seats())

    def seats(self) -> dict[str, int]:
        """Return the rung of each pool's joint cell, by the pool's name."""
        return {
            self._fleet.pools[cell.pool]: cell.rung
            for cell in self.cells.values()
            if self._fleet.metrics[cell.column].score == JOINT
        }

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

    def reason(self, pool: int, column: int, *, slow: bool) -> str:
        """Return why a cell has no better class, "" where nothing is held against it."""
        cell = self.cells[pool, column, int(slow)]
        return "; ".join(str(reason) for reason in cell.calibration.reasons if reason.fault)

    def rungs(self, *, slow: bool) -> Ints:
        """Return the rung (R, M) of the fast or the slow change part."""
        return self._table(lambda cell: cell.rung, slow=slow)

    def epochs(self, *, slow: bool) -> Ints:
        """Return the epoch (R, M) of the fast or the slow change part, 0 where there is none."""
        return self._table(lambda cell: cell.epoch, slow=slow)

    def validity(self, *, slow: bool) -> npt.NDArray[np.int8]:
        """Return the class (R, M) that calibration leaves to the fast or the slow part."""
        return self._table(lambda cell: cell.validity, slow=slow).astype(np.int8)

    def fixed(self, *, slow: bool) -> Bools:
        """Return which fast or slow parts (R, M) are of a cell that knows its κ by now."""
        return self._table(lambda cell: not isnan(cell.kappa), slow=slow).astype(np.bool_)

    def _table(self, of: Callable[[ChangeCell], int | npt.NDArray[np.int8]], *, slow: bool) -> Ints:
        """Return what the fast or the slow cells say ``of`` themselves, by row and column."""
        out = np.zeros((len(self._fleet.rows), len(self._fleet.metrics)), dtype=np.int64)
        for cell in self.cells.values():
            if cell.slow == slow:
                out[cell.rows, cell.column] = of(cell)
        return out

    def hear_learned(self, rung: int, block: int, rows: Ints, learned: Ints) -> bool:
        """Take how far streams (S, M) have come; fix φ or κ where enough have reported.

        Called for every block, so that a pool whose silent part never reports is not waited for.
        """
        changed = False
        for cell in self._of(rung):
            if not isnan(cell.kappa):
                continue
            at = (learned[:, cell.column] > 0) & (self._fleet.pool[rows] == cell.pool)
            cell.alive.update(rows[at].tolist())
            if isnan(cell.phi) and cell.complete(len(cell.lags), block):
                self._fix_phi(cell)
                changed = True
            elif not isnan(cell.phi) and cell.complete(len(cell.baseline), block):
                cell.fix_kappa()
                changed = True
        return changed

    def hear_lags(self, rung: int, rows: Ints, lags: Floats) -> None:
        """Take (n, Σ r r₋₁, Σ r²) of streams that have learned, ``lags`` (S, M, 3)."""
        for cell in self._of(rung):
            if isnan(cell.phi):
                note(cell.lags, rows, lags[:, cell.column], cell.rows)

    def hear_baseline(self, rung: int, rows: Ints, scores: Floats) -> bool:
        """Take the baseline scores (S, M, 100) of streams that settled; late ones get their κ_i."""
        changed = False
        for cell in self._of(rung):
            late: dict[int, Floats] = {}
            note(late, rows, scores[:, cell.column], cell.rows)
            late = {row: s for row, s in late.items() if row not in cell.known}
            if isnan(cell.kappa):
                cell.baseline.update(late)
            elif late:
                cell.fix_late(late)
                changed = True
        return changed

    def hear_windows(self, rung: int, block: int, rows: Ints, windows: dict[int, Floats]) -> bool:
        """Take completed sums of scores, m to (S, M); judge now and then, say if a class fell."""
        fell = False
        for cell in self._of(rung):
            mine = self._fleet.pool[rows] == cell.pool
            completed = {m: sums[mine, cell.column] for m, sums in windows.items()}
            cell.monitor.hear(completed)
            if self._fleet.metrics[cell.column].score == JOINT:
                fell |= cell.give_up(
                    moved_together(completed, self._fleet.group[rows[mine]], cell.kappa)
                )
            if block >= cell.judged + JUDGED_EACH and not isnan(cell.kappa):
                cell.judged = block
                fell |= self._note(cell, fell=cell.demote())
        return fell

    def hear_crossings(self, log_m: Floats, open_rows: Bools) -> bool:
        """Take ln M (2, M, R) of fast and slow parts; say if a cell has lost its class."""
        fell = False
        for cell in self.cells.values():
            if cell.validity.max(initial=0) > Validity.NONE:
                mine = log_m[int(cell.slow), cell.column, cell.rows]
                fell |= self._note(cell, fell=cell.cross(mine, ~open_rows[cell.rows]))
        return fell

    def drain_fallen(self) -> tuple[Fallen, ...]:
        """Return the cells that lost a class since the last call, until their epoch ends."""
        fallen, self._fallen = tuple(self._fallen), []
        return fallen

    def _note(self, cell: ChangeCell, *, fell: bool) -> bool:
        if fell:
            self._fallen.append(Fallen(self._scope(cell), cell.calibration))
        return fell

    def forget(self, rows: Ints, columns: Ints | None = None) -> None:
        """Take ``rows`` for streams that begin anew: their baseline is to come again.

        Of all ``columns`` if None.
        """
        for cell in self.cells.values():
            if columns is not None and cell.column not in columns:
                continue
            cell.known.difference_update(rows.tolist())

    def hear_long_run(self, rung: int, variance: Floats, scores: Ints) -> bool:
        """Take V_i(25) (R, M) over ``scores`` (R, M); fix κ and κ_i once 400 are behind them."""
        changed = False
        for cell in self._of(rung):
            v, n = variance[cell.rows, cell.column], scores[cell.rows, cell.column]
            heard = n > 0
            if cell.recalibrated or not heard.any() or np.median(n[heard]) < OWN_ENOUGH:
                continue
            if cell.is_young(scores[:, cell.column]):
                continue
            unheard = set(cell.rows[~heard].tolist())
            cell.young = {row: before for row, before in cell.young.items() if row in unheard}
            cell.kappa = cell.monitor.kappa()
            cell.fix_own(np.where(heard, v, nan), n)
            why = f"kappa {cell.kappa:.3g} from {OWN_ENOUGH} scores"
            cell.epoch, cell.recalibrated = self._epochs.begin(self._scope(cell), why), True
            changed = True
        return changed

    def renew(self, column: int, reports: Reports) -> None:
        """Begin an epoch by the clock: M = 1, and κ, κ_i and classes from all that was heard."""
        for cell in [c for c in self.cells.values() if c.column == column and not isnan(c.kappa)]:
            cell.epoch = self._epochs.begin(self._scope(cell), BY_THE_CLOCK)
            if reports.has_long_run(cell.rung):
                variance, scores = reports.long_run(cell.rung)
                v, n = variance[cell.rows, column], scores[cell.rows, column]
                cell.kappa = cell.monitor.kappa()
                cell.fix_own(np.where(n > 0, v, nan), n)

    def name(self, cell: ChangeCell) -> tuple[str, str, bool]:
        """Return what a cell is called in any fleet: pool, metric, and whether it is slow."""
        return self._fleet.pools[cell.pool], self._fleet.metrics[cell.column].name, cell.slow

    def _scope(self, cell: ChangeCell) -> str:
        """Return the words by which the audit knows a cell."""
        metric = self._fleet.metrics[cell.column].name
        rung = "slow" if cell.slow else "fast"
        return f"{self._fleet.pools[cell.pool]},metric={metric},rung={rung}"

    def _open(self, pool: int, column: int, rung: int, rows: Ints, *, slow: bool) -> None:
        left = self.cells.get((pool, column, int(slow)))
        cell = ChangeCell(pool, column, rung, slow, rows, Monitor(len(rows), slow=slow), 0)
        if left is not None:
            why = f"block length {left.rung} s to {rung} s"
            cell.epoch = self._epochs.begin(self._scope(cell), why)
        plain = slow or self._fleet.metrics[column].score == JOINT  # memory is paid by κ
        cell.phi = 0.0 if plain else nan
        cell.moved = left is not None
        cell.validity = np.zeros(len(rows), dtype=np.int8)
        self.cells[pool, column, int(slow)] = cell

    def _of(self, rung: int) -> Iterable[ChangeCell]:
        return [cell for cell in self.cells.values() if cell.rung == rung]

    def _fix_phi(self, cell: ChangeCell) -> None:
        sums = np.array(list(cell.lags.values()))
        phi = pooled_phi(lag_one(sums[:, 0], sums[:, 1], sums[:, 2]))
        cell.first_report = -1
        cell.lags = {}
        if isnan(phi):
            return
        cell.phi = phi
        if not (self.lengths.fixed or cell.moved or self._of_nodes(cell)):
            self._choose_rungs(cell)
            self._follow(cell.column)
            self._seat_joint()

    def _of_nodes(self, cell: ChangeCell) -> bool:
        return int(cell.rows[0]) >= self._fleet.shard_count

    def _follow(self, column: int) -> None:
        """Move inner nodes to the rungs of the shards: where these fold nothing, nodes are NaN."""
        cells = [cell for cell in self.cells.values() if cell.column == column]
        for cell in filter(self._of_nodes, cells):
            of_shards = {c.rung for c in cells if c.slow == cell.slow and not self._of_nodes(c)}
            if of_shards and cell.rung not in of_shards:
                self._open(cell.pool, column, min(of_shards), cell.rows, slow=cell.slow)

    def _seat_joint(self, before: Mapping[str, int] = UNSEATED) -> None:
        """Open the joint cell of each pool where most of its means have a stream, or move it there.

        Its own 200 blocks follow theirs: where a horizon is too short for that there is none.
        Where it sat ``before``, by name of the pool, a metric that has come does not move it.
        """
        column = joint_column(self._fleet.metrics)
        if column is None:
            return
        names = {name: pool for pool, name in enumerate(self._fleet.pools)}
        seats = {names[name]: rung for name, rung in before.items() if name in names}
        found = shared_rungs(self.cells.values(), self._fleet.metrics, seats)
        for pool, (rung, rows) in found.items():
            held = self.cells.get((pool, column, 0))
            if self.lengths.fits_twice(rung) and (held is None or held.rung != rung):
                self._open(pool, column, rung, rows, slow=False)

    def _choose_rungs(self, cell: ChangeCell) -> None:
        """Leave a rung that the pool's τ asks to leave: that part learns anew at another one.

        Once in a run at most: the answer at the new rung differs a little, and a cell that moved
        back again would never bet.
        """
        other = self.cells.get((cell.pool, cell.column, 1))
        if other is None:
            return
        refresh = self._fleet.metrics[cell.column].refresh
        new_fast, new_slow = self.lengths.asked(cell.phi, cell.rung, other.rung, refresh)
        if new_fast != cell.rung:
            self._open(cell.pool, cell.column, new_fast, cell.rows, slow=False)
        if new_slow != other.rung:
            self._open(cell.pool, cell.column, new_slow, cell.rows, slow=True)


def _since(cell: ChangeCell) -> str:
    return f"warm start from baseline {cell.warm}"
