from dataclasses import replace

import numpy as np

from tessera.aggregator.combine.heard import heard
from tessera.aggregator.state.fleet import build_fleet
from tessera.proto.messages import Inventory, LevelNotes, Up2

from ..fleets import POWER, STEP_TIME, flat, workers

OURS = (STEP_TIME, POWER)


def up2(columns: int) -> Up2:
    """Return evidence in which each value is the number of its column."""
    f = np.tile(np.arange(columns, dtype=np.float32), (2, 1))
    i = f.astype(np.int64)
    counts = np.repeat(i[:, :, None], 5, axis=2)
    return Up2(
        host="h",
        rung=5,
        block=3,
        change=f,
        level=f,
        change_epoch=i,
        level_epoch=i,
        change_onset=i,
        level_onset=i,
        learned=i,
        lags=np.repeat(f[:, :, None], 3, axis=2),
        windows={10: f},
        long_run=f,
        long_run_scores=i,
        review=LevelNotes(i, f, f, f, counts, counts),
    )


def test_columns_in_another_order_find_their_place() -> None:
    inventory = Inventory("h", 1, workers(flat(2)), (POWER.name, "odd_thing", STEP_TIME.name))
    found = heard(up2(3), build_fleet([inventory], flat(2), OURS).place("h"))
    for values in (found.change, found.level, found.change_epoch, found.learned, found.long_run):
        np.testing.assert_array_equal(values, [[2, 0], [2, 0]])
    np.testing.assert_array_equal(found.windows[10], [[2, 0], [2, 0]])
    assert found.lags is not None
    np.testing.assert_array_equal(found.lags[0, :, 0], [2, 0])
    assert found.review is not None
    np.testing.assert_array_equal(found.review.runs[0, :, 4], [2, 0])
    assert found.block == 3


def test_what_a_host_does_not_measure_is_no_stream() -> None:
    inventory = Inventory("h", 1, workers(flat(2)), (POWER.name,))
    found = heard(up2(1), build_fleet([inventory], flat(2), OURS).place("h"))
    assert np.isnan(found.change[:, 0]).all()
    assert (found.change_epoch[:, 0] == -1).all()
    assert (found.learned[:, 0] == -1).all()
    np.testing.assert_array_equal(found.change[:, 1], [0.0, 0.0])


def test_news_that_did_not_come_is_none() -> None:
    inventory = Inventory("h", 1, workers(flat(2)), (POWER.name,))
    bare = replace(up2(1), lags=None, windows={}, long_run=None, long_run_scores=None, review=None)
    found = heard(bare, build_fleet([inventory], flat(2), OURS).place("h"))
    assert (found.lags, found.baseline, found.long_run, found.review) == (None, None, None, None)
    assert found.windows == {}
