from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from tessera.adapters.base import Absent, Reading, Shard
from tessera.adapters.catalogue import Catalogue, default_catalogue
from tessera.agent.identity import Identity
from tessera.agent.inventory import (
    Named,
    catalogue_of,
    interval_of,
    intervals_of,
    judged_metrics,
    pushed_of,
    survey,
    with_jobs,
    with_version,
    yielded,
)
from tessera.proto.messages import PathNode

ME = Identity("host-0", "boot-1", 7)
GPU = Shard("gpu-0", "gpu_shard", "h200", "train", "", ("rack-1", "host-0"), ("rack", "host"))


class Live:
    name = "live"

    def shards(self) -> Sequence[Shard]:
        return [GPU]

    def read(self, at: float) -> Iterator[Reading]:
        yield Reading(GPU.id, "power_watts", at)


class Played(Live):
    """A source that knows what it yields."""

    metrics = ("fan_ratio", "power_watts")
    interval = 10.0

    @property
    def catalogue(self) -> Catalogue:
        return default_catalogue().with_override({"fan_ratio": {"direction": "up"}})


def test_rows_follow_the_sources_and_columns_their_names() -> None:
    metrics = judged_metrics(["temperature_celsius", "power_watts"], default_catalogue())
    found = survey(ME, [GPU, replace(GPU, id="gpu-1")], metrics, Named())
    assert [shard.id for shard in found.shards] == ["gpu-0", "gpu-1"]
    assert found.shards[0].path == (PathNode("rack-1", "rack"), PathNode("host-0", "host"))
    assert found.metrics == ("power_watts", "temperature_celsius")
    assert found.units == ("W", "Cel")
    assert (found.host, found.boot_id) == ("host-0", "boot-1")


def test_metrics_of_a_source_that_is_seldom_new_say_how_seldom() -> None:
    slow = default_catalogue().with_override({"power_watts": {"refresh": 30.0}})
    names = ["power_watts", "temperature_celsius"]
    assert survey(ME, [GPU], judged_metrics(names, slow), Named()).refreshes == (30.0, 0.0)
    assert survey(ME, [GPU], judged_metrics(names, default_catalogue()), Named()).refreshes == ()
    assert survey(ME, [GPU], judged_metrics(names, slow), Named(), 60.0).refreshes == ()


def test_gauges_running_totals_and_counts_are_judged_and_states_and_events_are_not() -> None:
    names = [
        "power_watts",
        "energy_joules_total",
        "ecc_corrected",
        "pcie_link_width",
        "device_lost",
    ]
    found = judged_metrics(names, default_catalogue())
    judged = ["ecc_corrected", "energy_joules_total", "power_watts"]
    assert [metric.name for metric in found] == judged


def test_settings_fill_in_job_and_role_and_replace_the_sku() -> None:
    (row,) = survey(ME, [GPU], (), Named("other", "worker", "h200-nvl")).shards
    assert (row.job, row.role, row.sku) == ("other", "worker", "h200-nvl")


def test_of_a_shard_of_two_sources_the_first_says_what_it_is_and_the_other_the_rest() -> None:
    bare = replace(GPU, sku="", job="", role="", path=(), path_kinds=())
    other = replace(GPU, sku="h100", role="worker")
    (row,) = survey(ME, [replace(GPU, role=""), other], (), Named()).shards
    assert (row.sku, row.job, row.role) == ("h200", "train", "worker")
    (row,) = survey(ME, [bare, GPU], (), Named()).shards
    assert (row.sku, row.path) == ("h200", (PathNode("rack-1", "rack"), PathNode("host-0", "host")))


def test_a_shard_that_two_sources_take_for_two_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match="serve 'gpu-0' as gpu_shard and mig_slice: leave one"):
        survey(ME, [GPU, replace(GPU, kind="mig_slice")], (), Named())


class Pushes(Live):
    """A source that has values when steps end, and knows who works where."""

    pushed = ("step_time_seconds",)

    def __init__(self, job: str) -> None:
        self._job = job

    def jobs(self) -> Mapping[str, str]:
        return {"gpu-0": self._job}


def test_metrics_are_read_each_tick_each_refresh_or_when_something_ends() -> None:
    names = ("memory_used_bytes", "power_watts", "step_time_seconds")
    slow = default_catalogue().with_override({"memory_used_bytes": {"refresh": 30}})
    rows = [slow.of(name) for name in names]
    pushed = pushed_of([Live(), Pushes("a")])
    assert intervals_of(rows, 1.0, pushed) == (30.0, 1.0, inf)
    assert intervals_of(rows, 0.1) == (30.0, 0.1, 0.1)


def test_a_job_is_the_one_that_the_first_source_to_know_it_names() -> None:
    shards = [GPU, replace(GPU, id="gpu-1")]
    found = with_jobs(shards, [Live(), Pushes("a"), Pushes("b")])
    assert [shard.job for shard in found] == ["a", "train"]


def test_a_metric_that_no_shard_supports_is_no_column() -> None:
    readings = [
        Reading("gpu-0", "power_watts", Absent("unsupported")),
        Reading("gpu-1", "power_watts", 5.0),
        Reading("gpu-0", "sm_clock_hertz", Absent("unsupported")),
        Reading("gpu-0", "temperature_celsius", Absent("error", "15")),
    ]
    assert yielded(readings, [Live()]) == {"power_watts", "temperature_celsius"}
    assert yielded([], [Live(), Played()]) == {"fan_ratio", "power_watts"}


def test_what_a_source_says_of_its_metrics_counts() -> None:
    assert catalogue_of([Live()], default_catalogue()) == default_catalogue()
    assert catalogue_of([Live(), Played()], default_catalogue()).of("fan_ratio").direction == 1
    assert interval_of([Live()], 1.0) == 1.0
    assert interval_of([Live(), Played()], 1.0) == 10.0


def test_a_metric_that_is_refreshed_more_seldom_has_an_interval_of_its_own() -> None:
    rows = default_catalogue()
    power, clock = rows.of("power_watts"), replace(rows.of("sm_clock_hertz"), refresh=30.0)
    columns = (power, rows.of("power_watts/spread"), clock)
    assert intervals_of(columns, 1.0) == (1.0, 30.0)
    assert intervals_of(columns, 0.1) == (0.1, 30.0)
    assert intervals_of(columns, 60.0) == (60.0, 60.0)


def test_the_version_grows_when_the_inventory_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "inventory"
    first = survey(ME, [GPU], (), Named())
    moved = survey(ME, [replace(GPU, path=(), path_kinds=())], (), Named())
    assert with_version(first, file).version == 1
    assert with_version(first, file).version == 1
    assert with_version(moved, file) == replace(moved, version=2)
    assert with_version(first, file).version == 3
    assert [path.name for path in tmp_path.iterdir()] == ["inventory"]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\xa1x"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "inventory"
    file.write_bytes(data)
    assert with_version(survey(ME, [GPU], (), Named()), file).version == 1
