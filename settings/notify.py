"""Tell systemd that a program is ready, alive or stopping: sd_notify(3) by the standard library.

Apart from the programs, because both speak it in the same few lines, and say nothing anywhere else.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from .clock import Clock

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG, WATCHED = "WATCHDOG_USEC", "WATCHDOG_PID"
SHARE: Final = 1 / 3  # of the time that the watchdog waits, after which it hears again
SLOWEST: Final = 20.0  # seconds between two states, without a watchdog too
LONGEST: Final = 500  # characters of a state


class Notify:
    """The way to the service manager; without one, every call does nothing.

    It never raises and never waits: a program must not stop because nobody listens.
    """

    def __init__(self, environ: Mapping[str, str], process: int | None = None) -> None:
        """Take the variables of the service manager; ``process`` is ours, by default this one.

        They stay where they are: an agent that starts itself anew in its own place needs them.
        """
        self._path = environ.get(SOCKET, "")
        watched = environ.get(WATCHED, "")
        mine = not watched or watched == str(os.getpid() if process is None else process)
        self._watchdog = _seconds(environ.get(WATCHDOG, "")) if mine and self._path else 0.0
        self._last = -SLOWEST

    @property
    def every(self) -> float:
        """Return the seconds between two signs of life."""
        return min(SLOWEST, self._watchdog * SHARE) if self._watchdog else SLOWEST

    def ready(self, status: str) -> None:
        """Say that the program does its work."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def alive(self, now: float, status: str) -> None:
        """Say that the program gets on, if that is due at ``now`` (monotonic seconds)."""
        if now - self._last >= self.every:
            self._last = now
            self._send(f"WATCHDOG=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """Say that the program ends."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._path.startswith(("/", "@")):
            return
        # A name that begins with "@" is one without a file: unix(7), abstract.
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.setblocking(False)  # noqa: FBT003  socket's own signature
            way.sendto(state.encode(), address)


async def keep_told(notify: Notify, clock: Clock, status: Callable[[], str | None]) -> None:
    """Say, from the event loop that is to be watched, that it gets on; until cancelled.

    ``status`` returns how the program is in one line, None where it does not get on.
    """
    while True:
        told = status()
        if told is not None:
            notify.alive(clock.monotonic(), told)
        await asyncio.sleep(min(1.0, notify.every))


def _seconds(microseconds: str) -> float:
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdecimal() else 0.0


def _line(status: str) -> str:
    return " ".join(status.split())[:LONGEST]
