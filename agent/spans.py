"""Whole numbers as runs of neighbours: which blocks are where, however many they are.

Apart from who counts blocks, because days of blocks must fit in memory as a handful of runs.
"""

from bisect import bisect_left
from collections.abc import Iterator


class Spans:
    """A set of whole numbers, iterated as runs (first, last) that grow."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        """Hold nothing."""
        self._runs: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the runs (first, last), both inside, in order."""
        return iter(tuple(self._runs))

    def __len__(self) -> int:
        """Return how many numbers are held."""
        return sum(last - first + 1 for first, last in self._runs)

    def __bool__(self) -> bool:
        """Say whether any number is held."""
        return bool(self._runs)

    def __contains__(self, number: object) -> bool:
        """Say whether ``number`` is held."""
        if not isinstance(number, int):
            return False
        at = self._from(number)
        return at < len(self._runs) and self._runs[at][0] <= number

    def add(self, first: int, last: int | None = None) -> None:
        """Hold ``first``, or all up to ``last``, too."""
        last = first if last is None else last
        start = end = self._from(first - 1)
        while end < len(self._runs) and self._runs[end][0] <= last + 1:
            first, last = min(first, self._runs[end][0]), max(last, self._runs[end][1])
            end += 1
        self._runs[start:end] = [(first, last)]

    def discard(self, first: int, last: int | None = None) -> None:
        """Let ``first``, or all up to ``last``, go, whether held or not."""
        last = first if last is None else last
        start = end = self._from(first)
        rest = []
        while end < len(self._runs) and self._runs[end][0] <= last:
            low, high = self._runs[end]
            rest += [(low, first - 1)] * (low < first) + [(last + 1, high)] * (last < high)
            end += 1
        self._runs[start:end] = rest

    def _from(self, number: int) -> int:
        """Return the place of the first run that does not end before ``number``."""
        return bisect_left(self._runs, number, key=lambda run: run[1])
