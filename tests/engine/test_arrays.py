from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.engine.arrays import (
    PART,
    Floats,
    Ints,
    parts,
    put_rows,
    refuse_infinite,
    take_rows,
)
from tessera.engine.ranks import Ranks
from tessera.engine.recursive import Recursive

ROWS = st.lists(st.integers(0, 6), unique=True, max_size=7)


@dataclass(slots=True)
class Tally:
    """A state as the engine has them: a number, and three numbers, per stream."""

    count: Ints
    sums: Floats


def tally(n: int = 7) -> Tally:
    return Tally(np.arange(n), np.arange(3.0 * n).reshape(3, n).T)


def test_nan_means_no_value_and_passes() -> None:
    values = np.array([1.0, np.nan, -1e308])
    refuse_infinite("x", values)
    refuse_infinite("x", np.empty((0, 3), dtype=np.float32))
    np.testing.assert_array_equal(values, [1.0, np.nan, -1e308])


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_infinity_is_refused_and_its_name_and_place_are_said(
    infinity: float, kind: type[np.float32 | np.float64]
) -> None:
    values = np.zeros((3, 2), dtype=kind)
    values[1, 0] = infinity
    with pytest.raises(ValueError, match=r"power is infinite at index \(1, 0\)"):
        refuse_infinite("power", values)


@given(ROWS)
def test_rows_taken_are_the_rows_asked_for_in_that_order(rows: list[int]) -> None:
    whole, at = tally(), np.array(rows, dtype=np.int64)
    part = take_rows(whole, at)
    assert isinstance(part, Tally)
    np.testing.assert_array_equal(part.count, at)
    np.testing.assert_array_equal(part.sums, whole.sums[at])


@given(ROWS)
def test_rows_put_back_unchanged_leave_the_state_as_it_was(rows: list[int]) -> None:
    whole, at = tally(), np.array(rows, dtype=np.int64)
    put_rows(whole, at, take_rows(whole, at))
    np.testing.assert_array_equal(whole.count, tally().count)
    np.testing.assert_array_equal(whole.sums, tally().sums)


@given(ROWS)
def test_a_part_is_a_copy_and_reaches_the_state_only_when_put(rows: list[int]) -> None:
    whole, at = tally(), np.array(rows, dtype=np.int64)
    part = take_rows(whole, at)
    part.count += 100
    part.sums += 100.0
    np.testing.assert_array_equal(whole.count, tally().count)
    put_rows(whole, at, part)
    moved = np.isin(np.arange(7), at)
    np.testing.assert_array_equal(whole.count, tally().count + 100 * moved)
    np.testing.assert_array_equal(whole.sums, tally().sums + 100.0 * moved[:, None])


def test_states_of_the_engine_travel_by_rows_whatever_their_layout_in_memory() -> None:
    rng, at = np.random.default_rng(51), np.array([4, 1])
    whole, other = Recursive.start(6), Ranks.start(6)
    whole.step(rng.normal(size=6), rng.normal(size=6), np.zeros(6), np.ones(6, dtype=np.bool_))
    other.set_knots(np.arange(6), rng.normal(size=(6, 100)))
    for state in (whole, other):
        part = take_rows(state, at)
        for field in fields(state):
            taken, held = getattr(part, field.name), getattr(state, field.name)
            np.testing.assert_array_equal(taken, held[at])


def test_a_part_steps_as_its_rows_would_have_stepped_within_the_whole() -> None:
    rng, at = np.random.default_rng(52), np.array([0, 3, 5])
    x, c = rng.normal(size=(2, 20, 6))
    phi, learn = np.full(6, 0.4), np.ones(6, dtype=np.bool_)
    whole, apart = Recursive.start(6), Recursive.start(6)
    for b in range(20):
        w = whole.step(x[b], c[b], phi, learn)
        part = take_rows(apart, at)
        part_w = part.step(x[b, at], c[b, at], phi[at], learn[at])
        put_rows(apart, at, part)
        np.testing.assert_allclose(part_w, w[at], rtol=1e-12)
    np.testing.assert_array_equal(
        apart.steps, [19, 0, 0, 19, 0, 19]
    )  # the first pair has no predecessor


@pytest.mark.parametrize("n", [0, 1, PART, PART + 1, 3 * PART - 1])
def test_parts_cover_every_row_once_in_order(n: int) -> None:
    rows = [np.arange(n)[part] for part in parts(n)]
    np.testing.assert_array_equal(np.concatenate([*rows, np.arange(0)]), np.arange(n))
    assert all(0 < len(part) <= PART for part in rows)
