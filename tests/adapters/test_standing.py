from tessera.adapters.base import Fact
from tessera.adapters.standing import Standing


def seen(standing: Standing, at: float, holds: bool | None, after: float = 0.0) -> list[Fact]:  # noqa: FBT001 - the example itself
    standing.see("s", "hot", at, holds=holds, after=after, detail="why")
    return list(standing.news())


def test_a_condition_is_a_fact_at_once_and_ends_after_a_minute_without_it() -> None:
    standing = Standing()
    assert seen(standing, 5.0, holds=True) == [Fact("s", "hot", 5.0, stands=True, detail="why")]
    told = [fact for at in range(6, 80) for fact in seen(standing, float(at), holds=False)]
    assert told == [Fact("s", "hot", 66.0, stands=False, detail="why")]
    assert not standing.stands("s", "hot")


def test_a_condition_that_must_hold_is_no_fact_before() -> None:
    standing = Standing()
    told = [f for at in range(40) for f in seen(standing, float(at), holds=at != 8, after=30.0)]
    assert [(fact.at, fact.stands) for fact in told] == [(39.0, True)]


def test_what_comes_back_within_the_minute_has_not_ended() -> None:
    standing = Standing()
    seen(standing, 0.0, holds=True)
    told = [fact for at in range(1, 300) for fact in seen(standing, float(at), at % 50 == 0)]
    assert told == []
    assert standing.stands("s", "hot")


def test_silence_of_the_source_neither_begins_nor_ends_anything() -> None:
    standing = Standing()
    assert seen(standing, 0.0, holds=None) == []
    assert seen(standing, 1.0, holds=True, after=30.0) == []
    assert seen(standing, 2.0, holds=None, after=30.0) == []
    assert seen(standing, 32.0, holds=True, after=30.0) == []
    assert len(seen(standing, 62.0, holds=True, after=30.0)) == 1
    told = [
        f for at in range(63, 400) for f in seen(standing, float(at), None if at % 40 else False)
    ]
    assert told == []


def test_a_clock_that_was_set_back_starts_the_minute_anew() -> None:
    standing = Standing()
    seen(standing, 1000.0, holds=True)
    seen(standing, 1001.0, holds=False)
    assert seen(standing, 10.0, holds=False) == []
    assert seen(standing, 69.0, holds=False) == []
    assert [fact.stands for fact in seen(standing, 70.0, holds=False)] == [False]


def test_facts_of_other_shards_and_codes_are_apart() -> None:
    standing = Standing()
    standing.see("a", "hot", 0.0, holds=True)
    standing.see("b", "hot", 0.0, holds=True)
    standing.see("a", "cold", 0.0, holds=True)
    assert [(fact.shard, fact.code) for fact in standing.news()] == [
        ("a", "hot"),
        ("b", "hot"),
        ("a", "cold"),
    ]
    assert list(standing.news()) == []
