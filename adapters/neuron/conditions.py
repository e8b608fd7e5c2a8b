"""Hard conditions of devices, of which some codes have a name that only the driver knows.

Apart from what reads them, because a condition that cannot be read has neither begun nor ended.
"""

from collections.abc import Iterable, Mapping

from ..base import Fact
from ..standing import Standing


class Conditions:
    """What stands now, by shard and code."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._standing = Standing()

    def resume(self, shard: str, code: str) -> None:
        """Take up a fact that a former process told."""
        self._standing.resume(shard, code)

    def see(self, shard: str, found: Mapping[str, str], at: float, known: Iterable[str]) -> None:
        """Take what was seen of ``shard`` at ``at``: ``found`` holds a line for each condition.

        ``known`` are the codes that could be read; the others go on as they were. A code that
        ends in ``*`` means all that begin so.
        """
        for code, detail in found.items():
            self._standing.see(shard, code, at, holds=True, detail=detail)
        patterns = tuple(known)
        for code in self._standing.of(shard):
            if code not in found and any(_fits(code, pattern) for pattern in patterns):
                self._standing.see(shard, code, at, holds=False)

    def news(self) -> list[Fact]:
        """Return what began or ended since the last call."""
        return list(self._standing.news())


def _fits(code: str, pattern: str) -> bool:
    return code.startswith(pattern[:-1]) if pattern.endswith("*") else code == pattern
