"""A program that runs beside this one and is read without waiting for it.

Apart from what is read, because ending a program with all that it has started is an art of its
own.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

GRACE: Final = 2.0  # seconds from the request to end to the end
_CHUNK = 2**16  # bytes


class Failed(Exception):  # noqa: N818 - named for what it says
    """Say in one line why a program gave nothing: it ended badly, took too long, said too much."""


class Child:
    """A started program in a group of its own, its output in a pipe, its complaints nowhere.

    It ends by itself with its next output where this program is killed before.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command``; raises ``OSError`` where that cannot be."""
        self._process = subprocess.Popen(  # noqa: S603 - the operator's own setting, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def read(self, seconds: float) -> bytes | None:
        """Return what it wrote within ``seconds``, ``b""`` for nothing, None when it has ended."""
        pipe = self._process.stdout
        if pipe is None:
            return None
        ready, _, _ = select.select([pipe], [], [], seconds)
        if not ready:
            return b""
        return os.read(pipe.fileno(), _CHUNK) or None

    @property
    def code(self) -> int | None:
        """The code with which it ended, None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        """End it and all that it has started: asked first, forced after ``GRACE`` seconds."""
        self._tell(signal.SIGTERM)
        if not self._has_ended(GRACE):
            self._tell(signal.SIGKILL)
            self._has_ended(GRACE)  # not even then in a driver that hangs
        self._tell(signal.SIGKILL)  # what it has started and left behind
        if self._process.stdout is not None:
            self._process.stdout.close()

    def wait(self) -> None:
        """Wait ``GRACE`` seconds for one that writes no more to end."""
        self._has_ended(GRACE)

    def _has_ended(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _tell(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def run(command: Sequence[str], seconds: float, largest: int) -> bytes:
    """Return all that ``command`` writes; raise ``Failed``.

    It is ended after ``seconds`` and beyond ``largest`` bytes.
    """
    try:
        child = Child(command)
    except OSError as fault:
        message = f"{command[0]} cannot be started: {fault.strerror}"
        raise Failed(message) from None
    try:
        return _all_of(child, command[0], time.monotonic() + seconds, largest)
    finally:
        child.end()


def _all_of(child: Child, name: str, deadline: float, largest: int) -> bytes:
    told: list[bytes] = []
    while (data := child.read(max(0.0, deadline - time.monotonic()))) is not None:
        if not data:
            message = f"{name} took too long"
            raise Failed(message)
        told.append(data)
        largest -= len(data)
        if largest < 0:
            message = f"{name} wrote too much"
            raise Failed(message)
    child.wait()
    if child.code:
        message = f"{name} ended with {child.code}"
        raise Failed(message)
    return b"".join(told)
