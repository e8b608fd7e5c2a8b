from tessera.adapters.base import Absent, Reading
from tessera.agent.freshness import FORGOTTEN, MOST, Freshness

LOST = Absent("error", "lost")


def test_the_age_is_that_of_the_newest_number() -> None:
    fresh = Freshness()
    fresh.note([Reading("a", "power_watts", 1.0), Reading("b", "power_watts", 2.0)], 10.0)
    fresh.note([Reading("a", "power_watts", 1.0), Reading("b", "power_watts", LOST)], 11.0)
    assert fresh.ages(12.0) == {("a", "power_watts"): 1.0, ("b", "power_watts"): 2.0}


def test_a_series_that_never_had_a_number_is_none() -> None:
    fresh = Freshness()
    fresh.note([Reading("a", "power_watts", Absent("unsupported"))], 10.0)
    assert fresh.ages(12.0) == {}


def test_a_device_that_is_gone_is_shown_for_a_day_and_then_forgotten() -> None:
    fresh = Freshness()
    fresh.note([Reading("gone", "power_watts", 1.0)], 0.0)
    fresh.note([Reading("here", "power_watts", 1.0)], FORGOTTEN)
    assert len(fresh.ages(FORGOTTEN)) == 2
    fresh.note([Reading("here", "power_watts", 1.0)], FORGOTTEN + 61.0)
    assert list(fresh.ages(FORGOTTEN + 61.0)) == [("here", "power_watts")]


def test_it_is_bounded_and_the_oldest_go_first() -> None:
    fresh = Freshness()
    fresh.note([Reading("old", "power_watts", 1.0)], 1.0)
    fresh.note((Reading(str(i), "power_watts", 1.0) for i in range(MOST)), 2.0)
    ages = fresh.ages(3.0)
    assert len(ages) == MOST
    assert ("old", "power_watts") not in ages
