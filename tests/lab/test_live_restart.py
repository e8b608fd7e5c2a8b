"""What is killed comes back where it was.

A kill is an image of the disk: folders are copied while everything runs, the process is stopped,
and the next one starts on the copy.
"""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tessera.lab.live import Live

from .living import ONSET, SLOW, Folders, Values, live, mind, read, record, run, values

TICKS = 800
DOWN = 60  # ticks of 5 s: a whole number of all blocks
HOST = "host-01"


@contextmanager
def killed(folder: Path) -> Iterator[None]:
    """Let what lies in ``folder`` afterwards be what lay there before."""
    image = folder.with_name(f"{folder.name}-image")
    shutil.copytree(folder, image)
    yield
    shutil.rmtree(folder)
    image.rename(folder)


@asynccontextmanager
async def fleet_of(folders: Folders) -> AsyncIterator[Live]:
    async with live(folders, read(folders)) as fleet:
        yield fleet


def audited(folders: Folders, kind: str) -> list[str]:
    with sqlite3.connect(folders.state / "aggregator" / "tessera.db") as opened:
        rows = opened.execute("SELECT text FROM audit WHERE kind = ?", [kind]).fetchall()
    opened.close()
    return [str(text) for (text,) in rows]


async def test_an_aggregator_that_was_killed_takes_up_verdicts_and_evidence(tmp_path: Path) -> None:
    folders = record(tmp_path, ticks=TICKS)
    done, passed = [], 0
    async with fleet_of(folders) as fleet:
        for kill_at in (40, 207, 431, ONSET + 97):
            done += await run(fleet, kill_at - passed)
            passed = kill_at
            before, was_open = values(mind(fleet)), mind(fleet).open_verdicts
            with killed(folders.state / "aggregator"):
                await fleet.stop_aggregator()
            await fleet.start_aggregator()
            assert await fleet.come_to_rest() == []
            assert shards(values(mind(fleet))) == shards(before)
            assert mind(fleet).open_verdicts == was_open
        assert [(v.id, v.node) for v in was_open] == [("v1", SLOW)]
        done += await run(fleet, TICKS - passed)
        assert {(t.id, t.node) for t in done} == {("v1", SLOW)}
        assert shards(values(mind(fleet))) != shards(before)


def shards(found: Values) -> Values:
    return {key: value for key, value in found.items() if "-gpu-" in key[2]}


async def test_an_agent_that_was_killed_goes_on_as_one_that_was_only_away(tmp_path: Path) -> None:
    folders = record(tmp_path, ticks=TICKS)
    found: list[Values] = []
    for kill in (False, True):
        state = Folders(folders.recording, tmp_path / f"state-{kill}")
        async with fleet_of(state) as fleet:
            await run(fleet, ONSET + 100)
            image = killed(state.state / "agents" / HOST)
            if kill:
                with image:
                    await fleet.agents.pop(HOST).stop()
            else:
                await fleet.agents.pop(HOST).stop()
            await run(fleet, DOWN)
            await fleet.start_agent(HOST)
            await run(fleet, 60)
            found.append(values(mind(fleet)))
    assert found[0] == found[1]
    assert any(value != 0 for (_, _, node), value in found[0].items() if node.startswith(HOST))


async def test_an_agent_that_lost_its_state_begins_new_epochs_and_the_audit_says_why(
    tmp_path: Path,
) -> None:
    folders = record(tmp_path, ticks=TICKS)
    async with fleet_of(folders) as fleet:
        await run(fleet, ONSET + 100)
        await fleet.agents.pop(HOST).stop()
        shutil.rmtree(folders.state / "agents" / HOST)
        await run(fleet, DOWN)
        await fleet.start_agent(HOST)
        await run(fleet, 1)
        of_host = {k: v for k, v in values(mind(fleet)).items() if k[2].startswith(f"{HOST}-")}
        assert set(of_host.values()) == {0.0}
    assert "its agent began without a checkpoint" in audited(folders, "epoch")[-1]


async def test_an_aggregator_without_its_database_numbers_above_what_agents_have(
    tmp_path: Path,
) -> None:
    folders = record(tmp_path, ticks=TICKS)
    async with fleet_of(folders) as fleet:
        await run(fleet, ONSET)
        before = plans(fleet)
        await fleet.stop_aggregator()
        shutil.rmtree(folders.state / "aggregator")
        await fleet.start_aggregator()
        await fleet.come_to_rest()
        opened = await run(fleet, TICKS - ONSET)
        assert min(plans(fleet)) > max(before)
        assert {t.node for t in opened} == {SLOW}  # by the level channel, which needs no learning
        assert any(value != 0 for value in shards(values(mind(fleet))).values())
    anew = [text for text in audited(folders, "epoch") if "which is not known here" in text]
    assert len(anew) == len(before)  # every host


def plans(fleet: Live) -> list[int]:
    """Return the number of the plan that each agent has."""
    held = [agent.evidence.plan for agent in fleet.agents.values()]
    return [plan.id for plan in held if plan is not None]
