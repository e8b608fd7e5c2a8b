"""What goes into the streams of one block and what comes out, as plain arrays.

Apart from the streams, because the wire carries these and nothing else of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Bools, Floats, Ints
from .level import LevelReport
from .watch import Watched

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Summary:
    """Peers of every stream: members with a value and three central order statistics.

    ``count_*`` (S, M) and ``s3_*`` (S, M, 3) of raw and of offset-demeaned values, as each row's
    group has them; ``included`` (S,): the row itself stands in them. ``total`` (S, M) is the sum
    of what the group counted, NaN where nothing is counted; None = nowhere.
    """

    count_raw: Ints
    s3_raw: Float32s
    count_demeaned: Ints
    s3_demeaned: Float32s
    included: Bools
    total: Float32s | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a block made of the streams of S rows: absolute evidence, and news for the plan.

    ``change`` and ``level`` (S, M) ln M, NaN where no stream is; ``change_epoch`` and
    ``level_epoch`` (S, M) the epochs that they belong to, −1 = none; ``change_onset`` and
    ``level_onset`` (S, M) block of the likely onset, −1 below one nat; ``learned`` (S, M) blocks
    of 200, −1 where no stream is. NaN or None where there is no news: ``lags`` (S, M, 3) of streams
    that wait for φ; ``baseline`` (S, M, 100) scores of streams that settled; ``windows`` m to
    (S, M) completed sums of scores; ``long_run`` V_i(25) (S, M) over ``long_run_scores`` (S, M);
    ``review`` a level report with arrays (S, M, …); ``held`` what is known of rows that have an
    open verdict and are watched at this rung.
    """

    block: int
    change: Floats
    level: Floats
    change_epoch: Ints
    level_epoch: Ints
    change_onset: Ints
    level_onset: Ints
    learned: Ints
    lags: Floats | None
    baseline: Floats | None
    windows: Mapping[int, Floats]
    long_run: Floats | None
    long_run_scores: Ints | None
    review: LevelReport | None
    held: tuple[Watched, ...] = ()
