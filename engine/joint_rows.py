"""The joint streams of a table of rows: which there are, of which columns, and in what batches.

Apart from the streams, which are each of one column: these take what the others have just shown.
Null: a table whose rows keep together stays quiet.  Power: a row whose columns part does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import Bools, Floats, Ints, Words
from .baseline import Settled, only
from .joint import JointChannel


@dataclass(frozen=True, slots=True)
class Together:
    """The ``column`` of a table that judges ``columns`` (p,) jointly; −1 and none: nothing."""

    column: int
    columns: Ints

    @classmethod
    def nothing(cls) -> "Together":
        """Return what judges nothing."""
        return cls(-1, np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class JointBatch:
    """Joint streams opened together, at flat places ``at`` of ``row``; ``told`` as for change."""

    at: Ints
    row: Ints
    channel: JointChannel
    told: list[tuple[Settled, int]] = field(default_factory=list)


class JointRows:
    """The joint streams of S rows and M columns at one rung."""

    def __init__(self, keys: Words, together: Together, horizon: int) -> None:
        """Take ``keys`` (S, M), what is judged together, and the ``horizon`` in blocks."""
        self.together = together
        self.batches: list[JointBatch] = []
        self._width = keys.shape[1]
        self._keys = keys.ravel()
        self._horizon = horizon

    def open(self, at: Ints) -> Ints:
        """Open those of the flat places ``at`` (n,) that are joint; return the others."""
        joint = at % self._width == self.together.column
        if joint.any():
            mine, columns = at[joint], len(self.together.columns)
            made = JointChannel(self._keys[mine], columns, self._horizon)
            self.batches.append(JointBatch(mine, mine // self._width, made))
        others: Ints = at[~joint]
        return others

    def adopt(self, kappa: Floats, grown: Bools, again: Bools) -> None:
        """Obey ``kappa`` (S·M,); begin epochs where ``grown`` (S·M,), learn ``again`` rows (S,)."""
        for batch in self.batches:
            batch.channel.restart(np.flatnonzero(grown[batch.at]), self._horizon)
            batch.channel.forget(np.flatnonzero(again[batch.row]))
            batch.channel.obey(kappa[batch.at])

    def step(
        self, block: int, shown: Sequence[tuple[Ints, Floats]], windows: dict[int, Floats]
    ) -> None:
        """Take the residuals ``shown`` at flat places (n,); add ``windows`` (S, M) completed."""
        if not self.batches:
            return
        residual = np.full(self._keys.shape, np.nan)
        for at, values in shown:
            residual[at] = values
        table = residual.reshape(-1, self._width)
        for batch in self.batches:
            w = table[batch.row][:, self.together.columns]
            for m, sums in batch.channel.step(block, w).items():
                windows.setdefault(m, np.full(table.shape, np.nan)).ravel()[batch.at] = sums

    def hold(self, rows: Ints) -> None:
        """Set aside what the streams of ``rows`` (r,) have counted, until :meth:`release`."""
        for batch in self.batches:
            held = np.isin(batch.row, rows) & ~batch.channel.held
            batch.channel.hold(np.flatnonzero(held))

    def release(self, rows: Ints) -> None:
        """Let the streams of ``rows`` (r,) go on from what was set aside: M = 1."""
        for batch in self.batches:
            batch.channel.release(
                np.flatnonzero(np.isin(batch.row, rows) & batch.channel.held), self._horizon
            )

    def inherit(self, former: "JointRows", place: Ints) -> None:
        """Take over the streams of ``former`` whose columns are the same here; others are let go.

        ``place`` (S·M of ``former``) is the flat place of each here, −1 = it is gone.
        """
        for batch in former.batches:
            at, rows = place[batch.at], np.flatnonzero(place[batch.at] >= 0)
            if len(rows) == 0 or not self._same(former, int(batch.row[rows[0]]), place):
                continue
            told = [(only(settled, rows, len(at)), times) for settled, times in batch.told]
            batch.channel.keep(rows)
            self.batches.append(JointBatch(at[rows], at[rows] // self._width, batch.channel, told))

    def _same(self, former: "JointRows", row: int, place: Ints) -> bool:
        """Say whether the columns judged here are those of ``former``, in their order."""
        moved = place[row * former._width + former.together.columns]  # noqa: SLF001 - of this class
        same = np.array_equal(moved % self._width, self.together.columns)
        return same and bool((moved >= 0).all())
