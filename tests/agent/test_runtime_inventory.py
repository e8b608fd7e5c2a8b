"""An agent whose host changes while it runs, or while it did not."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tessera.adapters.base import Reading, Shard
from tessera.agent.inventory import INVENTORY
from tessera.agent.resurvey import EACH
from tessera.agent.runtime import Agent
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, Aggregator, aggregator
from .hosts import SHARDS, STARTED, Seeded, driven, planned, ticks, until

TWICE = 2 * int(EACH) + 1  # ticks in which a change is seen in two looks


class Changing(Seeded):
    """A host that shows its shards but those that are gone, and perhaps one metric more."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[str] = set()
        self.more = ""

    def shards(self) -> Sequence[Shard]:
        return [shard for shard in super().shards() if shard.id not in self.gone]

    def read(self, at: float) -> Iterator[Reading]:
        for reading in super().read(at):
            if reading.shard not in self.gone:
                yield reading
        if self.more:
            yield Reading(SHARDS[-1], self.more, 300.0 + at % 7)


async def followed(agent: Agent, version: int) -> None:
    await until(agent, lambda: agent.uplink.up and agent.inventory.version == version)


def told(serving: Aggregator) -> list[tuple[int, int, bool]]:
    """Return version, shards and whether it is a former one of every inventory that came."""
    return [(i.version, len(i.shards), i.former) for i in serving.inventories]


async def test_a_shard_that_leaves_is_announced_and_the_next_blocks_are_without_it(
    tmp_path: Path,
) -> None:
    clock, source = ManualClock(STARTED), Changing()
    async with aggregator() as serving, driven(serving.address, tmp_path, clock, source) as agent:
        await planned(agent)
        await ticks(agent, clock, RUNG)
        source.gone.add(SHARDS[1])
        serving.plan = 2
        await ticks(agent, clock, TWICE)
        await followed(agent, 2)
        assert told(serving) == [(1, 5, False), (2, 4, False)]
        await ticks(agent, clock, 2 * RUNG)
        await serving.until(lambda: serving.up1[-1].inventory == 2)
        assert serving.up1[-1].x.shape == (4, 2)
        assert [s.id for s in agent.inventory.shards] == [s for s in SHARDS if s != SHARDS[1]]


async def test_a_metric_that_comes_is_a_column_of_the_next_blocks(tmp_path: Path) -> None:
    clock, source = ManualClock(STARTED), Changing()
    async with aggregator() as serving, driven(serving.address, tmp_path, clock, source) as agent:
        await planned(agent)
        source.more = "collective_seconds"
        serving.plan = 2
        await ticks(agent, clock, TWICE)
        await followed(agent, 2)
        await ticks(agent, clock, 2 * RUNG)
        await serving.until(lambda: serving.up1[-1].inventory == 2)
        assert agent.inventory.metrics[0] == "collective_seconds"
        x = serving.up1[-1].x[:, 0]
        assert np.isfinite(x).tolist() == [False] * 4 + [True]


async def test_a_change_while_the_agent_was_down_is_announced_after_what_its_evidence_is_of(
    tmp_path: Path,
) -> None:
    clock, source = ManualClock(STARTED), Changing()
    async with aggregator() as serving:
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await planned(agent)
            await ticks(agent, clock, 2 * RUNG)
        source.gone.add(SHARDS[1])
        serving.plan = 2
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await followed(agent, 2)
        assert [hello.resumed for hello in serving.hellos] == [False, True]
        assert told(serving)[1:] == [(1, 5, True), (2, 4, False)]
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await until(agent, lambda: agent.uplink.up)
            await serving.until(lambda: len(serving.hellos) == 3 and len(told(serving)) == 4)
        assert told(serving)[3:] == [(2, 4, False)]


async def test_a_metric_that_has_no_value_yet_after_a_restart_is_still_one(tmp_path: Path) -> None:
    clock, source = ManualClock(STARTED), Changing()
    source.more = "collective_seconds"
    async with aggregator() as serving:
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await planned(agent)
        source.more = ""
        async with driven(serving.address, tmp_path, clock, source) as agent:
            assert "collective_seconds" in agent.inventory.metrics
            assert agent.inventory.version == 1


async def test_a_file_of_the_inventory_that_is_lost_gives_no_version_twice(tmp_path: Path) -> None:
    clock, source = ManualClock(STARTED), Changing()
    async with aggregator() as serving:
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await planned(agent)
        (tmp_path / INVENTORY).unlink()
        source.gone.add(SHARDS[1])
        serving.plan = 2
        async with driven(serving.address, tmp_path, clock, source) as agent:
            await followed(agent, 2)
        assert told(serving)[1:] == [(1, 5, True), (2, 4, False)]
