"""What an agent hears and sees of its host goes up, and outlives it."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import monotonic, sleep

import numpy as np

from tessera.agent.machine import EACH, Machine
from tessera.agent.mailbox import Mailbox
from tessera.agent.runtime import Agent
from tessera.agent.workload import Workload
from tessera.proto import decode
from tessera.settings.clock import ManualClock

from .aggregator import RUNG, Aggregator, aggregator
from .hosts import SHARDS, STARTED, Seeded, planned, settings, ticks, until

PATIENCE = 10.0  # seconds after which what was said should have been heard


@asynccontextmanager
async def host(
    serving: Aggregator, folder: Path, clock: ManualClock, workload: Workload
) -> AsyncIterator[Agent]:
    """Drive an agent of five shards that hears its programs and looks at a machine of the test."""
    agent = Agent(
        settings(serving.address),
        [Seeded(), Machine(folder / "root"), workload],
        clock,
        Random(1),  # noqa: S311  chance, not secrets
        folder=folder / "agent",
        paced=False,
    )
    try:
        await agent.start()
        await planned(agent)
        yield agent
    finally:
        await agent.stop()


def programs(folder: Path) -> Workload:
    return Workload(Mailbox(folder / "agent.sock"))


def say(workload: Workload, *lines: str) -> None:
    """Send ``lines`` as programs do, and wait until they are heard."""
    until = workload.mailbox.counts["taken"] + len(lines)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        for line in lines:
            sending.sendto(line.encode(), str(workload.mailbox.path))
    since = monotonic()
    while workload.mailbox.counts["taken"] < until:
        assert monotonic() < since + PATIENCE
        sleep(0.001)


async def test_what_programs_pushed_is_a_column_after_the_next_start(tmp_path: Path) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        workload = programs(tmp_path)
        async with host(serving, tmp_path, clock, workload) as agent:
            assert "tokens_per_second" not in agent.inventory.metrics
            say(workload, "tokens_per_second:900|g|#device:2")
            await ticks(agent, clock, RUNG)
        workload = programs(tmp_path)
        serving.plan = 2
        async with host(serving, tmp_path, clock, workload) as agent:
            await until(agent, lambda: "tokens_per_second" in agent.inventory.metrics)
            column = agent.inventory.metrics.index("tokens_per_second")
            say(workload, "tokens_per_second:900|g|#device:2")
            seen = len(serving.up1)
            await ticks(agent, clock, 2 * RUNG)
            await serving.until(lambda: len(serving.up1) >= seen + 2)
    once, never = (up1.x[:, column] for up1 in serving.up1[seen:])
    assert np.isfinite(once).nonzero()[0].tolist() == [2]
    assert np.isnan(never).all()


async def test_jobs_events_and_changes_go_up_under_one_number_each(tmp_path: Path) -> None:
    clock, workload = ManualClock(STARTED), programs(tmp_path)
    kernel = tmp_path / "root" / "proc/sys/kernel/osrelease"
    kernel.parent.mkdir(parents=True)
    kernel.write_text("6.1", encoding="utf-8")
    async with aggregator() as serving:
        async with host(serving, tmp_path, clock, workload) as agent:
            await ticks(agent, clock, 1)
            say(
                workload,
                '{"job": "slurm-7", "state": "start", "devices": [0]}',
                '{"event": "capacity_change", "detail": "one fan less"}',
            )
            kernel.write_text("6.2", encoding="utf-8")
            await ticks(agent, clock, int(EACH))
            await serving.until(lambda: len(serving.events) == 3)
        async with host(serving, tmp_path, clock, programs(tmp_path)) as agent:
            await ticks(agent, clock, 2)
            assert agent.inventory.shards[0].job == "slurm-7"
    once = {event.id: event for event in serving.events}  # what was not acknowledged comes again
    told = [(event.kind, event.detail, list(event.scope)) for event in once.values()]
    assert told == [
        ("model_redeploy", "job: none → slurm-7", [SHARDS[0]]),
        ("capacity_change", "one fan less", []),
        ("env_change", "kernel: 6.1 → 6.2", []),
    ]


async def test_strangers_and_bad_lines_are_among_the_counters(tmp_path: Path) -> None:
    clock, workload = ManualClock(STARTED), programs(tmp_path)
    async with aggregator() as serving, host(serving, tmp_path, clock, workload) as agent:
        say(workload, "step_time_seconds:1|g|#device:99")
        await ticks(agent, clock, 1)
        counters = agent.vitals().counters
        assert (counters["socket_taken"], counters["socket_strangers"]) == (1, 1)


async def pushed_evidence(folder: Path, slow: float) -> dict[str, float]:
    """Return ln M of the level of each shard after 30 blocks with one push each.

    Steps of the last shard take ``slow`` times as long as those of the others.
    """
    metric, clock, workload = "collective_time_seconds", ManualClock(STARTED), programs(folder)
    (folder / "agent").mkdir()
    known = {"boot": "", "metrics": {metric: STARTED}}
    (folder / "agent" / "identity").write_text(json.dumps(known), encoding="utf-8")
    rng = np.random.default_rng(1)
    async with aggregator() as serving, host(serving, folder, clock, workload) as agent:
        for _ in range(30):
            factor = np.where(np.arange(len(SHARDS)) == len(SHARDS) - 1, slow, 1.0)
            steps = factor * np.exp(0.01 * rng.normal(size=len(SHARDS)))
            say(workload, *(f"{metric}:{s:.6f}|g|#device:{i}" for i, s in enumerate(steps)))
            told = len(serving.up2)
            await ticks(agent, clock, RUNG)
            await serving.until(lambda told=told: len(serving.up2) > told)  # type: ignore[misc]  # the number of now
        shape = (len(SHARDS), len(agent.inventory.metrics))
        level = decode.up2(serving.up2[-1], "host-0", shape).level
        column = agent.inventory.metrics.index(metric)
        return dict(zip(SHARDS, map(float, level[:, column]), strict=True))


async def test_a_shard_whose_pushed_steps_take_longer_is_found_by_one_push_a_block(
    tmp_path: Path,
) -> None:
    found = await pushed_evidence(tmp_path, 1.3)
    assert found.pop(SHARDS[-1]) > np.log(100.0)
    assert max(found.values()) < np.log(20.0)


async def test_shards_whose_pushed_steps_take_as_long_as_each_others_are_not(
    tmp_path: Path,
) -> None:
    found = await pushed_evidence(tmp_path, 1.0)
    assert max(found.values()) < np.log(20.0)
