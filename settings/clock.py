"""Clocks: what time it is, as a thing that programs are given.

Apart, because replay, lock-step runs and tests put their own time where a live program has the
machine's.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What tells a program the time. The two scales differ: only the first can be set by others."""

    def now(self) -> float:
        """Return wall-clock time in Unix seconds; it may step either way."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start; it never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the machine's Unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved: for lock-step runs and tests."""

    def __init__(self, now: float = 0.0) -> None:
        """Stand at ``now`` Unix seconds, with the monotonic scale at zero."""
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        """Return the Unix seconds it was moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which it was advanced."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both scales; raise ``ValueError`` unless they are ≥ 0."""
        if not seconds >= 0:
            message = f"time cannot pass by {seconds} s: use step for a clock that was set"
            raise ValueError(message)
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back by ``seconds``, as a time service does."""
        self._now += seconds
