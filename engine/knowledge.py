"""What change streams have learned: enough to go on betting elsewhere, and nothing of evidence.

Apart from the channel, because it outlives the epoch in which it was learned: it is written into a
baseline, and streams of another process start from it.
Null: streams that start from it stay as quiet as those that learned it.  Power: they find a fault
while others still learn.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, put_rows, take_rows
from .memory import Memory
from .moments import Tier
from .ranks import Ranks
from .recursive import Recursive


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Of n settled streams: offset, ``origin`` and ``scale`` of the residuals, regression, ranks.

    ``phi`` and ``kappa`` (n,) are those under which it was learned. Ranks hold every residual that
    was counted, distant ones too: a reference is never trimmed by value (statistics.md B6.5).
    """

    offset: npt.NDArray[np.float32]
    origin: Floats
    scale: Floats
    phi: Floats
    kappa: Floats
    regression: Recursive
    ranks: Ranks
    memory: Memory

    @property
    def blocks(self) -> Ints:
        """Return the blocks (n,) counted in the ranks, by which a stream's tier is told."""
        return self.ranks.total

    def only(self, rows: Ints) -> "Knowledge":
        """Return the knowledge of ``rows`` (r,), in their order."""
        return Knowledge(
            offset=self.offset[rows],
            origin=self.origin[rows],
            scale=self.scale[rows],
            phi=self.phi[rows],
            kappa=self.kappa[rows],
            regression=take_rows(self.regression, rows),
            ranks=take_rows(self.ranks, rows),
            memory=take_rows(self.memory, rows),
        )

    def usable(self) -> Bools:
        """Return where a stream (n,) may start from it: at least 20 blocks behind its ranks."""
        return self.blocks >= Tier.WARM_START


def nothing(n: int) -> Knowledge:
    """Return ``n`` streams that know nothing, to be filled by :func:`put`."""
    none = np.full(n, np.nan)
    return Knowledge(
        offset=none.astype(np.float32),
        origin=none.copy(),
        scale=none.copy(),
        phi=none.copy(),
        kappa=none.copy(),
        regression=Recursive.start(n),
        ranks=Ranks.start(n),
        memory=Memory.start(n),
    )


def put(whole: Knowledge, rows: Ints, part: Knowledge) -> None:
    """Write ``part`` into ``rows`` of ``whole``."""
    for field in fields(Knowledge):
        value, new = getattr(whole, field.name), getattr(part, field.name)
        if isinstance(value, np.ndarray):
            value[rows] = new
        else:
            put_rows(value, rows, new)
