import numpy as np
import pytest

from tessera.engine.curation.validate import READY, curate, validate

from .corpora import Floats, corpus, shifted

CLEAN = [
    (signals, ticks, runs, phi, tails)
    for signals in (1, 3, 8)
    for ticks in (120, 400)
    for runs in (1, 6, 16)
    for phi in (0.0, 0.5)
    for tails in (None, 3.0)
]


def nothing_withheld(runs: list[Floats]) -> list[np.typing.NDArray[np.bool_]]:
    return [np.zeros(len(rows), dtype=np.bool_) for rows in runs]


@pytest.mark.parametrize("times", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_ordinary_clean_corpora_pass_ninety_nine_in_a_hundred(times: int) -> None:
    passed, dropped = [], []
    for seed, (signals, ticks, runs, phi, tails) in enumerate(CLEAN * times):
        made = corpus(seed, runs=runs, ticks=ticks, signals=signals, phi=phi, tails=tails)
        found = curate(made)
        passed.append(found.validation.passed)
        dropped.append(found.drop)
    assert len(passed) == 72 * times
    assert sum(passed) >= 0.99 * len(passed)
    assert float(np.mean(dropped)) < 0.02


@pytest.mark.parametrize("sd", [2.0, 8.0])
def test_a_corpus_with_an_incident_in_it_fails_until_it_is_curated(sd: float) -> None:
    runs = shifted(corpus(1, ticks=400), sd, 100, 119, 8)
    assert not validate(runs, nothing_withheld(runs)).passed
    curated = curate(runs)
    assert curated.validation.passed
    assert all(out[100:120].all() for out in curated.withheld)


def test_what_validation_holds_against_a_corpus_is_told() -> None:
    runs = shifted(corpus(2, ticks=400), 3.0, 100, 119, 8)
    (reason,) = validate(runs, nothing_withheld(runs)).reasons
    assert reason.startswith("1 incident(s) of the fleet are left, the first at ")


def test_an_incident_costs_its_windows_and_no_more() -> None:
    clean, hit = corpus(3, ticks=400), shifted(corpus(3, ticks=400), 6.0, 100, 119, 8)
    assert curate(clean).drop < 0.01
    assert 0.05 <= curate(hit).drop < 0.09


def test_a_run_that_is_no_baseline_is_withheld_whole_and_its_peers_are_not() -> None:
    runs = shifted(corpus(4, ticks=400), 12.0, 100, 199, 1)
    found = curate(runs)
    assert found.withheld[0].all()
    assert max(float(out.mean()) for out in found.withheld[1:]) < READY
    assert found.validation.passed


def test_runs_of_different_length_are_compared_while_both_last() -> None:
    runs = shifted(corpus(5, ticks=400), 6.0, 100, 119, 8)
    runs[0] = runs[0][:110]
    found = curate(runs)
    assert found.withheld[0][100:110].all()
    assert len(found.withheld[0]) == 110
    assert found.withheld[1][100:120].all()


def test_ticks_stay_where_they_are() -> None:
    runs = shifted(corpus(6), 8.0, 60, 69, 1)
    assert [len(out) for out in curate(runs).withheld] == [len(rows) for rows in runs]


def test_a_corpus_of_which_nothing_can_be_judged_does_not_pass() -> None:
    found = curate([np.full((50, 2), np.nan)])
    assert found.validation.reasons == ("no tick is left that could be judged",)
