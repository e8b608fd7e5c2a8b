"""Turn what a block made of the streams into UP2: float32, evidence rounded down.

Apart from the streams, because only what is said of them is rounded: they go on in float64.
"""

import numpy as np
import numpy.typing as npt

from ..engine.level import LevelReport
from ..engine.outcome import Outcome
from ..engine.watch import Watched
from ..proto.held import rounded_down
from ..proto.messages import Float32s, HeldNote, Inventory, LevelNotes, Up2
from ..proto.pack import floored

Floats = npt.NDArray[np.float64]


def report(inventory: Inventory, rung: int, outcome: Outcome, plan: int) -> Up2:
    """Return the UP2 of ``outcome``, the evidence of a host at ``rung`` under plan ``plan``."""
    return Up2(
        host=inventory.host,
        rung=rung,
        block=outcome.block,
        change=floored(outcome.change, np.float32),
        level=floored(outcome.level, np.float32),
        change_epoch=outcome.change_epoch,
        level_epoch=outcome.level_epoch,
        change_onset=outcome.change_onset,
        level_onset=outcome.level_onset,
        learned=outcome.learned,
        lags=_short(outcome.lags),
        baseline=_short(outcome.baseline),
        windows={m: sums.astype(np.float32) for m, sums in outcome.windows.items()},
        long_run=_short(outcome.long_run),
        long_run_scores=outcome.long_run_scores,
        review=None if outcome.review is None else _notes(outcome.review),
        plan=plan,
        inventory=inventory.version,
        held=tuple(note(rung, watched) for watched in outcome.held),
    )


def note(rung: int, watched: Watched) -> HeldNote:
    """Return how an open verdict goes on, its blocks of ``rung`` as seconds."""
    return HeldNote(
        row=watched.row,
        verdict=watched.verdict,
        turns=watched.turns,
        lasted=float(watched.lasted * rung),
        log_m=rounded_down(watched.log_m),
        low=watched.low,
        middle=watched.middle,
        high=watched.high,
    )


def _short(values: Floats | None) -> Float32s | None:
    return None if values is None else values.astype(np.float32)


def _notes(review: LevelReport) -> LevelNotes:
    return LevelNotes(
        observed=review.observed,
        median=review.median.astype(np.float32),
        noise_ratio=review.noise_ratio.astype(np.float32),
        lag_one=review.lag_one.astype(np.float32),
        runs=review.runs,
        plusses=review.plusses,
    )
