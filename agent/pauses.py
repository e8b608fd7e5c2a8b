"""Let counters that need a device's profiler rest while somebody else needs it.

Apart from the sources that have such counters: who asks does not know which they are, and a pause
that nobody ends must end by itself.
"""

from collections.abc import Sequence

import structlog

from ..adapters.base import CounterSource, Profiling
from .workload import Workload


class Pauses:
    """The pauses that local programs ask for; the newest counts."""

    def __init__(self, sources: Sequence[CounterSource]) -> None:
        """Take the sources of the host."""
        self._profiling = [source for source in sources if isinstance(source, Profiling)]
        self._workloads = [source for source in sources if isinstance(source, Workload)]
        self._until: float | None = None

    def tick(self, now: float) -> None:
        """Begin or end a pause at ``now`` (monotonic seconds), if that is asked or its time."""
        asked = [seconds for source in self._workloads for seconds in source.take_pauses()]
        if asked:
            self._until = now + asked[-1]
            self._pause(paused=asked[-1] > 0)
        if self._until is not None and now >= self._until:
            self._until = None
            self._pause(paused=False)

    def _pause(self, *, paused: bool) -> None:
        word = "profiling counters pause" if paused else "profiling counters are read again"
        structlog.get_logger("agent").info(word)
        for source in self._profiling:
            source.pause(paused=paused)
