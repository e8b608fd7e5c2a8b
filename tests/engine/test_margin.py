import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tessera.engine.arrays import Floats, Ints
from tessera.engine.evalue import Validity
from tessera.engine.margin import (
    LEVEL_LAMBDAS,
    MOST_MEMORY,
    PlusRuns,
    effective_margin,
    gate,
    group_lag,
    healthy_spread,
    in_company,
    level_bets,
    level_weights,
    noise,
    own_lag,
    own_memory,
    signs,
    upper_limit,
)
from tessera.engine.onset import OnsetMixture

CROSSING = np.log(100.0)
CALM = {"noise_ratio": 0.2, "lag_one": 0.0}


def log_m_over_time(r: Floats, margin: float, horizon: int) -> Floats:
    """Return ln M (T, n) of contrasts ``r`` (T, n) through signs, bets and the onset mixture."""
    n = r.shape[1]
    mixture = OnsetMixture.start(
        level_weights(np.full(n, 1.0)), np.full(n, horizon, dtype=np.int64)
    )
    out = np.empty_like(r)
    for block, row in enumerate(r):
        mixture.step(level_bets(signs(row, np.full(n, margin))), block)
        out[block] = mixture.log_m()
    return out


def ar_noise(rng: np.random.Generator, phi: float, blocks: int, n: int) -> Floats:
    """Return AR(1) noise (blocks, n) of marginal sd 1."""
    out = np.empty((blocks, n))
    state = rng.standard_normal(n)
    for b in range(blocks):
        state = phi * state + np.sqrt(1.0 - phi**2) * rng.standard_normal(n)
        out[b] = state
    return out


def of_four(count: int) -> Ints:
    return np.array([0, 0, 0, 0, count])


def pooled_runs(r: Floats, margin: float) -> tuple[Ints, Ints]:
    runs = PlusRuns.start(r.shape[1])
    for row in r:
        runs.update(signs(row, np.full(r.shape[1], margin)))
    ended = runs.ended()
    return ended[0].sum(axis=0), ended[1].sum(axis=0)


def test_an_offset_just_inside_the_margin_never_crosses() -> None:
    # Null: t3 noise, independent in time, a persistent offset of 4.99 % under a margin of 5 %.
    rng = np.random.default_rng(5)
    r = 0.0499 + 0.01 * rng.standard_t(3, size=(400, 1000))
    highest = log_m_over_time(r, 0.05, horizon=400).max(axis=0)
    assert np.mean(highest >= CROSSING) <= 0.01
    assert np.mean(highest >= np.log(20.0)) <= 0.05


@pytest.mark.parametrize("healthy", [0, 700])
def test_a_shard_beyond_the_margin_crosses_whatever_its_past(healthy: int) -> None:
    # Power: 8 % over a margin of 5 % with 1 % noise, within 40 blocks.
    rng = np.random.default_rng(6)
    level = np.repeat([0.0, 0.08], [healthy, 40])[:, None]
    r = level + 0.01 * rng.standard_normal((healthy + 40, 50))
    log_m = log_m_over_time(r, 0.05, horizon=2000)
    assert (log_m[-1] >= CROSSING).all()
    assert (log_m[: healthy + 5] < CROSSING).all()


def test_memory_at_the_scale_of_the_margin_is_refused() -> None:
    # AR 0.9 at one-tick blocks with a margin of one sd: P100 would be .69.
    r = ar_noise(np.random.default_rng(7), 0.9, 2000, 8)
    runs, plusses = pooled_runs(r, 1.0)
    verdict = gate(members=16, runs=runs, plusses=plusses, **CALM)
    assert plusses[4] / runs[4] > MOST_MEMORY
    assert verdict.validity is Validity.NONE
    assert "next longer block" in verdict.reason


def test_independent_signs_at_the_margin_pass_the_gate() -> None:
    r = 0.9 + np.random.default_rng(8).standard_normal((8000, 8))
    runs, plusses = pooled_runs(r, 1.0)
    assert gate(members=16, runs=runs, plusses=plusses, **CALM).validity is Validity.CONSTRUCTION


def test_equality_with_the_margin_is_not_above_it() -> None:
    r, margin = np.array([0.05, 0.0501, np.nan, 0.0]), np.array([0.05, 0.05, 0.05, np.nan])
    assert signs(r, margin).tolist()[:2] == [-1.0, 1.0]
    assert np.isnan(signs(r, margin)[2:]).all()
    with pytest.raises(ValueError, match="infinite"):
        signs(np.array([np.inf]), np.array([0.05]))


def test_fair_signs_make_fair_bets() -> None:
    bets = level_bets(np.array([1.0, -1.0, np.nan]))
    assert np.exp(bets[:2]).mean(axis=0) == pytest.approx([1.0] * 4)
    assert bets[0].max() == pytest.approx(np.log(1.9))
    assert np.isnan(bets[2]).all()


def test_the_grid_is_cut_and_its_weight_shared_again() -> None:
    weights = level_weights(np.array([1.0, 0.5, 0.1, 0.05, np.nan]))
    assert weights.sum(axis=1).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.0])
    assert weights[0].tolist() == [0.25] * 4
    assert weights[1].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0])


def test_one_outlier_does_not_widen_the_margin() -> None:
    contrasts = np.array([0.0, 0.01, -0.01, 0.02, -0.02, 5.0, np.nan])
    assert healthy_spread(contrasts) == pytest.approx(1.4826 * 0.015)
    assert np.isnan(healthy_spread(np.full(3, np.nan)))


def test_unequal_members_widen_the_margin_until_the_group_abstains() -> None:
    assert effective_margin(0.05, 0.01) == 0.05
    assert effective_margin(0.05, 0.02) == pytest.approx(0.08)
    assert effective_margin(0.05, 0.0501) is None
    assert effective_margin(0.05, float("nan")) == 0.05
    with pytest.raises(ValueError, match="above 0"):
        effective_margin(0.0, 0.01)


def test_runs_count_what_follows_four_plusses() -> None:
    runs = PlusRuns.start(1)
    for sign in [1, 1, 1, 1, 1, -1, 1, 1, 1, 1, np.nan, 1]:
        runs.update(np.array([float(sign)]))
    assert runs.runs[0].tolist() == [11, 8, 6, 4, 2]
    assert runs.plusses[0].tolist() == [10, 7, 5, 3, 1]


def test_a_missing_sign_breaks_the_run() -> None:
    runs = PlusRuns.start(1)
    for sign in [1, 1, np.nan, 1, 1, 1]:
        runs.update(np.array([float(sign)]))
    assert runs.runs[0, 4] == 0


def test_the_streak_under_way_is_not_counted_until_it_ends() -> None:
    runs = PlusRuns.start(2)
    for sign in [1, 1, -1, 1, 1, 1]:
        runs.update(np.array([1.0, float(sign)]))
    counts, plusses = runs.ended()
    assert counts.tolist() == [[0] * 5, [3, 2, 1, 0, 0]]
    assert plusses.tolist() == [[0] * 5, [2, 1, 0, 0, 0]]
    runs.update(np.array([-1.0, -1.0]))
    assert runs.ended()[1].tolist() == [[6, 5, 4, 3, 2], [5, 3, 1, 0, 0]]


def test_a_restart_forgets_the_signs_of_its_rows_only() -> None:
    runs = PlusRuns.start(2)
    for _ in range(6):
        runs.update(np.ones(2))
    runs.restart(np.array([1]))
    assert runs.streak.tolist() == [6, 0]
    assert runs.runs.sum(axis=1).tolist() == runs.plusses.sum(axis=1).tolist() == [20, 0]


def test_a_group_in_which_all_have_memory_keeps_nearly_all_of_its_members() -> None:
    runs = PlusRuns.start(32)
    for row in ar_noise(np.random.default_rng(12), 0.9, 600, 32):
        runs.update(signs(row, np.ones(32)))
    assert in_company(runs.ended()[1]).mean() > 0.9


def test_a_few_that_make_nothing_but_plusses_are_not_in_company() -> None:
    rng, runs = np.random.default_rng(13), PlusRuns.start(32)
    for block in range(60):
        ill = np.where(np.arange(32) < 8, 0.9 * (block >= 40), 0.0)
        runs.update(np.where(rng.random(32) < np.maximum(ill, 0.02), 1.0, -1.0))
    assert not in_company(runs.ended()[1])[:8].any()
    assert in_company(runs.ended()[1])[8:].mean() > 0.9


@settings(max_examples=40)
@given(arrays(np.int64, st.tuples(st.integers(1, 9), st.just(5)), elements=st.integers(0, 50)))
def test_no_count_of_plusses_leaves_out_more_than_half(plusses: Ints) -> None:
    one_count = np.repeat(plusses[:, :1], 5, axis=1)
    assert in_company(one_count).mean() >= 0.5
    assert in_company(one_count)[np.argmin(plusses[:, 0])]


def test_own_memory_needs_more_plusses_than_a_fair_coin_makes() -> None:
    counts = np.array([[100, 40, 20, 10, 5]] * 3)
    plusses = np.array([[40, 20, 10, 5, 2], [40, 30, 20, 10, 5], [100, 0, 0, 0, 0]])
    assert own_memory(counts, plusses).tolist() == [False, True, False]
    assert not own_memory(np.zeros((1, 5), dtype=np.int64), np.zeros((1, 5), dtype=np.int64)).any()


def test_own_lag_is_judged_by_how_many_values_show_it_and_by_the_group() -> None:
    values = np.array([20, 240, 240, 240, 240])
    assert own_lag(np.array([0.6, 0.6, 0.3, 0.0, np.nan]), values).tolist() == [
        False,
        True,
        False,
        False,
        False,
    ]
    assert not own_lag(np.full(5, 0.6), values).any()


@pytest.mark.parametrize(
    ("lag_one", "values", "told"),
    [(0.34, 60, 0.3), (0.34, 2000, 0.34), (0.2, 60, 0.2), (-0.34, 60, -0.3), (-0.9, 60, -0.9)],
)
def test_the_lag_of_a_group_is_beyond_the_limit_only_when_chance_cannot_explain_it(
    lag_one: float, values: int, told: float
) -> None:
    around = lag_one + np.array([-0.1, 0.0, 0.1, np.nan])
    assert group_lag(around, np.full(4, values)) == pytest.approx(told)


def test_the_lag_of_a_group_without_any_is_not_known() -> None:
    assert np.isnan(group_lag(np.full(4, np.nan), np.zeros(4, dtype=np.int64)))


def test_pooled_with_an_ill_shard_the_gate_would_refuse() -> None:
    # Why whoever pools must leave it out: healthy streams hardly ever make four plusses.
    runs = PlusRuns.start(2)
    for _ in range(300):
        runs.update(np.array([1.0, -1.0]))
    assert runs.runs[:, 4].tolist() == runs.plusses[:, 4].tolist() == [296, 0]
    assert (
        gate(members=16, runs=of_four(296), plusses=of_four(296), **CALM).validity is Validity.NONE
    )
    assert (
        gate(members=16, runs=of_four(0), plusses=of_four(0), **CALM).validity
        is Validity.CONSTRUCTION
    )


@pytest.mark.parametrize(
    ("members", "runs", "plusses", "validity", "largest"),
    [
        (2, 1000, 100, Validity.NONE, 0.0),
        (8, 1000, 400, Validity.CONSTRUCTION, 0.9),
        (8, 1000, 495, Validity.EMPIRICAL, 0.9 / 0.495 - 1.0),
        (8, 1000, 700, Validity.EMPIRICAL, 0.9 / 0.7 - 1.0),
        (8, 1000, 701, Validity.NONE, 0.0),
        (7, 1000, 400, Validity.EMPIRICAL, 0.9),
        (3, 1000, 600, Validity.EMPIRICAL, 0.5),
        (3, 1000, 900, Validity.NONE, 0.0),
        (8, 199, 199, Validity.CONSTRUCTION, 0.9),
        (7, 199, 0, Validity.EMPIRICAL, 0.9),
    ],
)
def test_the_gate_follows_its_table(
    members: int, runs: int, plusses: int, validity: Validity, largest: float
) -> None:
    verdict = gate(members=members, runs=of_four(runs), plusses=of_four(plusses), **CALM)
    assert verdict.validity is validity
    assert verdict.largest_lambda == pytest.approx(largest)
    assert validity is Validity.CONSTRUCTION or verdict.reason


@pytest.mark.parametrize("p4", [0.5, 0.55, 0.6, 0.65, 0.7])
def test_the_cut_grid_cannot_grow_under_the_memory_it_was_cut_for(p4: float) -> None:
    verdict = gate(members=8, runs=of_four(10_000), plusses=of_four(round(p4 * 10_000)), **CALM)
    kept = [value for value in LEVEL_LAMBDAS if value <= verdict.largest_lambda]
    assert kept
    assert (1.0 + max(kept)) * p4 <= 0.9 + 1e-9


@pytest.mark.parametrize(
    ("noise_ratio", "lag_one", "reason"),
    [
        (0.2, 0.31, "memory"),
        (0.2, -0.31, "memory"),
        (float("nan"), 0.0, "not known"),
        (0.2, float("nan"), "not known"),
    ],
)
def test_with_few_runs_noise_and_memory_decide(
    noise_ratio: float, lag_one: float, reason: str
) -> None:
    verdict = gate(
        members=16, runs=of_four(10), plusses=of_four(0), noise_ratio=noise_ratio, lag_one=lag_one
    )
    assert verdict.validity is Validity.NONE
    assert reason in verdict.reason


def test_large_noise_without_memory_is_empirical_until_its_runs_can_be_counted() -> None:
    few = np.array([320, 60, 12, 3, 1])
    verdict = gate(members=16, runs=few, plusses=few // 8, noise_ratio=0.6, lag_one=0.2)
    assert verdict.validity is Validity.EMPIRICAL
    assert "too few" in verdict.reason


def test_plusses_that_come_in_pairs_are_refused_before_four_in_a_row_can_be_counted() -> None:
    paired = np.array([320, 60, 40, 20, 10])
    verdict = gate(members=16, runs=paired, plusses=paired * 3 // 4, noise_ratio=0.2, lag_one=0.2)
    assert verdict.validity is Validity.NONE
    assert "p1 = 0.75" in verdict.reason


def test_the_upper_limit_covers_the_truth_nineteen_times_in_twenty() -> None:
    plusses = np.random.default_rng(9).binomial(400, 0.4, size=2000)
    covered = np.mean([upper_limit(int(k), 400) >= 0.4 for k in plusses])
    assert 0.93 <= covered <= 0.97


def test_noise_is_measured_against_the_room_below_the_margin() -> None:
    rng = np.random.default_rng(10)
    history = 0.01 * rng.standard_normal((3, 4000)) + np.array([[0.0], [0.04], [0.06]])
    history[0, ::7] = np.nan
    ratio, lag_one = noise(history, 0.05)
    assert ratio[:2] == pytest.approx([0.2, 1.0], rel=0.1)
    assert ratio[2] == 1e6
    assert np.abs(lag_one).max() < 0.05


def test_the_lag_one_of_an_ar_stream_is_its_phi() -> None:
    history = ar_noise(np.random.default_rng(11), 0.6, 4000, 2).T
    history[1, ::5] = np.nan
    _, lag_one = noise(history, np.array([5.0, 5.0]))
    assert lag_one == pytest.approx([0.6, 0.6], abs=0.06)


def test_too_short_a_history_is_not_known() -> None:
    ratio, lag_one = noise(np.array([[0.1, np.nan, 0.2], [np.nan] * 3, [1.0] * 3]), 5.0)
    assert np.isnan(ratio).tolist() == [True, True, False]
    assert np.isnan(lag_one).tolist() == [True, True, False]
    assert (ratio[2], lag_one[2]) == (0.0, 0.0)
