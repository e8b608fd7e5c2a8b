"""How long to wait before the next attempt: at random, up to a bound that doubles.

Apart, because thousands of agents lose their aggregator in the same instant, and must not come
back in the same instant.
"""

from random import Random
from typing import Final

LASTED: Final = 5.0  # seconds of a link, from which on the next attempt is a first one again


class Backoff:
    """Waits in [0, bound], the bound doubling from ``first`` to ``most`` seconds."""

    def __init__(self, random: Random, first: float = 0.5, most: float = 30.0) -> None:
        """Take the source of chance and the bounds, in seconds."""
        self._random = random
        self._first = first
        self._most = most
        self._attempts = 0

    def after(self, lasted: float) -> float:
        """Return the seconds to wait after a link that ``lasted`` so many, 0 = there was none."""
        if lasted >= LASTED:
            self._attempts = 0
        bound = min(self._most, self._first * 2.0 ** min(self._attempts, 32))
        self._attempts += 1
        return self._random.uniform(0.0, bound)

    def refused(self) -> float:
        """Return the seconds to wait after a refusal, which a person has to mend."""
        return self._random.uniform(self._most / 2, self._most)
