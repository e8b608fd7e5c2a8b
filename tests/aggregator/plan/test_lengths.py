import pytest

from tessera.aggregator.plan.lengths import Lengths
from tessera.engine.calibration import block_correlation

WEEK = 604_800.0


def lengths(shortest: int = 5, horizon: float = WEEK, *, fixed: bool = False) -> Lengths:
    return Lengths.within(shortest, horizon, fixed=fixed)


def test_the_catalogues_lengths_stand_where_readings_allow_them() -> None:
    assert lengths().start(30, 120) == (30, 120)
    assert lengths(shortest=60).start(30, 120) == (60, 300)


def test_no_length_is_begun_at_which_learning_takes_half_of_the_horizon() -> None:
    short = lengths(horizon=7200.0)
    assert short.longest == 10
    assert short.start(60, 300)[0] == 10
    assert lengths(horizon=7200.0, fixed=True).start(60, 300) == (60, 300)


def test_the_longest_block_of_all_has_no_slow_one_beside_it() -> None:
    assert lengths(shortest=600).start(5, 30) == (600, 0)


def test_a_long_memory_asks_for_longer_blocks() -> None:
    fast, slow = lengths().asked(block_correlation(200.0, 5), 5, 30, refresh=1.0)
    assert fast > 5
    assert slow > max(fast, 30)


@pytest.mark.parametrize("tau", [8.0, 10.0, 12.0])
def test_lengths_that_are_nearly_right_stay(tau: float) -> None:
    assert lengths().asked(block_correlation(tau, 5), 5, 30, refresh=1.0) == (5, 30)


def test_no_block_is_shorter_than_the_source_has_something_new_to_say() -> None:
    fast, slow = lengths().asked(0.0, 120, 600, refresh=30.0)
    assert fast >= 30
    assert slow > fast
    assert lengths().asked(0.0, 300, 600, refresh=900.0) == (300, 600)
