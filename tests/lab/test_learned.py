"""What is learned from one recording serves the next: replay, live, and after a restart."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from tessera.adapters.recording import Recording
from tessera.adapters.recording_read import read_recording
from tessera.adapters.recording_write import Chunk, Outline, write_recording
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet, null_fleet
from tessera.engine.curation.validate import curate
from tessera.lab.contrasts import corpus_of
from tessera.lab.curated import LEARNED
from tessera.lab.learned import learn, without_incidents
from tessera.lab.live import Live
from tessera.lab.replay import Player
from tessera.lab.ticks import ticks_of
from tessera.proto.baseline_file import Baseline, read_baseline, write_baseline

from .bundles import run as curated
from .living import BEGAN, INTERVAL, Folders, live, mind, run, values
from .playing import refusal

LEARNT, ONSET = 2500, 2500 + 150  # ticks of a second: block 30 of the second recording
SPEC = null_fleet(shards=64, ticks=LEARNT)


def written(folder: Path, fleet: SyntheticFleet, first: int, last: int, every: float) -> Recording:
    """Write the ticks ``first`` … ``last`` of a fleet, ``every`` seconds one, and read them."""
    outline = Outline(fleet.topology, fleet.names, fleet.metrics)
    times = every * np.arange(first, last, dtype=np.float64)
    chunk = Chunk(times + (BEGAN if every > 1 else 0.0), fleet.ticks(first, last))
    write_recording(folder, outline, [chunk], packed=False)
    return read_recording(folder)


def learned(recording: Recording) -> Baseline:
    ticks = ticks_of(recording)
    corpus = corpus_of(recording, ticks)
    return read_baseline(write_baseline(learn(recording, ticks, corpus, curate(corpus.rows))))


@cache
def history() -> Baseline:
    """Return what is learned from 2,500 s of a healthy fleet of 64."""
    folder = Path(mkdtemp(prefix="tessera-test-"))
    try:
        return learned(written(folder, SyntheticFleet(SPEC, 1), 0, LEARNT, 1.0))
    finally:
        shutil.rmtree(folder)


def later(folder: Path, faults: Sequence[Fault] = ()) -> Recording:
    """Return 1,000 s more of the same fleet."""
    return written(folder, SyntheticFleet(SPEC, 1, faults), LEARNT, LEARNT + 1000, 1.0)


def fault() -> Fault:
    return Fault(SyntheticFleet(SPEC, 1).names[5], "*", "step", 6.0, ONSET)


def test_power_a_fault_at_block_thirty_is_found_and_by_a_cold_twin_it_is_not(
    tmp_path: Path,
) -> None:
    recording = later(tmp_path / "r", [fault()])
    warm = Player(recording, ticks_of(recording), baseline=history())
    told = list(warm.transitions())
    assert [(t.transition, t.node) for t in told] == [("opened", fault().node)]
    assert told[0].at >= ONSET
    cold = Player(recording, ticks_of(recording))
    assert list(cold.transitions()) == []


def test_null_a_healthy_fleet_that_starts_warm_stays_quiet_and_bets_from_the_first_blocks(
    tmp_path: Path,
) -> None:
    recording = later(tmp_path / "r")
    ticks = ticks_of(recording)
    player = Player(recording, ticks, baseline=history())
    for at, readings in list(ticks)[:15]:  # three blocks: the second has a predecessor
        list(player.lockstep.play([(at, readings)]))
    moved = int((player.lockstep.pipeline.log_m()[0, 0, :64] != 0.0).sum())
    assert moved == 64
    rest = [transition for at in list(ticks)[15:] for transition in player.lockstep.play([at])]
    assert rest == []


def test_what_starts_and_what_learns_is_said(tmp_path: Path) -> None:
    recording = later(tmp_path / "r")
    player = Player(recording, ticks_of(recording), baseline=history())
    list(player.transitions())
    said = player.lockstep.warmed()
    assert f"5 s: 64 of 64 streams start from baseline {history().id}" in said
    assert any("it was still learning there" in line for line in said)


def test_a_fleet_of_other_shards_learns_and_says_so(tmp_path: Path) -> None:
    spec = null_fleet(shards=32, ticks=LEARNT)
    stranger = written(
        tmp_path / "r", SyntheticFleet(spec, 2), 0, 1500, 1.0
    )  # the same names in other groups
    player = Player(stranger, ticks_of(stranger), baseline=history())
    list(player.transitions())
    said = "\n".join(player.lockstep.warmed())
    assert "32 shards learn: their SKU, job, role or peer group is another one" in said
    cold = Player(stranger, ticks_of(stranger))
    list(cold.transitions())
    np.testing.assert_array_equal(
        player.lockstep.pipeline.log_m()[2], cold.lockstep.pipeline.log_m()[2]
    )


def test_the_command_writes_a_baseline_from_which_a_replay_starts(tmp_path: Path) -> None:
    written(tmp_path / "a", SyntheticFleet(SPEC, 1), 0, LEARNT, 1.0)
    done = curated(tmp_path / "a", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    file = tmp_path / "out" / LEARNED
    first = file.read_bytes()
    assert read_baseline(first).streams == history().streams
    curated(tmp_path / "a", tmp_path / "out")
    assert file.read_bytes() == first
    assert "## Baseline " in (tmp_path / "out" / "curation-report.md").read_text(encoding="utf-8")


def test_a_shard_that_had_a_verdict_is_left_out_with_the_reason(tmp_path: Path) -> None:
    ill = Fault(SyntheticFleet(SPEC, 1).names[5], "*", "step", 8.0, 1500)
    made = learned(written(tmp_path / "r", SyntheticFleet(SPEC, 1, [ill]), 0, LEARNT, 1.0))
    assert ill.node in made.left_out
    assert ill.node not in {s.shard for s in made.streams}
    assert len({s.shard for s in made.streams}) == 63


def test_nothing_is_learned_from_an_incident_of_the_whole_fleet(tmp_path: Path) -> None:
    names = SyntheticFleet(SPEC, 1).names
    hit = [
        Fault(n, "*", "step", s * 9.0, 1000, 1100) for n, s in zip(names, [1, -1] * 32, strict=True)
    ]
    recording = written(tmp_path / "r", SyntheticFleet(SPEC, 1, hit), 0, LEARNT, 1.0)
    ticks = ticks_of(recording)
    corpus = corpus_of(recording, ticks)
    found = curate(corpus.rows)
    left = without_incidents(ticks, corpus, found)
    assert np.isnan(left.values[1000:1100]).all()
    assert np.isfinite(left.values[:900]).all()


@pytest.mark.parametrize("text", [b"", b"tessera baseline 1\n", b"\x00" * 99])
def test_a_replay_refuses_what_is_no_baseline_in_one_line(tmp_path: Path, text: bytes) -> None:
    later(tmp_path / "r")
    (tmp_path / "b").write_bytes(text)
    said = refusal(tmp_path / "r", "--baseline", str(tmp_path / "b"))
    assert "write it again with tessera curate-baseline" in said


@dataclass(frozen=True)
class Twice:
    """One fleet of 40 shards on five hosts: a past that was learned, and a later recording."""

    folders: Folders
    recording: Recording
    file: Path

    def live(self) -> Live:
        return live(self.folders, self.recording, self.file)


SLOW, LATER = "host-02-gpu-1", 700  # ticks of five seconds


def twice(folder: Path) -> Twice:
    spec = FleetSpec(shards=40)
    slow = Fault(SLOW, "power_watts", "step", 6.0, LATER + 30)
    past = written(folder / "past", SyntheticFleet(spec, 7), 0, LATER, INTERVAL)
    (folder / "b").write_bytes(write_baseline(learned(past)))
    recording = written(
        folder / "recording", SyntheticFleet(spec, 7, [slow]), LATER, LATER + 730, INTERVAL
    )
    return Twice(Folders(folder / "recording", folder / "state"), recording, folder / "b")


async def test_what_starts_warm_live_says_what_a_replay_says_to_the_last_bit(
    tmp_path: Path,
) -> None:
    made = twice(tmp_path)
    known = read_baseline(made.file.read_bytes())
    player = Player(made.recording, ticks_of(made.recording), baseline=known)
    ticks = list(ticks_of(made.recording))[:160]
    expected = [done for tick in ticks for done in player.lockstep.play([tick])]
    async with made.live() as fleet:
        assert await run(fleet, 160) == expected
        assert values(mind(fleet)) == values(player.lockstep.pipeline)
    change = {k: v for k, v in values(player.lockstep.pipeline).items() if k[0] == 0}
    assert max(change, key=lambda key: change[key])[2] == SLOW
    assert max(change.values()) > np.log(20.0)


async def test_a_warm_start_outlives_a_restart_of_agents_and_aggregator(tmp_path: Path) -> None:
    made = twice(tmp_path)
    found = []
    for restarts in (False, True):
        folders = Folders(made.folders.recording, tmp_path / f"state-{restarts}")
        async with Twice(folders, made.recording, made.file).live() as fleet:
            await run(fleet, 40)
            if restarts:
                await fleet.stop_aggregator()
                await fleet.start_aggregator()
                await fleet.come_to_rest()
                await fleet.agents.pop("host-01").stop()
                await fleet.start_agent("host-01")
                await fleet.come_to_rest()
            await run(fleet, 60)
            found.append(values(mind(fleet)))
    of_shards = [{k: v for k, v in one.items() if "-gpu-" in k[2]} for one in found]
    assert of_shards[0] == of_shards[1]
    assert any(value != 0.0 for key, value in of_shards[0].items() if key[0] == 0)
