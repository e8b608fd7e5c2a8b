import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tessera.aggregator.combine.peers import Summariser


def in_order(values: np.ndarray) -> tuple[int, list[float]]:
    """Return the count of ``values`` and S[h-1], S[h], S[h+1], by sorting them by hand."""
    known = np.sort(values[np.isfinite(values)])
    if len(known) < 3:
        return len(known), [np.nan] * 3
    h = max(1, (len(known) - 1) // 2)
    return len(known), [float(v) for v in known[h - 1 : h + 2]]


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.floats(0, 0.7),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_summaries_are_those_of_sorting_every_group_by_hand(
    sizes: list[int],
    missing: float,
    ties: bool,  # noqa: FBT001 - drawn, not called with
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    rows = sum(sizes)
    group = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    members = [np.flatnonzero(group == g) for g in range(len(sizes))]
    x = random.standard_normal((rows, 2)).astype(np.float32)
    x = np.round(x).astype(np.float32) if ties else x
    x[random.random(x.shape) < missing] = np.nan
    offset = random.standard_normal((rows, 2)).astype(np.float32)
    eligible = random.random(rows) > 0.2
    found = Summariser(members, rows).summarise(x, x - offset, eligible, np.arange(2))
    for g, own in enumerate(members):
        for j in range(2):
            seen = np.where(eligible[own], x[own, j], np.float32(np.nan))
            count, s3 = in_order(seen)
            assert found.count_raw[g, j] == count
            np.testing.assert_array_equal(found.s3_raw[g, j], s3)
            count, s3 = in_order(seen - offset[own, j])
            assert found.count_demeaned[g, j] == count
            np.testing.assert_array_equal(found.s3_demeaned[g, j], s3)


def test_rows_that_are_not_eligible_stay_out() -> None:
    x = np.array([[1.0], [2.0], [3.0], [99.0]], dtype=np.float32)
    summariser = Summariser([np.arange(4)], 4)
    eligible = np.array([True, True, True, False])
    found = summariser.summarise(x, x, eligible, np.array([0]))
    assert found.count_raw.tolist() == [[3]]
    assert found.s3_raw.tolist() == [[[1.0, 2.0, 3.0]]]


def test_members_without_an_offset_stand_in_the_raw_summary_only() -> None:
    x = np.arange(4, dtype=np.float32)[:, None]
    offset = np.array([[0.0], [np.nan], [0.0], [0.0]], dtype=np.float32)
    found = Summariser([np.arange(4)], 4).summarise(
        x, x - offset, np.ones(4, dtype=bool), np.array([0])
    )
    assert (found.count_raw[0, 0], found.count_demeaned[0, 0]) == (4, 3)


def test_columns_that_are_not_asked_for_count_nobody() -> None:
    x = np.ones((3, 2), dtype=np.float32)
    found = Summariser([np.arange(3)], 3).summarise(x, x, np.ones(3, dtype=bool), np.array([1]))
    assert found.count_raw.tolist() == [[0, 3]]
    assert np.isnan(found.s3_raw[0, 0]).all()


def test_a_block_without_any_value_is_summarised_as_nobody() -> None:
    x = np.full((3, 1), np.nan, dtype=np.float32)
    nothing = np.empty(0, dtype=np.int64)
    found = Summariser([np.arange(3)], 3).summarise(x, x, np.ones(3, dtype=bool), nothing)
    assert found.count_raw.tolist() == found.count_demeaned.tolist() == [[0]]


def test_what_is_counted_is_summed_over_the_eligible_members_of_each_group() -> None:
    x = np.array([[1, 9], [2, 9], [np.nan, 9], [4, 9], [8, 9], [np.nan, 9]], dtype=np.float32)
    members = [np.array([0, 2, 3, 4]), np.array([1]), np.array([5])]
    eligible = np.array([True, True, True, True, False, True])
    summariser = Summariser(members, 6, np.array([0]))
    total = summariser.summarise(x, x, eligible, np.arange(2)).total
    assert total is not None
    np.testing.assert_array_equal(total, [[5.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])


def test_where_nothing_is_counted_there_is_no_total() -> None:
    x = np.ones((3, 1), dtype=np.float32)
    made = Summariser([np.arange(3)], 3)
    assert made.summarise(x, x, np.ones(3, dtype=bool), np.array([0])).total is None
