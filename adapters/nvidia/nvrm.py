"""Understand what the NVIDIA drivers write into the kernel's log: errors of GPUs and switches.

Apart from reading the log, because this is text that anybody's fault may have garbled.
"""

import re
from dataclasses import dataclass
from typing import Final

from .sightings import ASKED, FELL_OFF, Address, Sighting, address_of
from .xid import GRADED, MOST

LONGEST: Final = 200  # characters of a message that are kept

_BUS = r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9a-fA-F])?"
_XID = re.compile(
    rf"NVRM: Xid \((?:PCI:)?(?P<bus>{_BUS})"
    r"(?: GPU-I:(?P<gpu>\d{1,3}))?(?: GPU-CI:(?P<compute>\d{1,3}))?[^)]{0,40}\): "
    r"(?P<code>\d{1,6})(?:, ?(?P<text>.*))?"
)
_SWITCH = re.compile(
    rf"nvidia-nvswitch(?P<number>\d{{1,3}}): SXid \(PCI:(?P<bus>{_BUS})\): "
    r"(?P<code>\d{1,6}), (?P<grade>Fatal|Non-?fatal)\b,? ?(?P<text>.*)",
    re.IGNORECASE,
)
_LOST_AT_START = re.compile(rf"NVRM: The NVIDIA GPU (?P<bus>{_BUS})")
_LOST = re.compile(rf"NVRM: GPU (?P<bus>{_BUS}): GPU has fallen off the bus")
_GONE = "NVRM: fallen off the bus and is not responding to commands"
_GRADE = re.compile(r"\b(non-?)?fatal\b", re.IGNORECASE)
_ACTION = re.compile(r"recovery action changed from .{1,60} to (?:0x)?(\d{1,3})\b")
_WORDS_APART = 3  # lines that may stand between the device's name and what became of it


@dataclass(frozen=True, slots=True)
class SwitchError:
    """An error of NVSwitch ``number`` at ``at``, grave or not, under its own number ``code``."""

    at: float
    number: int
    code: int
    fatal: bool
    detail: str


class Reader:
    """Turns lines into errors; one device's loss is told in three lines, so lines are in order."""

    def __init__(self) -> None:
        """Have read nothing."""
        self._named: Address | None = None
        self._since = 0

    def read(self, line: str, at: float) -> Sighting | SwitchError | None:
        """Return what ``line``, read at ``at``, tells; None for any other line."""
        if "NVRM: " not in line and "nvidia-nvswitch" not in line:
            return None
        self._since += 1
        if (found := _XID.search(line)) is not None:
            return _xid(found, at)
        if (found := _SWITCH.search(line)) is not None:
            return _switch(found, at)
        return self._lost(line, at)

    def _lost(self, line: str, at: float) -> Sighting | None:
        """Return a device's loss where it is told in words and without a number."""
        if (found := _LOST.search(line)) is not None:
            return _in_words(address_of(found["bus"]), at)
        if (found := _LOST_AT_START.search(line)) is not None:
            self._named, self._since = address_of(found["bus"]), 0
            return None
        if _GONE not in line or self._named is None or self._since > _WORDS_APART:
            return None
        address, self._named = self._named, None
        return _in_words(address, at)


def told(text: str) -> str:
    """Return ``text`` as one printable line of at most 200 characters."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST]).strip()


def _xid(found: re.Match[str], at: float) -> Sighting | None:
    code, text = int(found["code"]), found["text"] or ""
    if code > MOST:
        return None
    gpu, compute = found["gpu"], found["compute"]
    grade = _GRADE.search(text) if code in GRADED else None
    action = _ACTION.search(text) if code == ASKED else None
    return Sighting(
        at,
        code,
        "log",
        address=address_of(found["bus"]),
        slice=None if gpu is None else (int(gpu), -1 if compute is None else int(compute)),
        fatal=None if grade is None else grade[1] is None,
        action=None if action is None else int(action[1]),
        detail=told(text),
    )


def _switch(found: re.Match[str], at: float) -> SwitchError:
    fatal = found["grade"].lower() == "fatal"
    return SwitchError(at, int(found["number"]), int(found["code"]), fatal, told(found["text"]))


def _in_words(address: Address | None, at: float) -> Sighting:
    return Sighting(at, FELL_OFF, "words", address=address, detail="it does not answer")
