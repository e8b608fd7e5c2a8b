"""Read the health of links between chips, as the vendor writes it: tray1.chip3.ici0.int: 0.

Apart, because only a workload may ask the library for it; what it pushes to the agent is such text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

DOWN: Final = "ici_link_down"  # the code of the fact that a score of 10 makes
_WORST = 10
_PERSISTENT = 6  # from here on a link is degraded for good, below for a while

State = Literal["healthy", "transient", "degraded", "down"]

_LINK = re.compile(
    r"\s*(tray\d{1,4})\.(chip\d{1,4})\.(ici\d{1,4})\.(int|ext)\s*:\s*(\d{1,2})\s*", re.ASCII
)


class BadLink(ValueError):  # noqa: N818 - named for what it says
    """Refuse a text that tells no link's health; carries the ``text``."""

    def __init__(self, text: str) -> None:
        """Keep what was given."""
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.text!r:.80} is no health of a link; write it like tray1.chip3.ici0.int: 0"


@dataclass(frozen=True, slots=True)
class Link:
    """One link and its ``score``: 0 healthy, 1 to 9 degraded, 10 unusable."""

    tray: str
    chip: str
    port: str
    outside: bool  # of the tray
    score: int

    @property
    def name(self) -> str:
        """The link as the vendor writes it."""
        return f"{self.tray}.{self.chip}.{self.port}.{'ext' if self.outside else 'int'}"

    @property
    def state(self) -> State:
        """Return the band of the score: 1 to 5 pass, 6 to 9 stay."""
        if self.score >= _WORST:
            return "down"
        if self.score >= _PERSISTENT:
            return "degraded"
        return "transient" if self.score else "healthy"


def parse_link(text: str) -> Link:
    """Return the link that ``text`` speaks of; raise ``BadLink``."""
    match = _LINK.fullmatch(text)
    if match is None or int(match[5]) > _WORST:
        raise BadLink(text)
    return Link(match[1], match[2], match[3], match[4] == "ext", int(match[5]))


def worst(links: Iterable[Link]) -> int:
    """Return the highest score of the links that still work, 0 where there are none."""
    return max((link.score for link in links if link.state != "down"), default=0)
