from collections import deque
from pathlib import Path

import pytest

from tessera.adapters.base import (
    Absent,
    Busy,
    Closing,
    CounterSource,
    Identified,
    Reading,
    Rejecting,
    SourceUnavailable,
    Witness,
)
from tessera.adapters.neuron.fake_files import change, device, write, write_device, write_host
from tessera.adapters.neuron.fake_monitor import document
from tessera.adapters.neuron.monitor import Monitor
from tessera.adapters.neuron.report import Report
from tessera.adapters.neuron.source import NeuronSource

from .samples import errors_of, parsed, trn1
from .test_monitor import FAKE, until

BEGAN = 1_790_000_000.0


class Script(Monitor):
    """A monitor that is there, says what it is told and starts nothing."""

    def __init__(self, *reports: Report) -> None:
        super().__init__("/nowhere")
        self.told = deque((float(at), report) for at, report in enumerate(reports))
        self.why = ""
        self.started = False

    @property
    def trouble(self) -> str:
        return self.why

    def can_start(self) -> bool:
        return True

    def start(self) -> None:
        self.started = True

    def wait_first(self, seconds: float) -> bool:
        del seconds
        return bool(self.told)

    def reports(self) -> list[tuple[float, Report]]:
        found = list(self.told)
        self.told.clear()
        return found

    def say(self, report: Report, at: float) -> None:
        self.told.append((at, report))


def opened(root: Path, monitor: Monitor | None = None) -> NeuronSource:
    source = NeuronSource(monitor or Monitor("/nowhere"), root=root, host="host-a")
    source.shards()
    return source


def values(readings: list[Reading]) -> dict[tuple[str, str], float | Absent]:
    return {(found.shard, found.metric): found.value for found in readings}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_host(tmp_path, 2)
    write(tmp_path / "sys/module/neuron/version", "2.24.7.0\n")
    return tmp_path


FIRST, SECOND = "neuron-5e00000000000000", "neuron-5e00000000000001"


def test_it_keeps_the_contracts_of_a_source() -> None:
    source = NeuronSource()
    for contract in (Witness, Identified, Rejecting, Busy, Closing):
        assert isinstance(source, contract)
    counted: CounterSource = source
    assert counted.name == "neuron"


def test_a_host_without_devices_has_no_shards_and_starts_nothing(tmp_path: Path) -> None:
    monitor = Script()
    with pytest.raises(SourceUnavailable, match="no Neuron devices"):
        NeuronSource(monitor, root=tmp_path).shards()
    assert not monitor.started


def test_a_shard_is_known_by_the_serial_number_of_its_device(root: Path) -> None:
    shards = NeuronSource(Monitor("/nowhere"), root=root).shards()
    assert [(s.id, s.kind, s.sku) for s in shards] == [
        (FIRST, "trainium_chip", "trainium2"),
        (SECOND, "trainium_chip", "trainium2"),
    ]


@pytest.mark.parametrize("serial", ["", "0000000000000000", "not told!"])
def test_a_device_without_a_serial_number_is_known_by_its_host_and_index(
    root: Path, serial: str
) -> None:
    change(root, 1, "serial_number", serial)
    assert [shard.id for shard in opened(root).shards()] == [FIRST, "host-a-neuron1"]


def test_the_machine_id_stands_for_the_host(root: Path) -> None:
    write(root / "etc/machine-id", "abc123\n")
    change(root, 0, "serial_number", "")
    source = NeuronSource(Monitor("/nowhere"), root=root)
    assert source.shards()[0].id == "abc123-neuron0"


def test_inferentia_is_told_from_trainium(root: Path) -> None:
    change(root, 0, "device_name", "Inferentia2\n")
    first, second = opened(root).shards()
    assert (first.kind, first.sku) == ("inferentia_chip", "inferentia2")
    assert second.kind == "trainium_chip"


def test_the_product_is_asked_of_the_report_where_the_files_do_not_tell(root: Path) -> None:
    change(root, 0, "device_name", "")
    source = opened(root, Script(parsed(document(2, 1, 0))))
    assert source.shards()[0].sku == "trainium2"


def test_without_files_the_report_tells_the_devices(tmp_path: Path) -> None:
    write(tmp_path / "dev/neuron0", "")
    source = opened(tmp_path, Script(parsed(trn1())))
    assert [shard.id for shard in source.shards()] == [f"host-a-neuron{n}" for n in range(16)]
    found = values(source.read(BEGAN))
    assert found["host-a-neuron2", "neuroncore_utilization_ratio"] == pytest.approx(0.4)


def test_without_files_and_reports_there_are_no_shards(tmp_path: Path) -> None:
    write(tmp_path / "dev/neuron0", "")
    with pytest.raises(SourceUnavailable, match="neither"):
        opened(tmp_path, Script())


def test_reports_and_files_are_read_as_one_device(root: Path) -> None:
    change(root, 0, "mem_ecc_corrected", "12\n")
    found = values(opened(root, Script(parsed(document(2, 1, 0)))).read(BEGAN))
    assert found[FIRST, "ecc_corrected"] == 12.0
    assert found[FIRST, "power_ratio"] == 0.41
    used = found[FIRST, "neuroncore_utilization_ratio"]
    assert isinstance(used, float)
    assert 0.6 <= used <= 0.7
    assert found[FIRST, "execution_errors"] == 0.0


def test_what_may_come_is_listed_before_it_came(root: Path) -> None:
    assert {"execution_latency_p50_seconds", "power_ratio"} <= {*opened(root, Script()).metrics}
    assert "execution_errors" not in opened(root).metrics


def test_without_a_new_report_there_is_no_reading(root: Path) -> None:
    source = opened(root, Script(parsed(document(2, 1, 0))))
    source.read(BEGAN)
    found = values(source.read(BEGAN + 1))
    assert (FIRST, "neuroncore_utilization_ratio") not in found
    assert (FIRST, "power_ratio") not in found
    assert found[FIRST, "ecc_corrected"] == 0.0


def test_a_silent_monitor_is_an_error_of_what_it_tells(root: Path) -> None:
    monitor = Script()
    source = opened(root, monitor)
    monitor.why = "stale"
    found = values(source.read(BEGAN))
    assert found[FIRST, "execution_errors"] == Absent("error", "stale")
    assert found[FIRST, "ecc_corrected"] == 0.0


def test_without_the_program_its_metrics_are_not_supported(root: Path) -> None:
    found = values(opened(root).read(BEGAN))
    assert found[FIRST, "neuroncore_utilization_ratio"] == Absent("unsupported")
    assert found[FIRST, "power_ratio"] == 0.41


def test_a_minute_of_power_is_one_reading_and_an_old_one_is_stale(root: Path) -> None:
    source = opened(root)
    assert values(source.read(BEGAN))[FIRST, "power_ratio"] == 0.41
    assert (FIRST, "power_ratio") not in values(source.read(BEGAN + 59))
    change(root, 0, "utilization", "POWER_STATUS_VALID,1790000060,20,60,43\n")
    assert values(source.read(BEGAN + 61))[FIRST, "power_ratio"] == 0.43
    assert values(source.read(BEGAN + 300))[FIRST, "power_ratio"] == Absent("error", "stale")


def test_impossible_values_are_refused_and_counted_by_shard(root: Path) -> None:
    monitor = Script(parsed(trn1(cores={"0": {"neuroncore_utilization": 4294967295}})))
    source = opened(root, monitor)
    change(root, 1, "utilization", "POWER_STATUS_VALID,1790000060,0,0,4294967295\n")
    found = values(source.read(BEGAN))
    impossible = Absent("error", "impossible")
    assert found[FIRST, "neuroncore_utilization_ratio"] == impossible
    assert found[SECOND, "power_ratio"] == impossible
    assert source.rejected == {
        (FIRST, "neuroncore_utilization_ratio"): 1,
        (SECOND, "power_ratio"): 1,
    }


def test_uncorrected_errors_are_a_fact_until_a_minute_after_they_are_cleared(root: Path) -> None:
    source = opened(root)
    source.read(BEGAN)
    assert source.facts(BEGAN) == []
    change(root, 0, "mem_ecc_uncorrected", "2\n")
    (fact,) = source.facts(BEGAN + 1)
    assert (fact.shard, fact.code, fact.stands) == (FIRST, "ecc_uncorrected", True)
    assert source.facts(BEGAN + 2) == []
    change(root, 0, "mem_ecc_uncorrected", "0\n")
    assert source.facts(BEGAN + 3) == []
    (ended,) = source.facts(BEGAN + 63)
    assert (ended.code, ended.stands) == ("ecc_uncorrected", False)


def test_a_condition_that_cannot_be_read_has_not_ended(root: Path) -> None:
    source = opened(root)
    change(root, 0, "mem_ecc_uncorrected", "2\n")
    source.facts(BEGAN)
    change(root, 0, "mem_ecc_uncorrected", "?\n")
    assert source.facts(BEGAN + 1) == source.facts(BEGAN + 100) == []


def test_uncorrected_errors_that_only_the_report_tells_are_a_fact(tmp_path: Path) -> None:
    write(tmp_path / "dev/neuron0", "")
    monitor = Script(parsed(trn1(ecc=[errors_of(3, mem_ecc_uncorrected=0)])))
    source = opened(tmp_path, monitor)
    source.read(BEGAN)
    assert source.facts(BEGAN) == []
    monitor.say(parsed(trn1(ecc=[errors_of(3, mem_ecc_uncorrected=1)])), 10.0)
    source.read(BEGAN + 1)
    assert [(f.shard, f.code) for f in source.facts(BEGAN + 1)] == [
        ("host-a-neuron3", "ecc_uncorrected")
    ]


def test_each_unhealthy_component_is_a_fact_of_its_own(root: Path) -> None:
    source = opened(root)
    change(root, 1, "unhealthy_components", "hbm,link_host\n")
    assert {(f.shard, f.code) for f in source.facts(BEGAN)} == {
        (SECOND, "unhealthy_hbm"),
        (SECOND, "unhealthy_link_host"),
    }
    change(root, 1, "unhealthy_components", "hbm\n")
    source.facts(BEGAN + 1)
    assert [(f.code, f.stands) for f in source.facts(BEGAN + 61)] == [
        ("unhealthy_link_host", False)
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("hw_hbm_ue_error", "hbm_uncorrected"),
        ("hw_nc_ue_error", "core_uncorrected"),
        ("reset_fail_count", "reset_failed"),
    ],
)
def test_hard_errors_of_cores_are_facts_once_each_device_had_its_turn(
    root: Path, name: str, code: str
) -> None:
    source = opened(root)
    change(root, 1, name, "1\n")
    facts = []
    for at in (0, 1):
        source.read(BEGAN + at)
        facts += source.facts(BEGAN + at)
    assert [(f.shard, f.code) for f in facts] == [(SECOND, code)]


def test_a_requested_reset_is_a_change_of_identity_and_no_fact(root: Path) -> None:
    source = opened(root)
    for at in (0, 1):
        source.read(BEGAN + at)
    before = source.identity()
    change(root, 1, "reset_req_count", "1\n")
    for at in (2, 3):
        source.read(BEGAN + at)
    assert before[f"{SECOND}/resets"] == "0"
    assert source.identity()[f"{SECOND}/resets"] == "2"  # on each of its two cores
    assert source.facts(BEGAN + 3) == []


def test_a_lost_device_is_a_fact_and_its_neighbours_go_on(root: Path) -> None:
    source = opened(root)
    source.read(BEGAN)
    gone = device(root, 0)
    gone.rename(root / "gone")
    found = values(source.read(BEGAN + 1))
    assert found[FIRST, "ecc_corrected"] == Absent("error", "device_lost")
    assert found[SECOND, "ecc_corrected"] == 0.0
    assert [(f.shard, f.code) for f in source.facts(BEGAN + 1)] == [(FIRST, "device_lost")]
    (root / "gone").rename(gone)
    assert values(source.read(BEGAN + 2))[FIRST, "ecc_corrected"] == 0.0
    source.facts(BEGAN + 2)
    assert [(f.code, f.stands) for f in source.facts(BEGAN + 62)] == [("device_lost", False)]


def test_a_driver_that_is_gone_is_one_fact_of_the_host(root: Path) -> None:
    source = opened(root)
    source.read(BEGAN)
    (root / "sys/module").rename(root / "module")
    (root / "sys/devices").rename(root / "devices")
    source.read(BEGAN + 1)
    assert [(f.shard, f.code) for f in source.facts(BEGAN + 1)] == [("", "driver_not_loaded")]


def test_a_new_driver_is_a_new_identity_and_its_files_are_found_where_it_put_them(
    root: Path,
) -> None:
    source = opened(root)
    source.read(BEGAN)
    assert source.identity()["neuron_driver"] == "2.24.7.0"
    write(root / "sys/module/neuron/version", "2.31.7.0\n")
    (device(root, 0) / "stats").rename(device(root, 0) / "counters")
    change(root, 0, "mem_ecc_corrected", "5\n")
    assert values(source.read(BEGAN + 1))[FIRST, "ecc_corrected"] == 5.0
    assert source.identity()["neuron_driver"] == "2.31.7.0"


def test_what_cannot_be_known_is_left_out_of_the_identity(root: Path) -> None:
    (root / "sys/module/neuron/version").unlink()
    source = opened(root, Script(parsed(trn1())))
    assert "neuron_driver" not in source.identity()
    source.read(BEGAN)
    told = source.identity()
    assert (told["ami_id"], told["neuron_device_type"]) == ("ami-0b", "trainium")


def test_wiring_by_design_is_told_by_shards(root: Path) -> None:
    assert opened(root).connected == {FIRST: (SECOND,), SECOND: (FIRST,)}


def test_a_device_that_came_after_the_start_is_a_shard_when_asked_again(root: Path) -> None:
    source = opened(root)
    write_device(root, 2)
    assert len(source.shards()) == 3
    assert len({reading.shard for reading in source.read(BEGAN)}) == 3


def test_nothing_is_read_before_the_shards_were_asked_for(root: Path) -> None:
    source = NeuronSource(Monitor("/nowhere"), root=root)
    assert source.read(BEGAN) == []
    assert source.facts(BEGAN) == []
    assert source.doing == ""


def test_a_real_child_feeds_the_source_until_it_is_closed(root: Path) -> None:
    source = opened(root, Monitor(f"{FAKE} --period 0.02"))
    found: dict[tuple[str, str], float | Absent] = {}

    def came() -> bool:
        found.update(values(source.read(BEGAN)))
        return (SECOND, "execution_latency_p99_seconds") in found

    until(came)
    source.close()
    assert source.faults.get("strange", 0) == 0
    assert found[FIRST, "memory_used_bytes"] == 4 * (2**30 + 2**28)


def test_facts_of_a_former_process_end_a_minute_after_the_driver_denies_them(root: Path) -> None:
    source = opened(root)
    (first, *_) = [shard.id for shard in source.shards()]
    told = [(first, "hbm_uncorrected"), (first, "device_lost"), ("elsewhere", "device_lost")]
    assert list(source.resume(told, 0.0, rebooted=False)) == told[:2]
    ended: list[tuple[str, str, bool]] = []
    for at in range(0, 90, 10):
        source.read(float(at))
        ended += [(fact.shard, fact.code, fact.stands) for fact in source.facts(float(at))]
    assert sorted(ended) == sorted((*fact, False) for fact in told[:2])
