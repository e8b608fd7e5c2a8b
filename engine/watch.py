"""The rows of open verdicts: who is held, for what, and how their effect goes on.

Apart from the streams, which hold and are watched: here is the life of one verdict at one rung.
Null: an effect that stays is watched for ever.  Power: one that ends turns, whatever M does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, isfinite, isnan, log
from typing import Final, Literal

import numpy as np

from .arrays import Floats, Ints
from .bands import Band
from .change import ChangeChannel
from .level import LevelChannel
from .recovery import Recovery

PLAIN: Final = 2  # blocks of a stream without φ: two means over three times still share a fifth
INDEPENDENT: Final = 3.0  # correlation times between two blocks that are taken for independent
Channel = Literal["change", "level", ""]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a row is held: the number of its ``verdict``, and what of it is watched at this rung.

    ``rung`` seconds a block; ``since`` the block of the likely onset, 0 = not known; ``opened``
    that of the opening;
    ``channel`` "" where this rung does not lead, else the stream in ``column``.
    """

    verdict: int
    rung: int
    since: int
    opened: int
    channel: Channel = ""
    column: int = -1


@dataclass(frozen=True, slots=True)
class Lead:
    """What leads a verdict: a stream of ``channel`` in ``column`` at ``rung`` (seconds).

    ``opened`` is the block of that rung in which the verdict opened.
    """

    channel: Channel
    column: int
    rung: int
    opened: int


def hold_at(rung: int, verdict: int, since: float, lead: Lead) -> Hold:
    """Return the hold of a verdict at ``rung``; ``since`` its onset in seconds, NaN = not known."""
    block = 0 if isnan(since) else max(0, floor(since / rung))
    if rung == lead.rung and lead.column >= 0:
        return Hold(verdict, rung, block, lead.opened, lead.channel, lead.column)
    return Hold(verdict, rung, block, lead.opened * lead.rung // rung)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of an open verdict's ``row`` after a block.

    ``turns`` is odd while it recovers; ``lasted`` blocks of evidence since the last turn and
    ``log_m`` of what runs since; ``low``, ``middle`` and ``high`` of the effect while it is open,
    in the metric's unit after its transform, NaN and infinite where not known.
    """

    row: int
    verdict: int
    turns: int
    lasted: int
    log_m: float
    low: float
    middle: float
    high: float


@dataclass(slots=True)
class Watch:
    """One stream of an open verdict: ``side`` +1 where its effect is a value too high.

    ``at`` its flat place, ``spacing`` blocks from one that counts to the next.
    """

    hold: Hold
    at: int
    side: float
    spacing: int
    recovery: Recovery
    band: Band

    def step(self, block: int, apart: float) -> None:
        """Take the signed distance of ``block``; none at or before the opening, which selected."""
        if block <= self.hold.opened or block % self.spacing:
            return
        if not self.recovery.recovering:
            self.band.update(apart)
        self.recovery.step(block, self.side * apart)

    def told(self, row: int) -> Watched:
        """Return what is known now."""
        band, recovery = self.band.interval(), self.recovery
        return Watched(
            row=row,
            verdict=self.hold.verdict,
            turns=recovery.turns,
            lasted=recovery.lasted * self.spacing,
            log_m=recovery.log_m,
            low=band.low,
            middle=band.middle,
            high=band.high,
        )


class Watching:
    """The holds and watches of the rows of one rung, by row."""

    def __init__(self) -> None:
        """Hold nobody."""
        self.holds: dict[int, Hold] = {}
        self.watches: dict[int, Watch] = {}

    def let_go(self, kept: Mapping[int, Hold]) -> Ints:
        """Forget holds of verdicts that ``kept`` does not name; return their rows."""
        gone = [r for r, h in self.holds.items() if r not in kept or kept[r].verdict != h.verdict]
        for row in gone:
            del self.holds[row]
            self.watches.pop(row, None)
        return np.array(gone, dtype=np.int64)

    def take(self, holds: Mapping[int, Hold]) -> dict[int, Hold]:
        """Note ``holds``; return those that are new."""
        new = {row: hold for row, hold in holds.items() if row not in self.holds}
        self.holds.update(new)
        return new

    def drop(self, rows: Iterable[int]) -> None:
        """Watch ``rows`` no more, whose peers or past are others; they stay held."""
        for row in rows:
            self.watches.pop(row, None)

    def see(self, channel: Channel, block: int, at: Ints, apart: Floats) -> None:
        """Take the distances (n,) of the streams in the flat places ``at`` (n,)."""
        for watch in self.watches.values():
            if watch.hold.channel == channel:
                for there in np.flatnonzero(at == watch.at).tolist():
                    watch.step(block, float(apart[there]))

    def watched(self) -> tuple[Watched, ...]:
        """Return what is known of every watched row, by row."""
        return tuple(self.watches[row].told(row) for row in sorted(self.watches))

    def inherit(self, former: "Watching", shape: Sequence[int], place: Ints, columns: int) -> None:
        """Take over the rows that are still there: ``shape`` (S, M) before, ``columns`` now."""
        there = np.where(place >= 0, place // columns, -1)
        rows = [int(there[at : at + shape[1]].max()) for at in range(0, len(there), shape[1])]
        for row, hold in former.holds.items():
            if (now := rows[row]) < 0:
                continue
            self.holds[now] = hold
            watch = former.watches.get(row)
            if watch is not None and place[watch.at] >= 0:
                watch.at = int(place[watch.at])
                watch.hold = self.holds[now] = replace(hold, column=watch.at % columns)
                self.watches[now] = watch


def of_change(hold: Hold, at: int, channel: ChangeChannel, row: int) -> Watch | None:
    """Return the watch of a ``channel``'s ``row``; None where it has no baseline or no effect.

    The fault is over below half of the effect that it has at the opening, and back above it. What
    is left of it is asked of blocks three correlation times apart, which φ tells.
    """
    effect, phi = channel.effect(row, hold.since), float(channel.phi[row])
    if not channel.settled[row] or not isfinite(effect) or effect == 0.0:
        return None
    spacing = max(1, ceil(-INDEPENDENT / log(phi))) if phi > 0.0 else PLAIN
    half, horizon = abs(effect) / 2.0, int(channel.mixture.horizon[row])
    recovery = Recovery.start(half, half, horizon // spacing, hold.rung * spacing)
    return Watch(hold, at, float(np.sign(effect)), spacing, recovery, Band())


def of_level(hold: Hold, at: int, direction: int, channel: LevelChannel, row: int) -> Watch | None:
    """Return the watch of a ``channel``'s ``row``; None where it has no margin.

    The fault is over below half of the margin and back above all of it (statistics.md G5).
    """
    margin, horizon = float(channel.margin[row]), int(channel.mixture.horizon[row])
    if not isfinite(margin):
        return None
    recovery = Recovery.start(margin / 2.0, margin, horizon, hold.rung)
    return Watch(hold, at, float(direction), 1, recovery, Band())
