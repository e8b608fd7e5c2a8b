"""How every row stands: quiet, learning, abstained or alone, and its merged evidence.

Apart from verdicts, because a screen shows all rows, and one that makes no claim must not look
like one that is well.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ...engine.change import LEARNING_BLOCKS
from ...engine.evalue import Validity
from ...engine.moments import Tier
from ...engine.peers import FEWEST
from ...proto.messages import Freeze
from ..plan.parts import LEVEL, Parts
from ..plan.planner import Planner
from .evidence import EvidenceTable
from .fleet import Fleet

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

QUIET: Final = 0  # these are the numbers of State in console.proto
LEARNING: Final = 1
ABSTAINED: Final = 2
ALONE: Final = 3
FROZEN: Final = 5


@dataclass(frozen=True, slots=True)
class Standing:
    """``state`` (R,), ``learned`` (S,) blocks of 200, ``log_e`` (R,) merged ranked ln e.

    QUIET: some part counts. LEARNING: none counts yet and one will. ABSTAINED: none will.
    ALONE: fewer than three peers. FROZEN: one of the ``freezes`` in force covers it. Of the fast
    change streams of a shard ``learned`` is the one that has come furthest. ``until`` (R,): end of
    a row's freeze in seconds, NaN where there is none; None where nothing is frozen.
    """

    state: Bytes
    learned: Bytes
    log_e: Floats
    until: Floats | None = None
    freezes: tuple[Freeze, ...] = ()

    @property
    def tier(self) -> Bytes:
        """Return how far each shard's baseline may be trusted (S,), values of `Tier`."""
        return np.array([Tier.of(int(blocks)) for blocks in self.learned], dtype=np.uint8)

    def frozen(self, until: Floats, freezes: tuple[Freeze, ...]) -> "Standing":
        """Return the same with the rows frozen that have an end ``until`` (R,) of it."""
        if not freezes:
            return self
        state = np.where(np.isfinite(until), np.uint8(FROZEN), self.state).astype(np.uint8)
        return replace(self, state=state, until=until, freezes=freezes)


def standing(fleet: Fleet, planner: Planner, parts: Parts, table: EvidenceTable) -> Standing:
    """Return how all rows of ``fleet`` stand now; nothing is changed by asking."""
    counts, learns = counting(fleet, planner, parts, table)
    state = np.where(learns.any(axis=(0, 1)), np.uint8(LEARNING), np.uint8(ABSTAINED))
    state[counts.any(axis=(0, 1))] = QUIET
    state[fleet.group_sizes()[fleet.group] < FEWEST] = ALONE
    furthest = table.learned[0, : fleet.shard_count].max(axis=1, initial=0)
    learned = np.clip(furthest, 0, LEARNING_BLOCKS).astype(np.uint8)
    return Standing(state.astype(np.uint8), learned, table.values(parts)[1].log_e)


def counting(
    fleet: Fleet, planner: Planner, parts: Parts, table: EvidenceTable
) -> tuple[Bools, Bools]:
    """Return which parts (3, M, R) count by now, and which learn and may count later."""
    enough = planner.members.classes()[:, fleet.group] > Validity.NONE  # (2, R)
    may = (parts.weights > 0) & np.stack([enough[0], enough[0], enough[1]])[:, None, :]
    counts: Bools = may & (parts.validity > Validity.NONE)
    learned = table.learned.transpose(0, 2, 1) >= LEARNING_BLOCKS
    counts[:LEVEL] &= learned
    learns = may & ~counts
    fixed = np.stack([planner.change.fixed(slow=slow) for slow in (False, True)])
    given_up = fixed.transpose(0, 2, 1) & (parts.validity[:LEVEL] == Validity.NONE)
    learns[:LEVEL] &= ~given_up
    learns[LEVEL] &= ~planner.abstaining().T
    return counts, learns
