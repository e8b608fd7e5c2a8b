"""Jobs that start, stop and change their pace, taking all their shards along.

Apart, because this is what healthy fleets do all day and a detector must stay silent about.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BUSY = (300, 1500)  # ticks of a busy phase
_IDLE = (30, 200)  # ticks of a pause
_PACE = (0.7, 1.0)  # utilisation of a busy phase


class JobPhases:
    """The utilisation of some jobs over time: busy phases of differing pace, and pauses at 0."""

    def __init__(self, jobs: int, seed: np.random.SeedSequence) -> None:
        """Start ``jobs`` jobs, each with its own random numbers, all busy at first."""
        self._clocks = [_Clock(np.random.default_rng(child)) for child in seed.spawn(jobs)]

    def ticks(self, count: int) -> Floats:
        """Return the utilisation in [0, 1] of the next ``count`` ticks, (T, jobs)."""
        return np.stack([clock.ticks(count) for clock in self._clocks], axis=1)


class _Clock:
    """One job: the phases still to come, drawn as they are needed."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._busy = False
        self._phases: deque[tuple[int, float]] = deque()

    def ticks(self, count: int) -> Floats:
        found = np.empty(count)
        filled = 0
        while filled < count:
            length, pace = self._phases.popleft() if self._phases else self._next()
            taken = min(length, count - filled)
            found[filled : filled + taken] = pace
            filled += taken
            if taken < length:
                self._phases.append((length - taken, pace))
        return found

    def _next(self) -> tuple[int, float]:
        self._busy = not self._busy
        shortest, longest = _BUSY if self._busy else _IDLE
        length = int(self._random.integers(shortest, longest, endpoint=True))
        return length, float(self._random.uniform(*_PACE)) if self._busy else 0.0
