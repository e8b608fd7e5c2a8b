from tessera.adapters.base import Absent
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_library import FakeLibrary
from tessera.adapters.nvidia.gpm import ACTIVITY

SAMPLE = "nvmlGpmSampleGet"


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def activity(source: NvmlSource, at: float) -> dict[str, float | Absent]:
    found = {r.metric: r.value for r in source.read(at) if r.shard == "GPU-0"}
    return {metric: found[metric] for metric in ACTIVITY if metric in found}


def test_activity_is_a_ratio_between_two_samples(library: FakeLibrary) -> None:
    source = opened()
    assert set(activity(source, 0.0).values()) == {Absent("error", "first_sample")}
    library.devices[0].activity = {2: 70.0, 5: 33.0, 10: 100.4}
    assert activity(source, 1.0) == {
        "sm_active_ratio": 0.7,
        "tensor_active_ratio": 0.33,
        "dram_active_ratio": 1.0,
    }
    assert library.calls[SAMPLE, "GPU-0"] == 2


def test_a_device_without_the_monitor_is_asked_once(library: FakeLibrary) -> None:
    library.devices[0].activity = None
    source = opened()
    for at in range(5):
        assert set(activity(source, float(at)).values()) == {Absent("unsupported")}
    assert library.calls["nvmlGpmQueryDeviceSupport", "GPU-0"] == 1
    assert library.calls[SAMPLE, "GPU-0"] == 0


def test_one_metric_that_the_monitor_lacks_leaves_the_others(library: FakeLibrary) -> None:
    library.devices[0].activity = {2: 50.0, 10: 25.0}
    source = opened()
    activity(source, 0.0)
    assert activity(source, 1.0) == {
        "sm_active_ratio": 0.5,
        "tensor_active_ratio": Absent("unsupported"),
        "dram_active_ratio": 0.25,
    }


def test_an_impossible_activity_is_refused_and_counted(library: FakeLibrary) -> None:
    library.devices[0].activity = {2: 140.0, 5: float("nan"), 10: 1.0}
    source = opened()
    activity(source, 0.0)
    found = activity(source, 1.0)
    assert found["sm_active_ratio"] == found["tensor_active_ratio"] == Absent("error", "impossible")
    assert source.rejected == {("GPU-0", "sm_active_ratio"): 1, ("GPU-0", "tensor_active_ratio"): 1}


def test_a_failed_sample_makes_no_reading_of_an_old_pair(library: FakeLibrary) -> None:
    source = opened()
    activity(source, 0.0)
    library.devices[0].codes[SAMPLE] = 999
    assert set(activity(source, 1.0).values()) == {Absent("error", "UNKNOWN")}
    library.devices[0].codes.clear()
    assert set(activity(source, 2.0).values()) == {Absent("error", "first_sample")}
    assert activity(source, 3.0)["sm_active_ratio"] == 0.835


def test_a_pause_touches_the_monitor_no_more_and_gives_its_samples_back(
    library: FakeLibrary,
) -> None:
    source = opened()
    source.read(0.0)
    assert len(library.monitor.samples) == 16
    source.pause(paused=True)
    before = library.calls[SAMPLE]
    assert activity(source, 1.0) == {}
    assert library.monitor.samples == {}
    assert library.calls[SAMPLE] == before
    source.pause(paused=False)
    assert set(activity(source, 2.0).values()) == {Absent("error", "first_sample")}
    assert activity(source, 3.0)["sm_active_ratio"] == 0.835


def test_samples_do_not_grow_in_number(library: FakeLibrary) -> None:
    source = opened()
    for at in range(50):
        library.devices[3].lost = 15 if at % 20 < 3 else 0
        source.read(float(at))
    assert len(library.monitor.samples) <= 16
    source.close()
    assert library.monitor.samples == {}
