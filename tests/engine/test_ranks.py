import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tessera.engine.arrays import Bools, Floats, put_rows, take_rows
from tessera.engine.ranks import BASELINE, MOST, Ranks, stream_key, uniforms


def on(n: int) -> Bools:
    return np.ones(n, dtype=np.bool_)


def ready(baseline: Floats) -> Ranks:
    ranks = Ranks.start(len(baseline))
    ranks.set_knots(np.arange(len(baseline)), baseline)
    return ranks


def play(ranks: Ranks, w: Floats, rng: np.random.Generator) -> Floats:
    return np.array([ranks.rank(row, rng.random(row.size), on(row.size)) for row in w])


def test_null_ranks_of_exchangeable_residuals_are_iid_uniform() -> None:
    rng = np.random.default_rng(21)
    ranks = ready(rng.standard_t(3, (500, BASELINE)))
    u = play(ranks, rng.standard_t(3, (100, 500)), rng)
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(u[1:].ravel(), u[:-1].ravel())[0, 1]) < 0.02
    assert stats.kstest(u[-1], "uniform").pvalue > 0.01


def test_null_ranks_of_a_coarse_metric_are_uniform_too() -> None:
    rng = np.random.default_rng(22)
    ranks = ready(np.round(rng.normal(size=(500, BASELINE))))
    u = play(ranks, np.round(rng.normal(size=(100, 500))), rng)
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01


def test_power_a_shifted_residual_ranks_at_the_end() -> None:
    rng = np.random.default_rng(23)
    ranks = ready(rng.normal(size=(200, BASELINE)))
    play(ranks, rng.normal(size=(400, 200)), rng)
    u = ranks.rank(rng.normal(4.0, 1.0, 200), rng.random(200), on(200))
    assert np.median(u) > 0.99


def test_sixty_three_ascending_knots_reach_seven_robust_sd_to_either_side() -> None:
    baseline = np.random.default_rng(24).normal(size=(3, BASELINE))
    knots = ready(baseline).knots.astype(np.float64)
    median = np.median(baseline, axis=1)
    sd = 1.4826 * np.median(np.abs(baseline - median[:, None]), axis=1)
    assert knots.shape == (3, 63)
    assert (np.diff(knots, axis=1) >= 0).all()
    np.testing.assert_allclose(knots[:, 0], median - 7 * sd, rtol=1e-6)
    np.testing.assert_allclose(knots[:, -1], median + 7 * sd, rtol=1e-6)


def test_body_knots_are_quantiles_of_what_is_present() -> None:
    baseline = np.random.default_rng(25).normal(size=(1, BASELINE))
    baseline[0, ::3] = np.nan
    knots = ready(baseline).knots[0].astype(np.float64)
    body = np.nanquantile(baseline[0], np.arange(1, 48) / 48)
    distance = np.abs(knots[:, None] - body).min(axis=0)
    np.testing.assert_allclose(distance, 0.0, atol=1e-6)


@pytest.mark.parametrize("odd_ones", [0, 3])
def test_a_baseline_without_spread_still_gives_finite_knots_on_both_sides(odd_ones: int) -> None:
    baseline = np.zeros((1, BASELINE))
    baseline[0, :odd_ones] = 5.0
    knots = ready(baseline).knots[0]
    assert np.isfinite(knots).all()
    assert knots[0] < 0.0 < knots[-1]


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_rank_is_the_textbook_one_over_bins(seed: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    ranks = ready(rng.normal(size=(2, BASELINE)))
    knots, counts = ranks.knots.astype(np.float64), np.zeros((2, 64))
    for _ in range(blocks):
        w, uniform = rng.normal(0, 2, 2), rng.random(2)
        u = ranks.rank(w, uniform, on(2))
        for i in range(2):
            a = int((knots[i] <= np.float32(w[i])).sum())
            expected = counts[i, :a].sum() + uniform[i] * (counts[i, a] + 1)
            assert u[i] == pytest.approx(expected / (counts[i].sum() + 1), rel=1e-12)
            counts[i, a] += 1


def test_a_missing_residual_has_no_rank_and_is_not_counted() -> None:
    ranks = ready(np.random.default_rng(26).normal(size=(2, BASELINE)))
    u = ranks.rank(np.array([np.nan, 0.1]), np.full(2, 0.5), on(2))
    assert np.isnan(u[0])
    assert u[1] == 0.5
    np.testing.assert_array_equal(ranks.total, [0, 1])
    assert not ranks.counts[0].any()


def test_without_knots_there_is_no_rank() -> None:
    ranks = Ranks.start(2)
    empty = np.full((1, BASELINE), np.nan)
    ranks.set_knots(np.array([1]), empty)
    assert np.isnan(ranks.rank(np.zeros(2), np.full(2, 0.5), on(2))).all()
    np.testing.assert_array_equal(ranks.total, [0, 0])


def test_a_row_that_does_not_learn_is_ranked_and_left_alone() -> None:
    rng = np.random.default_rng(27)
    ranks = ready(rng.normal(size=(2, BASELINE)))
    play(ranks, rng.normal(size=(50, 2)), rng)
    before = take_rows(ranks, np.array([0, 1]))
    u = ranks.rank(np.array([9.0, 9.0]), np.full(2, 0.5), np.array([True, False]))
    assert u[0] == u[1] == pytest.approx(50.5 / 51)
    np.testing.assert_array_equal(ranks.total, [51, 50])
    np.testing.assert_array_equal(ranks.counts[1], before.counts[1])


def test_new_knots_forget_the_counts_of_their_rows_only() -> None:
    rng = np.random.default_rng(28)
    ranks = ready(rng.normal(size=(3, BASELINE)))
    play(ranks, rng.normal(size=(10, 3)), rng)
    ranks.set_knots(np.array([1]), rng.normal(size=(1, BASELINE)))
    np.testing.assert_array_equal(ranks.total, [10, 0, 10])
    assert not ranks.counts[1].any()


def test_rows_taken_out_and_put_back_continue_where_they_were() -> None:
    rng = np.random.default_rng(29)
    ranks, rows = ready(rng.normal(size=(3, BASELINE))), np.array([2, 0])
    play(ranks, rng.normal(size=(20, 3)), rng)
    kept = take_rows(ranks, rows)
    w, uniform = rng.normal(size=3), rng.random(3)
    expected = ranks.rank(w, uniform, on(3))
    np.testing.assert_array_equal(kept.rank(w[rows], uniform[rows], on(2)), expected[rows])
    put_rows(ranks, rows, kept)
    np.testing.assert_array_equal(ranks.total, [21, 21, 21])


def test_a_baseline_of_another_length_or_with_an_infinity_is_refused() -> None:
    ranks = Ranks.start(1)
    with pytest.raises(ValueError, match="100 residuals"):
        ranks.set_knots(np.array([0]), np.zeros((1, 99)))
    with pytest.raises(ValueError, match="infinite"):
        ranks.set_knots(np.array([0]), np.full((1, BASELINE), np.inf))


def test_an_infinite_residual_is_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        Ranks.start(1).rank(np.array([np.inf]), np.array([0.5]), on(1))


def test_uniforms_are_the_published_splitmix_sequence() -> None:
    first = 0xE220A8397B1DCDAF  # first output of SplitMix64 for seed 0
    expected = ((first >> 12) + 0.5) * 2.0**-52
    assert uniforms(np.zeros(1, dtype=np.uint64), 0)[0] == expected


def test_uniforms_are_uniform_over_streams_and_over_blocks() -> None:
    keys = np.array([stream_key("shard", str(i)) for i in range(400)], dtype=np.uint64)
    u = np.array([uniforms(keys, block) for block in range(100)])
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(u[1:].ravel(), u[:-1].ravel())[0, 1]) < 0.02


def test_uniforms_never_touch_zero_or_one_and_leave_the_keys_alone() -> None:
    keys = np.arange(100_000, dtype=np.uint64)
    u = uniforms(keys, 2**40)
    assert u.min() > 0.0
    assert u.max() < 1.0
    assert keys[3] == 3


def test_the_key_of_a_stream_is_fixed_for_ever_and_knows_where_a_part_ends() -> None:
    assert stream_key("a", "bc") != stream_key("ab", "c")
    assert stream_key("gpu-0", "power") == stream_key("gpu-0", "power")
    assert 0 <= stream_key() < 2**64


def test_a_stream_ranks_the_same_alone_as_among_many_thousand() -> None:
    rng, n = np.random.default_rng(30), 9000
    ranks, late = ready(rng.normal(size=(n, BASELINE))), np.array([8191, 8192, n - 1])
    alone = take_rows(ranks, late)
    for _ in range(3):
        w, uniform = rng.normal(size=n), rng.random(n)
        expected = ranks.rank(w, uniform, on(n))[late]
        np.testing.assert_array_equal(alone.rank(w[late], uniform[late], on(3)), expected)


def test_the_counts_are_a_histogram_over_the_knots() -> None:
    rng = np.random.default_rng(31)
    ranks, w = ready(rng.normal(size=(2, BASELINE))), rng.normal(0.0, 2.0, (300, 2))
    play(ranks, w, rng)
    for i in range(2):
        place = np.searchsorted(ranks.knots[i], w[:, i].astype(np.float32), side="right")
        np.testing.assert_array_equal(ranks.counts[i], np.bincount(place, minlength=64))


@pytest.mark.parametrize("w", [-9.0, 0.0, 0.03, 9.0])
def test_a_stream_that_has_counted_all_it_can_goes_on_ranking_among_them(w: float) -> None:
    ranks = ready(np.random.default_rng(32).normal(size=(1, BASELINE)))
    one, half, learn = np.full(1, w), np.full(1, 0.5), on(1)
    ranks.rank(one, half, learn)
    ranks.below[0] *= MOST - 1  # as after as many of the same
    ranks.leaves[0, :, 2] *= np.uint64(MOST - 1)
    for _ in range(3):
        u = ranks.rank(one, half, learn)
        assert u[0] == 0.5
    assert ranks.total[0] == ranks.counts[0].max() == MOST
    assert ranks.rank(np.full(1, 100.0), half, learn)[0] >= 0.5
    assert ranks.total[0] == MOST


def test_streams_that_hold_what_others_told_go_on_as_they_do() -> None:
    rng = np.random.default_rng(11)
    made = Ranks.start(5)
    made.set_knots(np.arange(5), rng.normal(size=(5, BASELINE)))
    every, half = np.ones(5, dtype=np.bool_), np.full(5, 0.5)
    for _ in range(300):
        made.rank(rng.normal(size=5), half, every)
    held = Ranks.holding(made.knots, made.counts)
    np.testing.assert_array_equal(held.leaves, made.leaves)
    np.testing.assert_array_equal(held.below, made.below)
    w = rng.normal(size=5)
    np.testing.assert_array_equal(held.rank(w, half, every), made.rank(w, half, every))


def test_more_than_a_stream_can_count_is_refused() -> None:
    counts = np.full((1, 64), 2**20)
    with pytest.raises(ValueError, match="at most 2097151"):
        Ranks.holding(np.zeros((1, 63), dtype=np.float32), counts)
