from math import inf, log

import numpy as np
import pytest

from tessera.aggregator.decide.transition import Transition
from tessera.lab.cells.count import counts, joined, seed_of
from tessera.lab.cells.whole import (
    LAYOUTS,
    NULL,
    ONSET,
    POWER,
    SHARDS,
    Played,
    play_null,
    play_power,
    tally_null,
    tally_power,
)

RACKS = pytest.mark.parametrize("hosts_per_rack", LAYOUTS.values(), ids=["K=32", "K=64"])


def opening(node: str, at: float, level: str = "shard") -> Transition:
    return Transition(
        transition="opened",
        node=node,
        level=level,
        channel="change",
        guarantee="ranked",
        validity_class="empirical",
        log_e=7.0,
        at=at,
        since=at,
        metrics=("power_watts",),
        reason="",
    )


def healthy(numbers: range, hosts_per_rack: int) -> list[Played]:
    return [play_null(hosts_per_rack, seed_of("tests", "null", n)) for n in numbers]


def shifted(numbers: range, hosts_per_rack: int) -> list[Played]:
    return [play_power(hosts_per_rack, seed_of("tests", "power", n)) for n in numbers]


def assert_nothing_false(played: list[Played]) -> None:
    assert [p.opened for p in played] == [frozenset()] * len(played)
    peaks = np.concatenate([p.peaks for p in played])
    assert peaks.size == len(played) * SHARDS * 2
    assert (peaks >= log(100)).mean() <= 0.01


def test_healthy_fleets_stay_silent() -> None:
    assert_nothing_false(healthy(range(4), LAYOUTS["two racks of 32, K = 32"]))


@pytest.mark.slow
@RACKS
def test_twenty_healthy_fleets_stay_silent(hosts_per_rack: int) -> None:
    assert_nothing_false(healthy(range(20), hosts_per_rack))


def test_a_shard_shifted_by_four_sd_is_named_and_nobody_else() -> None:
    played = shifted(range(3), LAYOUTS["two racks of 32, K = 32"])
    assert [set(p.opened) for p in played] == [{p.faulty} for p in played]
    assert max(p.delay for p in played) < inf


@pytest.mark.slow
@RACKS
def test_twelve_shifted_shards_do_not_contradict_the_targets(hosts_per_rack: int) -> None:
    tally = joined([tally_power(p) for p in shifted(range(12), hosts_per_rack)])
    named, late = counts(tally, POWER)
    assert named.value >= 10 / 12
    assert named.target is not None
    assert named.high >= named.target
    assert late.target is not None
    assert late.low <= late.target


def test_the_same_seed_plays_the_same_fleet() -> None:
    once, again, other = (play_null(4, seed, ticks=1200) for seed in (5, 5, 6))
    assert once.peaks.max() > 0
    assert np.array_equal(once.peaks, again.peaks)
    assert not np.array_equal(once.peaks, other.peaks)


@pytest.mark.parametrize(
    ("openings", "delay"),
    [
        ([opening("a", ONSET + 40)], 40),
        ([opening("b", ONSET + 40)], inf),
        ([opening("a", ONSET + 40), opening("b", ONSET + 90)], inf),
        ([opening("a", ONSET + 40), opening("rack-00", ONSET + 90, "rack")], inf),
        ([opening("a", ONSET - 1)], inf),
        ([], inf),
    ],
    ids=["named", "another", "one too many", "its rack as well", "too early", "missed"],
)
def test_a_delay_counts_only_if_exactly_the_shard_is_named(
    openings: list[Transition], delay: float
) -> None:
    assert Played("a", np.zeros(2), tuple(openings)).delay == delay


def test_counts_of_the_null_are_shares_of_streams_and_of_fleets() -> None:
    loud = Played(None, np.log([150.0, 30, 1, 1]), (opening("a", 9.0),))
    racked = Played(None, np.zeros(4), (opening("rack-00", 9.0, "rack"),))
    played = [loud, racked, Played(None, np.zeros(4), ())]
    found = counts(joined([tally_null(p) for p in played]), NULL)
    assert [c.value for c in found] == pytest.approx([1 / 12, 2 / 12, 1 / 3, 2 / 3])
    assert not any(c.met for c in found)
    assert all(c.low <= c.value <= c.high for c in found)


def test_a_missed_shard_counts_as_infinitely_late() -> None:
    found = Played("a", np.zeros(1), (opening("a", ONSET + 40),))
    played = [found, *[Played("a", np.zeros(1), ())] * 2]
    named, late = counts(joined([tally_power(p) for p in played]), POWER)
    assert named.value == pytest.approx(1 / 3)
    assert late.value == inf
    assert not named.met
    assert not late.met
