import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.aggregator.combine.rollup import Rollup

ALL = np.array([0, 1])


def medians(sets: list[list[int]], x: np.ndarray) -> np.ndarray:
    rollup = Rollup([np.array(s) for s in sets], len(x))
    return rollup.medians(x.astype(np.float32), np.arange(x.shape[1]))[0]


@given(
    st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=20, unique=True), max_size=6),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_a_node_has_the_median_of_its_shards_while_half_have_a_value(
    sets: list[list[int]], missing: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x = random.standard_normal((20, 2)).astype(np.float32)
    x[random.random(x.shape) < missing] = np.nan
    found = medians(sets, x)
    assert found.shape == (len(sets), 2)
    for node, rows in enumerate(sets):
        for j in range(2):
            known = x[rows, j][np.isfinite(x[rows, j])]
            enough = len(known) > 0 and 2 * len(known) >= len(rows)
            expected = np.nanmedian(known) if enough else np.float32(np.nan)
            np.testing.assert_array_equal(found[node, j], expected)


@pytest.mark.parametrize(("gone", "known"), [(2, True), (3, False)])
def test_a_node_loses_its_value_when_more_than_half_is_missing(gone: int, known: bool) -> None:  # noqa: FBT001 - the table's second column
    x = np.arange(4.0)[:, None]
    x[:gone] = np.nan
    assert bool(np.isfinite(medians([[0, 1, 2, 3]], x)[0, 0])) is known


def test_columns_that_are_not_asked_for_stay_empty() -> None:
    rollup = Rollup([np.array([0, 1])], 2)
    found, behind = rollup.medians(np.ones((2, 3), dtype=np.float32), np.array([1]))
    assert np.isfinite(found).tolist() == [[False, True, False]]
    assert behind.tolist() == [[0, 2, 0]]


def test_a_median_says_how_many_shards_are_behind_it() -> None:
    x = np.array([[1.0, np.nan], [2.0, 3.0], [np.nan, np.nan]], dtype=np.float32)
    rollup = Rollup([np.array([0, 1, 2]), np.array([0, 1])], 3)
    assert rollup.medians(x, np.arange(2))[1].tolist() == [[2, 1], [2, 1]]


def test_a_block_without_values_makes_no_medians_and_no_warnings() -> None:
    rollup = Rollup([np.array([0, 1])], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = rollup.medians(
            np.full((2, 1), np.nan, dtype=np.float32), np.empty(0, dtype=np.int64)
        )
    assert np.isnan(found).all()
