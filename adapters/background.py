"""Do what may wait for a network again and again in a thread of its own, and keep the last outcome.

Apart, because ``read`` must come back at once: a source picks up here what its thread has left.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Found = TypeVar("Found")

_PATIENCE = 1.0  # seconds for the thread to end when closed; it is a daemon and harms nothing


class Unreachable(Exception):  # noqa: N818 - what a stranger's service may be at any time
    """Say why nothing came: ``code``, one lower-case word, and ``detail``, one line."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep the two."""
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        """Return one line for a person."""
        return self.detail


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Found]):
    """What the attempt ``number`` (from 1) found at ``at`` (seconds of the clock), or why not."""

    number: int
    at: float
    found: Found | None
    fault: Unreachable | None = None


class Background(Generic[Found]):
    """Call ``work`` each ``every`` seconds in a daemon thread, from :meth:`start` on.

    ``work`` raises ``Unreachable`` for what is to be expected; whatever else it raises becomes the
    code ``failed`` and ends nothing. Only the newest outcome is held.
    """

    def __init__(
        self,
        work: Callable[[], Found],
        every: float,
        *,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is done; no thread begins here."""
        self._work, self._every, self._name, self._clock = work, every, name, clock
        self._newest: Outcome[Found] | None = None
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._first = threading.Event()

    @property
    def newest(self) -> Outcome[Found] | None:
        """The last outcome; None before the first."""
        return self._newest

    def start(self) -> None:
        """Begin, unless it has begun; after :meth:`close` it begins anew."""
        if self._thread is not None:
            return
        self._ending, self._first = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._ending,), name=self._name, daemon=True
        )
        self._thread.start()

    def wait(self, patience: float) -> Outcome[Found] | None:
        """Return the first outcome, waiting for it no longer than ``patience`` seconds."""
        self._first.wait(patience)
        return self._newest

    def once(self) -> None:
        """Do the work one time, here: what the thread does, for a driver that has no patience."""
        number = 1 if self._newest is None else self._newest.number + 1
        fault = found = None
        try:
            found = self._work()
        except Unreachable as unreachable:
            fault = unreachable
        except Exception as error:  # noqa: BLE001  an error of ours must not end the thread
            fault = Unreachable("failed", f"{type(error).__name__}: {error}")
        self._newest = Outcome(number, self._clock(), found, fault)
        self._first.set()

    def close(self) -> None:
        """End the thread; one that hangs is left behind and its outcome is never looked at."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            self._thread = None

    def _run(self, ending: threading.Event) -> None:
        while not ending.is_set():
            self.once()
            ending.wait(self._every)
