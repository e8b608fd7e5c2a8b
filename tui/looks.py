"""How everything is written: the characters of a terminal, the zone of its reader, the time.

Apart, so that one value carries it to all widgets and a test can fix it.
"""

from dataclasses import dataclass
from datetime import tzinfo

from ..settings.clock import Clock
from .format import plain


@dataclass(frozen=True, slots=True)
class Looks:
    """``zone`` None is the machine's; ``ascii_only`` for terminals without other characters."""

    clock: Clock
    zone: tzinfo | None = None
    ascii_only: bool = False
    colour: bool = True

    def say(self, text: str) -> str:
        """Return ``text`` in characters that the terminal has."""
        return plain(text) if self.ascii_only else text


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture to be taken: columns and lines, seconds to wait for a view and after it.

    ``open_first``: of the worst open verdict, and not of the fleet.
    """

    size: tuple[int, int]
    patience: float
    after: float
    open_first: bool
