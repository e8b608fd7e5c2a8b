"""One group and metric of the level channel: what the plan holds of it, and when it is reviewed.

Apart from the book of all of them, because everything here concerns one group's null: what a
verdict about it may still change, and how far its members have come.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...engine.evalue import Validity
from ...engine.level import REVIEWS
from ...engine.margin import LEVEL_LAMBDAS, Gate
from ...engine.peers import FEWEST

Ints = npt.NDArray[np.int64]

QUORUM = 0.8  # share of a group's streams that must have come as far as a review asks
IMPROVING = 3  # reviews that may raise a class or a grid; later ones only lower it, or widen


@dataclass(slots=True)
class LevelCell:
    """What the plan holds of one group and metric; ``margin`` None = the group abstains.

    ``best`` is the highest class that a review after the third may still give.
    """

    group: int
    column: int
    rung: int
    margin: float | None
    largest_lambda: float = LEVEL_LAMBDAS[-1]
    validity: Validity = Validity.NONE
    epoch: int = 0
    reviewed: int = 0
    best: Validity = Validity.CONSTRUCTION
    reason: str = "not yet reviewed"

    def due(self, observed: Ints) -> bool:
        """Say whether enough members, with ``observed`` (k,) contrasts, are there for a review."""
        if self.margin is None or self.reviewed >= len(REVIEWS):
            return False
        heard = observed[observed > 0]
        if len(heard) < FEWEST:
            return False
        if (observed >= REVIEWS[self.reviewed]).sum() >= QUORUM * np.count_nonzero(observed):
            return True
        later = REVIEWS[self.reviewed + 1 :]  # until then, hosts that have not spoken are awaited
        return bool(later and (heard >= later[0]).mean() >= QUORUM)

    def allowed(self, verdict: Gate) -> Gate:
        """Return ``verdict``, or after the third review no more of it than was held before."""
        if self.reviewed <= IMPROVING:
            return verdict
        return replace(
            verdict,
            validity=min(verdict.validity, self.best),
            largest_lambda=min(verdict.largest_lambda, self.largest_lambda),
        )

    def needs_epoch(self, verdict: Gate) -> bool:
        """Say whether ``verdict`` bets on another grid, or gives a class that had been lowered."""
        new_grid = _bets(verdict.largest_lambda) != _bets(self.largest_lambda)
        return new_grid or verdict.validity > self.validity > Validity.NONE


def _bets(largest_lambda: float) -> int:
    """Return how many bets a grid up to ``largest_lambda`` holds: what makes two grids differ."""
    return sum(value <= largest_lambda for value in LEVEL_LAMBDAS)
