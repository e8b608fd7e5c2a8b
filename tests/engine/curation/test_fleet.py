import numpy as np
import numpy.typing as npt
import pytest

from tessera.engine.curation.fleet import fleet_events

Bools = npt.NDArray[np.bool_]


def out(seed: int, windows: int = 400, runs: int = 8, rate: float = 0.025) -> Bools:
    """Return ticks that are raised independently of each other."""
    return np.random.default_rng(seed).random((windows, runs)) < rate


def all_judged(raised: Bools) -> Bools:
    return np.ones_like(raised)


@pytest.mark.parametrize(("runs", "rate"), [(2, 0.025), (8, 0.025), (8, 0.08), (64, 0.05)])
def test_runs_that_are_out_independently_make_no_incident(runs: int, rate: float) -> None:
    fired = 0
    for seed in range(60):
        raised = out(seed, runs=runs, rate=rate)
        fired += bool(fleet_events(raised, all_judged(raised)).incidents)
    assert fired == 0


def test_every_incident_of_a_window_is_found_and_marked_whole() -> None:
    raised = out(1)
    raised[100:120] = raised[250:262] = True
    found = fleet_events(raised, all_judged(raised))
    assert len(found.incidents) == 2
    assert found.windows[100:120].all()
    assert found.windows[250:262].all()
    assert found.windows.sum() <= 32 + 10
    assert found.first_fired == found.incidents[0][0]


def test_an_incident_in_the_very_first_windows_is_found_too() -> None:
    raised = out(2)
    raised[:15] = True
    found = fleet_events(raised, all_judged(raised))
    assert found.incidents[0][0] == 0
    assert found.windows[:15].all()


def test_half_of_the_runs_out_half_of_the_time_are_an_incident() -> None:
    raised = out(3)
    raised[100:140, ::2] |= np.random.default_rng(4).random((40, 4)) < 0.5
    assert fleet_events(raised, all_judged(raised)).windows[110:130].all()


def test_one_run_in_trouble_of_its_own_is_no_incident() -> None:
    raised = out(5)
    raised[100:200, 3] = True
    assert fleet_events(raised, all_judged(raised)).incidents == ()


def test_one_run_has_no_witness() -> None:
    raised = np.ones((100, 1), dtype=np.bool_)
    found = fleet_events(raised, raised)
    assert (found.tested, found.incidents, found.log_most) == (0, (), 0.0)


def test_windows_in_which_one_run_is_left_are_not_tested() -> None:
    raised = out(6)
    judged = all_judged(raised)
    judged[300:, 1:] = False
    assert fleet_events(raised, judged).tested == 300


def test_no_windows_at_all_are_no_incident() -> None:
    nothing = np.zeros((0, 4), dtype=np.bool_)
    found = fleet_events(nothing, nothing)
    assert (found.tested, found.first_fired) == (0, -1)


def test_the_wealth_that_is_told_is_the_highest_and_the_last() -> None:
    raised = out(7)
    raised[100:120] = True
    found = fleet_events(raised, all_judged(raised))
    assert found.log_most > np.log(1000.0)
    assert found.log_final < found.log_most
