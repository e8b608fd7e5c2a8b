"""Counters that NVML gives each ten seconds, through the agent's own arithmetic."""

from collections.abc import Iterator

import numpy as np
import pytest

from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice, FakeField
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.agent.intake import Intake
from tessera.agent.inventory import catalogue_of, intervals_of, judged_metrics

BEGAN = 1_790_000_040  # a multiple of 60
REPLAYS = "pcie_replays"


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    made = FakeLibrary([FakeDevice(f"GPU-{number}") for number in range(3)])
    with installed(made):
        yield made


def minutes(library: FakeLibrary, count: int, per_second: int) -> list[float]:
    """Return how many errored readings of GPU-1 each minute had, at so many errors a second."""
    source = NvmlSource()
    shards = tuple(shard.id for shard in source.shards())
    metrics = judged_metrics([REPLAYS], catalogue_of([source], default_catalogue()))
    intake = Intake(shards, metrics, 1.0, intervals_of(metrics, 1.0))
    intake.watch({60: np.array([0])})
    found = []
    for second in range(60 * count):
        library.devices[1].fields[94] = FakeField(100 + per_second * second)
        values, _ = intake.matrix(source.read(BEGAN + float(second)))
        found += intake.push(BEGAN + float(second), values)
    return [float(block.x[1, 0]) for block in found]


def test_each_reading_of_a_counter_that_rises_is_an_errored_one(library: FakeLibrary) -> None:
    assert minutes(library, 3, per_second=2)[1:] == [6.0, 6.0]


def test_a_counter_that_rests_has_no_errored_reading_and_is_no_gap(library: FakeLibrary) -> None:
    assert minutes(library, 3, per_second=0)[1:] == [0.0, 0.0]
