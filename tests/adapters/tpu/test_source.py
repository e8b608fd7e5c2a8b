"""The TPU chips of a host: what runtimes, plugin and bus say of them together."""

from pathlib import Path

import grpc
import pytest

from tessera.adapters.base import Absent, SourceUnavailable
from tessera.adapters.nvidia.fake_exporter import FakeExporter
from tessera.adapters.tpu.fake_runtime import FakeRuntime, FakeWorkload
from tessera.adapters.tpu.source import TpuSource

from .hosts import BEGAN, IDLE, Asked, host, values

GIB = 2.0**30
OWN = 'make="cloud-tpu",model="tpu-v6e-slice",tpu_topology="2x2"'


def workload(chips: int = 4) -> FakeWorkload:
    """Return a workload that uses all chips evenly."""
    numbers = range(chips)
    return FakeWorkload(
        dict.fromkeys(numbers, 10 * GIB),
        dict.fromkeys(numbers, 31 * GIB),
        dict.fromkeys(numbers, 95.0),
    )


def page(duty: float = 50.0, more: str = "") -> str:
    rows = (f'duty_cycle{{accelerator_id="9-{n}",{OWN}{more}}} {duty}\n' for n in range(4))
    return "".join(rows) + f'tensorcore_utilization{{accelerator_id="9-0",{OWN}}} 40\n'


def test_shards_are_the_host_and_the_address(tmp_path: Path) -> None:
    shards = Asked(host(tmp_path, 2)).source.shards()
    assert [(shard.id, shard.kind, shard.sku, shard.job) for shard in shards] == [
        ("host-7/tpu-0000:00:04.0", "tpu_shard", "TPU v6e", ""),
        ("host-7/tpu-0000:00:05.0", "tpu_shard", "TPU v6e", ""),
    ]


def test_a_host_without_a_name_is_called_by_its_machine(tmp_path: Path) -> None:
    source = TpuSource(root=host(tmp_path, 1))
    (shard,) = source.shards()
    source.close()
    assert shard.id == "0123456789abcdef0123456789abcdef/tpu-0000:00:04.0"


def test_a_host_without_a_chip_says_so(tmp_path: Path) -> None:
    source = TpuSource(root=tmp_path)
    with pytest.raises(SourceUnavailable, match="no TPU on the PCI bus"):
        source.shards()
    assert source.read(BEGAN) == []


def test_a_workload_is_read_in_base_units(tmp_path: Path) -> None:
    with FakeRuntime(workload(2)) as runtime:
        found = values(Asked(host(tmp_path, 2), (runtime.port,)).wait())
    assert found == {
        (n, metric): value
        for n in range(2)
        for metric, value in (("duty_cycle_ratio", 0.95), ("hbm_used_bytes", 10 * GIB))
    }


def test_what_was_read_is_not_read_again(tmp_path: Path) -> None:
    with FakeRuntime(workload(1)) as runtime:
        asked = Asked(host(tmp_path, 1), (runtime.port,))
        assert len(asked.wait()) == 2
        assert asked.read() == []
        assert len(asked.wait()) == 2


def test_a_runtime_whose_clock_stands_is_not_new_and_at_last_stale(tmp_path: Path) -> None:
    load = workload(1)
    load.taken = 1_800_000_000
    with FakeRuntime(load) as runtime:
        asked = Asked(host(tmp_path, 1), (runtime.port,))
        assert len(asked.wait()) == 2
        assert asked.wait() == []
        assert values(asked.wait(61.0))[0, "duty_cycle_ratio"] == Absent("error", "stale")
        load.taken += 5
        assert values(asked.wait())[0, "duty_cycle_ratio"] == 0.95


def test_a_runtime_that_fails_is_an_error_of_its_code(tmp_path: Path) -> None:
    load = workload(1)
    with FakeRuntime(load) as runtime:
        asked = Asked(host(tmp_path, 1), (runtime.port,))
        load.code = grpc.StatusCode.INTERNAL
        assert values(asked.wait())[0, "duty_cycle_ratio"] == Absent("error", "internal")
    assert asked.source.facts(0.0) == []


@pytest.mark.parametrize(
    ("duty", "used", "metric"),
    [
        (101.0, 1.0, "duty_cycle_ratio"),
        (-1.0, 1.0, "duty_cycle_ratio"),
        (50.0, 32 * GIB, "hbm_used_bytes"),  # more than there is
        (50.0, -1.0, "hbm_used_bytes"),
    ],
)
def test_an_impossible_value_is_rejected_and_counted(
    tmp_path: Path, duty: float, used: float, metric: str
) -> None:
    load = FakeWorkload({0: used}, {0: 31 * GIB}, {0: duty})
    with FakeRuntime(load) as runtime:
        asked = Asked(host(tmp_path, 1), (runtime.port,))
        assert values(asked.wait())[0, metric] == Absent("error", "impossible")
    assert asked.source.rejected == {("host-7/tpu-0000:00:04.0", metric): 1}


def test_the_plugin_speaks_where_no_workload_does(tmp_path: Path) -> None:
    with FakeExporter() as plugin:
        plugin.text = page()
        asked = Asked(host(tmp_path), page=plugin.url)
        found = values(asked.wait())
        assert (found[0, "duty_cycle_ratio"], found[0, "tensor_active_ratio"]) == (0.5, 0.4)
        assert asked.source.catalogue.of("duty_cycle_ratio").refresh == 60.0
        again = values(asked.wait())
    assert again == {(n, "hbm_used_bytes"): IDLE for n in range(4)}


def test_a_plugin_is_new_when_it_changes_or_its_minute_is_over(tmp_path: Path) -> None:
    with FakeExporter() as plugin:
        plugin.text = page()
        asked = Asked(host(tmp_path), page=plugin.url)
        asked.wait()
        assert (0, "duty_cycle_ratio") not in values(asked.wait(50.0))
        assert values(asked.wait(11.0))[0, "duty_cycle_ratio"] == 0.5
        plugin.text = page(60.0)
        assert values(asked.wait())[0, "duty_cycle_ratio"] == 0.6


def test_a_workload_comes_before_the_plugin(tmp_path: Path) -> None:
    with FakeRuntime(workload()) as runtime, FakeExporter() as plugin:
        plugin.text = page()
        asked = Asked(host(tmp_path), (runtime.port,), plugin.url)
        assert values(asked.wait())[0, "duty_cycle_ratio"] == 0.95
        plugin.text = page(60.0)
        asked.source.plugin.once()
        found = values(asked.read())
        assert found == {(0, "tensor_active_ratio"): 0.4}
        assert asked.source.catalogue.of("duty_cycle_ratio").refresh == 5.0


def test_a_plugin_that_went_away_is_an_error_of_what_it_showed(tmp_path: Path) -> None:
    with FakeExporter() as plugin:
        plugin.text = page()
        asked = Asked(host(tmp_path), page=plugin.url)
        asked.wait()
        plugin.conduct = "fail"
        assert (0, "tensor_active_ratio") not in values(asked.wait(170.0))
        found = values(asked.wait(11.0))
    assert found[0, "tensor_active_ratio"] == Absent("error", "http_503")
    assert (1, "tensor_active_ratio") not in found


def test_a_pod_on_a_chip_is_the_job_of_its_shard(tmp_path: Path) -> None:
    with FakeExporter() as plugin:
        plugin.text = page(more=',namespace="ml",pod="train-0"')
        asked = Asked(host(tmp_path), page=plugin.url)
        asked.wait()
        assert {shard.job for shard in asked.source.shards()} == {"ml/train"}


def test_a_chip_that_left_the_bus_is_a_row_and_then_a_fact(tmp_path: Path) -> None:
    with FakeRuntime(workload(2)) as runtime:
        asked = Asked(host(tmp_path, 2), (runtime.port,))
        asked.wait()
        away = tmp_path / "sys/bus/pci/devices/0000:00:04.0"
        away.rename(tmp_path / "away")
        found = values(asked.wait(10.0))
        assert found[0, "duty_cycle_ratio"] == Absent("error", "missing")
        assert found[1, "duty_cycle_ratio"] == 0.95
        assert len(asked.source.shards()) == 2
        asked.wait(10.0)
        asked.wait(10.0)
        (fact,) = asked.source.facts(0.0)
        assert (fact.shard, fact.code, fact.stands) == (
            "host-7/tpu-0000:00:04.0",
            "device_lost",
            True,
        )
        (tmp_path / "away").rename(away)
        for _ in range(7):
            asked.wait(10.0)
        (fact,) = asked.source.facts(0.0)
        assert (fact.code, fact.stands) == ("device_lost", False)


def test_the_slice_and_the_library_are_its_identity(tmp_path: Path) -> None:
    info = "usr/local/lib/python3.11/dist-packages/libtpu-0.0.52.dist-info"
    (tmp_path / info).mkdir(parents=True)
    said = {"TPU_ACCELERATOR_TYPE": "v6e-8", "TPU_TOPOLOGY": "2x4", "HOME": "/root"}
    assert Asked(host(tmp_path), environ=said).source.identity() == {
        "tpu_accelerator_type": "v6e-8",
        "tpu_topology": "2x4",
        "libtpu": "0.0.52",
    }


def test_its_threads_ask_by_themselves_and_end(tmp_path: Path) -> None:
    with FakeRuntime(workload(1)) as runtime:
        source = TpuSource((runtime.port,), "http://127.0.0.1:1/", root=host(tmp_path, 1))
        source.shards()
        assert source.runtime.wait(10.0) is not None
        found = values(source.read(BEGAN))
        source.close()
    assert found[0, "duty_cycle_ratio"] == 0.95


def test_a_chip_that_was_lost_and_is_back_after_a_restart_ends_its_fact(tmp_path: Path) -> None:
    with FakeRuntime(workload(2)) as runtime:
        asked = Asked(host(tmp_path, 2), (runtime.port,))
        asked.wait()
        told = [("host-7/tpu-0000:00:04.0", "device_lost"), ("elsewhere", "device_lost")]
        assert list(asked.source.resume(told, 0.0, rebooted=False)) == told[:1]
        for _ in range(7):
            asked.wait(10.0)
        (fact,) = asked.source.facts(0.0)
        assert (fact.shard, fact.code, fact.stands) == (*told[0], False)
