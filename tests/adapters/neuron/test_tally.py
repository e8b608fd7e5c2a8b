from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.base import Absent
from tessera.adapters.neuron.report import BadReport, parse_report
from tessera.adapters.neuron.tally import (
    CORRECTED,
    ERRORS,
    FAILED,
    IMPOSSIBLE,
    MEMORY,
    P50,
    P99,
    UNCORRECTED,
    UTILIZATION,
    Tally,
)

from .samples import errors_of, parsed, trn1


def test_the_use_of_a_device_is_that_of_all_its_cores() -> None:
    tally = Tally()
    tally.take(parsed(trn1()), 0.0)
    assert tally.fresh()[2, UTILIZATION] == pytest.approx(0.4)


def test_a_core_that_nothing_uses_counts_as_idle() -> None:
    tally = Tally()
    tally.take(parsed(trn1(cores={"4": {"neuroncore_utilization": 30.0}})), 0.0)
    assert tally.fresh()[2, UTILIZATION] == pytest.approx(0.15)


def test_a_device_without_a_runtime_is_idle_and_has_no_latency() -> None:
    tally = Tally()
    tally.take(parsed(trn1(busy=False)), 0.0)
    found = tally.fresh()
    assert [found[device, UTILIZATION] for device in range(16)] == [0.0] * 16
    assert (2, P50) not in found


def test_memory_and_latency_belong_to_the_devices_of_the_runtime() -> None:
    tally = Tally()
    tally.take(parsed(trn1()), 0.0)
    found = tally.fresh()
    assert found[2, MEMORY] == 123.0
    assert (found[2, P50], found[2, P99]) == (0.25, 0.5)
    assert (3, P50) not in found


def test_of_two_runtimes_on_a_device_the_slower_counts() -> None:
    both = trn1(pid=1, p50=0.1, cores={"4": {"neuroncore_utilization": 1.0}})
    other = trn1(pid=2, p50=0.3, cores={"5": {"neuroncore_utilization": 1.0}})
    runtimes = (both["neuron_runtime_data"], other["neuron_runtime_data"])
    both["neuron_runtime_data"] = [
        item for one in runtimes if isinstance(one, list) for item in one
    ]
    tally = Tally()
    tally.take(parsed(both), 0.0)
    assert tally.fresh()[2, P50] == 0.3


def test_counts_of_a_period_become_a_running_total() -> None:
    tally = Tally()
    for number, at in ((2, 0.0), (3, 1.0), (0, 2.0)):
        tally.take(parsed(trn1(errors={"generic": number})), at)
    assert tally.fresh()[2, ERRORS] == 5.0


def test_errors_of_the_memory_become_running_totals_by_device() -> None:
    tally = Tally()
    for at in (0.0, 1.0):
        ecc = [errors_of(7, mem_ecc_corrected=2, mem_ecc_uncorrected=1, sram_ecc_uncorrected=0)]
        tally.take(parsed(trn1(ecc=ecc)), at)
    found = tally.fresh()
    assert (found[7, CORRECTED], found[7, UNCORRECTED]) == (4.0, 2.0)
    assert (6, CORRECTED) not in found


def test_a_group_that_is_told_again_before_it_could_be_new_is_no_reading() -> None:
    tally = Tally()
    told = parsed(trn1(errors={"generic": 2}, period=5.0))
    tally.take(told, 0.0)
    tally.fresh()
    tally.take(told, 1.0)
    found = tally.fresh()
    assert (2, UTILIZATION) not in found
    assert found[2, ERRORS] == 2.0


def test_an_equal_group_a_period_later_is_new() -> None:
    tally = Tally()
    told = parsed(trn1(errors={"generic": 2}, period=5.0))
    tally.take(told, 0.0)
    tally.fresh()
    tally.take(told, 5.0)
    found = tally.fresh()
    assert found[2, UTILIZATION] == pytest.approx(0.4)
    assert found[2, ERRORS] == 4.0


def test_a_failed_group_is_an_error_of_the_devices_of_its_process() -> None:
    tally = Tally()
    tally.take(parsed(trn1()), 0.0)
    tally.take(parsed(trn1(error="timed out")), 1.0)
    found = tally.fresh()
    assert found[2, UTILIZATION] == FAILED
    assert found[3, UTILIZATION] == 0.0


def test_a_failed_group_of_a_process_that_never_told_its_cores_is_an_error_everywhere() -> None:
    tally = Tally()
    tally.take(parsed(trn1(error="timed out")), 0.0)
    found = tally.fresh()
    assert {found[device, UTILIZATION] for device in range(16)} == {FAILED}


@pytest.mark.parametrize("percent", [-1.0, 4294967295.0, 101.0])
def test_an_impossible_use_is_refused_and_counted(percent: float) -> None:
    tally = Tally()
    tally.take(parsed(trn1(cores={"4": {"neuroncore_utilization": percent}})), 0.0)
    assert tally.fresh()[2, UTILIZATION] == IMPOSSIBLE
    assert tally.rejected == {(2, UTILIZATION): 1}


def test_a_use_a_little_above_all_is_all() -> None:
    tally = Tally()
    full = {"neuroncore_utilization": 100.2}
    tally.take(parsed(trn1(cores={"4": full, "5": full})), 0.0)
    assert tally.fresh()[2, UTILIZATION] == 1.0


@pytest.mark.parametrize("seconds", [-0.5, 1e9])
def test_an_impossible_latency_is_refused_and_counted(seconds: float) -> None:
    tally = Tally()
    tally.take(parsed(trn1(p50=seconds)), 0.0)
    assert tally.fresh()[2, P50] == IMPOSSIBLE
    assert tally.rejected[2, P50] == 1


@pytest.mark.parametrize("count", [-3, 9223372036854775794])
def test_an_impossible_count_is_refused_and_leaves_the_total(count: int) -> None:
    tally = Tally()
    tally.take(parsed(trn1(errors={"generic": 2})), 0.0)
    tally.take(parsed(trn1(errors={"generic": count})), 1.0)
    assert tally.fresh()[2, ERRORS] == IMPOSSIBLE
    assert tally.total(2, ERRORS) == 2.0


def test_what_was_given_is_not_given_again() -> None:
    tally = Tally()
    tally.take(parsed(trn1()), 0.0)
    tally.fresh()
    assert tally.fresh() == {}


def test_a_core_of_no_device_is_passed_over() -> None:
    tally = Tally()
    tally.take(parsed(trn1(cores={"4000": {"neuroncore_utilization": 30.0}})), 0.0)
    assert {device for device, _ in tally.fresh()} == set(range(16))


def twisted(value: object, random: Random, odds: float) -> object:
    """Return ``value`` with some of its parts replaced by what they should not be."""
    if random.random() < odds:
        strange: tuple[object, ...] = (
            None,
            True,
            "",
            "x",
            -1,
            2**70,
            -1e308,
            0.5,
            [],
            [1],
            {},
            {"0": {}},
            [{}],
        )
        return random.choice(strange)
    if isinstance(value, dict):
        return {key: twisted(inner, random, odds) for key, inner in value.items()}
    if isinstance(value, list):
        return [twisted(inner, random, odds) for inner in value]
    return value


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.03, 0.1]))
def test_whatever_a_report_holds_what_comes_out_is_possible(seed: int, odds: float) -> None:
    random, tally = Random(seed), Tally()  # noqa: S311  numbers of a test, no secret
    for at in range(3):
        ecc = [errors_of(3, mem_ecc_corrected=2, mem_ecc_uncorrected=0)]
        try:
            tally.take(parse_report(twisted(trn1(ecc=ecc), random, odds)), float(at))
        except BadReport:
            continue
        for (device, metric), value in tally.fresh().items():
            assert 0 <= device < 4096
            assert isinstance(value, Absent) or 0 <= value < 2**54
            assert isinstance(value, Absent) or metric != UTILIZATION or value <= 1
