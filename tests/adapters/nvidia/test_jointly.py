from tessera.adapters.base import Fact
from tessera.adapters.nvidia.jointly import Jointly

BEGAN = Fact("GPU-a", "ecc_uncorrected", 1.0)
ENDED = Fact("GPU-a", "ecc_uncorrected", 2.0, stands=False)


def test_what_one_tells_alone_is_told_as_it_is() -> None:
    jointly = Jointly()
    assert list(jointly.told("counters", [BEGAN, ENDED, BEGAN])) == [BEGAN, ENDED, BEGAN]


def test_a_fact_that_two_tell_stands_until_both_say_that_it_has_ended() -> None:
    jointly = Jointly()
    assert list(jointly.told("events", [BEGAN])) == [BEGAN]
    assert list(jointly.told("counters", [BEGAN])) == []
    assert list(jointly.told("events", [ENDED])) == []
    assert list(jointly.told("counters", [ENDED])) == [ENDED]


def test_facts_of_other_shards_and_codes_are_others() -> None:
    jointly = Jointly()
    others = [Fact("GPU-b", "ecc_uncorrected", 1.0), Fact("GPU-a", "xid_48", 1.0)]
    assert list(jointly.told("events", [BEGAN, *others])) == [BEGAN, *others]


def test_the_end_of_what_never_began_is_no_news() -> None:
    assert list(Jointly().told("events", [ENDED])) == []


def test_the_end_of_what_a_former_process_told_is_news() -> None:
    jointly = Jointly()
    jointly.resume("events", [("GPU-a", "ecc_uncorrected")])
    assert list(jointly.told("events", [BEGAN, ENDED])) == [ENDED]
