"""The traps at the top of the vendors' notes that lie in NVML, each with the test that it asks for.

4 and 5 lie in the exporter, 7 in Neuron, 8 in TPU, 9 in Kubernetes, 10 in Slurm.
"""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from tessera.adapters.base import Absent
from tessera.adapters.nvidia import binding
from tessera.adapters.nvidia.binding import FabricInfo
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.fabric import place_of, troubles_of
from tessera.adapters.nvidia.fake_device import ALL_LINKS, FakeField, linked_anew
from tessera.adapters.nvidia.fake_library import FakeLibrary

FOLDER = Path(binding.__file__).resolve().parent
ROOT = FOLDER.parents[1]
NEVER = 0xFFFFFFFF


def called(text: str) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}


def test_trap_1_the_binding_is_nvidia_ml_py_and_never_the_package_called_pynvml() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needs = [
        line for group in extras["project"]["optional-dependencies"].values() for line in group
    ]
    names = {line.partition(">")[0].partition("[")[0].strip() for line in needs}
    assert "nvidia-ml-py" in names
    assert "pynvml" not in names
    assert "_pynvml_redirector" not in sys.modules
    module = sys.modules["pynvml"]
    assert Path(module.__file__ or "").name == "pynvml.py"  # one file; the other is a folder


def test_trap_2_pcie_throughput_is_never_asked_for(library: FakeLibrary) -> None:
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")]
    assert not any("nvmlDeviceGetPcieThroughput" in called(text) for text in texts)
    source = NvmlSource()
    source.shards()
    source.read(0.0)
    library.devices[0].fields[198] = FakeField(2 * 10**12 + 4000)
    found = {r.metric: r.value for r in source.read(2.0) if r.shard == "GPU-0"}
    assert found["pcie_rx_bytes_per_second"] == 2000.0
    assert all({197, 198} <= set(ids) for _, ids in library.asked if 83 in ids)


def test_trap_3_a_blackwell_is_asked_for_the_errors_of_its_own_nvlink(
    library: FakeLibrary,
) -> None:
    old = {38, 45, 52, 59, 138, 139}
    hopper, blackwell = library.devices[:2]
    blackwell.fields = {
        key: told
        for key, told in blackwell.fields.items()
        if key not in old and key not in {(138, ALL_LINKS), (139, ALL_LINKS)}
    } | linked_anew()
    blackwell.fields[(221, ALL_LINKS)] = FakeField(41)
    hopper.fields[38] = FakeField(40)
    source = NvmlSource()
    source.shards()
    found = {(r.shard, r.metric): r.value for r in source.read(0.0)}
    assert found["GPU-0", "nvlink_crc_errors"] == 40.0
    assert found["GPU-0", "nvlink_symbol_errors"] == Absent("unsupported")
    assert found["GPU-1", "nvlink_symbol_errors"] == 41.0
    assert found["GPU-1", "nvlink_crc_errors"] == Absent("unsupported")
    library.asked.clear()
    for at in range(1, 30):
        source.read(float(at))
    later = {number for uuid, ids in library.asked if uuid == "GPU-1" for number in ids}
    assert not old & later


def test_trap_6_a_clique_counts_only_once_the_fabric_is_up_and_0xaa_is_healthy() -> None:
    cluster = bytes(range(16))
    up = FabricInfo(state=3, status=0, cluster=cluster, clique=0, health=0xAA)
    assert place_of(up) == "00010203-0405-0607-0809-0a0b0c0d0e0f.0"
    assert troubles_of(up) == ()
    for state, status, uuid in ((2, 0, cluster), (3, 23, cluster), (3, 0, bytes(16))):
        assert place_of(FabricInfo(state, status, uuid, 0, 0xAA)) == ""
    assert troubles_of(FabricInfo(3, 0, cluster, 0, 0xA6)) == ("route_recovery",)


@pytest.mark.parametrize("sentinel", [NEVER, 2**64 - 1, 0x7FFFFFFFFFFFFFF2])
def test_impossible_values_are_refused_counted_and_no_alarm(
    library: FakeLibrary, sentinel: int
) -> None:
    source = NvmlSource()
    source.shards()
    source.read(0.0)
    device = library.devices[0]
    device.utilization = min(sentinel, NEVER)
    for number in (3, 4, 74, 83, 94, 143, 145, 190, 197, 230):
        device.fields[number] = FakeField(sentinel)
    bad = {
        *("utilization_ratio", "ecc_corrected", "ecc_uncorrected", "energy_joules_total"),
        *("throttled_power_cap_seconds_total", "pcie_replays", "row_remaps", "row_remap_failure"),
        *("power_cap_watts", "pcie_tx_bytes_per_second", "recovery_action"),
    }
    found = {r.metric: r.value for r in source.read(10.0) if r.shard == "GPU-0"}
    assert {metric: found[metric] for metric in bad} == dict.fromkeys(
        bad, Absent("error", "impossible")
    )
    assert source.rejected == {("GPU-0", metric): 1 for metric in bad}
    assert list(source.facts(10.0)) == []


def test_values_that_are_possible_are_not_refused(library: FakeLibrary) -> None:
    library.devices[0].utilization = 100
    source = NvmlSource()
    source.shards()
    source.read(0.0)
    assert source.rejected == {}
