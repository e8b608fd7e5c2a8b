"""Which chip a runtime's numbers belong to."""

from collections.abc import Mapping

from tessera.adapters.tpu.placing import Measured, place
from tessera.adapters.tpu.runtime import DUTY_CYCLE, HBM_TOTAL, HBM_USED, Gauge, Told

IDLE = Told("idle")


def told(used: Mapping[int, float], duty: Mapping[int, float]) -> Told:
    gauges = {
        HBM_USED: tuple(Gauge(number, value) for number, value in used.items()),
        HBM_TOTAL: tuple(Gauge(number, 100.0) for number in used),
        DUTY_CYCLE: tuple(Gauge(number, value) for number, value in duty.items()),
    }
    return Told("answers", gauges=gauges)


def test_memory_of_cores_is_added_up_and_duty_is_of_the_chip() -> None:
    found, left = place([told({0: 1, 1: 2, 2: 3, 3: 4}, {0: 90, 1: 10})], chips=2, cores=2)
    assert found == {0: Measured(90, 3, 200), 1: Measured(10, 7, 200)}
    assert left == 0


def test_duty_that_is_counted_by_first_cores_is_of_their_chips() -> None:
    found, _ = place([told({}, {0: 90, 2: 80, 4: 70, 6: 60})], chips=4, cores=2)
    assert [found[chip].duty_cycle for chip in range(4)] == [90, 80, 70, 60]


def test_memory_of_a_chip_whose_other_core_is_missing_is_not_known() -> None:
    found, _ = place([told({0: 1}, {0: 90})], chips=1, cores=2)
    assert found == {0: Measured(90, None, None)}


def test_processes_that_count_devices_of_the_host_are_taken_by_their_word() -> None:
    ports = [told({n: 10 + n}, {n: n}) for n in range(4)]
    found, _ = place(ports, chips=4, cores=1)
    assert [found[chip].used for chip in range(4)] == [10, 11, 12, 13]


def test_processes_that_count_their_own_devices_have_their_place_among_the_ports() -> None:
    ports = [told({0: 10 + n}, {0: n}) for n in range(4)]
    found, _ = place(ports, chips=4, cores=1)
    assert [found[chip].used for chip in range(4)] == [10, 11, 12, 13]


def test_an_idle_process_moves_nobody() -> None:
    found, _ = place([IDLE, told({0: 11}, {0: 1}), IDLE, told({0: 13}, {0: 3})], chips=4, cores=1)
    assert {chip: measured.used for chip, measured in found.items()} == {1: 11, 3: 13}


def test_numbers_of_no_chip_are_left_over() -> None:
    found, left = place([told({0: 1, 9: 2}, {9: 50})], chips=1, cores=1)
    assert found == {0: Measured(None, 1, 100)}
    assert left == 3
