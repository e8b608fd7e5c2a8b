from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tessera.engine.arrays import Floats
from tessera.engine.evalue import Validity
from tessera.engine.merging import (
    RunningMaximum,
    log_mean,
    log_product,
    log_weighted_mean,
    subtree,
    two_values,
)

SOUND, SEEN, LOST = Validity.CONSTRUCTION, Validity.EMPIRICAL, Validity.NONE

parts = arrays(
    np.float64, (3, 4), elements=st.sampled_from([-np.inf, -40.0, -1.0, 0.0, 0.5, 3.0, 30.0])
)


@settings(max_examples=60, derandomize=True)
@given(parts, st.lists(st.floats(0.0, 1 / 3), min_size=3, max_size=3))
def test_the_weighted_mean_in_logarithms_is_the_linear_one(
    log_e: Floats, weights: list[float]
) -> None:
    merged = log_weighted_mean(log_e, np.array(weights))
    linear = np.einsum("k,kn->n", np.array(weights), np.exp(log_e))
    assert np.allclose(np.exp(merged), linear, rtol=1e-12)


def test_the_mean_of_dependent_e_values_has_mean_one() -> None:
    # Null: three e-processes fed by the very same coin, at bets that disagree.
    rng = np.random.default_rng(7)
    steps = rng.choice([-1.0, 1.0], size=(20_000, 30))
    bets = np.array([0.3, -0.2, 0.1])
    log_m = np.log1p(bets[:, None, None] * steps).sum(axis=2)
    e = np.exp(log_weighted_mean(log_m, np.array([0.5, 0.25, 0.25])))
    assert abs(e.mean() - 1.0) < 3.0 * e.std() / np.sqrt(len(e))
    assert np.mean(e >= 20.0) <= 0.05


def test_one_growing_part_carries_the_mean_at_the_price_of_its_weight() -> None:
    # Power.
    merged = log_weighted_mean(np.array([[50.0], [-np.inf]]), np.array([1 / 12, 11 / 12]))
    assert merged[0] == pytest.approx(50.0 - np.log(12.0))


def test_evidence_beyond_every_float_does_not_overflow() -> None:
    assert log_mean(np.array([[800.0], [2000.0]]))[0] == pytest.approx(2000.0 - np.log(2.0))
    assert log_product(np.array([[800.0], [2000.0]]))[0] == 2800.0


@pytest.mark.parametrize("merge", [log_mean, log_product])
def test_nothing_merged_with_nothing_stays_nothing(merge: Callable[[Floats], Floats]) -> None:
    assert merge(np.full((3, 2), -np.inf)).tolist() == [-np.inf, -np.inf]
    with pytest.raises(ValueError, match="no parts"):
        merge(np.empty((0, 2)))
    with pytest.raises(ValueError, match="evidence is finite"):
        merge(np.array([[0.0], [np.inf]]))
    with pytest.raises(ValueError, match="evidence is finite"):
        merge(np.array([[0.0], [np.nan]]))


@pytest.mark.parametrize("weights", [[0.6, 0.5], [-0.1, 0.5], [np.nan, 0.5]])
def test_weights_that_could_forge_evidence_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        log_weighted_mean(np.zeros((2, 1)), np.array(weights))


def test_each_node_may_have_weights_of_its_own() -> None:
    log_e = np.log([[4.0, 4.0], [2.0, 2.0]])
    merged = log_weighted_mean(log_e, np.array([[1.0, 0.5], [0.0, 0.5]]))
    assert np.exp(merged) == pytest.approx([4.0, 3.0])


def test_the_subtree_is_half_own_and_half_the_mean_of_the_children() -> None:
    own, children = np.log([8.0]), [np.log([2.0]), np.log([6.0])]
    assert np.exp(subtree(own, children)) == pytest.approx([0.5 * 8.0 + 0.5 * 4.0])
    assert subtree(own, []) is own


def classes(*validity: Validity) -> np.typing.NDArray[np.int8]:
    return np.array(validity, dtype=np.int8)[:, None]


def test_a_part_without_control_is_zero_when_controlled_and_counts_when_ranked() -> None:
    log_m, weights = np.log([[100.0], [10.0]]), np.full((2, 1), 0.5)
    controlled, ranked = two_values(log_m, classes(SOUND, SEEN), weights)
    assert np.exp(controlled.log_e[0]) == pytest.approx(50.0)
    assert np.exp(ranked.log_e[0]) == pytest.approx(55.0)
    assert (controlled[0].validity, ranked[0].validity) == (SOUND, SEEN)


def test_a_part_without_any_class_is_the_constant_one_when_ranked() -> None:
    log_m, weights = np.log([[100.0], [1e9]]), np.full((2, 1), 0.5)
    controlled, ranked = two_values(log_m, classes(SOUND, LOST), weights)
    assert np.exp(controlled.log_e[0]) == pytest.approx(50.0)
    assert np.exp(ranked.log_e[0]) == pytest.approx(50.5)
    # The other part became 1 inside the epoch and may have been less: no longer an e-value.
    assert (controlled[0].validity, ranked[0].validity) == (SOUND, SEEN)


def test_both_values_coincide_where_every_part_is_sound() -> None:
    log_m, weights = np.log([[100.0], [10.0]]), np.full((2, 1), 0.5)
    controlled, ranked = two_values(log_m, classes(SOUND, Validity.THEOREM), weights)
    assert controlled[0] == ranked[0]
    assert controlled[0].validity is SOUND


def test_a_node_without_a_counting_part_says_nothing() -> None:
    log_m, weights = np.array([[9.0], [9.0]]), np.array([[1.0], [0.0]])
    controlled, ranked = two_values(log_m, classes(LOST, SOUND), weights)
    assert (controlled[0].log_e, controlled[0].validity) == (-np.inf, LOST)
    assert (ranked[0].log_e, ranked[0].validity) == (0.0, LOST)


def test_a_part_of_weight_zero_lends_no_class() -> None:
    log_m, weights = np.zeros((2, 1)), np.array([[0.0], [1.0]])
    controlled, ranked = two_values(log_m, classes(SOUND, SEEN), weights)
    assert (controlled[0].validity, ranked[0].validity) == (LOST, SEEN)


@settings(max_examples=60, derandomize=True)
@given(parts, arrays(np.int8, (3, 4), elements=st.integers(0, 3)))
def test_losing_a_class_never_raises_the_controlled_value(
    log_m: Floats, validity: np.typing.NDArray[np.int8]
) -> None:
    weights = np.full((3, 4), 1 / 3)
    before, _ = two_values(log_m, validity, weights)
    after, _ = two_values(log_m, np.maximum(validity, 1) - np.int8(1), weights)
    assert (after.log_e <= before.log_e).all()


def test_the_first_crossing_stays_the_first() -> None:
    maximum = RunningMaximum.start(2)
    for log_e in ([1.0, -5.0], [np.nan, 9.0], [8.0, np.nan], [2.0, 10.0]):
        maximum.update(np.array(log_e), log_threshold=7.0)
    assert maximum.log_max.tolist() == [8.0, 10.0]
    assert maximum.first.tolist() == [1, 1]
    assert maximum.steps.tolist() == [3, 3]


def test_an_infinite_value_does_not_reach_the_maximum() -> None:
    maximum = RunningMaximum.start(1)
    with pytest.raises(ValueError, match="evidence is finite"):
        maximum.update(np.array([np.inf]), log_threshold=7.0)
    assert maximum.log_max.tolist() == [0.0]
