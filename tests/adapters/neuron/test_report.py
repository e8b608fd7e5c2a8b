import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.neuron.fake_monitor import document
from tessera.adapters.neuron.report import MALFORMED, BadReport, Group, Report, parse_report

from .samples import SHARED, errors_of, needs_shared, parsed, trn1

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=10,
)


def test_a_report_tells_the_use_of_each_core_in_percent() -> None:
    (runtime,) = parsed(trn1()).runtimes
    assert runtime.pid == 77
    assert runtime.cores == Group({4: 30.0, 5: 50.0}, 1.003)


def test_the_memory_of_a_core_is_the_sum_of_its_parts() -> None:
    (runtime,) = parsed(trn1()).runtimes
    assert runtime.memory == Group({4: 120.0, 5: 3.0}, 1.003)


def test_latency_is_that_on_the_device_and_errors_are_those_of_all_kinds() -> None:
    (runtime,) = parsed(trn1(errors={"generic": 1, "hardware": 2})).runtimes
    assert runtime.executions is not None
    assert runtime.executions.found is not None
    assert runtime.executions.found.errors == 3
    assert (runtime.executions.found.p50, runtime.executions.found.p99) == (0.25, 0.5)


def test_without_executions_there_is_no_latency() -> None:
    (runtime,) = parsed(trn1(p50=None)).runtimes
    assert runtime.executions is not None
    assert runtime.executions.found is not None
    assert runtime.executions.found.p50 is None


def test_a_group_with_an_error_has_nothing_but_that() -> None:
    (runtime,) = parsed(trn1(error="no such device")).runtimes
    assert runtime.cores == Group(None, 1.003, "no such device")
    assert runtime.memory is not None
    assert runtime.memory.found is not None


def test_a_malformed_group_fails_alone() -> None:
    (runtime,) = parsed(trn1(cores=[1, 2])).runtimes
    assert runtime.cores == Group(None, 1.003, MALFORMED)
    assert runtime.executions is not None
    assert runtime.executions.error == ""


def test_a_process_that_could_not_be_asked_has_failed_groups() -> None:
    broken = {"pid": 5, "error": "connection refused", "report": {}}
    report = parsed({"neuron_runtime_data": [broken]})
    assert report.runtimes[0].cores == Group(None, 0, "connection refused")


def test_errors_of_the_memory_are_told_by_device() -> None:
    ecc = [errors_of(3, mem_ecc_corrected=4, sram_ecc_uncorrected=1)]
    group = parsed(trn1(ecc=ecc)).ecc
    assert group is not None
    assert group.found is not None
    assert group.found[3].corrected == 4
    assert group.found[3].sram_uncorrected == 1
    assert group.found[3].uncorrected is None


@pytest.mark.parametrize(("told", "logical"), [(4, 2), (8, 2)])
def test_cores_of_a_device_are_the_logical_ones_whichever_the_report_counts(
    told: int, logical: int
) -> None:
    info = document(16, 1, 0)
    hardware = info["neuron_hardware_info"]
    assert isinstance(hardware, dict)
    hardware |= {"neuroncore_per_device_count": told, "logical_neuroncore_config": logical}
    assert parsed(info).hardware.cores_per_device == 4


@pytest.mark.parametrize("value", [None, 3, [], "x", {}, {"hello": 1}, {"neuron_runtime_data": 7}])
def test_what_is_no_report_is_refused_in_one_line(value: object) -> None:
    with pytest.raises(BadReport) as refused:
        parse_report(value)
    assert "\n" not in str(refused.value)


@given(ANYTHING, st.sampled_from(["neuron_runtime_data", "system_data", "neuron_hardware_info"]))
def test_anything_under_a_known_name_is_a_report_or_refused(value: object, name: str) -> None:
    try:
        found = parse_report({name: value})
    except BadReport:
        return
    assert isinstance(found, Report)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_anything_inside_a_runtime_fails_no_more_than_its_group(
    cores: object, memory: object, stats: object
) -> None:
    groups = {
        "neuroncore_counters": cores,
        "memory_used": memory,
        "execution_stats": stats,
    }
    (runtime,) = parse_report({"neuron_runtime_data": [{"pid": 1, "report": groups}]}).runtimes
    assert runtime.cores is not None


@needs_shared
def test_the_documented_sample_is_read_whole() -> None:
    text = (SHARED / "neuron_monitor_report.json").read_text(encoding="utf-8")
    report = parse_report(json.loads(text))
    (runtime,) = report.runtimes
    assert runtime.cores is not None
    assert runtime.cores.found == {0: 42.01, 1: 42.02}
    assert report.hardware.device_type == "trainium2"
    assert report.hardware.cores_per_device == 4
    assert report.ecc is not None
    assert list(report.ecc.found or ()) == [0]
