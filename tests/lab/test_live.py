from pathlib import Path

from tessera.adapters.recording import Recording
from tessera.lab.replay import Player
from tessera.lab.ticks import ticks_of

from .living import SLOW, live, mind, read, record, run, values

TICKS = 800


def replayed(recording: Recording) -> Player:
    return Player(recording, ticks_of(recording))


async def test_what_runs_live_says_what_a_replay_says_to_the_last_bit(tmp_path: Path) -> None:
    folders = record(tmp_path, ticks=TICKS)
    recording = read(folders)
    player = replayed(recording)
    expected = list(player.transitions())
    async with live(folders, recording) as fleet:
        found = await run(fleet, TICKS)
        told = values(mind(fleet))
    assert [t.node for t in expected] != []
    assert {t.node for t in expected} == {SLOW}
    assert found == expected
    assert told == values(player.lockstep.pipeline)


async def test_a_healthy_fleet_is_quiet_live_too(tmp_path: Path) -> None:
    folders = record(tmp_path, ticks=TICKS, fault=False)
    async with live(folders, read(folders)) as fleet:
        assert await run(fleet, TICKS) == []
