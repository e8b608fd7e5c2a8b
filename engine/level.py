"""The level channel of many streams at one rung: from a contrast to log M, and what judges it.

Apart from `margin`, which holds the rules of G1: this is their order in time, one piece of code
for an agent's shards and for the aggregator's inner nodes.
Null: an offset inside the margin never crosses 100.  Power: one outside it does, from any
block, also from one shortly before a review.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints, keep_rows, refuse_infinite
from .margin import PlusRuns, level_bets, level_weights, noise, signs
from .onset import OnsetMixture

REMEMBERED = 240  # contrasts kept for the long-run median and the noise: more than 200 blocks
REVIEWS = (20, 60, 200, 600, 2000)  # blocks with a contrast after which the plan looks at a stream


@dataclass(frozen=True, slots=True)
class LevelReport:
    """What the past says of each stream's contrast, all (n,): DESIGN.md section 5, G1.

    ``observed`` blocks with a contrast so far; ``median`` of the last 240 of them (positive:
    on the bad side of the peers); ``noise_ratio`` sd/(margin − |median|); ``lag_one``
    autocorrelation; ``runs`` blocks behind so many plusses and ``plusses`` those that were +
    again, (n, 5) by run length 0 to 4, since the margin is what it is. The streak of plusses that
    is under way counts in the median only.
    """

    observed: Ints
    median: Floats
    noise_ratio: Floats
    lag_one: Floats
    runs: Ints
    plusses: Ints


class LevelChannel:
    """Evidence that a stream is out of family: its contrast exceeds the margin (G1)."""

    def __init__(self, margin: Floats, horizon: int) -> None:
        """Start ``n`` streams with ``margin`` > 0 (n,) in contrast units, ``horizon`` in blocks."""
        n = len(margin)
        self.margin = margin.astype(np.float64)
        self.observed = np.zeros(n, dtype=np.int64)
        self.due: Bools = np.zeros(n, dtype=np.bool_)  # a review is due after this very block
        self._past = np.full((n, REMEMBERED), np.nan)
        self._runs = PlusRuns.start(n)
        self.mixture = OnsetMixture.start(
            level_weights(np.ones(n)), np.full(n, horizon, dtype=np.int64)
        )

    def step(self, block: int, contrast: Floats, may_bet: Bools) -> None:
        """Take one block's ``contrast`` (n,), positive on the bad side; NaN makes no bet."""
        refuse_infinite("contrast", contrast)
        rows = np.flatnonzero(np.isfinite(contrast))
        self._past[rows, self.observed[rows] % REMEMBERED] = contrast[rows]
        self.observed[rows] += 1
        self.due = np.isfinite(contrast) & np.isin(self.observed, REVIEWS)
        sign = signs(np.where(may_bet, contrast, np.nan), self.margin)
        self._runs.update(sign)
        self.mixture.step(level_bets(sign), block)

    def restart(self, rows: Ints, margin: Floats, largest_lambda: Floats, horizon: int) -> None:
        """Begin a new epoch of ``rows``: M = 1, a new margin and grid.

        Contrasts are kept; the signs of rows with another margin are not, for it made them.
        """
        self._runs.restart(rows[self.margin[rows] != margin])
        self.margin[rows] = margin
        self.mixture.weights[rows] = level_weights(largest_lambda)
        self.mixture.restart(rows, np.full(len(rows), horizon, dtype=np.int64))

    def forget(self, rows: Ints) -> None:
        """Let ``rows`` be as if just opened, but without a margin: they bet from a restart on."""
        if len(rows) == 0:
            return
        self.restart(rows, np.full(len(rows), np.nan), np.ones(len(rows)), 1)
        self.observed[rows], self.due[rows] = 0, False
        self._past[rows] = np.nan

    def log_m(self) -> Floats:
        """Return ln M (n,): 0 where nothing was bet yet."""
        return self.mixture.log_m()

    def report(self) -> LevelReport:
        """Return what the last 240 contrasts and all signs say of each stream."""
        order = self._in_time()
        under_way = np.arange(REMEMBERED) >= REMEMBERED - self._runs.streak[:, None]
        ratio, lag_one = noise(np.where(under_way, np.nan, order), self.margin)
        runs, plusses = self._runs.ended()
        return LevelReport(
            observed=self.observed.copy(),
            median=_median(order),
            noise_ratio=ratio,
            lag_one=lag_one,
            runs=runs,
            plusses=plusses,
        )

    def keep(self, rows: Ints) -> None:
        """Let go of all streams but ``rows``, which go on as they are, in their order."""
        keep_rows(self, rows, len(self.observed))

    def _in_time(self) -> Floats:
        """Return the remembered contrasts, oldest first, NaN where there is none yet."""
        at = (self.observed[:, None] + np.arange(REMEMBERED)) % REMEMBERED
        return np.take_along_axis(self._past, at, axis=1)


def in_table(shape: tuple[int, int], reports: Sequence[tuple[Ints, LevelReport]]) -> LevelReport:
    """Return one report of arrays (S, M, …) of those at flat places (n,); −1 and NaN elsewhere."""
    filled: dict[str, npt.NDArray[np.generic]] = {}
    for part in fields(LevelReport):
        first = getattr(reports[0][1], part.name)
        empty = -1 if first.dtype.kind == "i" else np.nan
        whole = np.full((shape[0] * shape[1], *first.shape[1:]), empty, first.dtype)
        for at, report in reports:
            whole[at] = getattr(report, part.name)
        filled[part.name] = whole.reshape(*shape, *first.shape[1:])
    return LevelReport(**filled)  # type: ignore[arg-type] # the fields' own dtypes, kept


def _median(past: Floats) -> Floats:
    """Return the median of each row, NaN for an empty one (without numpy's warning)."""
    some = np.count_nonzero(~np.isnan(past), axis=1) > 0
    return np.where(some, np.nanmedian(np.where(some[:, None], past, 0.0), axis=1), np.nan)
