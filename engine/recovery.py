"""Evidence that the fault of an open verdict is over, and that it has come back.

Apart from the channels, because the null is the opposite one: the effect is still there. Falling
evidence of a fault proves nothing.
Null: half of the effect still there turns one time in twenty at most.  Power: its end does.
"""

from dataclasses import dataclass
from math import ceil, isnan, log
from typing import Final

import numpy as np

from .margin import level_bets, level_weights
from .onset import OnsetMixture

TURNING: Final = log(20.0)  # nats at which a verdict turns
QUIET_SECONDS: Final = 1800.0  # of recovering, after which it is closed


@dataclass(slots=True)
class Recovery:
    """Two e-processes of one stream, of which one runs at a time; ``turns`` is odd when recovering.

    ``still``: P(value < ``ended``) ≤ ½ given the past, the fault is there; at M ≥ 20 it turns, and
    ``again`` begins: P(value > ``back``) ≤ ½, it stays away; at M ≥ 20 it turns again.
    Values are the effect, positive where it is bad. DESIGN.md section 4.7, statistics.md G5.
    """

    still: OnsetMixture
    again: OnsetMixture
    ended: float
    back: float
    turns: int

    @classmethod
    def start(cls, ended: float, back: float, horizon: int, seconds: float) -> "Recovery":
        """Start with the fault there: ``horizon`` blocks of an epoch, ``seconds`` a block."""
        quiet = max(1, ceil(QUIET_SECONDS / seconds))
        return cls(_mixture(max(1, horizon)), _mixture(quiet), ended, back, turns=0)

    @property
    def recovering(self) -> bool:
        """Say whether the fault seems to be over."""
        return self.turns % 2 == 1

    @property
    def log_m(self) -> float:
        """Return ln M of the process that runs now."""
        return float((self.again if self.recovering else self.still).log_m()[0])

    @property
    def lasted(self) -> int:
        """Return the blocks really bet since the last turn."""
        return int((self.again if self.recovering else self.still).age[0])

    def step(self, block: int, value: float) -> None:
        """Take the effect in one ``block``, NaN = none."""
        if isnan(value):
            return
        plus = value > self.back if self.recovering else value < self.ended
        running = self.again if self.recovering else self.still
        running.step(level_bets(np.array([1.0 if plus else -1.0])), block)
        if self.log_m >= TURNING:
            self.turns += 1
            started = self.again if self.recovering else self.still
            started.restart(np.array([0]), started.horizon[:1])


def _mixture(horizon: int) -> OnsetMixture:
    return OnsetMixture.start(level_weights(np.ones(1)), np.array([horizon], dtype=np.int64))
