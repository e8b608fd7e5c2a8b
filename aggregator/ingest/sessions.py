"""All agents that are connected: one session for each host, the newest instance of it.

Apart from one session, because limits, superseding and sending by name concern them all.
"""

from collections.abc import Callable, Iterator

from ...proto.schema import ingest
from ...settings.clock import Clock
from .bucket import Bucket
from .session import Session

MOST_SESSIONS = 20_000
RATE, BURST = 200.0, 1000.0  # messages a second from one host, and after a pause


def _nothing() -> None:
    """Serve nobody: nobody drives this aggregator in lock-step."""


class Sessions:
    """The sessions by host; ``on_change`` may be set by who waits for all streams to be at rest."""

    def __init__(self, clock: Clock) -> None:
        """Start with nobody connected."""
        self._clock = clock
        self._by_host: dict[str, Session] = {}
        self.on_change: Callable[[], None] = _nothing

    def __len__(self) -> int:
        """Return how many hosts are connected."""
        return len(self._by_host)

    def __iter__(self) -> Iterator[Session]:
        """Yield the sessions by name of the host."""
        return iter([session for _, session in sorted(self._by_host.items())])

    @property
    def full(self) -> bool:
        """Say whether one more would be too many."""
        return len(self._by_host) >= MOST_SESSIONS

    def of(self, host: str) -> Session | None:
        """Return the session of ``host``, None while it is not connected."""
        return self._by_host.get(host)

    def open(self, host: str, instance: int) -> Session:
        """Return a new session of ``host``; an older one is told that it is superseded."""
        bucket = Bucket(RATE, BURST, self._clock.monotonic())
        session = Session(host, instance, bucket, self._changed)
        older = self._by_host.get(host)
        self._by_host[host] = session
        if older is not None:
            by = ingest.Superseded(by_instance=instance)
            # The same instance that comes again has lost its stream; it is told nothing.
            last = ingest.FromAggregator(superseded=by) if older.instance != instance else None
            older.end(last)
        return session

    def close(self, session: Session) -> bool:
        """Forget ``session``; say whether its host is gone with it, and not superseded."""
        session.end()
        if self._by_host.get(session.host) is not session:
            return False
        del self._by_host[session.host]
        self._changed()
        return True

    def _changed(self) -> None:
        self.on_change()
