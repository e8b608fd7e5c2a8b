"""Events of this host that the aggregator has not yet said it has stored.

Apart from facts, which stand until they end: an event is a moment, and each one is news.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from google.protobuf.message import DecodeError

from ..adapters.base import Event
from ..proto.schema import ingest
from .words import Words

MOST: Final = 1000  # waiting; beyond, the oldest is dropped and counted


class Events:
    """Messages by their ids, kept until they are acknowledged."""

    def __init__(self) -> None:
        """Know of none."""
        self.dropped = 0
        self._waiting: dict[int, ingest.Event] = {}
        self._last = 0
        self._words: Words | None = None

    def __iter__(self) -> Iterator[ingest.Event]:
        """Yield what was not acknowledged, oldest first."""
        return iter(tuple(self._waiting.values()))

    def take_up(self, words: Words) -> None:
        """Go on where a former process ended, and keep in ``words`` what the next one needs."""
        self._words = words
        self._last = words.said["event"].last
        for number, data in words.said["event"].waiting.items():
            with suppress(DecodeError):  # of a later version
                self._waiting[number] = ingest.Event.FromString(data)

    def say(self, event: Event) -> ingest.Event:
        """Return the message of ``event``, and keep it."""
        self._last += 1
        told = ingest.Event(
            id=self._last,
            kind=event.kind,
            detail=event.detail,
            at_ns=max(0, round(event.at * 1e9)),
            scope=event.scope,
        )
        self._waiting[told.id] = told
        if self._words is not None:
            self._words.say("event", told.SerializeToString(), told.id)
        if len(self._waiting) > MOST:
            self.stored([next(iter(self._waiting))])
            self.dropped += 1
        return told

    def stored(self, ids: Collection[int]) -> None:
        """Forget the events that the aggregator has stored."""
        for number in ids:
            self._waiting.pop(number, None)
        if self._words is not None:
            self._words.stored("event", ids)
