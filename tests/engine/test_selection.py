from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.evalue import EValues, Validity
from tessera.engine.selection import (
    ControlledList,
    RankedList,
    controlled,
    e_bh,
    ranked,
    sup_fdr_adjust,
)

levels = st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0])
# Values on the boundaries N/(q k) themselves, and around them.
e_values = st.lists(
    st.sampled_from([0.0, 0.5, 1.0, 1.9, 2.0, 4.0, 5.0, 8.0, 10.0, 20.0, 40.0, 80.0, 160.0]),
    min_size=1,
    max_size=8,
)


def sound(e: list[float] | Floats) -> EValues:
    with np.errstate(divide="ignore"):
        log_e = np.log(np.asarray(e))
    return EValues(log_e, np.full(len(log_e), Validity.CONSTRUCTION, dtype=np.int8))


def largest_consistent(members: Ints, e: list[float], q: float) -> int:
    """Return the size of the largest subset with e >= N/(q |F|) for all, by trying all."""
    subsets = chain.from_iterable(combinations(members, k) for k in range(1, len(members) + 1))
    bar = len(e) / q * (1.0 - 1e-9)
    return max((len(f) for f in subsets if min(e[i] for i in f) * len(f) >= bar), default=0)


@settings(max_examples=80, derandomize=True)
@given(e_values, levels)
def test_e_bh_is_the_largest_self_consistent_set(e: list[float], q: float) -> None:
    chosen = e_bh(sound(e), q)
    assert len(chosen) == largest_consistent(np.arange(len(e)), e, q)
    assert all(e[i] * len(chosen) >= len(e) / q * (1.0 - 1e-9) for i in chosen)
    assert (np.diff(chosen) > 0).all()


@settings(max_examples=80, derandomize=True)
@given(e_values, levels, st.integers(0, 255))
def test_the_check_keeps_the_largest_list_that_holds(e: list[float], q: float, bits: int) -> None:
    members = np.array([i for i in range(len(e)) if bits >> i & 1], dtype=np.int64)
    checked = ControlledList.check(members[::-1], sound(e).log_e, len(e), q)
    assert len(checked) == largest_consistent(members, e, q)
    assert set(checked.members) <= set(members)


@settings(max_examples=80, derandomize=True)
@given(e_values, levels, st.integers(0, 255))
def test_no_later_filter_makes_a_list_too_long(e: list[float], q: float, bits: int) -> None:
    values = sound(e)
    keep = np.array([bool(bits >> i & 1) for i in range(len(e))])
    listed = controlled(values, q, keep)
    assert not len(listed) or listed.log_e.min() >= np.log(len(e) / (q * len(listed))) - 1e-9
    assert keep[listed.members].all()


def test_a_healthy_fleet_is_seldom_selected() -> None:
    # Null: e = 1/(2 sqrt(p)) has mean 1 and the heaviest tail that still has one.
    rng = np.random.default_rng(11)
    wrong = sum(len(e_bh(sound(0.5 / np.sqrt(rng.uniform(size=50))), 0.1)) > 0 for _ in range(2000))
    assert wrong <= 0.1 * 2000


def test_enough_evidence_in_k_nodes_is_selected() -> None:
    # Power: 10 of 1000 nodes at exactly N/(q k).
    e = np.full(1000, 0.2)
    e[100:110] = 1000 / (0.1 * 10)
    assert e_bh(sound(e), 0.1).tolist() == list(range(100, 110))
    e[100] *= 0.999
    assert len(e_bh(sound(e), 0.1)) == 0


@pytest.mark.parametrize("q", [0.0, -0.1, 1.1, float("nan")])
def test_a_level_outside_zero_to_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="q must be in"):
        e_bh(sound([1.0]), q)


def test_an_empty_family_is_refused() -> None:
    with pytest.raises(ValueError, match="empty family"):
        e_bh(sound([]), 0.1)


@pytest.mark.parametrize(("log_bar", "price"), [(6.46, 9.77), (11.51, 15.26), (13.82, 17.76)])
def test_the_adjuster_costs_what_the_table_says(log_bar: float, price: float) -> None:
    assert sup_fdr_adjust(np.array([price]))[0] == pytest.approx(log_bar, abs=0.01)


def test_the_adjuster_keeps_the_mean_of_the_maximum_below_one() -> None:
    # P(max M >= e) <= 1/e, so the worst running maximum is 1/U; ∫ A(e)/e² = 1.
    worst = -np.log((np.arange(200_000) + 0.5) / 200_000)
    mean = float(np.exp(sup_fdr_adjust(worst)).mean())
    assert 0.6 < mean <= 1.0


def test_a_maximum_below_one_becomes_zero() -> None:
    assert sup_fdr_adjust(np.array([-0.1, -np.inf])).tolist() == [-np.inf, -np.inf]
    with pytest.raises(ValueError, match="evidence is finite"):
        sup_fdr_adjust(np.array([np.inf]))


def test_a_node_without_a_sound_class_stays_in_the_family_and_off_the_list() -> None:
    log_e = np.log([100.0, 100.0, 1.0, 1.0])
    validity = np.array([Validity.EMPIRICAL, Validity.CONSTRUCTION, 2, 2], dtype=np.int8)
    values = EValues(log_e, validity)
    assert controlled(values, 0.1).members.tolist() == [1]
    assert controlled(values, 0.1).n == 4
    assert ranked(values, 0.1).members.tolist() == [0, 1]


def test_hiding_a_node_takes_along_those_that_stood_on_it() -> None:
    values = sound([100.0, 20.0, 1.0, 1.0])
    assert controlled(values, 0.1).members.tolist() == [0, 1]
    assert controlled(values, 0.1, np.array([False, True, True, True])).members.tolist() == []


def test_a_controlled_list_cannot_be_made_by_hand() -> None:
    with pytest.raises(ValueError, match="too weak"):
        ControlledList(np.array([0, 1]), np.log([100.0, 1.0]), 10, 0.1)
    honest = ControlledList.check(np.array([0]), np.log([1000.0] + [1.0] * 9), 10, 0.1)
    with pytest.raises(ValueError, match="too weak"):
        replace(honest, n=10_000)
    with pytest.raises(ValueError, match="read-only"):
        honest.members[0] = 5


@pytest.mark.parametrize("members", [[0, 0], [1, 0], [-1, 0], [0, 10]])
def test_members_that_are_no_set_of_nodes_are_refused(members: list[int]) -> None:
    with pytest.raises(ValueError, match="members must"):
        ControlledList(np.array(members), np.log([1000.0, 1000.0]), 10, 0.1)


def test_one_member_has_one_value() -> None:
    with pytest.raises(ValueError, match="members with"):
        ControlledList(np.array([0, 1]), np.log([1000.0]), 10, 0.1)


def test_the_family_cannot_shrink_inside_an_epoch() -> None:
    with pytest.raises(ValueError, match="cannot shrink"):
        ControlledList.check(np.array([0]), np.zeros(10), 9, 0.1)
    listed = ControlledList.check(np.array([0]), np.log([100.0, 1.0]), 20, 0.1)
    assert len(listed) == 0


def test_a_ranked_list_is_not_a_controlled_one() -> None:
    listed: object = ranked(sound([100.0]), 0.1)
    assert isinstance(listed, RankedList)
    assert not isinstance(listed, ControlledList)
    assert len(listed) == 1


def test_a_list_over_time_is_wrong_less_often_than_its_level() -> None:
    # Null, watched at every step: the list on the adjusted running maximum of fair processes.
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        log_m = np.cumsum(np.log1p(0.5 * rng.choice([-1.0, 1.0], size=(10, 200))), axis=1)
        adjusted = sup_fdr_adjust(np.maximum(log_m.max(axis=1), 0.0))
        keep: Bools = np.ones(10, dtype=np.bool_)
        listed = controlled(EValues(adjusted, np.full(10, 2, dtype=np.int8)), 0.1, keep)
        wrong += len(listed) > 0
    assert wrong <= 0.1 * 200


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 700), st.sampled_from([0.0, 0.004, 0.02, 0.3, 1.0]))
def test_a_large_family_is_selected_from_as_by_sorting(seed: int, n: int, ill: float) -> None:
    rng = np.random.default_rng(seed)
    log_e = rng.normal(-2.0, 1.5, n) + np.where(rng.random(n) < ill, rng.uniform(0, 12, n), 0.0)
    falling = np.sort(log_e)[::-1]
    holds = np.flatnonzero(falling >= np.log(n / 0.1) - np.log(np.arange(1, n + 1)))
    expected = np.flatnonzero(log_e >= falling[holds[-1]]) if len(holds) else holds
    chosen = e_bh(EValues(log_e, np.full(n, Validity.CONSTRUCTION, dtype=np.int8)), 0.1)
    np.testing.assert_array_equal(chosen, expected)
