from pathlib import Path

import pytest

from tessera.adapters.recording_read import read_recording

from .playing import (
    REAL,
    SLOWED,
    healed,
    needs_real,
    play,
    rewrite,
    told_by_a_process,
    without,
)


@needs_real
def test_the_worker_that_was_slowed_on_purpose_is_named_and_nobody_else() -> None:
    told = play(REAL)
    assert told.open == [SLOWED]
    assert {v["node"] for v in told.verdicts} == {SLOWED}
    assert (told.summary["shards"], told.summary["ticks"]) == (16, 1408)


@needs_real
def test_without_the_slowed_worker_nothing_opens(tmp_path: Path) -> None:
    rest = without(read_recording(REAL), SLOWED)
    told = play(rewrite(tmp_path / "r", rest, rest.values))
    assert told.verdicts == []
    assert told.summary["shards"] == 15


@needs_real
@pytest.mark.slow
def test_brought_to_its_peers_level_and_then_eight_percent_above_it_is_named_soon(
    tmp_path: Path,
) -> None:
    recording = read_recording(REAL)
    values = healed(recording)
    values[700:, recording.shards.index(SLOWED)] *= 1.08
    told = play(rewrite(tmp_path / "r", recording, values))
    assert 700 <= told.opened_at(SLOWED) <= 760
    assert told.open == [SLOWED]


@needs_real
@pytest.mark.slow
def test_three_percent_above_its_peers_is_too_little_to_care(tmp_path: Path) -> None:
    recording = read_recording(REAL)
    values = healed(recording)
    values[700:, recording.shards.index(SLOWED)] *= 1.03
    assert play(rewrite(tmp_path / "r", recording, values)).verdicts == []


@needs_real
@pytest.mark.slow
def test_a_slow_stage_of_the_real_job_is_named_as_a_stage(tmp_path: Path) -> None:
    recording = read_recording(REAL)
    values = healed(recording)
    stage = [i for i, name in enumerate(recording.shards) if name.endswith("-pp2")]
    values[:, stage] *= 1.3
    told = play(rewrite(tmp_path / "r", recording, values))
    assert told.open == ["pp2"]
    assert {v["level"] for v in told.verdicts if v["transition"] == "opened"} == {"stage"}


@needs_real
@pytest.mark.slow
def test_the_real_recording_is_told_in_the_same_bytes_by_every_process() -> None:
    assert told_by_a_process(REAL, "1") == told_by_a_process(REAL, "2")
