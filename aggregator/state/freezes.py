"""The freezes of a fleet: which rows nothing may move of, in which blocks, and until when.

Apart from whoever calls for one, because what a freeze may do to evidence is decided here, and a
person, an event and a deployment must not have three rules.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Final

import numpy as np
import numpy.typing as npt

from ...engine.calibration import LADDER
from ...proto.messages import Freeze
from .fleet import Fleet
from .move import Move

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LONGEST: Final = 4 * 3600.0  # seconds: a freeze blinds, and one that nobody ends must end
OLDEST: Final = 3600.0  # seconds by which an event may be late
KEPT: Final = 2.0 * LADDER[-1]  # seconds after its end in which a block of it may still come
TOO_MUCH: Final = 0.25  # share of a node's shards beyond which nothing is said of the node


@dataclass(frozen=True, slots=True)
class Ended:
    """A freeze that is over, and the ``rows`` (r,) that begin to learn anew because of it."""

    freeze: Freeze
    rows: Ints


class Freezes:
    """All freezes that may still cover a block, by id. Times are Unix seconds."""

    def __init__(self, fleet: Fleet) -> None:
        """Start with none."""
        self._fleet = fleet
        self._held: dict[str, Freeze] = {}
        self._over: set[str] = set()  # whose rows learn anew already
        self._news: list[tuple[Freeze, str]] = []
        self._place = _places(fleet)

    def inherit(self, former: "Freezes", _move: Move) -> None:
        """Take over all freezes: they name nodes, wherever these stand now."""
        self._held, self._over = former._held, former._over  # noqa: SLF001 - of this class
        self._news = former._news  # noqa: SLF001 - of this class

    def add(self, freeze: Freeze, closed: float) -> None:
        """Take a freeze; the newest block that is closed began at ``closed`` (seconds).

        The same one again changes nothing. Raises ``ValueError`` with one line for one that is
        not to be had: a start in the past is taken of an event only, by its own time, and freezes
        nothing of what is closed.
        """
        if self._held.get(freeze.id) == freeze:
            return
        why = self._refusal(freeze, closed)
        if why:
            message = f"freeze {freeze.id!r:.80}: {why}"
            raise ValueError(message)
        self._held[freeze.id] = freeze
        self._news.append((freeze, f"frozen: {freeze.reason}"))

    def thaw(self, name: str, at: float, reason: str) -> None:
        """End a freeze at ``at``; raise ``ValueError`` for one that is over or not known."""
        held = self._held.get(name)
        if held is None or name in self._over or at >= held.until:
            message = f"freeze {name!r:.80}: there is none to end; it is over, or was never called"
            raise ValueError(message)
        self._held[name] = replace(held, until=max(at, held.start))
        self._news.append((self._held[name], f"ended early: {reason}"))

    def drain(self) -> tuple[tuple[Freeze, str], ...]:
        """Return what has been called for, changed or ended since the last call, and why."""
        news, self._news = tuple(self._news), []
        return news

    def covered(self, freeze: Freeze) -> frozenset[str]:
        """Return the shards that ``freeze`` is about."""
        rows = np.flatnonzero(self._shards([freeze]))
        return frozenset(self._fleet.rows[row] for row in rows)

    def known(self) -> tuple[Freeze, ...]:
        """Return all that may still cover a block, for a host that has come back."""
        return tuple(self._held.values())

    def in_force(self, now: float) -> tuple[Freeze, ...]:
        """Return the freezes that ``now`` lies in, by id."""
        held = (f for f in self._held.values() if f.start <= now < f.until)
        return tuple(sorted(held, key=lambda freeze: freeze.id))

    def shards(self, rung: int, block: int) -> Bools:
        """Return the shards (S,) that are frozen in a block."""
        return self._shards(f for f in self._held.values() if f.covers(rung, block))

    def until(self, now: float) -> Floats:
        """Return until when each row (R,) is frozen at ``now``, NaN = it is not."""
        out = np.full(len(self._fleet.rows), np.nan)
        for freeze in self.in_force(now):
            rows = self._rows(self._shards([freeze]))
            out[rows] = np.fmax(out[rows], freeze.until)
        return out

    def words(self, node: str, now: float) -> tuple[str, ...]:
        """Return a sentence for each freeze that ``node`` is under, of its last second first."""
        if node not in self._fleet.rows:
            return ()
        row = self._fleet.rows.index(node)
        found = [f for f in self.in_force(now) if self._rows(self._shards([f]))[row]]
        return tuple(
            f"frozen for {f.until - now:.0f} s more: {f.reason}"
            for f in sorted(found, key=lambda freeze: -freeze.until)
        )

    def ended(self, now: float) -> tuple[Ended, ...]:
        """Return the freezes that are over by ``now`` and were not told yet.

        Rows that another freeze holds go on being frozen, and learn anew when that one ends.
        """
        found: list[Ended] = []
        for freeze in [f for f in self._held.values() if f.until <= now]:
            if freeze.id not in self._over and freeze.start < freeze.until:
                still = self._rows(self._shards(self.in_force(now)))
                mine = self._rows(self._shards([freeze, *self._beside(freeze)]))
                rows = np.flatnonzero(mine & ~still & self._touched(freeze))
                found.append(Ended(freeze, rows))
                self._news.append((freeze, f"over: {freeze.reason}"))
            self._over.add(freeze.id)
        self._forget(now)
        return tuple(found)

    def _refusal(self, freeze: Freeze, closed: float) -> str:
        """Return why a freeze is not taken, "" if it is."""
        if freeze.id in self._held:
            return "that id is taken; give this one another, or end the first"
        unknown = [name for name in freeze.nodes if not len(self._beneath(name))]
        if not freeze.nodes or unknown:
            return f"no shard is beneath {', '.join(unknown) or 'nothing'}; name nodes of the fleet"
        return _bad_times(freeze) or _too_late(freeze, closed - freeze.start)

    def _beneath(self, name: str) -> Ints:
        """Return the shards that are ``name`` or beneath it; none of an unknown node."""
        return self._place.get(name, np.empty(0, dtype=np.int64))

    def _shards(self, freezes: Iterable[Freeze]) -> Bools:
        out = np.zeros(self._fleet.shard_count, dtype=np.bool_)
        for freeze in freezes:
            for name in freeze.nodes:
                out[self._beneath(name)] = True
        return out

    def _rows(self, shards: Bools) -> Bools:
        """Return ``shards`` (S,) and the nodes of which too many are among them, as rows (R,)."""
        return np.concatenate([shards, frozen_nodes(self._fleet, shards)])

    def _beside(self, freeze: Freeze) -> list[Freeze]:
        """Return the other freezes that were in force at the same time as ``freeze``."""
        others = (f for f in self._held.values() if f.id != freeze.id)
        return [f for f in others if f.start < freeze.until and freeze.start < f.until]

    def _touched(self, freeze: Freeze) -> Bools:
        """Return the rows (R,) that ``freeze`` has a part in: its shards and what is above them."""
        shards = self._shards([freeze])
        above = [bool(shards[rows].any()) for rows in self._fleet.shards_beneath]
        return np.concatenate([shards, np.array(above, dtype=np.bool_)])

    def _forget(self, now: float) -> None:
        """Let go of what can cover no block any more, and stood beside nothing that can."""
        lasts = min((f.start for f in self._held.values() if f.until > now), default=inf)
        kept = {
            name: f for name, f in self._held.items() if f.until + KEPT > now or f.until > lasts
        }
        self._over &= kept.keys()
        self._held = kept


def _bad_times(freeze: Freeze) -> str:
    if not (isfinite(freeze.start) and freeze.start < freeze.until):
        return "it ends before it begins; give a start and a later end"
    lasts = freeze.until - freeze.start
    if lasts > LONGEST:
        hours, most = lasts / 3600.0, LONGEST / 3600.0
        return f"it lasts {hours:.1f} h, and may last {most:g} h; call it again when that is over"
    return ""


def _too_late(freeze: Freeze, late: float) -> str:
    """Return why a freeze is not taken that begins ``late`` s before the newest closed block."""
    if late > 0 and not freeze.exogenous:
        return (
            f"it begins {late:.0f} s before the newest block; begin it now: what was "
            "measured already may not be left out by who has seen it"
        )
    if late > OLDEST:
        return f"the event is {late:.0f} s old, and may be {OLDEST:.0f} s late"
    return ""


def frozen_nodes(fleet: Fleet, shards: Bools) -> Bools:
    """Return the inner nodes (I,) more than a quarter of whose shards are among ``shards`` (S,)."""
    if not shards.any():
        return np.zeros(len(fleet.nodes), dtype=np.bool_)
    beneath = fleet.shards_beneath
    return np.array([shards[rows].mean() > TOO_MUCH for rows in beneath], dtype=np.bool_)


def _places(fleet: Fleet) -> Mapping[str, Ints]:
    """Return the shards beneath every node by its names, and each shard by its own."""
    found = {shard.id: np.array([row], dtype=np.int64) for row, shard in enumerate(fleet.shards)}
    for node, rows in zip(fleet.nodes, fleet.shards_beneath, strict=True):
        found.update((name, rows) for name in node.names if name not in found)
    return found
