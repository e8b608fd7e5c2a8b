from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.recording import Recording
from tessera.adapters.topology.model import Node, Topology
from tessera.lab.ticks import Ticks, ticks_of

Floats = npt.NDArray[np.float64]


def recording(times: npt.ArrayLike, values: npt.ArrayLike) -> Recording:
    """Return a recording of one metric; ``values`` (T, S)."""
    cells = np.asarray(values, dtype=np.float64)[:, :, None]
    shards = tuple(f"g{i}" for i in range(cells.shape[1]))
    return Recording(
        path=Path("r"),
        topology=Topology(tuple(Node(name, "gpu_shard") for name in shards), ()),
        catalogue=default_catalogue(),
        shards=shards,
        metrics=("power_watts",),
        times=np.asarray(times, dtype=np.float64),
        values=cells,
        codes=np.zeros(cells.shape, dtype=np.int8),
        errors={},
    )


def every_tick_and_every(ticks: int, seldom: int) -> Floats:
    """Return values (T, 1, 2): the first metric at each tick, the other each ``seldom`` ticks."""
    values = np.full((ticks, 1, 2), nan)
    values[:, 0, 0], values[::seldom, 0, 1] = 1.0, 2.0
    return values


def counted(ticks: int, shards: int = 2) -> Floats:
    """Return a different number for every tick and shard."""
    return np.arange(float(ticks * shards)).reshape(ticks, shards)


@pytest.mark.parametrize(("first", "every"), [(0.0, 1.0), (1.7e9 + 0.25, 5.0), (0.0, 0.25)])
def test_regular_times_stay_as_they_are(first: float, every: float) -> None:
    times = first + every * np.arange(9)
    found = ticks_of(recording(times, counted(9)))
    assert found.interval == every
    np.testing.assert_array_equal(found.times, times)
    np.testing.assert_array_equal(found.values[:, :, 0], counted(9))


def test_regular_times_with_a_gap_stay_as_they_are() -> None:
    times = [0.0, 1.0, 2.0, 50.0, 51.0]
    found = ticks_of(recording(times, counted(5)))
    assert found.times.tolist() == times
    assert found.seconds == 52.0


@given(
    seed=st.integers(0, 10_000),
    every=st.sampled_from([0.5, 1.0, 5.0, 15.0]),
    phase=st.floats(0.0, 1.0),
    wide=st.floats(0.01, 0.24),
)
def test_no_reading_is_lost_or_misplaced_when_clocks_jitter(
    seed: int, every: float, phase: float, wide: float
) -> None:
    rng = np.random.default_rng(seed)
    times = (1000 + phase + np.arange(80) + rng.uniform(-wide, wide, 80)) * every
    found = ticks_of(recording(times, counted(80)))
    assert found.interval == every
    np.testing.assert_array_equal(found.values[:, :, 0], counted(80))
    np.testing.assert_allclose(np.diff(found.times), every)
    assert np.abs(found.times - times).max() <= every


def test_readings_about_the_edge_of_an_interval_stay_apart() -> None:
    times = np.arange(1.0, 41.0) + np.tile([-0.01, 0.01], 20)
    found = ticks_of(recording(times, counted(40)))
    assert found.times.tolist() == list(range(1, 41))


def test_shards_that_are_read_one_after_the_other_share_a_tick() -> None:
    values = np.full((40, 2), nan)
    values[::2, 0], values[1::2, 1] = np.arange(20.0), np.arange(20.0)
    times = np.repeat(np.arange(20.0) * 10, 2) + np.tile([0.0, 5.0], 20)
    found = ticks_of(recording(times, values))
    assert (found.interval, len(found)) in {(10.0, 20), (10.0, 21)}
    assert np.isfinite(found.values[1:-1]).all()


def test_the_latest_of_two_readings_in_one_interval_counts() -> None:
    times = np.sort(np.concatenate([np.arange(20.0), [7.2]]))
    values = counted(21, 1)
    found = ticks_of(recording(times, values))
    assert found.times.tolist() == list(range(20))
    assert found.values[7, 0, 0] == values[8, 0]


def test_a_loop_that_runs_a_little_late_is_still_one_of_whole_seconds() -> None:
    found = ticks_of(recording(1.004 * np.arange(600), counted(600)))
    assert found.interval == 1.0
    assert len(found) == 600
    assert np.diff(found.times).max() == 2.0


def test_one_tick_is_taken_for_a_second() -> None:
    found = ticks_of(recording([1.7e9], counted(1)))
    assert (found.interval, found.seconds, len(found)) == (1.0, 1.0, 1)


def test_a_recording_without_a_value_keeps_its_times() -> None:
    times = [0.0, 5.1, 9.9, 15.0]
    found = ticks_of(recording(times, np.full((4, 2), nan)))
    assert found.times.tolist() == times
    assert np.isnan(found.values).all()


@pytest.mark.parametrize(
    "times", [[-1.0, 0.0], [1.7e12, 1.7e12 + 100], [0.0, 1e300], [0.0, 1e-9], [0.0, 5e-324]]
)
def test_times_that_cannot_be_seconds_are_refused_in_one_line(times: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^r: t runs from [^\n]*; write t in seconds") as caught:
        ticks_of(recording(times, counted(2)))
    assert "\n" not in str(caught.value)


def test_ticks_yield_pairs_of_time_and_readings() -> None:
    ticks = Ticks(1.0, np.array([3.0, 4.0]), np.zeros((2, 1, 1)), np.ones(1))
    assert [at for at, _ in ticks] == [3.0, 4.0]
    assert len(ticks) == 2


def test_every_metric_has_an_interval_of_its_own() -> None:
    found = ticks_of(
        replace(recording(np.arange(90.0), counted(90)), values=every_tick_and_every(90, 15))
    )
    assert found.interval == 1.0
    assert found.intervals.tolist() == [1.0, 15.0]


def test_jitter_does_not_change_the_interval_of_a_seldom_metric() -> None:
    times = 1000.0 + np.arange(300.0) + np.random.default_rng(1).uniform(-0.2, 0.2, 300)
    values = every_tick_and_every(300, 15)
    found = ticks_of(replace(recording(times, counted(300)), values=values))
    assert (found.interval, found.intervals.tolist()) == (1.0, [1.0, 15.0])


def test_a_metric_with_fewer_than_two_values_has_the_interval_of_the_clock() -> None:
    values = every_tick_and_every(20, 20)
    found = ticks_of(replace(recording(np.arange(20.0), counted(20)), values=values))
    assert found.intervals.tolist() == [1.0, 1.0]


def test_a_few_missing_values_do_not_lengthen_an_interval() -> None:
    values = counted(60, 1)
    values[::4] = nan
    assert ticks_of(recording(np.arange(60.0), values)).intervals.tolist() == [1.0]
