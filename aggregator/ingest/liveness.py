"""Who has been heard of, and who has fallen silent.

Apart from the sessions, because a stream may stand while its host is dead, and a host that is
being reconnected is not silent yet.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, nan

from ...settings.clock import Clock


@dataclass(frozen=True, slots=True)
class Turn:
    """``host`` fell ``silent`` or came back, after ``seconds`` without a word (NaN = unknown)."""

    host: str
    silent: bool
    seconds: float


class Liveness:
    """When each host was last heard of, by the monotonic clock: setting a clock silences nobody."""

    def __init__(self, clock: Clock, silent_after: float) -> None:
        """Take the seconds without a word after which a host is silent."""
        self._clock = clock
        self._after = silent_after
        self._heard: dict[str, float] = {}  # monotonic seconds
        self._silent: set[str] = set()
        self._back: list[Turn] = []

    def remember(self, host: str, heard: float) -> None:
        """Take a host of the last run, heard of at ``heard`` (Unix s): silent until it comes."""
        self._heard[host] = self._clock.monotonic() - max(0.0, self._clock.now() - heard)
        self._silent.add(host)

    def hear(self, host: str) -> None:
        """Note a message of ``host``."""
        now = self._clock.monotonic()
        if host in self._silent:
            self._silent.remove(host)
            self._back.append(Turn(host, silent=False, seconds=now - self._heard.get(host, nan)))
        self._heard[host] = now

    def turns(self) -> tuple[Turn, ...]:
        """Return who came back and who fell silent since the last call, each sorted by name."""
        now = self._clock.monotonic()
        fallen = [
            Turn(host, silent=True, seconds=now - heard)
            for host, heard in self._heard.items()
            if host not in self._silent and now - heard >= self._after
        ]
        self._silent.update(turn.host for turn in fallen)
        back, self._back = self._back, []
        return tuple(sorted(back, key=_host) + sorted(fallen, key=_host))

    def silent(self, host: str) -> bool:
        """Say whether ``host`` is silent; one that was never heard of is."""
        return host in self._silent or host not in self._heard

    def alive(self, hosts: Iterable[str]) -> frozenset[str]:
        """Return those of ``hosts`` that are not silent."""
        return frozenset(host for host in hosts if not self.silent(host))

    def age(self, host: str) -> float:
        """Return the seconds since ``host`` was heard of, ∞ for never."""
        return self._clock.monotonic() - self._heard.get(host, -inf)

    def heard_at(self, host: str) -> float:
        """Return when ``host`` was last heard of, in Unix seconds."""
        return self._clock.now() - self.age(host)

    def gone(self, seconds: float) -> tuple[str, ...]:
        """Return the hosts of which nothing was heard for ``seconds``, sorted."""
        return tuple(sorted(host for host in self._heard if self.age(host) >= seconds))

    def forget(self, host: str) -> None:
        """Know nothing of ``host`` any more."""
        self._heard.pop(host, None)
        self._silent.discard(host)


def _host(turn: Turn) -> str:
    return turn.host
