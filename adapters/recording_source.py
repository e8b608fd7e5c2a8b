"""Play a recording back, tick by tick, as if it were hardware.

Apart, because an agent must not know whether its counters are live.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .base import Absent, Reading, Shard, shards_of
from .recording import ERROR, UNSUPPORTED, VALUE, Recording

_SLACK = 1e-9  # seconds by which a caller's sum of intervals may miss the recorded time


class RecordingSource:
    """Serve the readings of some shards of a recording (all of them by default)."""

    def __init__(self, recording: Recording, shards: Sequence[str] | None = None) -> None:
        """Choose the shards to serve; raise ``ValueError`` if the recording lacks one."""
        chosen = recording.shards if shards is None else tuple(shards)
        rows = {name: row for row, name in enumerate(recording.shards)}
        missing = [name for name in chosen if name not in rows]
        if missing:
            message = f"the recording has no shard {missing[0]!r}"
            raise ValueError(message)
        self.name = "recording"
        self._recording = recording
        self._rows = [(name, rows[name]) for name in chosen]
        self._interval = recording.interval

    def shards(self) -> tuple[Shard, ...]:
        """Return the shards served, in the order they were chosen."""
        known = {shard.id: shard for shard in shards_of(self._recording.topology)}
        return tuple(known[name] for name, _ in self._rows)

    def read(self, at: float) -> Iterator[Reading]:
        """Yield the readings of the last tick in (``at`` − interval, ``at``]; none in a gap."""
        times = self._recording.times
        tick = int(np.searchsorted(times, at + _SLACK, side="right")) - 1
        if tick >= 0 and times[tick] > at - self._interval + _SLACK:
            for name, row in self._rows:
                yield from self._readings(tick, name, row)

    def _readings(self, tick: int, name: str, row: int) -> Iterator[Reading]:
        values, codes = self._recording.values[tick, row], self._recording.codes[tick, row]
        for column, metric in enumerate(self._recording.metrics):
            if codes[column] == VALUE:
                yield Reading(name, metric, float(values[column]))
            elif codes[column] == UNSUPPORTED:
                yield Reading(name, metric, Absent("unsupported"))
            elif codes[column] == ERROR:
                why = self._recording.errors.get((tick, row, column), "")
                yield Reading(name, metric, Absent("error", why))
