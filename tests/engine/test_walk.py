import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.engine.attribution import binomial_upper_tail
from tessera.engine.walk import Firing, groups, shared

# Shards 0 … 3 in hosts 4 (0, 1) and 5 (2, 3), both in rack 6; PSU 7 powers shards 0 and 2.
PARENTS = [[4, 7], [4], [5, 7], [5], [6], [6], [], []]
SHARDS = range(4)


def at(*times: tuple[int, float]) -> list[Firing]:
    return [Firing(shard, when) for shard, when in times]


def names(hops: int, fired: list[Firing]) -> dict[int, tuple[int, ...]]:
    return {s.node: s.members for s in shared(groups(PARENTS, SHARDS, hops), fired)}


def test_null_shards_without_a_common_node_share_none() -> None:
    assert names(1, at((0, 1.0), (3, 2.0))) == {}
    assert names(3, at((0, 1.0))) == {}


def test_power_two_shards_of_one_node_share_it() -> None:
    assert names(1, at((0, 1.0), (2, 2.0))) == {7: (0, 2)}


def test_more_hops_reach_higher_and_name_the_distance() -> None:
    found = shared(groups(PARENTS, SHARDS, 2), at((0, 1.0), (2, 2.0), (3, 5.0)))
    assert [(s.node, s.hops, s.members) for s in found] == [
        (5, 1, (2, 3)),
        (6, 2, (0, 2, 3)),
        (7, 1, (0, 2)),
    ]
    assert [(s.first, s.last) for s in found] == [(2.0, 5.0), (1.0, 5.0), (1.0, 2.0)]


def test_a_way_up_and_down_again_is_none() -> None:
    # Shards 1 and 3 meet the PSU only by way of their neighbours 0 and 2, whom it feeds.
    assert names(9, at((1, 1.0), (3, 2.0))) == {6: (1, 3)}


def test_the_fewest_members_are_asked_for() -> None:
    fired = at((0, 1.0), (1, 1.0), (2, 2.0))
    beneath = groups(PARENTS, SHARDS, 2)
    assert [s.node for s in shared(beneath, fired, fewest=3)] == [6]


def test_only_shards_that_fired_close_in_time_count_within_a_window() -> None:
    fired = at((0, 0.0), (1, 100.0), (2, 130.0), (3, 150.0), (0, 900.0))
    rack = shared(groups(PARENTS, SHARDS, 2), fired, window=60.0)[-1]
    assert (rack.node, rack.members, rack.first, rack.last) == (6, (1, 2, 3), 100.0, 150.0)
    assert shared(groups(PARENTS, SHARDS), fired, window=10.0) == []


def test_a_shard_that_fires_often_counts_once() -> None:
    fired = at((0, 0.0), (0, 1.0), (0, 2.0), (0, 100.0), (1, 101.0))
    (host,) = shared(groups(PARENTS, SHARDS), fired, window=10.0)
    assert (host.node, host.members, host.first, host.last) == (4, (0, 1), 100.0, 101.0)


def test_a_firing_of_what_is_no_shard_is_passed_over() -> None:
    assert names(2, at((6, 1.0), (99, 1.0), (-1, 1.0))) == {}


def test_the_chance_and_the_evidence_are_of_the_whole_group() -> None:
    (host,) = shared(groups(PARENTS, SHARDS), at((2, 1.0), (3, 2.0)))
    assert host.chance(0.1) == pytest.approx(binomial_upper_tail(2, 2, 0.1))
    log_e = np.log([1.0, 1.0, 30.0, 10.0])
    assert host.log_e(log_e) == pytest.approx(np.log(20.0))


def test_a_circle_of_containers_ends_with_the_hops() -> None:
    assert groups([[1], [2], [1]], [0], 50) == {1: {0: 1}, 2: {0: 2}}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=12), st.integers(0, 40))
def test_no_window_of_that_length_holds_more_shards(
    times: list[tuple[int, int]], window: int
) -> None:
    fired = at(*times)
    beneath = groups([[4]] * 4 + [[]], SHARDS)
    most = max(
        (len({s for s, when in times if start <= when <= start + window}) for _, start in times),
        default=0,
    )
    found = shared(beneath, fired, window=float(window))
    assert max((len(s.members) for s in found), default=0) == (most if most >= 2 else 0)
    assert all(s.last - s.first <= window for s in found)
