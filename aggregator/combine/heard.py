"""Lay a host's evidence on the fleet's columns: UP2 as the outcome that the engine would give.

Apart from the wire, because hosts may have other metrics, in another order, than the fleet.
"""

import numpy as np
import numpy.typing as npt

from ...engine.level import LevelReport
from ...engine.outcome import Outcome
from ...engine.watch import Watched
from ...proto.messages import HeldNote, LevelNotes, Up2
from ..state.fleet import Place

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Wire = npt.NDArray[np.float32] | npt.NDArray[np.int64]


def heard(up2: Up2, place: Place) -> Outcome:
    """Return ``up2`` with the fleet's columns: NaN and −1 in those that its host does not have."""
    return Outcome(
        block=up2.block,
        change=_floats(up2.change, place),
        level=_floats(up2.level, place),
        change_epoch=_ints(up2.change_epoch, place),
        level_epoch=_ints(up2.level_epoch, place),
        change_onset=_ints(up2.change_onset, place),
        level_onset=_ints(up2.level_onset, place),
        learned=_ints(up2.learned, place),
        lags=None if up2.lags is None else _floats(up2.lags, place),
        baseline=None if up2.baseline is None else _floats(up2.baseline, place),
        windows={m: _floats(sums, place) for m, sums in up2.windows.items()},
        long_run=None if up2.long_run is None else _floats(up2.long_run, place),
        long_run_scores=(
            None if up2.long_run_scores is None else _ints(up2.long_run_scores, place)
        ),
        review=None if up2.review is None else _review(up2.review, place),
        held=tuple(_watched(note, up2.rung) for note in up2.held),
    )


def _watched(note: HeldNote, rung: int) -> Watched:
    return Watched(
        row=note.row,
        verdict=note.verdict,
        turns=note.turns,
        lasted=round(note.lasted / rung),
        log_m=note.log_m,
        low=note.low,
        middle=note.middle,
        high=note.high,
    )


def _review(notes: LevelNotes, place: Place) -> LevelReport:
    return LevelReport(
        observed=_ints(notes.observed, place),
        median=_floats(notes.median, place),
        noise_ratio=_floats(notes.noise_ratio, place),
        lag_one=_floats(notes.lag_one, place),
        runs=_ints(notes.runs, place),
        plusses=_ints(notes.plusses, place),
    )


def _floats(values: Wire, place: Place) -> Floats:
    out = np.full((len(values), place.columns, *values.shape[2:]), np.nan)
    out[:, place.there] = values[:, place.here]
    return out


def _ints(values: Wire, place: Place) -> Ints:
    out = np.full((len(values), place.columns, *values.shape[2:]), -1, dtype=np.int64)
    out[:, place.there] = values[:, place.here]
    return out
