"""Hours of ticks on a driven clock: memory stands still, and a leak would be seen."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from soak import Slope, slope

from tessera.adapters.base import Reading
from tessera.agent.usage import usage
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, aggregator
from .hosts import STARTED, Seeded, driven, planned, ticks

BLOCKS = 3000  # of five ticks: four hours
WARM = 1000  # after which rings, baselines and allocators are full
EACH = 50  # blocks between two looks
LEAK = 1000  # bytes a tick: 86 MB a day
MOST = LEAK / 4


class Leaking(Seeded):
    """A source that keeps a little of every tick."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[bytearray] = []

    def read(self, at: float) -> Iterator[Reading]:
        self.kept.append(bytearray(LEAK))
        return super().read(at)


async def growth(folder: Path, source: Seeded) -> Slope:
    """Return the bytes of memory that a tick costs for good, over hours of ticks."""
    clock, at, resident = ManualClock(STARTED), list[float](), list[float]()
    async with aggregator() as serving, driven(serving.address, folder, clock, source) as agent:
        await planned(agent)
        for block in range(BLOCKS):
            assert await ticks(agent, clock, RUNG) == 1
            await serving.until(lambda: bool(serving.up2))
            for heard in (serving.up1, serving.up2, serving.beats):
                heard.clear()
            if block >= WARM and block % EACH == 0:
                gc.collect()
                at.append(float(block * RUNG))
                resident.append(usage().resident)
    return slope(at, resident)


@pytest.mark.slow
async def test_memory_does_not_grow_with_ticks(tmp_path: Path) -> None:
    found = await growth(tmp_path, Seeded())
    assert found.rise < MOST or found.rise < 4 * found.error


@pytest.mark.slow
async def test_a_source_that_keeps_a_kilobyte_of_each_tick_is_seen(tmp_path: Path) -> None:
    found = await growth(tmp_path, Leaking())
    assert found.rise > max(MOST, 4 * found.error)
    assert 0.5 * LEAK < found.rise < 2 * LEAK
