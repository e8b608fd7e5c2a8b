"""Which blocks will never be history, and why: told like facts, until somebody has stored it.

Apart from the spool, because what is gone must be remembered longer than what is there.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from google.protobuf.message import DecodeError

from ..proto.schema import ingest
from .words import Words

MOST: Final = 1000  # waiting; beyond, the oldest is dropped and counted


class Gaps:
    """Gaps that wait; neighbours of one rung and reason are one, until it was sent."""

    def __init__(self, words: Words) -> None:
        """Take where they outlive the process; :meth:`load` takes up what is there."""
        self.dropped = 0
        self._words = words
        self._waiting: dict[int, ingest.Gap] = {}
        self._sent: set[int] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def load(self) -> None:
        """Take up the gaps of a former process; any of them may have been sent."""
        for number, data in self._words.said["gap"].waiting.items():
            with suppress(DecodeError):  # of a later version
                self._waiting[number] = ingest.Gap.FromString(data)
        self._sent = set(self._waiting)

    def tell(self, rung: int, first: int, last: int, reason: str) -> None:
        """Tell that blocks ``first`` … ``last`` of ``rung`` are gone.

        Rung 0: blocks of any rung, sealed between these Unix seconds.
        """
        for number, gap in reversed(self._waiting.items()):
            if number in self._sent or (gap.rung, gap.reason) != (rung, reason):
                continue
            if first <= gap.to_block + 1 and gap.from_block <= last + 1:
                gap.from_block = min(first, gap.from_block)
                gap.to_block = max(last, gap.to_block)
                self._words.say("gap", gap.SerializeToString(), number)
                return
        number = self._words.said["gap"].last + 1
        gap = ingest.Gap(id=number, rung=rung, from_block=first, to_block=last, reason=reason)
        self._waiting[number] = gap
        self._words.say("gap", gap.SerializeToString(), number)
        if len(self._waiting) > MOST:
            self.stored([next(iter(self._waiting))])
            self.dropped += 1

    def send(self, most: int) -> Iterator[ingest.Gap]:
        """Yield the oldest, at most so many; they do not grow any more."""
        for number, gap in islice(self._waiting.items(), most):
            self._sent.add(number)
            yield gap

    def stored(self, ids: Collection[int]) -> None:
        """Forget what somebody has stored."""
        for number in ids:
            self._waiting.pop(number, None)
            self._sent.discard(number)
        self._words.stored("gap", ids)
