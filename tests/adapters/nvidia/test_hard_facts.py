import pytest

from tessera.adapters.base import Fact
from tessera.adapters.nvidia import hard_facts as module
from tessera.adapters.nvidia.hard_facts import HardFacts
from tessera.adapters.nvidia.recovery import Look


def raised(times: int = 1, at: float = 100.0) -> HardFacts:
    facts = HardFacts()
    for _ in range(times):
        facts.see("GPU-a", "xid_79", "GPU-a", at, "fell off the bus")
    return facts


def well(since: float = 0.0, reset_at: float = 110.0) -> dict[str, Look]:
    return {"GPU-a": Look(since, well_since=since, reset_at=reset_at)}


def codes(told: list[Fact]) -> list[tuple[str, bool]]:
    return [(fact.code, fact.stands) for fact in told]


def test_a_fact_that_comes_again_is_told_once_and_counted() -> None:
    facts = raised(times=17)
    assert facts.told() == [Fact("GPU-a", "xid_79", 100.0, detail="fell off the bus")]
    assert facts.times("GPU-a", "xid_79") == 17
    assert facts.told() == []


def test_a_device_that_answers_ends_nothing_before_it_was_reset() -> None:
    facts = raised()
    facts.told()
    facts.end(100_000.0, well(reset_at=float("-inf")))
    facts.end(100_000.0, well(reset_at=100.0))
    assert facts.told() == []


def test_a_fact_ends_after_a_minute_of_health_that_follows_a_reset() -> None:
    facts = raised(times=3)
    facts.told()
    facts.end(169.9, well())
    assert facts.told() == []
    facts.end(170.0, well())
    (ended,) = facts.told()
    assert (ended.stands, ended.at) == (False, 170.0)
    assert ended.detail.endswith("seen 3 times")
    assert list(facts) == []


def test_the_minute_begins_anew_with_the_devices_health() -> None:
    facts = raised()
    facts.told()
    facts.end(200.0, well(since=150.0))
    facts.end(200.0, {"GPU-a": Look(200.0, None, 110.0, 1)})
    assert facts.told() == []
    facts.end(210.0, well(since=150.0))
    assert codes(facts.told()) == [("xid_79", False)]


def test_an_error_after_the_reset_needs_another_reset() -> None:
    facts = raised()
    facts.see("GPU-a", "xid_79", "GPU-a", 130.0, "again")
    facts.told()
    facts.end(1000.0, well())
    assert facts.told() == []


def test_a_reset_of_which_only_the_log_tells_counts() -> None:
    facts = raised()
    facts.told()
    facts.was_reset("GPU-a", 120.0)
    facts.end(180.0, well(reset_at=float("-inf")))
    assert codes(facts.told()) == [("xid_79", False)]


def test_what_ended_may_begin_again() -> None:
    facts = raised()
    facts.end(1000.0, well())
    facts.see("GPU-a", "xid_79", "GPU-a", 2000.0, "again")
    assert codes(facts.told()) == [("xid_79", True), ("xid_79", False), ("xid_79", True)]


def test_what_a_person_closed_ends_without_a_word_and_may_come_again() -> None:
    facts = raised()
    facts.told()
    facts.forget("GPU-a", "xid_79")
    facts.forget("GPU-a", "xid_79")
    assert facts.told() == []
    facts.see("GPU-a", "xid_79", "GPU-a", 300.0, "again")
    assert codes(facts.told()) == [("xid_79", True)]


def test_a_fact_of_a_former_process_is_not_told_again_and_needs_a_reset() -> None:
    facts = HardFacts()
    facts.resume("GPU-a", "xid_79", "GPU-a", 50.0, rebooted=False)
    facts.see("GPU-a", "xid_79", "GPU-a", 100.0, "again")
    facts.end(1000.0, well(reset_at=float("-inf")))
    assert facts.told() == []
    facts.end(1000.0, well())
    assert codes(facts.told()) == [("xid_79", False)]


def test_a_fact_of_before_a_boot_ends_after_a_minute_of_health() -> None:
    facts = HardFacts()
    facts.resume("GPU-a", "xid_79", "GPU-a", 50.0, rebooted=True)
    facts.end(109.0, well(since=49.0, reset_at=float("-inf")))
    assert facts.told() == []
    facts.end(110.0, well(since=49.0, reset_at=float("-inf")))
    assert codes(facts.told()) == [("xid_79", False)]


def test_a_hosts_fact_of_before_a_boot_ends_with_it() -> None:
    facts = HardFacts()
    facts.resume("", "sxid_20034", "", 50.0, rebooted=True)
    assert codes(facts.told()) == [("sxid_20034", False)]
    facts.resume("", "sxid_20034", "", 50.0, rebooted=False)
    assert facts.told() == []


def test_a_device_that_gets_a_name_can_end_its_facts() -> None:
    facts = HardFacts()
    facts.see("", "xid_79", "PCI 0000:b7:00", 100.0, "")
    facts.told()
    facts.rename("PCI 0000:b7:00", "GPU-a")
    facts.end(1000.0, well())
    assert codes(facts.told()) == [("xid_79", False)]


def test_what_is_known_is_bounded_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    facts = HardFacts()
    for code in range(5):
        facts.see("GPU-a", f"xid_{code}", "GPU-a", 0.0, "")
    assert (len(facts.told()), facts.dropped) == (3, 2)
