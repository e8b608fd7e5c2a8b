"""Facts that stood when an agent ended, and what becomes of them under the next one."""

from dataclasses import replace
from pathlib import Path

import pytest

from tessera.adapters.base import CounterSource
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeDevice, FakeField
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.settings.clock import ManualClock

from .hosts import STARTED, driven, ticks

NOWHERE = "127.0.0.1:1"  # nobody listens there


async def standing(
    folder: Path, clock: ManualClock, count: int, source: CounterSource | None = None
) -> set[tuple[str, str]]:
    """Return the facts that stand when an agent on ``folder`` has taken ``count`` ticks."""
    async with driven(NOWHERE, folder, clock, source or NvmlSource()) as agent:
        await ticks(agent, clock, count)
        return set(agent.facts.told)


def eight() -> FakeLibrary:
    return FakeLibrary([FakeDevice(f"GPU-{i}") for i in range(8)])


async def test_a_device_that_came_back_while_nobody_looked_is_lost_no_more(tmp_path: Path) -> None:
    clock, library = ManualClock(STARTED), eight()
    with installed(library):
        async with driven(NOWHERE, tmp_path, clock, NvmlSource()) as agent:
            await ticks(agent, clock, 1)
            library.devices[3].lost = 15
            await ticks(agent, clock, 1)
            assert agent.facts.told == {("GPU-3", "device_lost")}
        assert await standing(tmp_path, clock, 100) == {("GPU-3", "device_lost")}
        library.devices[3].lost = 0
        assert await standing(tmp_path, clock, 55) == {("GPU-3", "device_lost")}
        assert await standing(tmp_path, clock, 65) == set()


@pytest.mark.parametrize("reloaded", [False, True])
async def test_uncorrected_errors_outlive_a_new_agent_and_not_a_new_driver(
    tmp_path: Path, *, reloaded: bool
) -> None:
    clock, library = ManualClock(STARTED), eight()
    fields = library.devices[5].fields
    with installed(library):
        async with driven(NOWHERE, tmp_path, clock, NvmlSource()) as agent:
            await ticks(agent, clock, 11)
            fields[4] = replace(fields[4], value=2)
            await ticks(agent, clock, 11)
            assert agent.facts.told == {("GPU-5", "ecc_uncorrected")}
        if reloaded:
            fields[4] = FakeField()
        left = await standing(tmp_path, clock, 120)
        assert left == (set() if reloaded else {("GPU-5", "ecc_uncorrected")})
