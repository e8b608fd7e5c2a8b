"""Watch whether the null of one pool and metric still deserves its name, from sums of scores.

Apart from the plan, because it goes on while the plan stands still: what it sees can lower a
class at any block, but raise one only where an epoch begins (statistics.md G2).
"""

from collections.abc import Mapping
from math import nan

import numpy as np
import numpy.typing as npt

from ...engine.calibration import WINDOWS, Calibration, judge, kappa, lag_one

Floats = npt.NDArray[np.float64]

KEPT_WINDOWS = 400  # completed window sums remembered per stream and window length
MOST_WINDOWS = 100_000  # and per cell: more than these know a variance to half a per cent


class Monitor:
    """The remembered window sums of one cell's streams, and what they say."""

    def __init__(self, streams: int, *, slow: bool) -> None:
        """Take how many streams the cell has and whether it is the plain, slow one."""
        self._most = _most(streams)
        self._slow = slow
        self._windows: dict[int, list[Floats]] = {m: [] for m in WINDOWS}
        self._rho = nan
        self.outlying = 0.0

    def resize(self, streams: int) -> None:
        """Remember as much as so many ``streams`` are worth."""
        self._most = _most(streams)

    def begin(self, scores: Floats) -> None:
        """Start from the baseline ``scores`` (r, T) of the streams, NaN = none."""
        ordered = _compacted(scores)
        self._rho = float(np.median(_lag_one_of(ordered)))
        self.hear({m: _window_sums(ordered, m) for m in WINDOWS})

    def carry(self, sums: Mapping[int, Floats], rho: float, outlying: float) -> None:
        """Go on from the ``sums`` of another run, its lag-one ``rho`` and ``outlying`` streams."""
        self._rho, self.outlying = rho, outlying
        self.hear(sums)

    def kept(self, most: int) -> tuple[dict[int, Floats], float]:
        """Return the newest sums by length, at most so many of each, and the lag-one rho."""
        return {m: sums[-most:] for m, sums in self._sums().items()}, self._rho

    def hear(self, windows: Mapping[int, Floats]) -> None:
        """Take completed sums of scores by window length, NaN where there is none."""
        for m, sums in windows.items():
            held, known = self._windows[m], sums[np.isfinite(sums)]
            if len(known):
                held.append(known)
            while held and sum(map(len, held)) - len(held[0]) >= self._most:
                del held[0]

    def kappa(self) -> float:
        """Return κ of all that is remembered."""
        return kappa(self._sums())

    def judgement(self) -> Calibration:
        """Return the class that the streams deserve by what is remembered."""
        return judge(self._sums(), rho=self._rho, slow=self._slow, outlying=self.outlying)

    def _sums(self) -> dict[int, Floats]:
        return {m: np.concatenate(held) for m, held in self._windows.items() if held}


def _most(streams: int) -> int:
    return min(KEPT_WINDOWS * streams, MOST_WINDOWS)


def _compacted(scores: Floats) -> Floats:
    """Return each row's scores in their order with the missing ones last.

    A window is m scores, not m blocks: else one lost block would lose a hundred scores.
    """
    order = np.argsort(np.isnan(scores), axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1)


def _window_sums(scores: Floats, m: int) -> Floats:
    """Return m^−½ Σ z of consecutive windows of m (r, ⌊T/m⌋), NaN where a score is missing."""
    count = scores.shape[1] // m
    sums: Floats = scores[:, : count * m].reshape(len(scores), count, m).sum(axis=2)
    scaled: Floats = sums / np.sqrt(m)
    return scaled


def _lag_one_of(scores: Floats) -> Floats:
    product = scores[:, 1:] * scores[:, :-1]
    pairs = np.isfinite(product).sum(axis=1)
    square = np.nansum(scores**2, axis=1)
    return lag_one(pairs.astype(np.float64), np.nansum(product, axis=1), square)
