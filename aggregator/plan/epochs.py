"""Number the epochs: one count for the whole fleet, so that a number is never used twice.

Apart from the books that end epochs, because a stream's epoch is the larger of its cell's and its
shard's, which only says something if both come from one count.
"""

from dataclasses import dataclass
from typing import Final

BY_THE_CLOCK: Final = "its horizon is over"


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """Epoch ``number`` began for ``scope`` (a pool, a group or a host), because of ``reason``."""

    number: int
    scope: str
    reason: str


class Epochs:
    """The last number given, and the epochs begun since somebody asked."""

    def __init__(self) -> None:
        """Start with epoch 0, in which everything begins."""
        self.last = 0
        self._begun: list[NewEpoch] = []

    def begin(self, scope: str, reason: str) -> int:
        """Return the number of a new epoch."""
        self.last += 1
        self._begun.append(NewEpoch(self.last, scope, reason))
        return self.last

    def overtake(self, number: int) -> None:
        """Give only numbers above ``number`` from now on."""
        self.last = max(self.last, number)

    def inherit(self, former: "Epochs") -> None:
        """Go on counting where ``former`` stands."""
        self.last = former.last
        self._begun = former._begun  # noqa: SLF001 - of this class

    def drain(self) -> tuple[NewEpoch, ...]:
        """Return the epochs begun since the last call."""
        begun, self._begun = tuple(self._begun), []
        return begun
