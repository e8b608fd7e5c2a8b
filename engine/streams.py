"""All streams of some rows at one rung: from block values and peer summaries to evidence.

Apart, because a host's shards and the aggregator's inner nodes are both rows of such a table:
what differs is only where the values and the summaries come from.
Null: rows that move with their peers stay quiet.  Power: one that leaves them does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .arrays import Floats, Ints, Words, missing
from .baseline import Settled, only, without
from .change import ChangeChannel
from .count_rows import CountBatch, CountRows
from .joint_rows import JointBatch, JointRows, Together
from .knowledge import Knowledge
from .level import LevelChannel, LevelReport, in_table
from .onset import NEVER
from .outcome import Outcome, Summary
from .reference import BlockPeers, contrast, reference
from .watch import Hold, Watch, Watching, of_change, of_level

Float32s = npt.NDArray[np.float32]
Number = TypeVar("Number", np.float64, np.int64)

TOLD_AT_LEAST = 10  # blocks in which a baseline is told
TELLING = 1.0  # nats of evidence from which on its onset is dated
NO_VALUE, NO_BLOCK = np.float64(np.nan), np.int64(NEVER)  # where there is no stream


@dataclass(frozen=True, slots=True)
class _Change:
    """Change streams opened together: flat places (n,) in (S, M), their rows, and the machine.

    ``told`` are baselines that may not have been heard yet, with the blocks they were told in.
    """

    at: Ints
    row: Ints
    channel: ChangeChannel
    told: list[tuple[Settled, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Level:
    """Level streams opened together, with their bad direction (n,) in {-1, +1}."""

    at: Ints
    row: Ints
    direction: Ints
    channel: LevelChannel


class Streams:
    """The change, joint, level and counted streams of S rows and M metrics at one rung.

    A stream exists once the plan has opened it; all others are NaN. Streams opened together are
    one batch of arrays. Parameters (φ, κ, margins) come from the plan, never from here.
    """

    def __init__(
        self, keys: Words, direction: Ints, horizon: int, together: Together | None = None
    ) -> None:
        """Take ``keys`` (S, M), bad ``direction`` (M,) in {-1, 0, +1}, ``horizon`` in blocks.

        ``together`` says which column judges others jointly, None = none does.
        """
        self.shape = keys.shape
        self.horizon = horizon
        self.offset: Float32s = np.full(self.shape, np.nan, dtype=np.float32)
        self._keys = keys.ravel()
        self._direction = np.broadcast_to(direction, self.shape).ravel()
        self._change: list[_Change] = []
        self._level: list[_Level] = []
        self._joint = JointRows(keys, together or Together.nothing(), horizon)
        self._counts = CountRows(keys.shape[1], horizon)
        self._change_epoch = np.full(self.shape, -1, dtype=np.int64)
        self._level_epoch = np.full(self.shape, -1, dtype=np.int64)
        self._watching = Watching()

    def adopt_change(self, phi: Floats, kappa: Floats, epoch: Ints) -> Ints:
        """Obey the plan of the change channel, each (S, M): open, parametrise, restart.

        Returns the flat places (n,) in (S, M) of the streams that were opened.

        ``epoch`` −1 = no stream here; a stream not open yet is opened and learns; one whose epoch
        grew begins with M = 1, and learns anew if its φ is another one. ``phi`` and ``kappa``
        NaN = not known yet.
        """
        new = self._joint.open(missing(epoch >= 0, [batch.at for batch in self._scored()]))
        if len(new):
            channel = ChangeChannel(self._keys[new], self._direction[new], self.horizon)
            self._change.append(_Change(new, new // self.shape[1], channel))
            held = np.flatnonzero(np.isin(new // self.shape[1], list(self._watching.holds)))
            channel.hold(held, held)
        grown = (epoch > self._change_epoch).ravel()
        again = np.zeros(self.shape[0], dtype=np.bool_)  # rows whose residuals will be others
        for batch in self._change:
            at = batch.at
            batch.channel.restart(np.flatnonzero(grown[at]), self.horizon)
            rows = batch.channel.obey(phi.ravel()[at], kappa.ravel()[at], grown[at])
            again[batch.row[rows]] = True
        self._joint.adopt(kappa.ravel(), grown, again)
        self._change_epoch = np.maximum(self._change_epoch, epoch)
        return new

    def begin_with(self, places: Ints, known: Knowledge) -> None:
        """Let the change streams at flat ``places`` (n,), just opened, go on from ``known``."""
        for batch in self._change:
            here = np.flatnonzero(np.isin(batch.at, places))
            order = np.argsort(places)
            which = order[np.searchsorted(places, batch.at[here], sorter=order)]
            batch.channel.begin_with(here, known.only(which))
        self.offset.ravel()[places] = known.offset

    def knowledge(self) -> Iterator[tuple[Ints, Knowledge]]:
        """Yield, by batch, the flat places of settled streams with a κ, and what they know."""
        for batch in self._change:
            rows = np.flatnonzero(batch.channel.settled & np.isfinite(batch.channel.kappa))
            yield batch.at[rows], batch.channel.knowledge(rows)

    def adopt_level(self, margin: Floats, largest_lambda: Floats, epoch: Ints) -> None:
        """Obey the plan of the level channel, each (S, M), as :meth:`adopt_change` does.

        A margin and a grid are taken at the start of an epoch only, or by a stream without.
        """
        at = missing(epoch >= 0, [batch.at for batch in self._level])
        if len(at):
            channel = LevelChannel(margin.ravel()[at], self.horizon)
            self._level.append(_Level(at, at // self.shape[1], self._direction[at], channel))
        grown, asked = (epoch > self._level_epoch).ravel(), (epoch >= 0).ravel()
        for batch in self._level:
            bare = np.isnan(batch.channel.margin) & asked[batch.at]
            rows = np.flatnonzero(grown[batch.at] | bare)
            there = batch.at[rows]
            batch.channel.restart(
                rows, margin.ravel()[there], largest_lambda.ravel()[there], self.horizon
            )
        self._level_epoch = np.maximum(self._level_epoch, epoch)

    def release(self, kept: Mapping[int, Hold]) -> None:
        """Let all rows learn again whose verdict ``kept`` (by row) does not name: M = 1."""
        gone = self._watching.let_go(kept)
        for change in self._change if len(gone) else ():
            rows = np.flatnonzero(np.isin(change.row, gone))
            change.channel.release(rows, self.horizon)
        self._joint.release(gone)

    def hold(self, holds: Mapping[int, Hold]) -> None:
        """Set aside what the rows of ``holds`` had learned, and watch what leads their verdicts.

        Rows that are held already stay as they are.
        """
        for row, hold in self._watching.take(holds).items():
            for change in self._change:
                rows = np.flatnonzero(change.row == row)
                change.channel.hold(rows, np.full(len(rows), hold.since))
            watch = self._watch(row, hold)
            if watch is not None:
                self._watching.watches[row] = watch
        self._joint.hold(np.array(list(holds), dtype=np.int64))

    def adopt_counts(self, odds: Floats, epoch: Ints) -> None:
        """Obey the plan of counts, each (S, M): margins in ``odds``, taken when an epoch begins.

        A counted column has no level stream: its evidence and epoch stand in the same place.
        """
        self._counts.adopt(odds.ravel(), epoch.ravel(), self._level_epoch.ravel())
        self._level_epoch = np.maximum(self._level_epoch, epoch)

    def anew(self, rows: Ints) -> None:
        """Let all streams of ``rows`` (r,) be as if just opened, under the epochs that they have.

        Offsets, what was learned and remembered, evidence and parameters are gone; the next
        adoption parametrises them. For rows whose past was made beside other peers.
        """
        self.offset[rows] = np.nan
        for change in self._scored():
            change.channel.forget(np.flatnonzero(np.isin(change.row, rows)))
        self._untell(rows)
        self._watching.drop(rows.tolist())

    def relearn(self, rows: Ints) -> None:
        """Let all streams of ``rows`` (r,) learn again after an event, M = 1; their offsets stay.

        For rows in another regime: what they are watched for goes on. Offsets learned again, at
        another level of the common movement, would move the median of peers whose loadings differ
        as soon as these rows stand in it again, and their evidence with it.
        """
        for change in self._change:
            change.channel.relearn(np.flatnonzero(np.isin(change.row, rows)))
        for joint in self._joint.batches:
            joint.channel.forget(np.flatnonzero(np.isin(joint.row, rows)))
        self._untell(rows)

    def _untell(self, rows: Ints) -> None:
        """Let go of what streams of ``rows`` were about to tell, of their contrasts and counts."""
        for change in self._scored():
            gone = np.flatnonzero(np.isin(change.row, rows))
            told = [(without(settled, gone), times) for settled, times in change.told]
            change.told[:] = [(settled, times) for settled, times in told if len(settled.rows)]
        for level in self._level:
            level.channel.forget(np.flatnonzero(np.isin(level.row, rows)))
        self._counts.anew(rows)

    def step(
        self,
        block: int,
        x: Float32s,
        summary: Summary,
        needed_change: Ints,
        needed_level: Ints,
    ) -> Outcome:
        """Take one block: ``x`` (S, M), its ``summary``, members that a bet needs (S,) each.

        Only an included row with enough peers bets; others at most learn (DESIGN.md section 5).
        """
        peers = BlockPeers.of(x, summary)
        windows: dict[int, Floats] = {}
        for change in self._change:
            self._step_change(block, change, peers, needed_change, windows)
        shown = [(batch.at, batch.channel.residual) for batch in self._change]
        self._joint.step(block, shown, windows)
        for level in self._level:
            apart = contrast(level.direction, level.at, level.row, peers)
            enough = peers.count_raw[level.at] >= needed_level[level.row]
            level.channel.step(block, apart, enough & np.isfinite(apart))
            self._watching.see("level", block, level.at, level.direction * apart)
        self._counts.step(block, peers, needed_level)
        return self._outcome(block, windows)

    def inherit(self, former: "Streams", place: Ints) -> None:
        """Take over the streams of ``former``, which is of no use afterwards; this one has none.

        ``place`` (S·M of ``former``) is the flat place of each here, −1 = it is let go.
        """
        for change in former._change:  # noqa: SLF001 - of this class
            at, rows = place[change.at], np.flatnonzero(place[change.at] >= 0)
            if len(rows) < len(at):
                change.channel.keep(rows)
            if len(rows) == 0:
                continue
            told = [(only(settled, rows, len(at)), times) for settled, times in change.told]
            held = _Change(at[rows], at[rows] // self.shape[1], change.channel, told)
            self._change.append(held)
        for level in former._level:  # noqa: SLF001 - of this class
            at, rows = place[level.at], np.flatnonzero(place[level.at] >= 0)
            if len(rows) < len(at):
                level.channel.keep(rows)
            side = level.direction[rows]
            if len(rows):
                self._level.append(_Level(at[rows], at[rows] // self.shape[1], side, level.channel))
        self._watching.inherit(former._watching, former.shape, place, self.shape[1])  # noqa: SLF001 - of this class
        self._joint.inherit(former._joint, place)  # noqa: SLF001 - of this class
        self._counts.inherit(former._counts, place)  # noqa: SLF001 - of this class
        known = np.flatnonzero(place >= 0)
        for name in ("offset", "_change_epoch", "_level_epoch"):
            getattr(self, name).ravel()[place[known]] = getattr(former, name).ravel()[known]

    def _scored(self) -> list[_Change | JointBatch]:
        """Return all batches whose scores are ranked."""
        return [*self._change, *self._joint.batches]

    def _step_change(
        self,
        block: int,
        batch: _Change,
        peers: BlockPeers,
        needed: Ints,
        windows: dict[int, Floats],
    ) -> None:
        channel, at = batch.channel, batch.at
        median = reference(channel, at, batch.row, peers)
        enough = peers.included[batch.row] & (peers.count_demeaned[at] >= needed[batch.row])
        learning = channel.learning
        for m, sums in channel.step(block, peers.x[at], median, enough).items():
            windows.setdefault(m, np.full(self.shape, np.nan)).ravel()[at] = sums
        if learning:
            self.offset.ravel()[at] = channel.offset
        if self._watching.watches:
            self._watching.see("change", block, at, channel.apart(block))

    def _watch(self, row: int, hold: Hold) -> Watch | None:
        """Return the watch of what leads the verdict of ``row`` here, None where nothing can."""
        at = row * self.shape[1] + hold.column
        for change in self._change if hold.channel == "change" else ():
            for i in np.flatnonzero(change.at == at).tolist():
                return of_change(hold, at, change.channel, i)
        for level in self._level if hold.channel == "level" else ():
            for i in np.flatnonzero(level.at == at).tolist():
                return of_level(hold, at, int(level.direction[i]), level.channel, i)
        return None

    def _outcome(self, block: int, windows: Mapping[int, Floats]) -> Outcome:
        scored = self._scored()
        leveled: list[_Level | CountBatch] = [*self._level, *self._counts.batches]
        change = self._whole([(b.at, b.channel.log_m()) for b in scored], NO_VALUE)
        level = self._whole([(b.at, b.channel.log_m()) for b in leveled], NO_VALUE)
        own = [(b.at, *b.channel.long_run_variance()) for b in scored] if windows else []
        return Outcome(
            block=block,
            change=change,
            level=level,
            change_epoch=self._change_epoch.copy(),
            level_epoch=self._level_epoch.copy(),
            change_onset=self._onset(change, scored),
            level_onset=self._onset(level, leveled),
            learned=self._whole([(b.at, b.channel.learned()) for b in scored], NO_BLOCK),
            lags=self._lags(),
            baseline=self._settle(),
            windows=windows,
            long_run=self._whole([(at, v) for at, v, _ in own], NO_VALUE) if windows else None,
            long_run_scores=self._whole([(at, n) for at, _, n in own], NO_BLOCK)
            if windows
            else None,
            review=self._review(),
            held=self._watching.watched(),
        )

    def _onset(
        self, log_m: Floats, batches: Sequence[_Change | JointBatch] | Sequence[_Level | CountBatch]
    ) -> Ints:
        """Return likely onsets (S, M) where there is evidence worth a date, −1 elsewhere."""
        telling = log_m >= TELLING
        if not telling.any():
            return np.full(self.shape, NO_BLOCK)
        dated = self._whole([(b.at, b.channel.mixture.onset()) for b in batches], NO_BLOCK)
        return np.where(telling, dated, NO_BLOCK)

    def _lags(self) -> Floats | None:
        out: Floats | None = None
        for batch in self._change:
            rows = batch.channel.ready()
            rows = rows[~np.isfinite(batch.channel.phi[rows])]
            if len(rows):
                out = np.full((*self.shape, 3), np.nan) if out is None else out
                out.reshape(-1, 3)[batch.at[rows]] = batch.channel.lag_sums(rows)
        return out

    def _settle(self) -> Floats | None:
        """Settle the streams that may; return the baselines (S, M, 100) that are to be told.

        A message may be lost: each is told in several blocks, and until its stream has a κ.
        """
        out: Floats | None = None
        for batch in self._scored():
            rows = batch.channel.may_settle()
            if len(rows):
                batch.told.append((batch.channel.settle(rows), 0))
            for settled, _ in batch.told:
                if out is None:
                    out = np.full((*self.shape, settled.scores.shape[1]), np.nan)
                out.reshape(-1, out.shape[-1])[batch.at[settled.rows]] = settled.scores
            batch.told[:] = [
                (settled, times + 1)
                for settled, times in batch.told
                if times + 1 < TOLD_AT_LEAST or batch.channel.waits_for_kappa(settled.rows)
            ]
        return out

    def _review(self) -> LevelReport | None:
        if not any(batch.channel.due.any() for batch in self._level):
            return None
        reports = [(batch.at, batch.channel.report()) for batch in self._level]
        return in_table(self.shape, reports)

    def _whole(
        self, parts: Sequence[tuple[Ints, npt.NDArray[Number]]], empty: Number
    ) -> npt.NDArray[Number]:
        """Return one (S, M) array of the batches' values, ``empty`` where no stream is."""
        out = np.full(self.shape[0] * self.shape[1], empty)
        for at, values in parts:
            out[at] = values
        return out.reshape(self.shape)
