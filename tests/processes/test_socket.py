"""What other programs of a host say to its agent, as processes: values, jobs, events."""

import os
import subprocess
import sys
from asyncio import sleep as pause
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from ..agent.aggregator import Aggregator, aggregator
from .programs import PATIENCE, Program, program

STEP = "collective_time_seconds"  # which the synthetic fleet does not give


@contextmanager
def agent(state: Path, address: str) -> Iterator[Program]:
    words = (
        *("--source", "synthetic", "--beneath", "host-00", "--host", "host-00"),
        *("--state-dir", str(state), "--aggregator", address, "--agent-http", "127.0.0.1:0"),
    )
    with program("agent", state.parent / "agent.log", *words) as running:
        yield running


def call(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own words
        [sys.executable, *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def train(path: Path, seconds: float, rank: int) -> None:
    """Be one rank of a job that takes ``seconds`` for a step."""
    code = f"from tessera.agent.client import push; print(push({STEP!r}, {seconds}))"
    done = call("-c", code, TESSERA_SOCKET=str(path), LOCAL_RANK=str(rank))
    assert done.stdout == "True\n", done


async def until(met: Callable[[], bool]) -> None:
    """Wait until it is so: what has changed on a host is believed after two looks, 10 s apart."""
    since = monotonic()
    while not met():
        assert monotonic() < since + PATIENCE
        await pause(0.1)


def read(serving: Aggregator) -> list[str]:
    """Return the columns of the host's last inventory."""
    rows = serving.inventories[-1].streams if serving.inventories else ()
    return [row.metric for row in rows]


def values(serving: Aggregator) -> dict[int, float]:
    """Return what block values of the last inventory say of the metric, by row."""
    column, width = read(serving).index(STEP), len(read(serving))
    found: dict[int, float] = {}
    for up1 in (up1 for up1 in serving.up1 if up1.x.shape[1] == width):
        rows = np.flatnonzero(np.isfinite(up1.x[:, column]))
        found |= {int(row): float(up1.x[row, column]) for row in rows}
    return found


@pytest.mark.slow
async def test_a_pushed_value_goes_up_with_the_shard_that_it_is_of(tmp_path: Path) -> None:
    state = tmp_path / "state"
    path = state / "agent" / "agent.sock"
    async with aggregator() as serving:
        with agent(state, serving.address) as running:
            await serving.until(lambda: bool(serving.up1))
            assert STEP not in read(serving)
            serving.plan = 2  # the one for what the host will have
            train(path, 0.25, 1)
            await until(lambda: STEP in read(serving))
            width = len(read(serving))
            await until(lambda: serving.up1[-1].x.shape[1] == width)
            train(path, 0.25, 1)
            await until(lambda: bool(values(serving)))
            assert values(serving) == {1: np.float32(np.log(0.25))}
            assert running.terminate() == 0
        assert not path.exists()


@pytest.mark.slow
async def test_a_job_and_an_event_are_told_as_events_and_the_job_is_that_of_its_shards(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    path = state / "agent" / "agent.sock"
    slurm = {"SLURM_JOB_ID": "77", "SLURM_JOB_GPUS": "0,1", "TESSERA_SOCKET": str(path)}
    declared = ("-m", "tessera.agent", "event", "config_change", "--state-dir", str(state))
    async with aggregator() as serving:
        with agent(state, serving.address) as first:
            await serving.until(lambda: bool(serving.up1))
            done = call(*declared, "--detail", "fans to full", "--scope", "3")
            assert (done.returncode, done.stderr) == (0, ""), done
            await serving.until(lambda: len(serving.events) == 1)
            assert call("-m", "tessera.agent.prolog", "start", **slurm).returncode == 0
            await serving.until(lambda: len(serving.events) == 2)
            assert first.terminate() == 0
        ids = [row.id for row in serving.inventories[-1].shards]
        with agent(state, serving.address):
            await until(lambda: serving.inventories[-1].shards[0].job == "slurm-77")
    told, job = {event.id: event for event in serving.events}.values()
    assert (told.kind, told.detail, list(told.scope)) == ("config_change", "fans to full", [ids[3]])
    assert (job.kind, list(job.scope)) == ("model_redeploy", ids[:2])
    assert "slurm-77" in job.detail
    jobs = [row.job for row in serving.inventories[-1].shards]
    assert jobs[:2] == ["slurm-77", "slurm-77"]
    assert "slurm-77" not in jobs[2:]
