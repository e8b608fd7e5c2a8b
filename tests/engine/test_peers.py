import numpy as np
import pytest

from tessera.engine.arrays import Floats, Ints
from tessera.engine.peers import (
    Values,
    bad_side_median,
    central,
    leave_one_out_median,
    plain_median,
)

SIZES = range(3, 66)


def group(k: int, *, ties: bool, columns: int = 4) -> Floats:
    rng = np.random.default_rng(1000 + k)
    values = rng.normal(size=(k, columns))
    return np.round(values) if ties else values


def others_of(values: Values, member: int) -> Values:
    return np.sort(np.delete(values, member, axis=0), axis=0)


@pytest.mark.parametrize("ties", [False, True])
def test_the_leave_one_out_median_is_that_of_the_others_for_every_group_size(ties: bool) -> None:  # noqa: FBT001  # pytest passes parameters by keyword
    for k in SIZES:
        values = group(k, ties=ties)
        centre = central(values)
        medians = leave_one_out_median(values, centre.count, centre.s3)
        expected = [np.median(others_of(values, i), axis=0) for i in range(k)]
        np.testing.assert_array_equal(medians, expected)


@pytest.mark.parametrize("direction", [-1, 1])
def test_the_bad_side_median_is_the_worse_central_value_of_the_others(direction: int) -> None:
    for k in SIZES:
        values = group(k, ties=k % 2 == 0)
        centre = central(values)
        bad: Ints = np.full(values.shape, direction)
        medians = bad_side_median(values, centre.count, centre.s3, bad)
        place = k // 2 - 1 if direction < 0 else (k - 1) // 2  # of k - 1 others
        expected = [others_of(values, i)[place] for i in range(k)]
        np.testing.assert_array_equal(medians, expected)


def test_of_three_members_the_worse_of_the_two_others_is_taken() -> None:
    values = np.array([[1.0], [2.0], [50.0]])
    centre = central(values)
    up: Ints = np.ones(3, dtype=np.int64)
    worse = bad_side_median(values[:, 0], centre.count, centre.s3, up)
    np.testing.assert_array_equal(worse, [50.0, 50.0, 2.0])


def test_the_plain_median_needs_the_three_central_values_only() -> None:
    for k in SIZES:
        values = group(k, ties=False)
        centre = central(values)
        np.testing.assert_array_equal(
            plain_median(centre.count, centre.s3), np.median(values, axis=0)
        )


def test_a_missing_value_is_no_member() -> None:
    values = group(9, ties=False)
    holed = np.insert(values, 4, np.nan, axis=0)
    whole, centre = central(values), central(holed)
    np.testing.assert_array_equal(centre.count, whole.count)
    np.testing.assert_array_equal(centre.s3, whole.s3)
    assert np.isnan(leave_one_out_median(holed, centre.count, centre.s3)[4]).all()


@pytest.mark.parametrize("members", [0, 1, 2])
def test_fewer_than_three_members_have_no_centre(members: int) -> None:
    values = np.full((5, 2), np.nan)
    values[:members] = 1.0
    for candidate in (values, values[:members]):
        centre = central(candidate)
        assert (centre.count == members).all()
        assert np.isnan(centre.s3).all()
        assert np.isnan(plain_median(centre.count, centre.s3)).all()


def test_float32_is_kept_compared_as_sent_and_answered_in_float64() -> None:
    values = group(7, ties=False).astype(np.float32)
    centre = central(values)
    medians = leave_one_out_median(values, centre.count, centre.s3)
    expected = [np.median(others_of(values.astype(np.float64), i), axis=0) for i in range(7)]
    assert centre.s3.dtype == np.float32
    np.testing.assert_array_equal(medians, expected)


def test_another_precision_than_the_sent_one_is_refused() -> None:
    values = group(5, ties=False)
    centre = central(values.astype(np.float32))
    with pytest.raises(TypeError, match="compare the value that was sent"):
        leave_one_out_median(values, centre.count, centre.s3)


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        central(np.array([[1.0], [np.inf], [2.0]]))


def test_a_direction_other_than_up_or_down_is_refused() -> None:
    values = group(5, ties=False)
    centre = central(values)
    with pytest.raises(ValueError, match="direction"):
        bad_side_median(values, centre.count, centre.s3, np.zeros(4, dtype=np.int64))


def test_one_extreme_member_moves_no_median_beyond_the_next_value() -> None:
    values = group(33, ties=False)
    spoilt = values.copy()
    spoilt[7] = 1e9
    centre = central(spoilt)
    medians = leave_one_out_median(spoilt, centre.count, centre.s3)
    healthy = np.sort(np.delete(values, 7, axis=0), axis=0)  # 32 values, centre 15 and 16
    assert (medians >= healthy[15]).all()
    assert (medians <= healthy[17]).all()
