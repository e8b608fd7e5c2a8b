"""How far this host's clock stands from the aggregator's, by the quickest of eight round trips.

Apart, because blocks are compared by their number, and a host whose clock is a block off would be
compared with other moments of its peers.
"""

from collections import deque
from math import nan
from typing import Final

from ..settings.clock import Clock

KEPT: Final = 8  # round trips
MOST_WAITING: Final = 64  # heartbeats whose answer may still come
STEPPED: Final = 0.05  # seconds by which the two scales part when somebody sets the clock
MOST_SHARE: Final = 0.25  # of a block, from which on its rows stand in no summary

NS: Final = 1_000_000_000


class ClockOffset:
    """What heartbeats and their answers say of the two clocks, in seconds."""

    def __init__(self, clock: Clock) -> None:
        """Know nothing yet."""
        self._clock = clock
        self._waiting: dict[int, float] = {}  # by the time told in it: monotonic second of sending
        self._known: deque[tuple[float, float]] = deque(maxlen=KEPT)  # round trip, offset
        self._scales = clock.now() - clock.monotonic()

    @property
    def offset(self) -> float:
        """Return the aggregator's clock less ours, NaN while it is not known."""
        return min(self._known)[1] if self._known else nan

    @property
    def round_trip(self) -> float:
        """Return the seconds that the quickest round trip took, NaN while there was none."""
        return min(self._known)[0] if self._known else nan

    def sent(self) -> int:
        """Return our time, in Unix nanoseconds, for a heartbeat that is sent now."""
        self._forget_if_stepped()
        told = round(self._clock.now() * NS)
        self._waiting[told] = self._clock.monotonic()
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return told

    def answered(self, heartbeat_ns: int, received_ns: int) -> None:
        """Take the answer to a heartbeat of ``heartbeat_ns``, received there at ``received_ns``."""
        sent = self._waiting.pop(heartbeat_ns, None)
        if sent is None or self._forget_if_stepped():
            return
        round_trip = self._clock.monotonic() - sent
        half_way = heartbeat_ns / NS + round_trip / 2
        self._known.append((round_trip, received_ns / NS - half_way))

    def too_far(self, rung: int) -> bool:
        """Say whether blocks of ``rung`` seconds are surely compared with others' other moments.

        The offset is known to half a round trip; so much of it is not held against this host.
        """
        sure = abs(self.offset) - self.round_trip / 2
        return sure > rung * MOST_SHARE  # NaN, not known yet, is not

    def _forget_if_stepped(self) -> bool:
        """Forget what was measured before our clock was set; say whether it was."""
        scales = self._clock.now() - self._clock.monotonic()
        stepped = abs(scales - self._scales) > STEPPED
        if stepped:
            self._known.clear()
            self._waiting.clear()
            self._scales = scales
        return stepped
