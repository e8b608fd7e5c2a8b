"""The hard facts of this host's devices: each raised once, and ended by evidence.

Apart from what raises them, because an error that comes a thousand times is one fact, and what
ends a fact is the device and never the silence of the error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from ..base import Fact
from .recovery import Look

QUIET: Final = 60.0  # seconds for which a device must have been well after it was reset
MOST: Final = 512  # facts that stand together


@dataclass(slots=True)
class _Known:
    """A fact that stands: of which device, when it was seen last, and how often."""

    device: str
    last: float
    times: int = 1


class HardFacts:
    """Facts by (shard, code).

    A fact ends when its device was reset, or its driver loaded anew, after the fact was last
    seen, and has then been well for 60 s without asking for a recovery. ``dropped`` counts facts
    beyond ``MOST``.
    """

    def __init__(self) -> None:
        """Know of nothing."""
        self.dropped = 0
        self._standing: dict[tuple[str, str], _Known] = {}
        self._told: list[Fact] = []
        self._reset_at: dict[str, float] = {}  # as the kernel's log told it, by device

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield (shard, code) of the facts that stand."""
        return iter(tuple(self._standing))

    def times(self, shard: str, code: str) -> int:
        """Return how often a fact was seen since it stands, 0 if it does not."""
        found = self._standing.get((shard, code))
        return 0 if found is None else found.times

    def see(self, shard: str, code: str, device: str, at: float, detail: str) -> None:
        """Take that ``code`` was seen on ``device`` at ``at`` (Unix seconds)."""
        key = shard, code
        found = self._standing.get(key)
        if found is not None:
            found.times += 1
            found.last = max(found.last, at)
        elif len(self._standing) < MOST:
            self._standing[key] = _Known(device, at)
            self._told.append(Fact(shard, code, at, detail=detail))
        else:
            self.dropped += 1

    def resume(self, shard: str, code: str, device: str, at: float, *, rebooted: bool) -> None:
        """Take up a fact that a former process told; a boot since then has reset its device.

        One of a device without a name ends by that: it is told anew if it is still so.
        """
        if rebooted and not device:
            self._told.append(Fact(shard, code, at, stands=False, detail="the host has rebooted"))
        elif len(self._standing) < MOST:
            self._standing.setdefault((shard, code), _Known(device, -inf))
            if rebooted:
                self._reset_at[device] = at

    def rename(self, device: str, uuid: str) -> None:
        """Take that the facts of ``device`` are of the one that is now known as ``uuid``."""
        for fact in self._standing.values():
            if fact.device == device:
                fact.device = uuid

    def forget(self, shard: str, code: str) -> None:
        """Let a fact end without a word, as when a person has closed it: it may come again."""
        self._standing.pop((shard, code), None)

    def was_reset(self, device: str, at: float) -> None:
        """Take that ``device`` no longer asks for a recovery, as the kernel's log told."""
        if any(fact.device == device for fact in self._standing.values()):
            self._reset_at[device] = at

    def end(self, at: float, looks: Mapping[str, Look]) -> None:
        """End at ``at`` the facts whose devices, by UUID, have been reset and well for long."""
        for key, fact in tuple(self._standing.items()):
            look = looks.get(fact.device)
            if look is not None and self._is_over(fact, look, at):
                shard, code = key
                del self._standing[key]
                detail = f"reset and well for {QUIET:.0f} s; seen {fact.times} times"
                self._told.append(Fact(shard, code, at, stands=False, detail=detail))

    def told(self) -> list[Fact]:
        """Return what began or ended since the last call."""
        told, self._told = self._told, []
        return told

    def _is_over(self, fact: _Known, look: Look, at: float) -> bool:
        reset = max(look.reset_at, self._reset_at.get(fact.device, -inf))
        if look.well_since is None or not fact.last < reset:
            return False
        return at - max(reset, look.well_since) >= QUIET
