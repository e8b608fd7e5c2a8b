"""How many messages one sender may send: so many a second, and a burst after a pause.

Apart, because a limit that is wrong by a little blinds us to a host, and time is its only input.
"""


class Bucket:
    """Tokens that come back at ``rate`` a second, never more than ``burst`` of them."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """Start full at ``now`` (monotonic seconds)."""
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def take(self, now: float) -> bool:
        """Take one token at ``now``; say whether there was one."""
        self._tokens = min(self._burst, self._tokens + self._rate * max(0.0, now - self._at))
        self._at = max(now, self._at)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
