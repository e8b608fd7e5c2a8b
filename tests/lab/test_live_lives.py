"""A verdict lives on over restarts, in each of its states, and live as in a replay.

A kill is an image of the disk, as in the test of restarts.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tessera.aggregator.decide.lives import Effect
from tessera.aggregator.decide.transition import Transition
from tessera.lab.live import Live
from tessera.lab.replay import Player
from tessera.lab.ticks import ticks_of

from .living import SLOW, SLOWS, Folders, live, mind, read, record, run
from .test_live_restart import killed

ONSET, TICKS = 100, 720
FAULTS = (
    replace(SLOWS, onset=ONSET, end=200),
    replace(SLOWS, onset=250, end=300),  # it comes back while it recovers
)
HOST = "host-02"  # of the slow shard
STATES = {190: "open", 245: "recovering", 290: "open", 345: "recovering"}  # by tick


def told(said: list[Transition]) -> list[str]:
    return [t.transition for t in said if t.transition != "promoted"]


def state(fleet: Live) -> tuple[str, dict[str, Effect], list[str]]:
    """Return what the verdict is, the effects, and the shards that the agent holds."""
    (verdict,) = mind(fleet).open_verdicts
    plan = fleet.agents[HOST].evidence.plan
    assert plan is not None
    return verdict.state, dict(mind(fleet).effects()), sorted(plan.held)


def replayed(folders: Folders) -> list[Transition]:
    recording = read(folders)
    return list(Player(recording, ticks_of(recording)).transitions())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return record(tmp_path_factory.mktemp("lives"), ticks=TICKS, slow=FAULTS)


@pytest.mark.slow
async def test_what_is_killed_in_any_state_of_a_verdict_goes_on_as_a_replay_does(
    folders: Folders, tmp_path: Path
) -> None:
    expected = replayed(folders)
    assert told(expected) == ["opened", "recovering", "reopened", "recovering", "closed"]
    done, passed = list[Transition](), 0
    state_of = Folders(folders.recording, tmp_path)
    async with live(state_of, read(folders)) as fleet:
        for kill_at, expects in STATES.items():
            done += await run(fleet, kill_at - passed)
            passed = kill_at
            before = state(fleet)
            assert before[0] == expects
            assert before[2] == [SLOW]
            with killed(state_of.state / "aggregator"):
                await fleet.stop_aggregator()
            with killed(state_of.state / "agents" / HOST):
                await fleet.agents.pop(HOST).stop()
            await fleet.start_aggregator()
            await fleet.start_agent(HOST)
            assert await fleet.come_to_rest() == []
            assert state(fleet) == before
        done += await run(fleet, TICKS - passed)
        assert mind(fleet).open_verdicts == ()
        plan = fleet.agents[HOST].evidence.plan
        assert plan is not None
        assert plan.held == {}
    assert told(done) == told(expected)
    assert {t.id for t in done} == {"v1"}


@pytest.mark.slow
async def test_a_recovery_whose_agent_lost_its_state_is_an_open_verdict_again(
    folders: Folders, tmp_path: Path
) -> None:
    state_of = Folders(folders.recording, tmp_path)
    async with live(state_of, read(folders)) as fleet:
        await run(fleet, 240)
        assert state(fleet)[0] == "recovering"
        await fleet.agents.pop(HOST).stop()
        shutil.rmtree(state_of.state / "agents" / HOST)
        await fleet.start_agent(HOST)
        said = await run(fleet, 5)
    assert told(said) == ["reopened"]
    assert "lost" in said[0].reason
