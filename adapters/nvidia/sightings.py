"""One error of a device seen in two places, as one: the library's events and the kernel's log.

Apart, because both tell the same errors, neither tells all of them, and a count of both together
would be twice the truth.
"""

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from .xid import GRADED

Address: TypeAlias = tuple[int, int, int]  # PCI domain, bus and device; functions are not told
Origin: TypeAlias = Literal["events", "log", "words"]  # words: the log's sentence without a code

TOGETHER: Final = 5.0  # seconds between two tellings of one error, at most
FELL_OFF: Final = 79  # the code of a device that fell off the bus
ASKED: Final = 154  # the code that tells which recovery the driver asks for

_MOST_PAIRS = 1024  # of device and code that are remembered, the latest heard
_MOST_EACH = 4096  # errors of one pair that wait for their match
_ADDRESS = re.compile(r"([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})(?:\.[0-9a-fA-F])?")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One telling of an error with the number ``code`` at ``at`` (Unix seconds).

    The device is known by its ``uuid`` or, in the kernel's log, by its ``address``. ``slice`` is
    the pair (GPU instance, compute instance) that the error is of, -1 for all of them; None = of
    the whole device. ``fatal`` is what the message of a graded code says; ``action`` the recovery
    that it says the driver asks for now (0: none). ``detail`` is the message.
    """

    at: float
    code: int
    origin: Origin
    uuid: str = ""
    address: Address | None = None
    slice: tuple[int, int] | None = None
    fatal: bool | None = None
    action: int | None = None
    detail: str = ""

    @property
    def device(self) -> str:
        """Return the device's UUID, or its address where no UUID is known."""
        return self.uuid or address_text(self.address)


def address_of(text: str) -> Address | None:
    """Return the PCI address in ``text``, such as ``00000000:44:00.0`` or ``0000:44:00``."""
    found = _ADDRESS.fullmatch(text)
    return None if found is None else (int(found[1], 16), int(found[2], 16), int(found[3], 16))


def address_text(address: Address | None) -> str:
    """Return ``address`` as the kernel writes it, with a domain of four digits; "" for None."""
    return "" if address is None else "PCI {:04x}:{:02x}:{:02x}".format(*address)


@dataclass(slots=True)
class _Told:
    """When each origin last told an error, and the times that no other has told as well."""

    last: dict[Origin, float] = field(default_factory=dict)
    alone: dict[Origin, deque[float]] = field(default_factory=dict)

    def near(self, origin: Origin, at: float) -> bool:
        """Say whether ``origin`` has told it within 5 s of ``at``."""
        return origin in self.last and abs(at - self.last[origin]) <= TOGETHER

    def matches(self, origin: Origin, at: float) -> bool:
        """Say whether ``origin`` has told one near ``at`` that is not matched yet; match it."""
        times = self.alone.get(origin, deque())
        while times:
            if abs(at - times.popleft()) <= TOGETHER:
                return True
        return False

    def add(self, origin: Origin, at: float) -> None:
        """Remember one that waits for its match."""
        self.alone.setdefault(origin, deque(maxlen=_MOST_EACH)).append(at)


class Sightings:
    """Let each error through once: two tellings of one device and code within 5 s are one.

    A graded code of the library's events, which do not say how grave it is, waits up to 5 s for
    the log's message; ``log_is_read`` False lets it through at once.
    """

    def __init__(self) -> None:
        """Remember nothing."""
        self._told: OrderedDict[tuple[str, int], _Told] = OrderedDict()
        self._waiting: list[Sighting] = []

    def take(self, seen: Sighting, *, log_is_read: bool) -> list[Sighting]:
        """Return what ``seen`` makes known: itself, the event that waited for it, or nothing."""
        if self._was_told(seen):
            return self._with_message(seen)
        waits = seen.origin == "events" and seen.code in GRADED and log_is_read
        if waits and len(self._waiting) < _MOST_EACH:
            self._waiting.append(seen)
            return []
        return [seen]

    def due(self, at: float) -> list[Sighting]:
        """Return those that have waited for a message until ``at`` in vain."""
        over = [seen for seen in self._waiting if abs(at - seen.at) > TOGETHER]
        if over:
            self._waiting = [seen for seen in self._waiting if abs(at - seen.at) <= TOGETHER]
        return over

    def _was_told(self, seen: Sighting) -> bool:
        key = seen.device, seen.code
        told = self._told.setdefault(key, _Told())
        self._told.move_to_end(key)
        if len(self._told) > _MOST_PAIRS:
            self._told.popitem(last=False)
        told.last[seen.origin] = seen.at
        if seen.origin == "words":
            if told.near("events", seen.at) or told.near("log", seen.at):
                return True
            told.add("words", seen.at)
            return False
        other: Origin = "log" if seen.origin == "events" else "events"
        if told.matches(other, seen.at):
            return True
        told.add(seen.origin, seen.at)  # the other may tell it yet
        return told.matches("words", seen.at)

    def _with_message(self, seen: Sighting) -> list[Sighting]:
        """Return the waiting event whose message ``seen`` is, with what that adds."""
        for number, waiting in enumerate(self._waiting):
            if (waiting.device, waiting.code) == (seen.device, seen.code):
                del self._waiting[number]
                return [replace(waiting, fatal=seen.fatal, detail=seen.detail)]
        return []
