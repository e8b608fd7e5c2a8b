"""Which block lengths a metric's fast and slow change streams have.

Apart from the book, which opens cells: at which rungs is a question of the catalogue, of how
often readings come and of the noise's memory τ, and of nothing else.
"""

from dataclasses import dataclass
from typing import Self

from ...engine.calibration import LADDER, rungs, tau_seconds
from ...engine.change import LEARNING_BLOCKS

LENGTHENED, SHORTENED = 1.5, 3.0  # ratios from which, above which, another rung is worth moving to
LEARNED_WITHIN = 0.5  # of the horizon: a fast rung that cannot learn in that time is of no use


@dataclass(frozen=True, slots=True)
class Lengths:
    """``shortest`` and ``longest`` fast rung in seconds; ``fixed``: τ moves none."""

    shortest: int
    longest: int
    fixed: bool

    @classmethod
    def within(cls, shortest: int, horizon: float, *, fixed: bool) -> Self:
        """Return the lengths at which a stream can learn in half a ``horizon`` of seconds."""
        within = LEARNED_WITHIN * horizon / LEARNING_BLOCKS
        longest = max([r for r in LADDER if r <= within and r >= shortest], default=shortest)
        return cls(shortest, longest, fixed)

    def start(self, fast: int, slow: int) -> tuple[int, int]:
        """Return the catalogue's rungs, as far as readings come and learning ends in time.

        The slow one is 0 where the longest block is the only one left.
        """
        if not self.fixed:
            fast = min(fast, self.longest)
        if fast >= self.shortest and slow > fast:
            return fast, slow
        if self.shortest >= LADDER[-1]:
            return LADDER[-1], 0
        return rungs(2.0 * max(fast, self.shortest), shortest=self.shortest)

    def fits(self, rung: int) -> bool:
        """Say whether a stream at ``rung``, which no other can take the place of, is of use."""
        return self.shortest <= rung <= self.longest

    def fits_twice(self, rung: int) -> bool:
        """Say the same of one that begins to learn when those at ``rung`` have."""
        return self.shortest <= rung and 2 * rung <= self.longest

    def asked(self, phi: float, fast: int, slow: int, refresh: float) -> tuple[int, int]:
        """Return the rungs that ``phi``, found at ``fast``, asks for; those there are if near.

        ``refresh`` seconds of the metric's source: no block is shorter, it would say nothing new.
        """
        least = max(self.shortest, next((r for r in LADDER if r >= refresh), LADDER[-1]))
        if least >= LADDER[-1]:
            return fast, slow
        fast_asked, slow_asked = rungs(tau_seconds(phi, fast), shortest=least)
        fast_asked = max(min(fast_asked, self.longest), least)
        new_fast = fast_asked if _far(fast, fast_asked) else fast
        new_slow = slow_asked if _far(slow, slow_asked) else slow
        return (new_fast, new_slow) if new_slow > new_fast else (fast_asked, slow_asked)


def _far(now: int, wanted: int) -> bool:
    """Say whether to move: learning anew costs 200 blocks, and a block too long only delay."""
    return wanted >= LENGTHENED * now or now > SHORTENED * wanted
