"""Which job holds which shard, as a scheduler of this host tells it now and then.

Apart from the schedulers, because each counts devices in its own way, and because asking one may
take longer than a tick: it is done in a thread, and what was learned last is held.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from .background import Background
from .base import Reading, Shard

Unit: TypeAlias = Literal["device", "core", "host"]

EVERY: Final = 15.0  # seconds
_FIRST_WAIT = 2.0  # seconds, once: a job that is known from the start is no change
_MOST = 10_000  # devices that are held; more are not believed


class Jobs(Protocol):
    """Who knows which jobs run on this host's shards."""

    def jobs(self) -> Mapping[str, str]:
        """Return the job of each shard that has one, by its id; "" for one of several jobs."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Something that ``job`` holds: a device by its id or index, a core by its index, the host.

    ``of`` is how many cores the host has, for a core.
    """

    job: str
    device: str = ""
    unit: Unit = "device"
    of: int = 0


class JobSource:
    """A scheduler as a source that has no shards and no readings, only jobs.

    ``ask`` returns what is held now and raises ``Unreachable`` where nobody answers; then what was
    known before goes on.
    """

    def __init__(self, name: str, ask: Callable[[], Sequence[Held]], every: float = EVERY) -> None:
        """Take the scheduler; nothing is asked before ``shards``."""
        self.name = name
        self._asking = Background(ask, every, name=f"jobs of {name}")
        self._held: Sequence[Held] = ()
        self._order: tuple[str, ...] = ()

    def shards(self) -> Sequence[Shard]:
        """Begin to ask, and return none."""
        self._asking.start()
        self._asking.wait(_FIRST_WAIT)
        return ()

    def place(self, shards: Sequence[Shard]) -> None:
        """Take the shards of this host in their vendor's order."""
        self._order = tuple(shard.id for shard in shards)

    def read(self, at: float) -> Sequence[Reading]:
        """Return none."""
        del at
        return ()

    @property
    def fault(self) -> str:
        """Why the last attempt failed, in one line; "" where it did not."""
        newest = self._asking.newest
        return "" if newest is None or newest.fault is None else str(newest.fault)

    def jobs(self) -> Mapping[str, str]:
        """Return the job of each shard as last told."""
        newest = self._asking.newest
        if newest is not None and newest.found is not None:
            self._held = newest.found
        return jobs_of(self._held, self._order)

    def close(self) -> None:
        """Ask no more."""
        self._asking.close()


def jobs_of(held: Sequence[Held], order: Sequence[str]) -> dict[str, str]:
    """Return the job of each of the shards ``order`` that is held, "" for one of several jobs.

    What is held and is none of them is left out.
    """
    found: dict[str, str] = {}
    for item in held[:_MOST]:
        for shard in _meant(item, order):
            found[shard] = item.job if found.get(shard, item.job) == item.job else ""
    return found


def _meant(item: Held, order: Sequence[str]) -> Sequence[str]:
    if item.unit == "host":
        return order
    number = _number(item.device)
    if item.unit == "core":
        each = -(-item.of // len(order)) if order else 0
        number = number // each if number is not None and each else None
    elif item.device in order:
        return (item.device,)
    return order[number : number + 1] if number is not None else ()


def _number(text: str) -> int | None:
    plain = text.isascii() and text.isdecimal() and len(text) < len("99999")
    return int(text) if plain else None
