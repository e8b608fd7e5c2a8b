import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tessera.adapters.base import Absent, Closing, CounterSource, Reading, SourceUnavailable
from tessera.adapters.document import BadDocument
from tessera.adapters.nvidia.fake_device import FakeDevice
from tessera.adapters.nvidia.fake_exporter import FakeExporter
from tessera.adapters.nvidia.fake_library import FakeLibrary, installed
from tessera.adapters.recording import BadRecording
from tessera.adapters.registry import UnknownName
from tessera.adapters.sources import HARDWARE, PlayedSource, SourceOptions, detect, open_source
from tessera.adapters.synthetic.faults import parse_fault
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec

from .nvidia.exporters import gpu
from .recordings import folder

BEGAN = 1_790_000_000.0
TWO_HOSTS = {
    "nodes": [
        {"id": "host", "kind": "host"},
        {"id": "other", "kind": "host"},
        {"id": "switch", "kind": "switch"},
        {"id": "gpu-0", "kind": "gpu_shard"},
        {"id": "gpu-1", "kind": "gpu_shard"},
    ],
    "edges": [
        {"from": "other", "to": "gpu-0", "relationship": "contains"},
        {"from": "host", "to": "gpu-1", "relationship": "contains"},
    ],
}
RACKS = FleetSpec(shards=16, shards_per_host=4, hosts_per_rack=2)


def opened(name: str, options: SourceOptions) -> PlayedSource:
    source = open_source(name, options)
    assert isinstance(source, PlayedSource)
    return source


def ids(source: CounterSource) -> list[str]:
    return [shard.id for shard in source.shards()]


def values(readings: Iterable[Reading]) -> dict[tuple[str, str], float | Absent]:
    return {(found.shard, found.metric): found.value for found in readings}


def refusal(name: str, options: SourceOptions) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        open_source(name, options)
    told = str(refused.value)
    assert "\n" not in told
    return told


def test_an_unknown_source_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownName) as refused:
        open_source("nvlm", SourceOptions())
    told = str(refused.value)
    assert "did you mean 'nvml'?" in told
    assert "there are: dcgm, neuron, nvml, recording, synthetic, tpu" in told


def test_a_recording_begins_at_the_second_it_is_told(tmp_path: Path) -> None:
    source = opened("recording", SourceOptions(recording=folder(tmp_path), began=BEGAN))
    assert source.name == "recording"
    assert ids(source) == ["gpu-0", "gpu-1"]
    assert values(source.read(BEGAN)) == {
        ("gpu-0", "clock"): Absent("unsupported"),
        ("gpu-0", "power_watts"): 400.0,
    }
    assert values(source.read(BEGAN + 20)) == {("gpu-0", "clock"): -1000.0}
    assert values(source.read(BEGAN - 1)) == values(source.read(BEGAN + 40)) == {}


def test_a_recording_without_a_beginning_is_played_in_its_own_time(tmp_path: Path) -> None:
    source = opened("recording", SourceOptions(recording=folder(tmp_path)))
    assert values(source.read(10.0))["gpu-1", "power_watts"] == 500.5


def test_no_tick_is_lost_to_the_coarseness_of_unix_time(tmp_path: Path) -> None:
    rows = "t,shard,metric,value\n" + "".join(
        f"{tick / 10!r},gpu-0,power_watts,{tick}\n" for tick in range(100)
    )
    source = opened("recording", SourceOptions(recording=folder(tmp_path, rows), began=BEGAN + 0.3))
    found = [list(source.read(BEGAN + 0.3 + tick / 10)) for tick in range(100)]
    assert [reading.value for (reading,) in found] == list(range(100))


def test_a_recording_says_how_its_metrics_are_meant_and_how_often_it_ticks(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "metrics.json").write_text(json.dumps({"clock": {"transform": "log1p", "unit": "Hz"}}))
    source = opened("recording", SourceOptions(recording=path))
    assert source.interval == 10.0
    assert source.catalogue.of("clock").transform == "log1p"
    assert source.catalogue.of("power_watts").unit == "W"


def test_a_source_that_is_played_lists_what_it_yields_at_any_time(tmp_path: Path) -> None:
    source = opened("recording", SourceOptions(recording=folder(tmp_path), began=BEGAN))
    assert {reading.metric for reading in source.read(BEGAN + 20)} == {"clock"}
    assert source.metrics == ("clock", "power_watts")
    fleet = opened("synthetic", SourceOptions(fleet=RACKS))
    assert set(fleet.metrics) == {reading.metric for reading in fleet.read(0.0)}


def test_a_host_serves_the_shards_beneath_it(tmp_path: Path) -> None:
    path = folder(tmp_path, topology=TWO_HOSTS)
    source = open_source("recording", SourceOptions(recording=path, beneath="host"))
    assert ids(source) == ["gpu-1"]
    assert {reading.shard for reading in source.read(10.0)} == {"gpu-1"}


def test_shards_can_be_named_and_come_in_graph_order(tmp_path: Path) -> None:
    options = SourceOptions(recording=folder(tmp_path), shards=("gpu-1",))
    assert ids(open_source("recording", options)) == ["gpu-1"]
    both = SourceOptions(fleet=RACKS, shards=("host-01-gpu-3", "host-00-gpu-1"))
    assert ids(open_source("synthetic", both)) == ["host-00-gpu-1", "host-01-gpu-3"]


def test_a_shard_tells_the_kinds_of_the_nodes_above_it() -> None:
    shard = open_source("synthetic", SourceOptions(fleet=RACKS, beneath="host-03")).shards()[0]
    assert shard.path == ("cluster", "rack-01", "host-03")
    assert shard.path_kinds == ("cluster", "rack", "host")


def test_a_synthetic_source_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, same, other = (
        open_source("synthetic", SourceOptions(fleet=RACKS, began=BEGAN, seed=seed))
        for seed in (3, 3, 4)
    )
    at = BEGAN + 7
    assert values(one.read(at)) == values(same.read(at))
    assert values(one.read(at)) != values(other.read(at))
    assert list(one.read(BEGAN - 1)) == []


def test_hosts_that_are_opened_apart_are_parts_of_one_fleet() -> None:
    whole = open_source("synthetic", SourceOptions(fleet=RACKS))
    parts = [
        open_source("synthetic", SourceOptions(fleet=RACKS, beneath=f"host-{host:02}"))
        for host in range(4)
    ]
    found = [reading for part in parts for reading in part.read(5.0)]
    assert values(found) == values(whole.read(5.0))


def test_a_planted_fault_is_served() -> None:
    spec = FleetSpec(shards=4, metrics=(MetricSpec("power_watts", 700.0, 8.0),))
    planted = (parse_fault("host-00-gpu-1:power_watts:-50%@5"),)
    well, ill = (
        open_source("synthetic", SourceOptions(fleet=spec, faults=faults))
        for faults in ((), planted)
    )
    assert values(well.read(4.0)) == values(ill.read(4.0))
    differ = values(well.read(5.0)).items() ^ values(ill.read(5.0)).items()
    assert {shard for (shard, _), _ in differ} == {"host-00-gpu-1"}


def test_a_synthetic_source_ticks_each_second_by_the_catalogue_as_shipped() -> None:
    source = opened("synthetic", SourceOptions(fleet=RACKS))
    assert source.interval == 1.0
    assert source.catalogue.of("step_time_seconds").margin is not None


def test_a_recording_without_a_folder_is_refused() -> None:
    assert "no folder to play" in refusal("recording", SourceOptions())


def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="is not a folder"):
        open_source("recording", SourceOptions(recording=tmp_path / "nowhere"))


def test_a_node_that_is_not_in_the_topology_is_refused(tmp_path: Path) -> None:
    options = SourceOptions(recording=folder(tmp_path), beneath="host-9")
    assert "no node 'host-9' in the topology" in refusal("recording", options)


def test_a_node_without_shards_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, topology=TWO_HOSTS)
    told = refusal("recording", SourceOptions(recording=path, beneath="switch"))
    assert "no shards beneath 'switch'" in told


def test_shards_that_are_not_there_are_refused(tmp_path: Path) -> None:
    options = SourceOptions(recording=folder(tmp_path), shards=("gpu-0", "gpu-9"))
    assert "no shard 'gpu-9' in the topology" in refusal("recording", options)
    elsewhere = SourceOptions(fleet=RACKS, beneath="host-00", shards=("host-01-gpu-0",))
    assert "beneath 'host-00'" in refusal("synthetic", elsewhere)


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("nvml", SourceOptions(recording=Path("r")), "recording"),
        ("nvml", SourceOptions(beneath="host"), "beneath"),
        ("nvml", SourceOptions(shards=("GPU-0",)), "shards"),
        ("synthetic", SourceOptions(recording=Path("r")), "recording"),
        ("recording", SourceOptions(recording=Path("r"), seed=2), "seed"),
    ],
)
def test_an_option_that_the_source_would_not_read_is_refused(
    name: str, options: SourceOptions, option: str
) -> None:
    assert f"source {name!r} does not read {option!r}" in refusal(name, options)


def test_detection_finds_the_devices_of_this_host() -> None:
    with installed(FakeLibrary([FakeDevice("GPU-a"), FakeDevice("GPU-b")])):
        found = detect()
        assert [(source.name, ids(source)) for source in found.sources] == [
            ("nvml", ["GPU-a", "GPU-b"])
        ]
        assert "nvml" not in {absent.source for absent in found.absent}
        for source in found.sources:
            assert isinstance(source, Closing)
            source.close()


def test_an_exporter_is_asked_only_where_the_library_has_nothing() -> None:
    with FakeExporter([gpu(0)]) as exporter:
        options = SourceOptions(dcgm_url=exporter.url)
        with installed(FakeLibrary([FakeDevice("GPU-a")])):
            (source,) = detect(options=options).sources
            assert isinstance(source, Closing)
            source.close()
        assert (source.name, exporter.asked) == ("nvml", 0)
        with installed(None):
            (source,) = detect(options=options).sources
    assert (source.name, ids(source)) == ("dcgm", [gpu(0).uuid])
    assert isinstance(source, Closing)
    source.close()


def test_a_bad_file_of_xid_classes_is_refused_and_a_good_one_read(tmp_path: Path) -> None:
    file = tmp_path / "xids.toml"
    file.write_text('[class]\n79 = "fine"\n', encoding="utf-8")
    assert "XID 79 is given the class 'fine'" in refusal("nvml", SourceOptions(xid_classes=file))
    with pytest.raises(BadDocument):
        detect(options=SourceOptions(xid_classes=file))
    file.write_text('[class]\n79 = "application"\n', encoding="utf-8")
    assert open_source("nvml", SourceOptions(xid_classes=file)).name == "nvml"


def test_detection_tells_no_source_what_it_does_not_read() -> None:
    with installed(None):
        assert detect(options=SourceOptions(beneath="host")).sources == ()


def test_detection_says_why_a_host_has_none() -> None:
    with installed(None):
        found = detect()
    assert found.sources == ()
    assert tuple(absent.source for absent in found.absent) == HARDWARE
    assert "libnvidia-ml.so.1" in found.absent[0].reason


def test_an_installation_without_the_binding_has_no_nvidia_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith("tessera.adapters.nvidia.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # how Python marks a module that is not there
    with pytest.raises(SourceUnavailable, match=r"pynvml is not installed.*tessera\[agent\]"):
        open_source("nvml", SourceOptions())
    assert detect().sources == ()
