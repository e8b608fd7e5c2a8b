"""What a baseline gives to the cells of a fleet's plan: φ, κ, κ_i, rungs and class, or the reason.

Apart from the book, which learns: here is decided, once when a fleet is made, whether what was
learned of it before still fits.
"""

from collections import Counter
from collections.abc import Iterator
from math import isnan, nan

import numpy as np
import numpy.typing as npt

from ...engine.calibration import WINDOWS, Calibration
from ...engine.evalue import Validity
from ...engine.moments import Tier
from ...engine.reason import Code, Reason
from ...proto.baseline_file import Baseline, Cell, Stream, blocks_of
from ..state.fleet import Fleet
from .cell import ChangeCell
from .lengths import Lengths

Floats = npt.NDArray[np.float64]

MOST_WINDOWS = 10_000  # sums by cell and length that are written: they know κ to three per cent


class WarmStart:
    """A baseline beside the fleet that starts from it; ``cold`` are scopes and why they learn."""

    def __init__(self, baseline: Baseline, fleet: Fleet, lengths: Lengths) -> None:
        """Look up what fits; nothing is begun."""
        self.id = baseline.id
        self.cold: list[tuple[str, str]] = []
        self._baseline, self._fleet, self._lengths = baseline, fleet, lengths
        self._counted = blocks_of(baseline.columns)
        self._cells = {(c.pool, c.metric, c.slow): i for i, c in enumerate(baseline.cells)}
        self._streams = {(s.shard, s.metric, s.rung): i for i, s in enumerate(baseline.streams)}

    def rungs(self, pool: int, column: int, catalogue: tuple[int, int]) -> tuple[int, int]:
        """Return the fast and the slow rung that a pool's metric starts with."""
        name, metric = self._fleet.pools[pool], self._fleet.metrics[column].name
        cells = [self._cells.get((name, metric, slow)) for slow in (False, True)]
        if cells[0] is None:
            return catalogue
        fast = self._baseline.cells[cells[0]].rung
        kept = catalogue[1] if catalogue[1] > fast else 0
        slow = kept if cells[1] is None else self._baseline.cells[cells[1]].rung
        wrong = ""
        if self._lengths.fixed and (fast, slow) != catalogue:
            wrong = f"its blocks are of {fast} and {slow} s, asked are {catalogue[0]} s"
        elif fast < self._lengths.shortest:
            wrong = f"its blocks are of {fast} s, the shortest here is {self._lengths.shortest} s"
        if wrong:
            self.cold.append((f"{name},metric={metric}", f"baseline {self.id} not used: {wrong}"))
            return catalogue
        return fast, slow

    def begin(self, cell: ChangeCell, scope: str) -> bool:
        """Let ``cell`` start from the baseline if it can; say whether it did."""
        fleet = self._fleet
        if int(cell.rows[0]) >= fleet.shard_count:
            return False  # of nodes, which the aggregator itself judges: they learn
        key = (fleet.pools[cell.pool], fleet.metrics[cell.column].name, cell.slow)
        at = self._cells.get(key)
        record = None if at is None else self._baseline.cells[at]
        wrong, found = self._unfit(cell, record), dict[int, int]()
        if not wrong:
            why = Counter[str]()
            for row in cell.rows.tolist():
                stream, reason = self._of_row(row, cell)
                if reason:
                    why[reason] += 1
                else:
                    found[row] = stream
            wrong = "; ".join(f"{count} shards learn: {reason}" for reason, count in why.items())
        if wrong:
            self.cold.append((scope, f"baseline {self.id}: {wrong}"))
        if at is None or record is None or not found:
            return False
        self._fill(cell, at, record, found)
        return True

    def _unfit(self, cell: ChangeCell, record: Cell | None) -> str:
        """Return why a whole cell learns, "" if it need not."""
        if record is None:
            return "it has no such pool and metric"
        if record.rung != cell.rung:
            return f"its block is {record.rung} s, it is {cell.rung} s here"
        if record.phi is None or record.kappa is None:
            return "it was still learning there"
        return ""

    def _of_row(self, row: int, cell: ChangeCell) -> tuple[int, str]:
        """Return a row's stream in the file, and why it is not used, "" if it is."""
        fleet, shard = self._fleet, self._fleet.shards[row]
        at = self._streams.get((shard.id, fleet.metrics[cell.column].name, cell.rung))
        if at is None:
            left = self._baseline.left_out.get(shard.id)
            return -1, f"left out of it: {left}" if left else "not in it"
        stream = self._baseline.streams[at]
        now = (shard.sku, shard.job, shard.role, fleet.groups[fleet.group[row]])
        if (stream.sku, stream.job, stream.role, stream.group) != now:
            return at, "their SKU, job, role or peer group is another one"
        if self._blocks(at) < Tier.WARM_START:
            return at, f"fewer than {int(Tier.WARM_START)} blocks stand behind them"
        return at, ""

    def _blocks(self, stream: int) -> int:
        return int(self._counted[stream])

    def _fill(self, cell: ChangeCell, at: int, record: Cell, found: dict[int, int]) -> None:
        cell.phi = nan if record.phi is None else record.phi
        cell.kappa = nan if record.kappa is None else record.kappa
        cell.moved = True
        validity = Validity(record.validity)
        cell.calibration = Calibration(validity, cell.kappa, tuple(_reasons(record)))
        sums = {
            m: self._baseline.windows[at, m].astype(np.float64)
            for m in WINDOWS
            if (at, m) in self._baseline.windows
        }
        cell.monitor.carry(sums, nan if record.rho is None else record.rho, record.outlying)
        streams = {row: self._baseline.streams[i] for row, i in found.items()}
        cell.own = {row: s.kappa for row, s in streams.items() if s.kappa > cell.kappa}
        blocks = {row: self._blocks(i) for row, i in found.items()}
        cell.young = {row: float(n) for row, n in blocks.items() if n < Tier.STRICT}
        cell.recalibrated = record.recalibrated and not cell.young
        own = {row: min(s.validity, int(validity)) for row, s in streams.items()}
        own.update({row: min(own[row], int(Validity.EMPIRICAL)) for row in cell.young})
        rows = cell.rows.tolist()
        cell.validity = np.array([own.get(row, int(validity)) for row in rows], dtype=np.int8)


def records(cells: Iterator[ChangeCell], fleet: Fleet) -> Iterator[tuple[Cell, dict[int, Floats]]]:
    """Yield what the plan knows of the cells of shards, with the newest sums of their scores."""
    for cell in cells:
        if int(cell.rows[0]) >= fleet.shard_count:
            continue
        sums, rho = cell.monitor.kept(MOST_WINDOWS)
        record = Cell(
            pool=fleet.pools[cell.pool],
            metric=fleet.metrics[cell.column].name,
            rung=cell.rung,
            slow=cell.slow,
            phi=None if isnan(cell.phi) else cell.phi,
            kappa=None if isnan(cell.kappa) else cell.kappa,
            peers=int(fleet.group_sizes()[fleet.group[cell.rows]].min()),
            validity=int(cell.calibration.validity),
            reasons=tuple((r.code.name, r.numbers, r.windows) for r in cell.calibration.reasons),
            rho=None if isnan(rho) else rho,
            outlying=cell.monitor.outlying,
            recalibrated=cell.recalibrated,
        )
        yield record, sums


def streams_of(cell: ChangeCell, fleet: Fleet) -> Iterator[Stream]:
    """Yield the streams of a cell that bets: what their shards are, and κ_i and class of each."""
    if isnan(cell.kappa):
        return
    for row, validity in zip(cell.rows.tolist(), cell.validity.tolist(), strict=True):
        shard = fleet.shards[row]
        yield Stream(
            shard=shard.id,
            sku=shard.sku,
            job=shard.job,
            role=shard.role,
            group=fleet.groups[fleet.group[row]],
            metric=fleet.metrics[cell.column].name,
            rung=cell.rung,
            phi=cell.phi,
            kappa=cell.own.get(row, cell.kappa),
            validity=validity,
        )


def _reasons(record: Cell) -> Iterator[Reason]:
    """Yield the findings of a cell; one that only a later version knows is left out."""
    for code, numbers, windows in record.reasons:
        if code in Code.__members__:
            yield Reason(Code[code], numbers, windows)
