from pathlib import Path

import pytest

from tessera.adapters.base import Absent, CounterSource, Reading
from tessera.adapters.recording_read import read_recording
from tessera.adapters.recording_source import RecordingSource

from .recordings import folder


def test_a_tick_gives_values_and_absences_with_their_reasons(tmp_path: Path) -> None:
    source: CounterSource = RecordingSource(read_recording(folder(tmp_path)))
    assert list(source.read(0.0)) == [
        Reading("gpu-0", "clock", Absent("unsupported")),
        Reading("gpu-0", "power_watts", 400.0),
    ]
    assert list(source.read(10.0)) == [
        Reading("gpu-0", "power_watts", Absent("error", "GPU_LOST")),
        Reading("gpu-1", "power_watts", 500.5),
    ]


def test_between_ticks_the_last_one_holds_and_a_gap_stays_a_gap(tmp_path: Path) -> None:
    source = RecordingSource(read_recording(folder(tmp_path)))
    assert list(source.read(-1.0)) == []
    assert list(source.read(9.9)) == list(source.read(0.0))
    assert list(source.read(30.0)) == []


def test_a_host_serves_only_its_own_shards(tmp_path: Path) -> None:
    source = RecordingSource(read_recording(folder(tmp_path)), ["gpu-1"])
    assert [(shard.id, shard.sku, shard.path) for shard in source.shards()] == [
        ("gpu-1", "h100", ("host",))
    ]
    assert {reading.shard for reading in source.read(10.0)} == {"gpu-1"}


def test_a_shard_the_recording_lacks_is_refused(tmp_path: Path) -> None:
    recording = read_recording(folder(tmp_path))
    with pytest.raises(ValueError, match="no shard 'gpu-9'"):
        RecordingSource(recording, ["gpu-9"])
