from tessera.adapters.base import Absent, Shard
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fake_device import FakeSlice
from tessera.adapters.nvidia.fake_library import FakeLibrary

SLICE = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"


def opened() -> NvmlSource:
    source = NvmlSource()
    source.shards()
    return source


def of(source: NvmlSource, shard: str, at: float) -> dict[str, float | Absent]:
    return {r.metric: r.value for r in source.read(at) if r.shard == shard}


def test_slices_are_shards_named_by_parent_and_instances_whatever_their_places(
    library: FakeLibrary,
) -> None:
    library.devices[1].slices = {0: FakeSlice(9), 5: FakeSlice(3, 1)}
    found = NvmlSource().shards()
    assert found[1:4] == (
        Shard("GPU-1", "gpu_shard", sku="NVIDIA H100 80GB HBM3 (MIG)"),
        Shard("GPU-1/9/0", "mig_slice", sku=SLICE),
        Shard("GPU-1/3/1", "mig_slice", sku=SLICE),
    )
    assert len(found) == 10


def test_a_slice_gives_its_memory_and_its_parent_what_belongs_to_the_whole(
    library: FakeLibrary,
) -> None:
    library.devices[0].slices = {2: FakeSlice(1, memory_used=3 * 2**30)}
    source = opened()
    assert of(source, "GPU-0/1/0", 0.0) == {"memory_used_bytes": 3.0 * 2**30}
    whole = of(source, "GPU-0", 1.0)
    assert whole["utilization_ratio"] == Absent("unsupported")
    assert whole["power_watts"] == 612.345


def test_a_change_of_mode_changes_the_shards_and_asks_again_for_what_was_unsupported(
    library: FakeLibrary,
) -> None:
    source = opened()
    library.devices[0].slices = {0: FakeSlice(1)}
    for at in range(8):
        source.read(float(at))
    cut = source.shards()
    assert [shard.id for shard in cut if shard.kind == "mig_slice"] == ["GPU-0/1/0"]
    assert of(source, "GPU-0", 8.0)["utilization_ratio"] == Absent("unsupported")
    library.devices[0].slices = None
    for at in range(9, 17):
        source.read(float(at))
    assert len(source.shards()) == 8
    assert of(source, "GPU-0", 17.0)["utilization_ratio"] == 0.97


def test_slices_cut_anew_are_found_without_a_change_of_mode(library: FakeLibrary) -> None:
    library.devices[0].slices = {0: FakeSlice(1)}
    source = opened()
    library.devices[0].slices = {0: FakeSlice(1), 1: FakeSlice(2)}
    for at in range(8):
        source.read(float(at))
    assert of(source, "GPU-0/2/0", 8.0) == {"memory_used_bytes": 4.0 * 2**30}


def test_a_slice_that_was_taken_away_does_not_lose_its_parent(library: FakeLibrary) -> None:
    library.devices[0].slices = {0: FakeSlice(1), 1: FakeSlice(2, code=15)}
    library.devices[0].slices[1] = FakeSlice(2)
    source = opened()
    library.devices[0].slices[1] = FakeSlice(2, code=28)
    found = source.read(0.0)
    values = {(r.shard, r.metric): r.value for r in found}
    assert values["GPU-0/2/0", "memory_used_bytes"] == Absent("error", "GPU_NOT_FOUND")
    assert values["GPU-0/1/0", "memory_used_bytes"] == 4.0 * 2**30
    assert values["GPU-0", "power_watts"] == 612.345
    assert list(source.facts(0.0)) == []


def test_slices_of_a_lost_device_are_errors_as_it_is(library: FakeLibrary) -> None:
    library.devices[0].slices = {0: FakeSlice(1)}
    source = opened()
    library.devices[0].lost = 15
    lost = Absent("error", "GPU_IS_LOST")
    assert of(source, "GPU-0/1/0", 0.0) == {"memory_used_bytes": lost}
    library.devices[0].lost = 0
    assert of(source, "GPU-0/1/0", 5.0) == {"memory_used_bytes": 4.0 * 2**30}
