"""The drift detectors of river, run stream by stream.

Apart, as the only file that imports river, which a development environment need not have.
"""

# river is not installed where the code is checked; mypy is told so in pyproject.toml.
# pyright: reportMissingImports=false

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Protocol

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley

from .charts import Floats, standardised
from .field import TUNED
from .rival import Rival
from .streams import CONTRAST

WARM = 200  # healthy blocks that a detector reads before the watch; what it says of them is lost
SHIPPED = "as shipped"
SHARDS, SHARDS_SLOW = 8, 1  # of a fleet: Python reads them one by one
DELTAS = (0.3, 0.1, 0.03, 0.01, 0.002)
THRESHOLDS = (25.0, 35.0, 50.0, 70.0, 100.0, 140.0, 200.0)
SHIPPED_DELTA, SHIPPED_THRESHOLD, SHIPPED_ALPHA, CALM_ALPHA = 0.002, 50.0, 0.005, 1e-4
SEED = 20261123  # of the sampling inside KSWIN


class Detector(Protocol):
    """What river's detectors have."""

    @property
    def drift_detected(self) -> bool:
        """Say whether the last value made it alarm."""
        ...

    def update(self, x: float) -> None:
        """Take one value."""
        ...


@dataclass(frozen=True, slots=True)
class Stock:
    """A detector of river on each stream, in units of its baseline; 1 from its alarm on, else 0."""

    make: Callable[[], Detector]

    def path(self, learned: Floats, watched: Floats) -> Floats:
        """Return 0 before and 1 from the first alarm (blocks, n)."""
        warm = standardised(learned, learned[-WARM:])
        streams = np.concatenate([warm, standardised(learned, watched)])
        out = np.zeros_like(watched)
        for number, stream in enumerate(streams.T):
            out[self._alarm(stream.tolist()) :, number] = 1.0
        return out

    def _alarm(self, stream: list[float]) -> int:
        """Return the watched block of the first alarm, from 0; past the last one = never."""
        detector = self.make()
        for at, value in enumerate(stream):
            if isnan(value):
                continue
            detector.update(value)
            if detector.drift_detected and at >= WARM:
                return at - WARM
        return len(stream)


def _adwin(delta: float) -> Stock:
    return Stock(lambda: ADWIN(delta=delta))


def _page_hinkley(threshold: float) -> Stock:
    return Stock(lambda: PageHinkley(threshold=threshold))


def _kswin(alpha: float) -> Stock:
    return Stock(lambda: KSWIN(alpha=alpha, seed=SEED))


def from_river() -> list[Rival]:
    """Return river's detectors as they are shipped, and set to be calmer."""
    adwins, page_hinkleys = tuple(map(_adwin, DELTAS)), tuple(map(_page_hinkley, THRESHOLDS))
    return [
        _rival("ADWIN", (_adwin(SHIPPED_DELTA),), SHIPPED, SHARDS),
        _rival("ADWIN", adwins, TUNED, SHARDS),
        _rival("PageHinkley", (_page_hinkley(SHIPPED_THRESHOLD),), SHIPPED, SHARDS),
        _rival("PageHinkley", page_hinkleys, TUNED, SHARDS),
        _rival("KSWIN", (_kswin(SHIPPED_ALPHA),), SHIPPED, SHARDS_SLOW),
        _rival("KSWIN", (_kswin(CALM_ALPHA),), "α = 1e-4", SHARDS_SLOW),
    ]


def _rival(name: str, charts: tuple[Stock, ...], rule: str, shards: int) -> Rival:
    return Rival(f"river {name}", CONTRAST, charts, rule, 1.0, shards)
