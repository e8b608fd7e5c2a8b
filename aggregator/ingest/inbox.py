"""Messages that wait for the next step, each once, in an order that arrival does not decide.

Apart from the service, because a step must depend on what has come and not on who came first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

from ...proto.messages import Inventory, Up1, Up2

MOST_OF_A_HOST = 64  # messages between two steps: more is an agent that went mad

_Key = tuple[bool, int, int, str]  # is it an UP2, rung, block, host


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message, and the inventory that its rows and columns follow."""

    inventory: Inventory
    message: Up1 | Up2


class Inbox:
    """What has arrived since the last step; of one that came again the later copy stands."""

    def __init__(self, on_arrival: Callable[[], None] | None = None) -> None:
        """Start empty; ``on_arrival`` is called for each message that is kept."""
        self._on_arrival = on_arrival
        self._arrived: dict[_Key, Arrived] = {}
        self._of_host: dict[str, int] = {}
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._arrived)

    def put(self, arrived: Arrived) -> bool:
        """Keep a message for the next step; say False where its host has too many there."""
        message = arrived.message
        key = (isinstance(message, Up2), message.rung, message.block, message.host)
        if key not in self._arrived:
            count = self._of_host.get(message.host, 0)
            if count >= MOST_OF_A_HOST:
                self.dropped += 1
                return False
            self._of_host[message.host] = count + 1
        self._arrived[key] = arrived
        if self._on_arrival is not None:
            self._on_arrival()
        return True

    def drain(self) -> list[Arrived]:
        """Return all, by kind (UP1 first), rung, block and host, and keep none."""
        found = [arrived for _, arrived in sorted(self._arrived.items(), key=itemgetter(0))]
        self._arrived.clear()
        self._of_host.clear()
        return found
