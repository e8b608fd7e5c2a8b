"""Errors of NVIDIA devices, from the driver to the aggregator, through the agent itself."""

import asyncio
from pathlib import Path

import pytest

from tessera.adapters.linux.kmsg import KernelLog
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.events import DeviceEvents
from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_events import FakeEvent, FakeEventLibrary
from tessera.adapters.nvidia.fake_library import installed
from tessera.adapters.nvidia.watch import XidWatch
from tessera.adapters.nvidia.xid import shipped
from tessera.settings.clock import ManualClock

from .aggregator import aggregator
from .hosts import PATIENCE, STARTED, driven, ticks

UUIDS = ("GPU-0", "GPU-1")


@pytest.mark.parametrize(("code", "facts"), [(13, []), (79, [("GPU-1", "xid_79")])])
async def test_a_storm_of_10000_application_xids_raises_no_fact_one_hardware_xid_raises_one(
    tmp_path: Path, code: int, facts: list[tuple[str, str]]
) -> None:
    library = FakeEventLibrary([FakeDevice(uuid) for uuid in UUIDS])
    log, events = KernelLog(tmp_path / "no log"), DeviceEvents(lambda: STARTED)
    watch = XidWatch(shipped(), log, events)
    clock = ManualClock(STARTED)

    def heard() -> int:
        return watch.counts["GPU-1"] + watch.standing.times("GPU-1", "xid_79")

    with installed(library):
        async with (
            aggregator() as serving,
            driven(serving.address, tmp_path / "state", clock, NvmlSource(watch)) as agent,
        ):
            assert await asyncio.to_thread(library.until_heard, UUIDS)
            library.tell(*[FakeEvent("GPU-1", code=31)] * 10_000)
            library.tell(*[FakeEvent("GPU-1", code=code)] * 10)
            async with asyncio.timeout(PATIENCE):
                while heard() < 10_010:
                    await ticks(agent, clock, 1)
            assert agent.vitals().facts == tuple(name for _, name in facts)
            await serving.until(lambda: len(serving.facts) >= len(facts))
            assert [(fact.shard, fact.code) for fact in serving.facts] == facts
