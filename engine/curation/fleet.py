"""Stage 2b: find the windows in which many runs were out at once, an incident of the fleet.

Apart from the screen of one run, because here runs bear witness to each other: each may be within
its own bounds while together they are not.
Null: runs that are out independently fire once in a thousand corpora.  Power: every incident of a
window is found, not only the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from ..arrays import Bools, Floats, Ints
from ..onset import OnsetMixture
from .screen import RAISED

ALPHA: Final = 1e-3  # chance that a clean corpus fires
PRIOR: Final = 1.0 - RAISED  # share of clean ticks that are raised
SHRINKAGE: Final = 1.0  # windows that the prior is worth
PARTS: Final = 10  # of the corpus: an incident shorter than half of it moves no median of them
STAKES: Final = (0.25, 0.5, 0.9)  # of what may be lost in one window
QUIET: Final = 10  # windows without a witness that end an incident
TWICE: Final = 2.0  # the base rate is an estimate: only more than twice of it counts
FEWEST: Final = 2  # runs that can bear witness to each other


@dataclass(frozen=True, slots=True)
class FleetScreen:
    """What stage 2b says of W windows: ``incidents`` as (first, last), ``windows`` (W,) in one.

    ``base_rate`` of raised ticks; ``log_final`` and ``log_most`` are ln M; ``tested`` windows in
    which two runs or more were judged.
    """

    incidents: tuple[tuple[int, int], ...]
    windows: Bools
    base_rate: float
    log_final: float
    log_most: float
    tested: int

    @property
    def first_fired(self) -> int:
        """Return the first window of the first incident, −1 where there is none."""
        return self.incidents[0][0] if self.incidents else -1


def fleet_events(raised: Bools, judged: Bools) -> FleetScreen:
    """Return the incidents in ``raised`` (W, N), of the ticks ``judged`` (W, N) of N runs.

    Null: given the past, all runs but one at most are raised no more often than twice the base
    rate, p. Let Y = (raised − 1)+ / (judged − 1): leaving one out, a run in trouble of its own is
    no incident, and E[Y | past] <= p whichever run that is and however the others hang together.
    So 1 + s (Y/p − 1) is a fair bet for a stake s in (0, 1), and the onset mixture over three
    stakes crosses 1000 in one clean corpus of a thousand (Ville). The base rate is the median over
    tenths of the corpus, and the factor of two pays for its being estimated from the same ticks.
    """
    count, out = judged.sum(axis=1), (raised & judged).sum(axis=1)
    tested = count >= FEWEST
    rate = _base_rate(out, count)
    most = TWICE * max(rate, PRIOR)
    witnesses = np.where(tested, np.maximum(out - 1, 0) / np.maximum(count - 1, 1), np.nan)
    found = _Watch(witnesses, most)
    incidents = tuple(found)
    windows = np.zeros(len(out), dtype=np.bool_)
    for first, last in incidents:
        windows[first : last + 1] = True
    return FleetScreen(incidents, windows, rate, found.log_final, found.log_most, int(tested.sum()))


class _Watch:
    """One pass over the windows; iterating yields the incidents, and leaves ln M behind."""

    def __init__(self, witnesses: Floats, most: float) -> None:
        self._witnesses, self._most = witnesses, most
        self.log_final = self.log_most = 0.0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (first, last) of each incident; the process begins anew after each."""
        if len(self._witnesses) == 0:
            return
        bets = [np.log1p(s * (self._witnesses / self._most - 1.0)) for s in STAKES]
        table, mixture = np.stack(bets, axis=1), self._begun()
        first, last = -1, -1
        for w, bet in enumerate(table):
            if first < 0:
                mixture.step(bet[None, :], w)
                self.log_final = float(mixture.log_m()[0])
                self.log_most = max(self.log_most, self.log_final)
                if self.log_final >= log(1.0 / ALPHA):
                    first, last = int(mixture.onset()[0]), w
            elif self._witnesses[w] > self._most:
                last = w
            elif w >= last + QUIET:
                yield first, last
                first, mixture = -1, self._begun()
        if first >= 0:
            yield first, last

    def _begun(self) -> OnsetMixture:
        shares = np.full((1, len(STAKES)), 1.0 / len(STAKES))
        return OnsetMixture.start(shares, np.array([len(self._witnesses)], dtype=np.int64))


def _base_rate(out: Ints, count: Ints) -> float:
    """Return the usual share of raised ticks: the median over tenths, shrunk to the prior."""
    parts = [
        (float(o.sum()), float(c.sum()))
        for o, c in zip(np.array_split(out, PARTS), np.array_split(count, PARTS), strict=True)
        if c.sum() > 0
    ]
    if not parts:
        return PRIOR
    usual = float(np.median([o / c for o, c in parts]))
    windows = len(out)
    return (usual * windows + SHRINKAGE * PRIOR) / (windows + SHRINKAGE)
