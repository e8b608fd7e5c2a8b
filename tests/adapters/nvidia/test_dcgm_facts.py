"""Facts that pages show: their beginning, their end, and what is none."""

import pytest

from tessera.adapters.exposition import parse
from tessera.adapters.nvidia.dcgm_facts import Conditions
from tessera.adapters.nvidia.dcgm_page import devices_of
from tessera.adapters.nvidia.fake_exporter import FakeGpu, page_of

Step = tuple[str, bool]


def hardware(code: int) -> str:
    return "hardware" if code in {48, 79} else "application"


class Pages:
    """The conditions of one device whose pages come each 30 s."""

    def __init__(self) -> None:
        self.conditions = Conditions("GPU-1", hardware)
        self.at = 0.0

    def see(self, raw: dict[int, float], xids: dict[int, int] | None = None) -> list[Step]:
        """Show one page and return what began (True) or ended with it."""
        shown = FakeGpu("GPU-1", values={150: 50.0} | raw, xids=xids or {})
        (device,) = devices_of(parse(page_of([shown])).samples)
        found = list(self.conditions.see(device, self.at))
        assert all(fact.shard == "GPU-1" and fact.at == self.at for fact in found)
        self.at += 30.0
        return [(fact.code, fact.stands) for fact in found]


@pytest.mark.parametrize(("field", "code"), [(395, "row_remap_failure"), (1523, "recovery_action")])
def test_a_flag_is_a_fact_until_it_has_been_down_for_a_minute(field: int, code: str) -> None:
    pages = Pages()
    assert [pages.see({field: flag}) for flag in (0, 1, 1, 0, 0, 0, 0)] == [
        [],
        [(code, True)],
        [],
        [],
        [],
        [(code, False)],
        [],
    ]


def test_a_flag_that_flickers_is_one_fact() -> None:
    pages = Pages()
    found = [step for flag in (1, 0, 1, 0, 1, 0) for step in pages.see({395: flag})]
    assert found == [("row_remap_failure", True)]


@pytest.mark.parametrize("blank", [9223372036854775794, 2147483634, 140737488355330])
def test_a_sentinel_is_no_fact(blank: float) -> None:
    pages = Pages()
    raw = {number: float(blank) for number in (112, 230, 311, 395, 1523)}
    found = [step for _ in range(4) for step in pages.see(raw) + pages.see({311: 0, 230: 0})]
    assert found == []


def test_uncorrected_errors_are_a_fact_when_they_rise_until_they_begin_anew() -> None:
    pages = Pages()
    assert pages.see({311: 4}) == []
    assert pages.see({311: 5}) == [("ecc_uncorrected", True)]
    assert [pages.see({311: n}) for n in (5, 6, 0, 0)] == [[], [], [], []]
    assert pages.see({311: 0}) == [("ecc_uncorrected", False)]


def test_clocks_held_down_are_a_fact_after_half_a_minute() -> None:
    pages = Pages()
    assert [pages.see({112: bits}) for bits in (0x80, 0, 0x80, 0x81)] == [
        [],
        [],
        [],
        [("power_brake", True)],
    ]
    assert [pages.see({112: bits}) for bits in (0x40, 0x44, 0)] == [
        [],
        [("thermal_slowdown", True)],
        [("power_brake", False)],
    ]


def test_clocks_held_by_the_workload_are_no_fact() -> None:
    pages = Pages()
    assert [step for _ in range(9) for step in pages.see({112: 0x1 | 0x2 | 0x4 | 0x10})] == []


def test_the_last_code_for_ever_is_an_event_only_when_it_changes() -> None:
    pages = Pages()
    assert [pages.see({230: 79}) for _ in range(5)] == [[]] * 5
    assert pages.see({230: 48}) == [("xid_48", True)]
    assert [pages.see({230: 48}) for _ in range(5)] == [[]] * 5
    assert pages.see({230: 79}) == [("xid_79", True)]


def test_the_count_of_the_exporter_sees_two_alike_in_a_row() -> None:
    pages = Pages()
    pages.see({230: 0})
    for count in (1, 2, 2, 4):
        pages.see({230: 31}, {31: count})
    assert pages.conditions.counted == 4.0


def test_a_code_seen_by_its_change_and_then_by_the_count_is_one() -> None:
    pages = Pages()
    pages.see({230: 0})
    pages.see({230: 31})
    pages.see({230: 31}, {31: 1})
    assert pages.conditions.counted == 1.0
    pages.see({230: 31}, {31: 2})
    assert pages.conditions.counted == 2.0


def test_a_window_that_slides_counts_nothing_twice() -> None:
    pages = Pages()
    for count in (3, 2, 1, 0, 1):
        pages.see({}, {31: count})
    assert pages.conditions.counted == 4.0


def test_a_storm_of_application_codes_is_no_fact_and_one_of_hardware_is_one() -> None:
    pages = Pages()
    found = [step for n in range(1, 101) for step in pages.see({230: 31}, {31: 100 * n})]
    assert found == []
    assert pages.conditions.counted == 10_000.0
    assert pages.see({230: 79}, {31: 10_000, 79: 1}) == [("xid_79", True)]
    assert pages.see({230: 79}, {31: 10_000, 79: 5}) == []


def test_an_xid_ends_a_minute_after_the_device_began_anew_and_never_by_silence() -> None:
    pages = Pages()
    pages.see({156: 900, 230: 0})
    assert pages.see({156: 901, 230: 79}) == [("xid_79", True)]
    assert [pages.see({156: 902 + n, 230: 79}) for n in range(30)] == [[]] * 30
    assert [pages.see({156: n, 230: 79}) for n in (1, 2, 3)] == [[], [], [("xid_79", False)]]


def test_an_xid_stands_as_long_as_a_recovery_is_asked() -> None:
    pages = Pages()
    pages.see({230: 0, 1523: 0})
    assert pages.see({230: 79, 1523: 1}) == [("recovery_action", True), ("xid_79", True)]
    assert [pages.see({230: 0, 1523: 1}) for _ in range(5)] == [[]] * 5
    assert [pages.see({230: 0, 1523: 0}) for _ in range(3)] == [
        [],
        [],
        [("recovery_action", False), ("xid_79", False)],
    ]


def test_pages_without_xids_count_none() -> None:
    pages = Pages()
    pages.see({155: 300.0})
    assert pages.conditions.counted is None


@pytest.mark.parametrize("code", ["row_remap_failure", "recovery_action", "power_brake"])
def test_a_flag_of_a_former_process_ends_a_minute_after_its_page_denies_it(code: str) -> None:
    pages = Pages()
    assert pages.conditions.resume(code, rebooted=False)
    down = {395: 0.0, 1523: 0.0, 112: 0.0}
    assert [pages.see(down) for _ in range(3)] == [[], [], [(code, False)]]


@pytest.mark.parametrize(
    ("last", "rebooted", "ends"), [(79, False, False), (0, False, True), (79, True, True)]
)
def test_an_xid_of_a_former_process_ends_only_where_its_device_began_anew(
    last: float, *, rebooted: bool, ends: bool
) -> None:
    pages = Pages()
    assert pages.conditions.resume("xid_79", rebooted=rebooted)
    found = [step for _ in range(5) for step in pages.see({230: last})]
    assert found == [("xid_79", False)] * ends


@pytest.mark.parametrize(("now", "ends"), [(3.0, False), (0.0, True)])
def test_memory_errors_of_a_former_process_end_where_they_count_anew(
    now: float, *, ends: bool
) -> None:
    pages = Pages()
    assert pages.conditions.resume("ecc_uncorrected", rebooted=False)
    found = [step for _ in range(4) for step in pages.see({311: now})]
    assert found == [("ecc_uncorrected", False)] * ends


def test_a_fact_that_no_page_shows_is_not_taken_up() -> None:
    assert not Pages().conditions.resume("pcie_link_width", rebooted=False)
