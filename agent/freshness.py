"""How old the newest value of each counter of each shard is.

Apart from the intake, which knows only what is judged: whoever looks for a hole in the data wants
to see every series that there ever was, also that of a device that is gone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ..adapters.base import Absent, Reading

FORGOTTEN: Final = 86_400.0  # seconds after which a series without values is none any more
MOST: Final = 20_000  # series; a host has some hundred
LOOK: Final = 60.0  # seconds between two looks for what is to be forgotten

Series = tuple[str, str]  # shard and metric


class Freshness:
    """The newest value's time by series. One thread notes, any may ask."""

    def __init__(self) -> None:
        """Know of no series."""
        self._seen: dict[Series, float] = {}  # monotonic seconds
        self._looked = 0.0

    def note(self, readings: Iterable[Reading], now: float) -> None:
        """Take what was read at ``now`` (monotonic seconds); only a number makes it new."""
        for reading in readings:
            if not isinstance(reading.value, Absent):
                self._seen[reading.shard, reading.metric] = now
        if now - self._looked >= LOOK or len(self._seen) > MOST:
            self._looked = now
            self._forget(now)

    def ages(self, now: float) -> Mapping[Series, float]:
        """Return the seconds since the newest value of each series, by shard and metric."""
        return {series: now - at for series, at in sorted(self._seen.items())}

    def _forget(self, now: float) -> None:
        gone = [series for series, at in self._seen.items() if now - at > FORGOTTEN]
        oldest = sorted(self._seen, key=self._seen.__getitem__)
        for series in {*gone, *oldest[: max(0, len(oldest) - MOST)]}:
            del self._seen[series]
