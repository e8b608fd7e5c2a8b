"""The counted streams of a table of rows: which there are, and what each is told of its group.

Apart from the streams that are ranked or signed: these need no past, only the group's total.
Null: rows that err like their group stay quiet.  Power: one that errs alone does not.
"""

from dataclasses import dataclass

import numpy as np

from .arrays import Floats, Ints, missing
from .counts import CountsChannel, equal_share
from .reference import BlockPeers


@dataclass(frozen=True, slots=True)
class CountBatch:
    """Counts opened together, at flat places ``at`` of ``row``."""

    at: Ints
    row: Ints
    channel: CountsChannel


class CountRows:
    """The counted streams of S rows and M columns at one rung."""

    def __init__(self, width: int, horizon: int) -> None:
        """Take M and the ``horizon`` in blocks."""
        self.batches: list[CountBatch] = []
        self._width = width
        self._horizon = horizon

    def adopt(self, odds: Floats, epoch: Ints, before: Ints) -> None:
        """Obey margins in ``odds`` and ``epoch``, both (S·M,), −1 = no stream; ``before`` it was.

        A margin is taken when a stream is opened and when an epoch begins.
        """
        at = missing(epoch >= 0, [batch.at for batch in self.batches])
        if len(at):
            channel = CountsChannel(odds[at], self._horizon)
            self.batches.append(CountBatch(at, at // self._width, channel))
        for batch in self.batches:
            rows = np.flatnonzero((epoch > before)[batch.at])
            batch.channel.restart(rows, odds[batch.at[rows]], self._horizon)

    def step(self, block: int, peers: BlockPeers, needed: Ints) -> None:
        """Take one block; an included row bets among at least ``needed`` (S,) members."""
        for batch in self.batches:
            at, members = batch.at, peers.count_raw[batch.at]
            may_bet = peers.included[batch.row] & (members >= needed[batch.row])
            x, total = peers.x[at].astype(np.float64), peers.total[at].astype(np.float64)
            batch.channel.step(block, x, total, equal_share(members), may_bet)

    def anew(self, chosen: Ints) -> None:
        """Let all streams of the rows ``chosen`` (r,) be as if just opened."""
        for batch in self.batches:
            batch.channel.forget(np.flatnonzero(np.isin(batch.row, chosen)))

    def inherit(self, former: "CountRows", place: Ints) -> None:
        """Take over the streams of ``former``; ``place`` (S·M of it) is theirs here, −1 = gone."""
        for batch in former.batches:
            at, rows = place[batch.at], np.flatnonzero(place[batch.at] >= 0)
            batch.channel.keep(rows)
            if len(rows):
                self.batches.append(CountBatch(at[rows], at[rows] // self._width, batch.channel))
