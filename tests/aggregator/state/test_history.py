import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.aggregator.state.history import History


def filled(seconds: int = 600, step: int = 10, until: int = 400) -> History:
    """Return the history of two rows that hold the second, and minus it, each ten seconds."""
    history = History(["a", "b"], seconds, step)
    for at in range(0, until, step):
        history.record(float(at), np.array([float(at), -float(at)]))
    return history


def test_what_was_recorded_comes_back_at_its_time() -> None:
    at, log_e = filled().of("a", 100.0, 140.0)
    np.testing.assert_array_equal(at, [100.0, 110.0, 120.0, 130.0, 140.0])
    np.testing.assert_array_equal(log_e, at)


@given(st.lists(st.floats(-1e31, 1e5), min_size=1, max_size=20))
@settings(derandomize=True)
def test_what_is_kept_is_never_above_what_was_known(values: list[float]) -> None:
    history = History(["a"], 600, 10)
    for i, value in enumerate(values):
        history.record(10.0 * i, np.array([value]))
    _, kept = history.of("a", 0.0, 10.0 * len(values))
    assert (kept <= np.array(values)).all()
    within = np.abs(values) < 6e4
    np.testing.assert_allclose(kept[within], np.array(values)[within], rtol=1e-3, atol=1e-7)


def test_the_last_of_several_values_in_a_step_stands() -> None:
    history = History(["a"], 600, 10)
    for at, value in ((20.0, 5.0), (23.0, 9.0), (29.9, 2.0)):
        history.record(at, np.array([value]))
    np.testing.assert_array_equal(history.of("a", 0.0, 60.0)[1][-1:], [2.0])


def test_steps_of_which_nothing_is_known_are_gaps_and_not_zeros() -> None:
    history = History(["a"], 600, 10)
    history.record(100.0, np.array([1.0]))
    history.record(140.0, np.array([2.0]))
    _, log_e = history.of("a", 100.0, 140.0)
    np.testing.assert_array_equal(log_e, [1.0, np.nan, np.nan, np.nan, 2.0])


def test_more_than_the_ring_holds_is_forgotten_even_where_nothing_took_its_place() -> None:
    history = filled(seconds=100, until=200)
    at, log_e = history.of("b", 0.0, 1000.0)
    np.testing.assert_array_equal(at, np.arange(100.0, 200.0, 10.0))
    np.testing.assert_array_equal(log_e, -at)
    history.record(290.0, np.zeros(2))  # the ring has gone round but once
    assert np.isnan(history.of("a", 200.0, 280.0)[1]).all()


def test_a_time_that_steps_back_overwrites_nothing() -> None:
    history = filled()
    history.record(50.0, np.array([1e3, 1e3]))
    assert history.of("a", 50.0, 50.0)[1].tolist() == [50.0]


def test_longer_steps_hold_the_last_value_of_each() -> None:
    at, log_e = filled().of("a", 0.0, 95.0, step=30.0)
    np.testing.assert_array_equal(at, [0.0, 30.0, 60.0, 90.0])
    np.testing.assert_array_equal(log_e, [20.0, 50.0, 80.0, 90.0])


def test_an_unknown_row_is_a_key_error_and_an_empty_history_empty() -> None:
    with pytest.raises(KeyError):
        filled().of("c", 0.0, 10.0)
    at, log_e = History(["a"]).of("a", 0.0, 1e9)
    assert (at.tolist(), log_e.tolist()) == ([], [])


def test_rows_carry_their_curve_into_the_next_fleet() -> None:
    after = filled().carried(["c", "b"])
    np.testing.assert_array_equal(after.of("b", 0.0, 30.0)[1], [0.0, -10.0, -20.0, -30.0])
    assert np.isnan(after.of("c", 0.0, 30.0)[1]).all()


def test_two_hours_of_eleven_thousand_rows_take_sixteen_megabytes() -> None:
    history = History([str(i) for i in range(11_000)])
    arrays = [v for v in vars(history).values() if isinstance(v, np.ndarray)]
    assert sum(a.nbytes for a in arrays) <= 16e6
