"""A scheduler that a setting names tells the agent which job each of its shards runs."""

from pathlib import Path
from random import Random

import pytest

from tessera.adapters.jobs import Held, JobSource
from tessera.agent.config import AgentSettings
from tessera.agent.program import local_sources
from tessera.agent.runtime import Agent
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, aggregator
from .hosts import SHARDS, STARTED, Seeded, planned, settings, ticks


@pytest.mark.parametrize("name", ["kubernetes", "slurm", "slurm-nodes"])
def test_a_scheduler_is_asked_only_where_a_setting_says_so(tmp_path: Path, name: str) -> None:
    asked = AgentSettings.model_validate({"job_from": name})
    assert name in {source.name for source in local_sources(asked, tmp_path)}
    assert name not in {source.name for source in local_sources(AgentSettings(), tmp_path)}


async def test_jobs_that_a_scheduler_knows_stand_in_the_inventory_and_are_no_event(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    jobs = JobSource("slurm", lambda: [Held("slurm-9", "0"), Held("slurm-9", "1")])
    async with aggregator() as serving:
        agent = Agent(
            settings(serving.address),
            [Seeded(), jobs],
            clock,
            Random(1),  # noqa: S311  chance, not secrets
            folder=tmp_path,
            paced=False,
        )
        try:
            await agent.start()
            await planned(agent)
            await ticks(agent, clock, 2 * RUNG)
            shown = [shard.job for shard in agent.inventory.shards]
        finally:
            await agent.stop()
    assert shown[:2] == ["slurm-9", "slurm-9"]
    assert "slurm-9" not in shown[2:]
    assert len(shown) == len(SHARDS)
    assert serving.events == []
