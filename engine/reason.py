"""Why a calibration deserves no better class, as data: a code and the numbers it was found by.

Apart from judging, because screens, the audit trail and programs read reasons, and none of them
should have to take a sentence apart.
A property that holds: every code has its sentence.  What fails: a code with too few numbers.
"""

from dataclasses import dataclass
from enum import Enum


class Code(Enum):
    """What was found; the value is the sentence, with a place for each number."""

    UNHEARD = "nothing heard yet"
    FEW_WINDOWS = "not enough windows yet"
    KAPPA = "kappa {0:.2f} is beyond {1:g}"
    INFLATED = "variance inflated at {windows}, kappa {0:.2f}"
    SLOW_KAPPA = "slow rung with kappa {0:.2f}"
    LAG_ONE = "lag-one correlation {0:.2f}"
    OUTLYING = "{0:.1f} % of the streams have memory of their own"
    DRIFT = "drift: inflation grows by {0:.2f} from window 10 to 100"
    CROSSINGS = "{0:.0f} of {1:.0f} streams stand at M ≥ 20 at once"
    TOGETHER = "half of a group moved out together, by {0:.1f} over {1:.0f} blocks"
    OVER_WHITE = "over-whitened at {0:.0f}: power is lost"


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding: ``code``, its ``numbers`` in the order of its sentence, and window lengths."""

    code: Code
    numbers: tuple[float, ...] = ()
    windows: tuple[int, ...] = ()

    @property
    def fault(self) -> bool:
        """Say whether it costs a class; over-whitening only costs power."""
        return self.code is not Code.OVER_WHITE

    def __str__(self) -> str:
        """Return one sentence for a person."""
        return self.code.value.format(*self.numbers, windows=list(self.windows))
