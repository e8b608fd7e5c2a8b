import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.grid import Grid


@given(st.floats(0.0, 4e9), st.sampled_from([0.1, 0.5, 1.0, 7.0, 60.0]))
def test_after_waiting_the_next_tick_has_come(now: float, interval: float) -> None:
    grid = Grid(interval)
    wait = grid.wait(now)
    assert 0.0 < wait <= max(interval, 0.001)
    assert grid.number(now + wait) >= grid.number(now)
    assert grid.number(now + wait + 2e-3) == grid.number(now) + 1 or wait == interval


@pytest.mark.parametrize(("now", "number"), [(0.0, 0), (9.99, 9), (10.0, 10), (9.9999999, 10)])
def test_a_tick_belongs_to_the_second_that_has_come(now: float, number: int) -> None:
    assert Grid(1.0).number(now) == number
