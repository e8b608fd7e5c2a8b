"""Keep the ledger's checkpoint young: one a minute, and one at the end.

Apart from the ledger, which has no clock and no threads.
"""

import asyncio
from typing import Final

from ..settings.clock import Clock
from .ledger import Ledger

EACH: Final = 60.0  # seconds


class Keeper:
    """Writes checkpoints of a ledger that has just begun."""

    def __init__(self, ledger: Ledger, clock: Clock, *, aside: bool) -> None:
        """Take what is kept; ``aside``: write in a thread, because a disk may take long."""
        self._ledger = ledger
        self._clock = clock
        self._aside = aside
        self._written = clock.monotonic()
        self._due = self._written + EACH
        self._writing: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Return the seconds since the last checkpoint that is on the disk."""
        return self._clock.monotonic() - self._written

    async def if_due(self) -> None:
        """Begin a checkpoint if a minute is over and the last one is done."""
        now = self._clock.monotonic()
        if now < self._due or (self._writing is not None and not self._writing.done()):
            return
        self._due = now + EACH
        made = self._ledger.turn()
        if made is not None:
            self._writing = asyncio.create_task(self._write(*made))
            if not self._aside:
                await self._writing

    async def finish(self) -> None:
        """Write a last checkpoint and close the files."""
        if self._writing is not None:
            await self._writing
        self._ledger.checkpoint()
        self._ledger.close()

    async def _write(self, number: int, state: bytes) -> None:
        if self._aside:
            written = await asyncio.to_thread(self._ledger.write, number, state)
        else:
            written = self._ledger.write(number, state)
        if written:
            self._written = self._clock.monotonic()
