"""What sources remark to a person, each remark once.

Apart from the runtime, because a remark stays true for days, and a log is read by its news.
"""

from collections.abc import Sequence

from ..adapters.base import CounterSource, Remarking


def remarks(sources: Sequence[CounterSource]) -> tuple[str, ...]:
    """Return what ``sources`` remark now, each line with its source's name before it."""
    said = ((source.name, source.remarks) for source in sources if isinstance(source, Remarking))
    return tuple(f"{name}: {remark}" for name, lines in said for remark in lines)


class Remarks:
    """The remarks that were not made before; one that is no longer made may come again."""

    def __init__(self, sources: Sequence[CounterSource]) -> None:
        """Listen to ``sources``."""
        self._sources = sources
        self._made: frozenset[str] = frozenset()

    def new(self) -> tuple[str, ...]:
        """Return what is remarked now and was not at the last call."""
        now = remarks(self._sources)
        new = tuple(remark for remark in now if remark not in self._made)
        self._made = frozenset(now)
        return new
