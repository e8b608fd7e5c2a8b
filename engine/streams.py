"""All streams of some rows at one rung: from block values and peer summaries to evidence.

Apart, because a host's shards and the aggregator's inner nodes are both rows of such a table:
what differs is only where the values and the summaries come from.
Null: rows that move with their peers stay quiet.  Power: one that leaves them does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, Words
from .change import LEARNING_BLOCKS, OFFSET_BLOCKS, ChangeChannel
from .level import LevelChannel, LevelReport
from .peers import bad_side_median, leave_one_out_median, plain_median

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Summary:
    """Peers of every stream: members with a value and three central order statistics.

    ``count_*`` (S, M) and ``s3_*`` (S, M, 3) of raw and of offset-demeaned values, as each row's
    group has them; ``included`` (S,): the row itself stands in them.
    """

    count_raw: Ints
    s3_raw: Float32s
    count_demeaned: Ints
    s3_demeaned: Float32s
    included: Bools


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a block made of the streams of S rows: absolute evidence, and news for the plan.

    ``change`` and ``level`` (S, M) ln M, NaN where no stream is; ``change_onset`` and
    ``level_onset`` (S, M) block of the likely onset, −1 = none; ``learned`` (S, M) blocks of 200,
    −1 where no stream is. NaN or None where there is no news: ``lags`` (S, M, 3) of streams that
    wait for φ; ``baseline`` (S, M, 100) scores of streams that settled; ``windows`` m to (S, M)
    completed sums of scores; ``long_run`` V_i(25) (S, M) over ``long_run_scores`` (S, M);
    ``review`` a level report with arrays (S, M, …).
    """

    block: int
    change: Floats
    level: Floats
    change_onset: Ints
    level_onset: Ints
    learned: Ints
    lags: Floats | None
    baseline: Floats | None
    windows: Mapping[int, Floats]
    long_run: Floats | None
    long_run_scores: Ints | None
    review: LevelReport | None


class Streams:
    """The change and level streams of S rows and M metrics at one rung.

    A stream exists once the plan has opened it; all others are NaN. Streams opened together are
    one batch of arrays. Parameters (φ, κ, margins) come from the plan, never from here.
    """

    def __init__(self, keys: Words, direction: Ints, horizon: int) -> None:
        """Take ``keys`` (S, M), bad ``direction`` (M,) in {-1, 0, +1}, ``horizon`` in blocks."""
        self.shape = keys.shape
        self.horizon = horizon
        self.offset: Float32s = np.full(self.shape, np.nan, dtype=np.float32)
        self._keys = keys.ravel()
        self._direction = np.broadcast_to(direction, self.shape).ravel()
        self._change: list[tuple[Ints, ChangeChannel]] = []
        self._level: list[tuple[Ints, LevelChannel]] = []
        self._change_epoch = np.zeros(self.shape, dtype=np.int64)
        self._level_epoch = np.zeros(self.shape, dtype=np.int64)

    @property
    def columns(self) -> Ints:
        """Return the metric columns in which some stream exists, ascending."""
        places = [at for at, _ in self._change] + [at for at, _ in self._level]
        return np.unique(np.concatenate(places) % self.shape[1]) if places else np.empty(0, int)

    def adopt_change(self, phi: Floats, kappa: Floats, epoch: Ints) -> None:
        """Obey the plan of the change channel, each (S, M): open, parametrise, restart.

        ``epoch`` −1 = no stream here; a stream not open yet is opened and learns; one whose epoch
        grew begins with M = 1. ``phi`` and ``kappa`` NaN = not known yet.
        """
        at = _missing(epoch >= 0, self._change)
        if len(at):
            channel = ChangeChannel(self._keys[at], self._direction[at], self.horizon)
            self._change.append((at, channel))
        grown = (epoch > self._change_epoch).ravel()
        for at, channel in self._change:
            new = np.isfinite(phi.ravel()[at]) & ~channel.settled
            channel.phi[new] = phi.ravel()[at][new]
            here = kappa.ravel()[at]
            channel.kappa[:] = np.where(np.isfinite(here), here, channel.kappa)
            channel.restart(np.flatnonzero(grown[at]), self.horizon)
        self._change_epoch = np.maximum(self._change_epoch, epoch)

    def adopt_level(self, margin: Floats, largest_lambda: Floats, epoch: Ints) -> None:
        """Obey the plan of the level channel, each (S, M), as :meth:`adopt_change` does.

        A margin and a grid are taken at the start of an epoch only.
        """
        at = _missing(epoch >= 0, self._level)
        if len(at):
            self._level.append((at, LevelChannel(margin.ravel()[at], self.horizon)))
        grown = (epoch > self._level_epoch).ravel()
        for at, level in self._level:
            rows = np.flatnonzero(grown[at])
            there = at[rows]
            level.restart(rows, margin.ravel()[there], largest_lambda.ravel()[there], self.horizon)
        self._level_epoch = np.maximum(self._level_epoch, epoch)

    def step(
        self,
        block: int,
        x: Float32s,
        summary: Summary,
        needed_change: npt.NDArray[np.int64],
        needed_level: npt.NDArray[np.int64],
    ) -> Outcome:
        """Take one block: ``x`` (S, M), its ``summary``, members that a bet needs (S,) each.

        Only an included row with enough peers bets; others at most learn (DESIGN.md section 5).
        """
        included = np.broadcast_to(summary.included[:, None], self.shape)
        enough_change = included & (summary.count_demeaned >= needed_change[:, None])
        enough_level = included & (summary.count_raw >= needed_level[:, None])
        windows: dict[int, Floats] = {}
        for at, change in self._change:
            reference = self._reference(at, change, x, summary)
            done = change.step(block, x.ravel()[at], reference, enough_change.ravel()[at])
            for m, sums in done.items():
                windows.setdefault(m, np.full(self.shape, np.nan)).ravel()[at] = sums
            self.offset.ravel()[at] = change.offset
        for at, level in self._level:
            contrast = self._contrast(at, x, summary)
            level.step(block, contrast, enough_level.ravel()[at] & np.isfinite(contrast))
        return self._outcome(block, windows)

    def _outcome(self, block: int, windows: Mapping[int, Floats]) -> Outcome:
        learned = [(at, np.where(c.settled, LEARNING_BLOCKS, c.observed)) for at, c in self._change]
        own = [(at, *c.long_run_variance()) for at, c in self._change] if windows else []
        return Outcome(
            block=block,
            change=self._floats([(at, c.log_m()) for at, c in self._change]),
            level=self._floats([(at, v.log_m()) for at, v in self._level]),
            change_onset=self._ints([(at, c.mixture.onset()) for at, c in self._change]),
            level_onset=self._ints([(at, v.mixture.onset()) for at, v in self._level]),
            learned=self._ints(learned),
            lags=self._lags(),
            baseline=self._settle(),
            windows=windows,
            long_run=self._floats([(at, v) for at, v, _ in own]) if windows else None,
            long_run_scores=self._ints([(at, n) for at, _, n in own]) if windows else None,
            review=self._review(),
        )

    def _reference(
        self, at: Ints, change: ChangeChannel, x: Float32s, summary: Summary
    ) -> Floats:
        """Return the peers' median (n,) that each stream is compared with, NaN = none.

        While a stream learns its offset and its group has no demeaned summary, raw stands in.
        """
        included = np.repeat(summary.included, self.shape[1])[at]
        y = change.demeaned(x.ravel()[at])
        reference = _median_of_peers(
            y, summary.count_demeaned.ravel()[at], _flat3(summary.s3_demeaned)[at], included
        )
        first = (change.observed < OFFSET_BLOCKS) & ~np.isfinite(reference)
        if first.any():
            raw = _median_of_peers(
                x.ravel()[at], summary.count_raw.ravel()[at], _flat3(summary.s3_raw)[at], included
            )
            reference = np.where(first, raw, reference)
        return reference

    def _contrast(self, at: Ints, x: Float32s, summary: Summary) -> Floats:
        """Return the distance (n,) to the bad-side median of the others, positive = bad."""
        own = x.ravel()[at]
        own = np.where(np.repeat(summary.included, self.shape[1])[at], own, np.float32(np.nan))
        direction = self._direction[at]
        peers = bad_side_median(
            own, summary.count_raw.ravel()[at], _flat3(summary.s3_raw)[at], direction
        )
        return direction * (own.astype(np.float64) - peers)

    def _lags(self) -> Floats | None:
        out: Floats | None = None
        for at, channel in self._change:
            rows = channel.ready()
            rows = rows[~np.isfinite(channel.phi[rows])]
            if len(rows):
                out = np.full((*self.shape, 3), np.nan) if out is None else out
                out.reshape(-1, 3)[at[rows]] = channel.lag_sums(rows)
        return out

    def _settle(self) -> Floats | None:
        out: Floats | None = None
        for at, channel in self._change:
            rows = channel.ready()
            rows = rows[np.isfinite(channel.phi[rows])]
            if len(rows):
                settled = channel.settle(rows)
                out = np.full((*self.shape, settled.scores.shape[1]), np.nan) if out is None else out
                out.reshape(-1, out.shape[-1])[at[settled.rows]] = settled.scores
        return out

    def _review(self) -> LevelReport | None:
        if not any(level.due.any() for _, level in self._level):
            return None
        reports = [(at, level.report()) for at, level in self._level]
        filled: dict[str, npt.NDArray[np.generic]] = {}
        for field in fields(LevelReport):
            first = getattr(reports[0][1], field.name)
            empty = -1 if first.dtype.kind == "i" else np.nan
            whole = np.full((self.shape[0] * self.shape[1], *first.shape[1:]), empty, first.dtype)
            for at, report in reports:
                whole[at] = getattr(report, field.name)
            filled[field.name] = whole.reshape(*self.shape, *first.shape[1:])
        return LevelReport(**filled)  # type: ignore[arg-type] # the fields' own dtypes, kept

    def _floats(self, parts: list[tuple[Ints, Floats]]) -> Floats:
        out = np.full(self.shape[0] * self.shape[1], np.nan)
        for at, values in parts:
            out[at] = values
        return out.reshape(self.shape)

    def _ints(self, parts: list[tuple[Ints, Ints]]) -> Ints:
        out = np.full(self.shape[0] * self.shape[1], -1, dtype=np.int64)
        for at, values in parts:
            out[at] = values
        return out.reshape(self.shape)


def _flat3(s3: Float32s) -> Float32s:
    return s3.reshape(-1, 3)


def _median_of_peers(own: Float32s, count: Ints, s3: Float32s, included: Bools) -> Floats:
    """Return the leave-one-out median of included rows, the plain median of the others."""
    inside = included & np.isfinite(own)
    left_out = leave_one_out_median(own, count, s3)
    return np.where(inside, left_out, plain_median(count, s3))


def _missing(
    wanted: Bools, batches: Sequence[tuple[Ints, ChangeChannel]] | Sequence[tuple[Ints, LevelChannel]]
) -> Ints:
    """Return the flat places of ``wanted`` (S, M) that no batch has opened yet."""
    missing = wanted.ravel().copy()
    for at, _ in batches:
        missing[at] = False
    return np.flatnonzero(missing)
