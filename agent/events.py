"""Events of this host that the aggregator has not yet said it has stored.

Apart from facts, which stand until they end: an event is a moment, and each one is news.
"""

from collections.abc import Collection, Iterator
from typing import Final

from ..adapters.base import Event
from ..proto.schema import ingest

MOST: Final = 1000  # waiting; beyond, the oldest is dropped and counted


class Events:
    """Messages by their ids, kept until they are acknowledged."""

    def __init__(self, first: int = 1) -> None:
        """Give ids from ``first`` on; no id of an earlier start may come again."""
        self.dropped = 0
        self.waiting: dict[int, ingest.Event] = {}
        self._next = max(first, 1)

    def __iter__(self) -> Iterator[ingest.Event]:
        """Yield what was not acknowledged, oldest first."""
        return iter(tuple(self.waiting.values()))

    def say(self, event: Event) -> ingest.Event:
        """Return the message of ``event``, and keep it."""
        told = ingest.Event(
            id=self._next,
            kind=event.kind,
            detail=event.detail,
            at_ns=max(0, round(event.at * 1e9)),
            scope=event.scope,
        )
        self._next += 1
        self.waiting[told.id] = told
        if len(self.waiting) > MOST:
            del self.waiting[next(iter(self.waiting))]
            self.dropped += 1
        return told

    def stored(self, ids: Collection[int]) -> None:
        """Forget the events that the aggregator has stored."""
        for number in ids:
            self.waiting.pop(number, None)
