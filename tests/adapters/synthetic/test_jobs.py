import numpy as np

from tessera.adapters.synthetic.jobs import JobPhases


def phases(seed: int, jobs: int = 2) -> JobPhases:
    return JobPhases(jobs, np.random.SeedSequence(seed))


def test_jobs_start_busy_pause_and_change_their_pace() -> None:
    pace = phases(1).ticks(20_000)[:, 0]
    assert pace[0] > 0
    assert 0.02 < (pace == 0).mean() < 0.3
    assert len(set(pace.tolist())) > 5
    assert pace[pace > 0].min() >= 0.7
    assert pace.max() <= 1.0


def test_jobs_do_not_move_together() -> None:
    pace = phases(1).ticks(5000)
    assert not np.array_equal(pace[:, 0], pace[:, 1])


def test_phases_do_not_depend_on_how_ticks_are_asked_for() -> None:
    whole = phases(3).ticks(5000)
    clock = phases(3)
    parts = np.concatenate([clock.ticks(count) for count in (1, 999, 0, 4000)])
    np.testing.assert_array_equal(parts, whole)
