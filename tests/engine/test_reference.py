import numpy as np

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.change import OFFSET_BLOCKS, ChangeChannel
from tessera.engine.outcome import Summary
from tessera.engine.peers import central
from tessera.engine.ranks import stream_key
from tessera.engine.reference import BlockPeers, Float32s, contrast, reference

ROWS = 7
AT: Ints = np.arange(ROWS)
VALUES = np.array([5.0, 1.0, 4.0, 2.0, 9.0, 3.0, 8.0], dtype=np.float32)[:, None]
ALL: Bools = np.ones(ROWS, dtype=np.bool_)
UP: Ints = np.ones(ROWS, dtype=np.int64)


def channel(offset: float = np.nan, *, settled: bool = False) -> ChangeChannel:
    keys = np.array([stream_key(str(i)) for i in range(ROWS)], dtype=np.uint64)
    made = ChangeChannel(keys, UP, 100)
    made.offset[:] = offset
    if np.isfinite(offset):
        made.observed[:] = OFFSET_BLOCKS
    made.settled[:] = settled
    made.learning = not settled
    return made


def peers(x: Float32s = VALUES, included: Bools = ALL, offset: float = 0.0) -> BlockPeers:
    """Return what a group of seven is told of one metric; NaN offset: nothing is demeaned yet."""
    seen = np.where(included[:, None], x, np.float32(np.nan))
    raw, demeaned = central(seen), central(seen - np.float32(offset))
    one = np.zeros(ROWS, dtype=np.int64)
    told = Summary(
        count_raw=raw.count[None][one],
        s3_raw=raw.s3[None][one].astype(np.float32),
        count_demeaned=demeaned.count[None][one],
        s3_demeaned=demeaned.s3[None][one].astype(np.float32),
        included=included,
    )
    return BlockPeers.of(x, told)


def others(x: Float32s = VALUES) -> Floats:
    """Return by brute force the median of all other rows."""
    return np.array([float(np.median(np.delete(x[:, 0], i))) for i in range(ROWS)])


def moved(by: float) -> Float32s:
    x = VALUES.copy()
    x[0] += np.float32(by)
    return x


def test_a_stream_is_compared_with_all_but_itself() -> None:
    found = reference(channel(0.0, settled=True), AT, AT, peers())
    np.testing.assert_array_equal(found, others())


def test_null_its_own_value_does_not_move_what_a_row_is_compared_with() -> None:
    settled = channel(0.0, settled=True)
    for by in (-100.0, 0.5, 100.0):
        now = peers(moved(by))
        assert reference(settled, AT, AT, now)[0] == others()[0]
        assert contrast(UP, AT, AT, now)[0] == VALUES[0, 0] + by - 4.0


def test_power_its_peers_do_move_it() -> None:
    settled = channel(0.0, settled=True)
    before, after = (reference(settled, AT, AT, peers(moved(by))) for by in (0.0, -100.0))
    assert (after[1:] <= before[1:]).all()
    assert (after < before).any()


def test_a_row_that_is_not_included_is_compared_with_the_whole_group_and_has_no_contrast() -> None:
    included = AT != 4
    now = peers(included=included)
    found = reference(channel(0.0, settled=True), AT, AT, now)
    assert found[4] == np.median(np.delete(VALUES[:, 0], 4))
    assert np.flatnonzero(np.isnan(contrast(UP, AT, AT, now))).tolist() == [4]


def test_offsets_are_learned_against_one_value_for_the_whole_group() -> None:
    found = reference(channel(), AT, AT, peers(offset=np.nan))
    assert (found == np.median(VALUES)).all()


def test_who_learns_its_offset_beside_peers_that_know_theirs_takes_their_demeaned_median() -> None:
    found = reference(channel(), AT, AT, peers(offset=1.0))
    assert (found == np.median(VALUES) - 1.0).all()


def test_a_contrast_is_the_distance_to_the_worse_of_the_middle_two() -> None:
    now = peers()  # without 5: 1 2 3 4 8 9, between 3 and 4
    assert contrast(UP, AT, AT, now)[0] == 1.0
    assert contrast(-UP, AT, AT, now)[0] == -2.0
