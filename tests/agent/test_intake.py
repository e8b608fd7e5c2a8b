import numpy as np
import numpy.typing as npt
import pytest

from tessera.adapters.base import Absent, Reading
from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.metric import apply_transform
from tessera.agent.fold import Fold
from tessera.agent.intake import LARGEST, Absences, Intake
from tessera.agent.rates import Rates

SHARDS = ("gpu-0", "gpu-1", "gpu-2")
NAMES = ("energy_joules_total", "power_watts", "step_time_seconds")
METRICS = tuple(map(default_catalogue().of, NAMES))
RUNGS = {5: np.array([0, 1, 2]), 10: np.array([1, 2])}

Floats = npt.NDArray[np.float64]


def ticks(count: int) -> Floats:
    """Return raw values (T, S, M): a running total, watts and seconds, with some missing."""
    rng = np.random.default_rng(7)
    x = rng.uniform(1.0, 2.0, size=(count, 3, 3))
    x[:, :, 0] = np.cumsum(x[:, :, 0], axis=0)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x


def readings(values: Floats) -> list[Reading]:
    return [
        Reading(shard, name, float(values[i, j]))
        for i, shard in enumerate(SHARDS)
        for j, name in enumerate(NAMES)
        if not np.isnan(values[i, j])
    ]


@pytest.mark.parametrize("intervals", [None, [1.0, 1.0, 2.0]])
def test_blocks_are_those_of_rates_scales_and_fold_one_after_the_other(
    intervals: list[float] | None,
) -> None:
    intake = Intake(SHARDS, METRICS, 1.0, intervals)
    rates, fold = Rates([0], [1.0]), Fold((3, 3), 1.0, intervals)
    intake.watch(RUNGS)
    fold.watch(RUNGS)
    found = 0
    for at, raw in enumerate(ticks(61)):
        values, absences = intake.matrix(readings(raw))
        np.testing.assert_array_equal(values, raw)
        assert absences == Absences(failed={})
        rated = rates.push(float(at), raw)
        scaled = np.stack([apply_transform(m, rated[:, j]) for j, m in enumerate(METRICS)], axis=1)
        expected, blocks = fold.push(float(at), scaled), intake.push(float(at), values)
        assert [(b.rung, b.index) for b in blocks] == [(b.rung, b.index) for b in expected]
        for one, other in zip(blocks, expected, strict=True):
            assert one.x.tobytes() == other.x.tobytes()
            found += bool(np.isfinite(one.x).any())
    assert found == 12 + 6


def test_what_gives_no_number_is_counted_by_kind() -> None:
    values, absences = Intake(SHARDS, METRICS).matrix(
        [
            Reading("gpu-0", "power_watts", 500.0),
            Reading("gpu-0", "step_time_seconds", Absent("unsupported")),
            Reading("gpu-1", "step_time_seconds", Absent("error", "999")),
            Reading("gpu-2", "step_time_seconds", Absent("error", "999")),
            Reading("gpu-1", "power_watts", float("inf")),
            Reading("gpu-2", "power_watts", float("nan")),
            Reading("gpu-2", "energy_joules_total", -2 * LARGEST),
            Reading("gpu-9", "power_watts", 1.0),
            Reading("gpu-0", "fan_speed", 1.0),
        ]
    )
    assert absences == Absences(1, {"999": 2}, impossible=3, strangers=2)
    assert np.argwhere(np.isfinite(values)).tolist() == [[0, 1]]


def test_the_largest_number_that_is_taken_makes_a_finite_block() -> None:
    intake = Intake(SHARDS, METRICS)
    intake.watch({5: np.array([1])})
    blocks = []
    for at in range(5):
        values, absences = intake.matrix([Reading("gpu-0", "power_watts", LARGEST)])
        assert absences.impossible == 0
        blocks += intake.push(float(at), values)
    assert np.isfinite(blocks[0].x[0, 1])


def test_a_host_without_metrics_has_no_blocks() -> None:
    intake = Intake(SHARDS, ())
    values, _ = intake.matrix([])
    assert values.shape == (3, 0)
    assert intake.push(0.0, values) == []


def test_of_two_sources_of_one_number_the_first_that_has_one_is_believed() -> None:
    values, _ = Intake(SHARDS, METRICS).matrix(
        [
            Reading("gpu-0", "power_watts", 500.0),
            Reading("gpu-1", "power_watts", Absent("error", "15")),
            Reading("gpu-0", "power_watts", 7.0),
            Reading("gpu-1", "power_watts", 7.0),
        ]
    )
    assert values[:2, 1].tolist() == [500.0, 7.0]
