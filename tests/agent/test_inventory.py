from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tessera.adapters.base import Absent, Reading, Shard
from tessera.adapters.catalogue import Catalogue, default_catalogue
from tessera.agent.identity import Identity
from tessera.agent.inventory import (
    Named,
    catalogue_of,
    interval_of,
    judged_metrics,
    survey,
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


def test_a_shard_of_two_sources_is_refused() -> None:
    with pytest.raises(ValueError, match="two sources serve the shard 'gpu-0'"):
        survey(ME, [GPU, GPU], (), Named())


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
