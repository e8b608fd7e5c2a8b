"""An agent on a host of scripted NVIDIA devices: what it inventories, tells and survives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.settings.clock import ManualClock

from .hosts import STARTED, driven, ticks

NOWHERE = "127.0.0.1:1"  # nobody listens there


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    made = FakeLibrary([FakeDevice(f"GPU-{number}") for number in range(8)])
    with installed(made):
        yield made


async def test_the_inventory_has_the_slow_metrics_and_no_unsupported_one(
    library: FakeLibrary, tmp_path: Path
) -> None:
    del library
    async with driven(NOWHERE, tmp_path, ManualClock(STARTED), NvmlSource()) as agent:
        metrics = set(agent.inventory.metrics)
    served = {"power_watts", "pcie_tx_bytes_per_second", "sm_active_ratio", "energy_joules_total"}
    assert served | {"ecc_corrected", "nvlink_crc_errors"} <= metrics
    assert not {"nvlink_symbol_errors", "pages_retired", "pcie_link_width"} & metrics


async def test_a_device_that_falls_off_the_bus_is_a_fact_and_the_others_flow(
    library: FakeLibrary, tmp_path: Path
) -> None:
    clock = ManualClock(STARTED)
    async with driven(NOWHERE, tmp_path, clock, NvmlSource()) as agent:
        await ticks(agent, clock, 3)
        assert agent.vitals().facts == ()
        failed = agent.vitals().counters["failed"]
        library.devices[3].lost = 15
        await ticks(agent, clock, 2)
        assert agent.vitals().facts == ("device_lost",)
        rows = agent.vitals().counters["failed"] - failed
        library.devices[3].lost = 0
        await ticks(agent, clock, 70)
        assert agent.vitals().facts == ()
    assert 0 < rows <= 2 * len(agent.inventory.metrics)


async def test_impossible_values_are_counted_and_raise_nothing(
    library: FakeLibrary, tmp_path: Path
) -> None:
    clock = ManualClock(STARTED)
    async with driven(NOWHERE, tmp_path, clock, NvmlSource()) as agent:
        library.devices[5].utilization = 0xFFFFFFFF
        await ticks(agent, clock, 40)
        assert agent.vitals().rejected == {"utilization_ratio": 40}
        assert agent.vitals().facts == ()
