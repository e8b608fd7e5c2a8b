"""Hard conditions of devices: when each began and when it has been gone for long enough.

Apart from what reads them, because a condition that cannot be read has neither begun nor ended.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..base import Fact

CALM: Final = 60.0  # seconds without a condition before it has ended


@dataclass(slots=True)
class _Condition:
    """A condition that stands, and since when it has not been seen."""

    gone: float | None = field(default=None)


class Conditions:
    """What stands now, by shard and code."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._standing: dict[tuple[str, str], _Condition] = {}
        self._news: list[Fact] = []

    def see(self, shard: str, found: Mapping[str, str], at: float, known: Iterable[str]) -> None:
        """Take what was seen of ``shard`` at ``at``: ``found`` holds a line for each condition.

        ``known`` are the codes that could be read; the others go on as they were. A code that
        ends in ``*`` means all that begin so.
        """
        for code, detail in found.items():
            before = self._standing.get((shard, code))
            if before is None:
                self._standing[shard, code] = _Condition()
                self._news.append(Fact(shard, code, at, detail=detail))
            else:
                before.gone = None
        patterns = tuple(known)
        for (where, code), condition in list(self._standing.items()):
            if where != shard or code in found or not any(_fits(code, p) for p in patterns):
                continue
            if condition.gone is None or condition.gone > at:  # a clock set back is no calm
                condition.gone = at
            elif at - condition.gone >= CALM:
                del self._standing[where, code]
                self._news.append(Fact(where, code, at, stands=False))

    def resume(self, shard: str, code: str) -> None:
        """Take up a fact that a former process told: it stands until it is gone for a minute."""
        self._standing.setdefault((shard, code), _Condition())

    def news(self) -> list[Fact]:
        """Return what began or ended since the last call."""
        found, self._news = self._news, []
        return found


def _fits(code: str, pattern: str) -> bool:
    return code.startswith(pattern[:-1]) if pattern.endswith("*") else code == pattern
