"""The places of the wall clock on which ticks are taken: each whole second, or what is asked for.

Apart, because the daemon, which waits without blocking, and the recorder, which may block, must
take their ticks at the same places.
"""

import asyncio
from contextlib import suppress
from math import floor
from typing import Final

from ..settings.clock import Clock

ON_GRID: Final = 1e-6  # of a tick: times this little before a place belong to it
SHORTEST_WAIT: Final = 0.001  # seconds


class Grid:
    """Ticks each ``interval`` seconds of Unix time, numbered from 1970."""

    def __init__(self, interval: float) -> None:
        """Take the seconds between two ticks."""
        self.interval = interval

    def number(self, now: float) -> int:
        """Return the number of the tick whose time has come last at ``now``."""
        return floor(now / self.interval + ON_GRID)

    def wait(self, now: float) -> float:
        """Return the seconds from ``now`` to the next tick, never more than one interval.

        So that a clock that is set back while somebody sleeps is noticed soon.
        """
        until = (self.number(now) + 1) * self.interval - now
        return min(max(until, SHORTEST_WAIT), self.interval)

    async def next_tick(self, clock: Clock, ending: asyncio.Event) -> bool:
        """Wait for the next tick of ``clock``; return False as soon as ``ending`` is set."""
        here = self.number(clock.now())
        while not ending.is_set():
            now = clock.now()
            if self.number(now) != here:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), self.wait(now))
        return False
