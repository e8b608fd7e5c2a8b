import numpy as np
import pytest

from tessera.engine.curation.screen import MOST_MARKED, screen

from .corpora import corpus, shifted


@pytest.mark.parametrize("signals", [1, 3, 11])
def test_about_one_clean_tick_in_a_thousand_is_marked(signals: int) -> None:
    found = [screen(rows) for rows in corpus(1, runs=20, ticks=1000, signals=signals)]
    share = float(np.mean([s.share for s in found]))
    assert 0.0003 < share < 0.003
    assert 0.015 < float(np.mean([s.raised.mean() for s in found])) < 0.04


def test_a_burst_of_eight_sd_is_marked_whole() -> None:
    (rows,) = shifted(corpus(2, runs=1), 8.0, 60, 69, 1)
    found = screen(rows)
    assert found.marked[60:70].all()
    assert found.marked.sum() <= 12
    assert found.is_baseline


def test_a_memory_does_not_change_how_many_are_marked() -> None:
    found = [screen(rows) for rows in corpus(3, runs=20, ticks=1000, phi=0.5)]
    assert float(np.mean([s.share for s in found])) < 0.003


@pytest.mark.parametrize("signals", [1, 12])
def test_heavy_tails_cost_a_run_no_tenth_of_its_ticks(signals: int) -> None:
    found = [screen(rows) for rows in corpus(4, runs=20, signals=signals, tails=3.0)]
    assert all(s.is_baseline for s in found)
    assert float(np.mean([s.share for s in found])) < 0.04


def test_a_run_that_is_out_for_a_quarter_of_its_time_is_no_baseline() -> None:
    (rows,) = shifted(corpus(5, runs=1), 12.0, 100, 149, 1)
    found = screen(rows)
    assert found.share > MOST_MARKED
    assert not found.is_baseline


def test_an_incomplete_tick_is_not_judged_and_not_marked() -> None:
    (rows,) = shifted(corpus(6, runs=1), 12.0, 60, 69, 1)
    rows[65, 1] = np.nan
    found = screen(rows)
    assert not found.judged[65]
    assert not found.marked[65]
    assert found.marked[64]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (np.zeros((50, 0)), "no signals"),
        (np.ones((3, 4)), "3 complete ticks of 4 signals"),
        (np.full((50, 2), np.nan), "0 complete ticks"),
    ],
)
def test_a_run_that_cannot_be_screened_passes_with_the_reason(
    rows: np.typing.NDArray[np.float64], why: str
) -> None:
    found = screen(rows)
    assert why in found.skipped
    assert not found.marked.any()
    assert found.is_baseline


def test_a_signal_that_never_moves_does_not_hide_a_burst_in_another() -> None:
    (rows,) = shifted(corpus(7, runs=1), 15.0, 60, 65, 1)
    rows[:, 1] = 4.0
    assert screen(rows).marked[60:66].all()


def test_a_number_beyond_all_bounds_is_marked_and_spoils_nothing_else() -> None:
    (rows,) = corpus(8, runs=1)
    before = screen(rows).marked
    rows[3, 0] = 1e200
    found = screen(rows).marked
    assert found[3]
    assert np.flatnonzero(found != before).tolist() == [3]
