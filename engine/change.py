"""The change channel of many streams at one rung: from a value and its peers to log M.

Apart, because an agent runs it over its shards and the aggregator over inner nodes: the order of
the steps (learn, settle, rank, bet) must be one piece of code for both.
Null: a healthy AR fleet never crosses 100.  Power: four noise sd after learning are found.
"""

import numpy as np
import numpy.typing as npt

from .arrays import (
    Bools,
    Floats,
    Ints,
    Words,
    keep_rows,
    parts,
    put_rows,
    refuse_infinite,
    take_rows,
)
from .baseline import Settled, lag_sums, moved, robust_sd, signed_scores
from .bets import normal_score_bets, normal_scores, side_weights
from .calibration import WindowSums
from .held import Baselines, Learned, Recent
from .knowledge import Knowledge
from .memory import Memory
from .onset import OnsetMixture
from .ranks import BASELINE, Ranks, uniforms
from .recursive import Recursive

OFFSET_BLOCKS = 50  # blocks whose median distance to the group is the stream's offset
WARM_BLOCKS = 50  # regression steps before a residual may become a knot
LEARNING_BLOCKS = OFFSET_BLOCKS + WARM_BLOCKS + BASELINE  # 200: DESIGN.md section 4.9
NEIGHBOURED = BASELINE // 2  # baseline blocks that must follow the one before, or phi says nothing
NO_BLOCK_YET = -2  # block of the last value of a stream that had none: before −1, so before all


class ChangeChannel:
    """Evidence that a stream has changed against its peers (DESIGN.md section 2, steps 1 to 4).

    A stream learns for 200 observed blocks and keeps them. When the fleet's pooled φ is known
    the kept blocks run through the regression in one pass, so that a φ that differs from the
    catalogue's costs no second burn-in. It bets once its κ is known too.

    Learning begins with the first movement against the peers: still blocks before it count at most
    to the offset, and a stream that falls still while it learns begins again. One that is seldom
    there two blocks in a row goes on learning while φ is not 0.
    """

    def __init__(self, keys: Words, direction: Ints, horizon: int) -> None:
        """Start ``n`` learning streams; ``direction`` in {-1, 0, +1}, ``horizon`` in blocks."""
        n = len(keys)
        self.keys = keys
        self.offset: npt.NDArray[np.float32] = np.full(n, np.nan, dtype=np.float32)
        self.phi = np.full(n, np.nan)
        self.kappa = np.full(n, np.nan)
        self.observed = np.zeros(n, dtype=np.int64)
        self.settled = np.zeros(n, dtype=np.bool_)
        self._moving = np.zeros(n, dtype=np.bool_)
        self._origin = np.full(n, np.nan)
        self._scale = np.full(n, np.nan)
        self._kept = np.full((n, LEARNING_BLOCKS, 2), np.nan)  # values and references
        self._gap = np.ones((n, LEARNING_BLOCKS), dtype=np.bool_)
        self.learning = True
        self.residual = np.full(n, np.nan)
        self._last_block = np.full(n, NO_BLOCK_YET, dtype=np.int64)
        self._regression = Recursive.start(n)
        self._ranks = Ranks.start(n)
        self._windows = WindowSums.start(n)
        self._memory = Memory.start(n)
        self.held = np.zeros(n, dtype=np.bool_)  # its row has an open verdict
        self._late = np.zeros(n, dtype=np.bool_)  # held, and has no baseline of before
        self._baselines, self._recent = Baselines(n), Recent(n)
        self.mixture = OnsetMixture.start(
            side_weights(direction), np.full(n, horizon, dtype=np.int64)
        )

    def demeaned(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``x`` (n,) less the stream's offset; NaN while the offset is being learned."""
        return x - self.offset

    def step(
        self, block: int, x: npt.NDArray[np.float32], reference: Floats, may_bet: Bools
    ) -> dict[int, Floats]:
        """Take one block: ``x`` (n,) raw values and their peers' ``reference`` (n,), NaN = none.

        ``reference`` is the leave-one-out median of the peers' offset-demeaned values (the whole
        group's raw median while it has no offsets yet). Rows where ``may_bet`` is False learn
        and do not bet; a frozen stream is offered as NaN and nothing of it moves. Returns the
        windows of scores completed at this block, as :meth:`WindowSums.update` does; ``residual``
        (n,) is then what may be bet on, also by streams that wait for their κ, NaN = nothing.
        """
        refuse_infinite("x", x)
        refuse_infinite("reference", reference)
        present = np.isfinite(x) & np.isfinite(reference)
        self._forget_stale_neighbours(block)
        if self.learning:
            self._learn(block, np.flatnonzero(~self.settled & present), x, reference)
        self._last_block[present] = block
        return self._bet(block, x, reference, may_bet & self.settled & present)

    def lag_sums(self, rows: Ints) -> Floats:
        """Return (r, 3): pairs, Σ r_b r_{b-1} and Σ r_b² of ``rows`` that have learned enough.

        ``r`` is the residual of the kept blocks on (1, peers), see :func:`baseline.lag_sums`.
        """
        return lag_sums(self._kept[rows, OFFSET_BLOCKS:], self._gap[rows, OFFSET_BLOCKS:])

    def ready(self) -> Ints:
        """Return the rows that have kept their learning blocks and wait to be settled."""
        if not self.learning:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(~self.settled & (self.observed >= LEARNING_BLOCKS))

    def may_settle(self) -> Ints:
        """Return the rows that have learned and know their φ."""
        return np.intersect1d(self.ready(), np.flatnonzero(np.isfinite(self.phi)))

    def settle(self, rows: Ints) -> Settled:
        """End the learning of ``rows`` (all with ``phi`` set): regression, scale and knots.

        A stream that did not move has no scale; it goes on learning instead.
        """
        rows = self._set_scale(rows)
        part = take_rows(self._regression, rows)
        phi, all_rows = self.phi[rows], np.ones(len(rows), dtype=np.bool_)
        kept = (self._kept[rows] - self._origin[rows, None, None]) / self._scale[rows, None, None]
        residual = np.full((len(rows), LEARNING_BLOCKS), np.nan)
        for b in range(OFFSET_BLOCKS, LEARNING_BLOCKS):
            gap = self._gap[rows, b]
            part.last_x[gap] = part.last_c[gap] = np.nan
            residual[:, b] = part.step(kept[:, b, 0], kept[:, b, 1], phi, all_rows)
        baseline = residual[:, -BASELINE:]
        part.last_x[:] = part.last_c[:] = np.nan  # blocks may have passed since the last kept one
        put_rows(self._regression, rows, part)
        self._ranks.set_knots(rows, baseline)
        self.settled[rows] = True
        self.learning = not self.settled.all()
        if not self.learning:
            self._kept, self._gap = self._kept[:0], self._gap[:0]  # 3 kB a stream, of no use now
        return Settled(rows, signed_scores(baseline))

    def restart(self, rows: Ints, horizon: int) -> None:
        """Begin a new epoch by the clock: M = 1, everything learned is kept (G5)."""
        self.mixture.restart(rows, np.full(len(rows), horizon, dtype=np.int64))

    def obey(self, phi: Floats, kappa: Floats, new_epoch: Bools) -> Ints:
        """Take the plan's φ and κ (n,), NaN = not known yet; another φ needs a ``new_epoch``.

        Returns the rows that learn again because of another φ.
        """
        known = np.isfinite(self.phi) & ~self.held  # a held one keeps its own, to be measured by
        again = np.flatnonzero(new_epoch & known & (phi != self.phi))
        self.relearn(again)
        self.phi = np.where(np.isfinite(self.phi), self.phi, phi)
        self.kappa = np.where(np.isfinite(kappa), kappa, self.kappa)
        return again

    def relearn(self, rows: Ints) -> None:
        """Begin a new epoch of ``rows`` by an event: offsets stay, all else is learned again."""
        n, count = len(self.keys), len(rows)
        if count == 0:
            return
        if not self.learning:
            self._kept = np.full((n, LEARNING_BLOCKS, 2), np.nan)
            self._gap = np.ones((n, LEARNING_BLOCKS), dtype=np.bool_)
        self.learning = True
        self.settled[rows] = False
        self.phi[rows] = self.kappa[rows] = np.nan
        self.observed[rows] = np.minimum(self.observed[rows], OFFSET_BLOCKS)
        put_rows(self._regression, rows, Recursive.start(count))
        put_rows(self._windows, rows, WindowSums.start(count))
        put_rows(self._memory, rows, Memory.start(count))
        self._baselines.forget(rows)
        self._late[rows] = self.held[rows]
        self.mixture.restart(rows, self.mixture.horizon[rows])

    def forget(self, rows: Ints) -> None:
        """Let ``rows`` be as if just opened: all that they learned, φ and κ are gone, M = 1."""
        if len(rows) == 0:
            return
        self.relearn(rows)
        self.offset[rows] = np.nan
        self._origin[rows] = self._scale[rows] = np.nan
        self._kept[rows], self._gap[rows] = np.nan, True
        self.observed[rows], self._last_block[rows] = 0, NO_BLOCK_YET
        self._moving[rows] = False
        put_rows(self._ranks, rows, Ranks.start(len(rows)))

    def hold(self, rows: Ints, before: Ints) -> None:
        """Set aside what ``rows`` had learned before block ``before`` (r,) until their release.

        That is the newest copy from before, or the oldest that is kept. They go on betting and
        learning: against a baseline that stands still even a healthy stream crosses 100. One that
        has not settled has nothing to be set aside, and learns anew when it is released.
        """
        self._baselines.set_aside(self._learned(), rows, before)
        self.held[rows] = True
        self._late[rows] = ~self.settled[rows]

    def release(self, rows: Ints, horizon: int) -> None:
        """Let ``rows`` go on from the baseline that was set aside, with M = 1 (G5)."""
        self.held[rows] = False
        self._baselines.restore(self._learned(), rows)
        self.restart(rows, horizon)
        self.relearn(rows[self._late[rows]])

    def apart(self, block: int) -> Floats:
        """Return how far ``block``, the last, lies above the line set aside (n,), in its unit.

        NaN for streams that are not held.
        """
        rows = np.flatnonzero(self.held)
        out = np.full(len(self.keys), np.nan)
        line = self._baselines.line(rows)
        out[rows] = self._recent.last(block, line, self.phi[rows], rows) * self._scale[rows]
        return out

    def effect(self, row: int, since: int) -> float:
        """Return the median of that over the last 32 blocks, none before ``since``; NaN = none."""
        line = self._baselines.line(np.array([row]))
        return self._recent.effect(line, float(self.phi[row]), row, since) * float(self._scale[row])

    def knowledge(self, rows: Ints) -> Knowledge:
        """Return what settled ``rows`` have learned, the last pair and all evidence left out."""
        regression = take_rows(self._regression, rows)
        regression.last_x[:] = regression.last_c[:] = np.nan
        return Knowledge(
            offset=self.offset[rows],
            origin=self._origin[rows],
            scale=self._scale[rows],
            phi=self.phi[rows],
            kappa=self.kappa[rows],
            regression=regression,
            ranks=take_rows(self._ranks, rows),
            memory=take_rows(self._memory, rows),
        )

    def begin_with(self, rows: Ints, known: Knowledge) -> None:
        """Let ``rows``, which have learned nothing yet, go on from what is ``known``: M = 1."""
        self.offset[rows], self.phi[rows], self.kappa[rows] = known.offset, known.phi, known.kappa
        self._origin[rows], self._scale[rows] = known.origin, known.scale
        put_rows(self._regression, rows, known.regression)
        put_rows(self._ranks, rows, known.ranks)
        put_rows(self._memory, rows, known.memory)
        self.observed[rows], self._moving[rows], self.settled[rows] = LEARNING_BLOCKS, True, True
        self.learning = not self.settled.all()
        if not self.learning:
            self._kept, self._gap = self._kept[:0], self._gap[:0]  # as :meth:`settle` does
        self._late[rows] = False
        self._baselines.set_aside(self._learned(), rows, np.zeros(len(rows), dtype=np.int64))

    def waits_for_kappa(self, rows: Ints) -> bool:
        """Say whether one of ``rows`` has settled and is still without its κ."""
        return bool((self.settled[rows] & np.isnan(self.kappa[rows])).any())

    def log_m(self) -> Floats:
        """Return ln M (n,): 0 where nothing was bet yet."""
        return self.mixture.log_m()

    def learned(self) -> Ints:
        """Return the blocks learned (n,), 200 when a stream has settled and may bet."""
        return np.where(self.settled, LEARNING_BLOCKS, self.observed)

    def long_run_variance(self) -> tuple[Floats, Ints]:
        """Return V_i(25) (n,), NaN before one window, and the scores behind it (n,) (G2)."""
        return self._memory.variance(), self._memory.scores.copy()

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``, which go on as they are, in their order."""
        keep_rows(self, rows, len(self.keys))
        self._baselines.keep(rows)
        self._recent.keep(rows)

    def _learned(self) -> Learned:
        return Learned(self._regression, self._ranks, self._memory)

    def _forget_stale_neighbours(self, block: int) -> None:
        """Drop the predecessors of streams whose last value is not of the block before."""
        stale = self._last_block != block - 1
        if stale.any():
            self._regression.last_x[stale] = self._regression.last_c[stale] = np.nan

    def _learn(self, block: int, rows: Ints, x: npt.NDArray[np.float32], reference: Floats) -> None:
        rows = rows[self.observed[rows] < LEARNING_BLOCKS]
        if len(rows) == 0:
            return
        at = self.observed[rows]
        offset = np.where(at < OFFSET_BLOCKS, np.float32(0), self.offset[rows])
        self._kept[rows, at, 0] = x[rows] - offset
        self._kept[rows, at, 1] = reference[rows]
        self._gap[rows, at] = self._last_block[rows] != block - 1
        self.observed[rows] += 1
        self._forget_stillness(rows[~self._moving[rows] & (at > 0) & (at < OFFSET_BLOCKS)])
        self._fix_offsets(rows[self.observed[rows] == OFFSET_BLOCKS])
        self._look_back(rows[self.observed[rows] == LEARNING_BLOCKS])

    def _forget_stillness(self, rows: Ints) -> None:
        """Let learning begin with the last still block of the ``rows`` that have just moved."""
        last = self.observed[rows] - 1
        before, now = self._kept[rows, last - 1], self._kept[rows, last]
        awake = moved(np.stack([before, now], axis=1), np.zeros(len(rows)))
        rows = rows[awake]
        self._kept[rows, 0], self._kept[rows, 1] = before[awake], now[awake]
        self.observed[rows] = 2
        self._moving[rows] = True

    def _fix_offsets(self, rows: Ints) -> None:
        """Fix the offsets of ``rows``; those that never moved go on waiting for their first one."""
        distance = self._kept[rows, :OFFSET_BLOCKS, 0] - self._kept[rows, :OFFSET_BLOCKS, 1]
        self.offset[rows] = np.median(distance, axis=1).astype(np.float32)
        still = rows[~self._moving[rows]]
        self._kept[still, 0] = self._kept[still, OFFSET_BLOCKS - 1]
        self.observed[still] = 1

    def _look_back(self, rows: Ints) -> None:
        """Send ``rows`` back to learning that did not move, or have too few neighbours for φ."""
        still = ~moved(self._kept[rows, OFFSET_BLOCKS:], self.offset[rows].astype(np.float64))
        neighbours = np.count_nonzero(~self._gap[rows, -BASELINE:], axis=1)
        alone = (neighbours < NEIGHBOURED) & (self.phi[rows] != 0.0)
        self.observed[rows[alone]] = OFFSET_BLOCKS
        self.observed[rows[still]] = 0
        self._moving[rows[still]] = False

    def _set_scale(self, rows: Ints) -> Ints:
        """Fix origin and robust residual scale; return the rows that have one."""
        kept = self._kept[rows, OFFSET_BLOCKS:]
        distance = kept[..., 0] - kept[..., 1]
        scale = robust_sd(distance[:, 1:] - self.phi[rows, None] * distance[:, :-1])
        spread = scale > 0
        self._origin[rows] = np.median(kept[..., 1], axis=1)
        self._scale[rows] = np.where(spread, scale, np.nan)
        self.observed[rows[~spread]] = OFFSET_BLOCKS
        return rows[spread]

    def _bet(
        self, block: int, x: npt.NDArray[np.float32], reference: Floats, may_bet: Bools
    ) -> dict[int, Floats]:
        self.residual = np.full(len(self.keys), np.nan)
        if not self.settled.any():
            return {}
        y = (self.demeaned(x).astype(np.float64) - self._origin) / self._scale
        c = (reference - self._origin) / self._scale
        self._recent.note(block, y, c)
        learn = self.settled & np.isfinite(y) & np.isfinite(c)
        w = self._regression.step(y, c, np.where(learn, self.phi, 0.0), learn)
        self.residual = np.where(may_bet, w, np.nan)
        w = np.where(may_bet & np.isfinite(self.kappa), w, np.nan)
        u = self._ranks.rank(w, uniforms(self.keys, block), learn)
        z = normal_scores(u)
        healthy = np.where(self.held, np.nan, z)  # what is ill says nothing of the null
        kappa = np.where(np.isfinite(self.kappa), self.kappa, 1.0)
        for rows in parts(len(z)):
            self.mixture.step(normal_score_bets(z[rows], kappa[rows]), block, rows)
        self._memory.update(healthy)
        self._baselines.take(self._learned(), block, ~self.held & np.isfinite(z))
        return self._windows.update(healthy)
