"""Conditions of shards that last: when one becomes a fact, and when that has ended.

Apart, because every vendor's facts begin and end by the same rules: they may have to hold for a
while before they stand, and they end when their source has denied them for a minute.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .base import Fact

CLEARS_AFTER: Final = 60.0  # seconds without the condition, DESIGN.md section 4.7


@dataclass(slots=True)
class _Condition:
    """Whether it is a fact, and since when (seconds) its source has said the opposite of that."""

    stands: bool = False
    since: float | None = None


class Standing:
    """The conditions of the shards of one source, by (shard, code)."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._conditions: dict[tuple[str, str], _Condition] = {}
        self._news: list[Fact] = []

    def resume(self, shard: str, code: str) -> None:
        """Take up a fact that a former process told: it stands until it is denied for a minute."""
        self._conditions.setdefault((shard, code), _Condition(stands=True))

    def see(  # noqa: PLR0913 - the facts of a fact
        self,
        shard: str,
        code: str,
        at: float,
        *,
        holds: bool | None,
        after: float = 0.0,
        detail: str = "",
    ) -> None:
        """Note that a condition ``holds`` at ``at`` (s) or not; None: its source does not say.

        It is a fact once it has held for ``after`` seconds. What is not said stops every clock.
        """
        key = (shard, code)
        condition = self._conditions.get(key)
        if condition is None:
            if not holds:
                return
            condition = self._conditions[key] = _Condition()
        if holds is None or holds == condition.stands:
            condition.since = None
        else:
            if condition.since is None or condition.since > at:
                condition.since = at
            if at - condition.since < (after if holds else CLEARS_AFTER):
                return
            condition.stands, condition.since = holds, None
            self._news.append(Fact(shard, code, at, stands=holds, detail=detail))
        if not condition.stands and condition.since is None:
            del self._conditions[key]

    def stands(self, shard: str, code: str) -> bool:
        """Say whether a condition is a fact now."""
        condition = self._conditions.get((shard, code))
        return condition is not None and condition.stands

    def of(self, shard: str) -> tuple[str, ...]:
        """Return the codes of the facts of ``shard`` that stand now."""
        return tuple(c for (s, c), known in self._conditions.items() if s == shard and known.stands)

    def news(self) -> Iterable[Fact]:
        """Return what began or ended since the last call."""
        news, self._news = self._news, []
        return news
