"""A planned cell: what is played, how often, and what its numbers are held against.

Apart from the families that plan them, so that the whole grid can be counted before the first
fleet is played and none can be added for having come out well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .count import Tally, Target

Play = Callable[[int, int], Tally]  # fleets, seed


@dataclass(frozen=True, slots=True)
class Planned:
    """One cell: ``play`` so many ``fleets`` in parts of ``chunk``, each with its own seed.

    ``kind`` "null" must have a "power" of the same ``family`` and ``name``. ``targets`` by the
    words of what is counted, in the order of the page.
    """

    family: str
    name: str
    kind: Literal["null", "power"]
    play: Play
    fleets: int
    chunk: int
    targets: Mapping[str, Target]

    @property
    def parts(self) -> tuple[int, ...]:
        """Return the fleets of every part that is played."""
        whole, rest = divmod(self.fleets, self.chunk)
        return (self.chunk,) * whole + ((rest,) if rest else ())
