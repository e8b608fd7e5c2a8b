from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tessera.adapters.base import Absent, CounterSource, Reading, Shard
from tessera.adapters.catalogue import Catalogue, default_catalogue
from tessera.adapters.recording import ABSENT, ERROR, UNSUPPORTED, VALUE, BadRecording
from tessera.adapters.recording_read import read_recording
from tessera.agent.check import check
from tessera.agent.grid import Grid
from tessera.agent.record import Pace, record
from tessera.settings.clock import ManualClock

PATH, KINDS = ("rack-0", "node-0"), ("rack", "host")


class Mixed:
    """A source with everything that a reading can be."""

    name = "mixed"
    interval = 1.0

    @property
    def catalogue(self) -> Catalogue:
        return default_catalogue().with_override(
            {
                "fan_ratio": {"direction": "up", "margin": 0.1},
                "step_time_seconds": {"margin": 0.08},
            }
        )

    def shards(self) -> Sequence[Shard]:
        return [
            Shard("gpu-0", "gpu_shard", "h200", "train", "", PATH, KINDS),
            Shard("gpu-1", "gpu_shard", "h200", "train"),
        ]

    def read(self, at: float) -> Iterator[Reading]:
        yield Reading("gpu-0", "power_watts", at)
        yield Reading("gpu-0", "step_time_seconds", Absent("unsupported"))
        yield Reading("gpu-1", "step_time_seconds", 1.5)
        yield Reading("gpu-1", "power_watts", Absent("error", "999"))
        if at != 102.0:
            yield Reading("gpu-1", "fan_ratio", 0.5)
        yield Reading("gpu-1", "news", 1.0) if at > 101.0 else Reading("gpu-9", "news", 1.0)


class Nothing(Mixed):
    name = "nothing"

    def read(self, at: float) -> Iterator[Reading]:
        del at
        return iter(())


def pace(clock: ManualClock, count: int | None, patience: int = 1000) -> Pace:
    """Return a pace whose waits pass on ``clock``, and end after ``patience`` of them."""
    waits = iter(range(patience))

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        return next(waits, None) is not None

    return Pace(clock, Grid(1.0), count, wait)


def taken(out: Path, source: CounterSource, count: int | None = 4, patience: int = 1000) -> int:
    return record(out, [source], "me", pace(ManualClock(99.5), count, patience), lambda _: None)


def test_a_recording_holds_what_was_read_and_why_some_was_not(tmp_path: Path) -> None:
    assert taken(tmp_path / "rec", Mixed()) == 4
    found = read_recording(tmp_path / "rec")
    assert found.times.tolist() == [100.0, 101.0, 102.0, 103.0]
    fan, news, power, step = (
        found.metrics.index(m) for m in ("fan_ratio", "news", "power_watts", "step_time_seconds")
    )
    first, second = found.shards.index("gpu-0"), found.shards.index("gpu-1")
    assert found.values[:, first, power].tolist() == [100.0, 101.0, 102.0, 103.0]
    assert found.codes[:, second, fan].tolist() == [VALUE, VALUE, ABSENT, VALUE]
    assert (found.codes[:, first, step] == UNSUPPORTED).all()
    assert (found.codes[:, second, power] == ERROR).all()
    assert found.errors[0, second, power] == "999"
    assert np.isfinite(found.values[:, second, news]).tolist() == [False, False, True, True]


def test_a_recording_keeps_who_hangs_where_and_what_metrics_mean(tmp_path: Path) -> None:
    taken(tmp_path / "rec", Mixed())
    found = read_recording(tmp_path / "rec")
    assert found.topology.path("gpu-0") == PATH
    assert found.topology.path("gpu-1") == ("me",)
    assert found.topology.node("gpu-0").metadata == {"sku": "h200", "job": "train"}
    wanted = Mixed().catalogue
    for name in ("fan_ratio", "step_time_seconds"):
        now, then = found.catalogue.of(name), wanted.of(name)
        assert now.direction == then.direction
        assert now.margin == pytest.approx(then.margin)
        assert now.role_margin == pytest.approx(then.role_margin)
    assert found.catalogue.of("power_watts") == wanted.of("power_watts")


def test_a_recording_that_is_ended_early_is_whole(tmp_path: Path) -> None:
    ticks = taken(tmp_path / "rec", Mixed(), count=None, patience=3)
    assert ticks == len(read_recording(tmp_path / "rec").times) == 3


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine", encoding="utf-8")
    with pytest.raises(BadRecording, match="nothing is overwritten"):
        taken(tmp_path, Mixed())
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_nothing_to_read_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing can be read here now"):
        taken(tmp_path / "rec", Nothing())
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_each_ten_seconds(tmp_path: Path) -> None:
    lines: list[str] = []
    record(tmp_path / "rec", [Mixed()], "me", pace(ManualClock(99.5), 31), lines.append)
    assert [line.split()[0] for line in lines] == ["11", "21", "31"]


def test_the_table_says_of_everything_what_it_is_or_why_not() -> None:
    lines = check([Mixed()], [], 100.0).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["source", "shard", "metric", "value", "unit"],
        ["mixed", "gpu-0", "power_watts", "100", "W"],
        ["mixed", "gpu-0", "step_time_seconds", "unsupported"],
    ]
    assert any("error: 999" in line for line in lines)
    assert len({line.index("power_watts") for line in lines if "power_watts" in line}) == 1


def test_the_table_of_a_source_that_is_silent_says_so() -> None:
    assert check([Nothing()], [], 100.0) == "nothing: no reading at this moment"
