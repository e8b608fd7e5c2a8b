"""Hard events of this host that the aggregator has not yet said it has stored.

Apart from the uplink, because a fact must outlive the link that was down when it happened.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

from google.protobuf.message import DecodeError

from ..proto.schema import ingest
from .words import Words

MOST: Final = 1000  # waiting; beyond, one is dropped and counted


class Facts:
    """Facts by (shard, code): said when one is raised and when it clears, until acknowledged."""

    def __init__(self) -> None:
        """Know of nothing."""
        self.dropped = 0
        self._standing: set[tuple[str, str]] = set()
        self._waiting: dict[int, ingest.Fact] = {}
        self._last = 0
        self._words: Words | None = None

    def __iter__(self) -> Iterator[ingest.Fact]:
        """Yield what was not acknowledged, oldest first."""
        return iter(tuple(self._waiting.values()))

    def take_up(self, words: Words) -> None:
        """Go on where a former process ended, and keep in ``words`` what the next one needs."""
        self._words = words
        self._last = words.said["fact"].last
        self._standing = set(words.standing)
        for number, data in words.said["fact"].waiting.items():
            with suppress(DecodeError):  # of a later version
                self._waiting[number] = ingest.Fact.FromString(data)

    @property
    def known(self) -> tuple[tuple[str, str], ...]:
        """Return the facts that stand, (shard, code), sorted."""
        return tuple(sorted(self._standing))

    @property
    def standing(self) -> tuple[str, ...]:
        """Return the codes of the facts that stand, sorted."""
        return tuple(sorted({code for _, code in self._standing}))

    def say(
        self, code: str, at: float, *, stands: bool, shard: str = "", detail: str = ""
    ) -> ingest.Fact | None:
        """Return the message that fact ``code`` now ``stands`` or not, None where that is known.

        ``shard`` "" is the host, ``at`` Unix seconds.
        """
        if stands == ((shard, code) in self._standing):
            return None
        (self._standing.add if stands else self._standing.discard)((shard, code))
        self._last += 1
        fact = ingest.Fact(
            id=self._last,
            shard=shard,
            code=code,
            detail=detail,
            at_ns=round(at * 1e9),
            cleared=not stands,
        )
        self._waiting[fact.id] = fact
        if self._words is not None:
            self._words.stand(shard, code, stands=stands)
            self._words.say("fact", fact.SerializeToString(), fact.id)
        if len(self._waiting) > MOST:
            self.stored([self._least_missed()])
            self.dropped += 1
        return fact

    def _least_missed(self) -> int:
        """Return the oldest that a later one of the same fact contradicts, else the oldest.

        Or a fact that flaps would push out the end of another, which then stood for ever.
        """
        newest = {(fact.shard, fact.code): number for number, fact in self._waiting.items()}
        said = ((number, newest[fact.shard, fact.code]) for number, fact in self._waiting.items())
        found = next((number for number, last in said if number != last), None)
        return next(iter(self._waiting)) if found is None else found

    def stored(self, ids: Collection[int]) -> None:
        """Forget the facts that the aggregator has stored."""
        for number in ids:
            self._waiting.pop(number, None)
        if self._words is not None:
            self._words.stored("fact", ids)
