"""One fact that two tell of, as one: it stands for as long as one of them says so.

Apart from both, because the counters and the driver's events know the same things of a device,
each at its own time, and neither may end what the other still sees.
"""

from collections.abc import Iterable, Iterator

from ..base import Fact


class Jointly:
    """Facts by (shard, code), with who says that they stand."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._said: dict[tuple[str, str], set[str]] = {}

    def resume(self, teller: str, standing: Iterable[tuple[str, str]]) -> None:
        """Take up facts that a former process told and that only ``teller`` can end."""
        for key in standing:
            self._said.setdefault(key, set()).add(teller)

    def told(self, teller: str, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Yield those of a teller's new ``facts`` that are news."""
        for fact in facts:
            key = fact.shard, fact.code
            tellers = self._said.setdefault(key, set())
            stood = bool(tellers)
            (tellers.add if fact.stands else tellers.discard)(teller)
            if not tellers:
                del self._said[key]
            if stood != bool(tellers):
                yield fact
