import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Floats
from tessera.engine.calibration import (
    LADDER,
    WINDOWS,
    WindowSums,
    block_correlation,
    judge,
    kappa,
    lag_one,
    long_run_variance,
    pooled_phi,
    rungs,
    stream_kappa,
    stream_validity,
    tau_seconds,
    vif,
)
from tessera.engine.evalue import Validity
from tessera.engine.moments import Tier

SOUND, SEEN, LOST = Validity.CONSTRUCTION, Validity.EMPIRICAL, Validity.NONE


def scores(seed: int, streams: int, blocks: int, phi: float = 0.0, drift: float = 0.0) -> Floats:
    """Return AR(1) scores (blocks, streams) of variance 1, plus a random walk of sd ``drift``."""
    rng = np.random.default_rng(seed)
    out, state, walk = np.empty((blocks, streams)), rng.standard_normal(streams), np.zeros(streams)
    for b in range(blocks):
        state = phi * state + np.sqrt(1.0 - phi**2) * rng.standard_normal(streams)
        walk = walk + drift * rng.standard_normal(streams)
        out[b] = state + walk
    return out


def window_sums(z: Floats) -> dict[int, Floats]:
    """Return what `WindowSums` completed over scores ``z`` (blocks, streams), by window."""
    windows, done = WindowSums.start(z.shape[1]), {m: [np.empty(0)] for m in WINDOWS}
    for row in z:
        for m, sums in windows.update(row).items():
            done[m].append(sums)
    return {m: np.concatenate(parts) for m, parts in done.items()}


GREEN = window_sums(scores(1, 1500, 500))


def test_independent_scores_are_green() -> None:
    # Null.
    verdict = judge(GREEN, rho=0.0, slow=False)
    assert verdict.validity is SOUND
    assert verdict.words == ()
    assert 1.0 <= verdict.kappa < 1.05


def test_shared_memory_is_scaled_and_then_refused() -> None:
    # Power: AR 0.2 has VIF 1.5 over long windows, AR 0.6 has 4.
    mild = judge(window_sums(scores(2, 1500, 500, phi=0.2)), rho=0.0, slow=True)
    strong = judge(window_sums(scores(3, 1500, 500, phi=0.6)), rho=0.0, slow=True)
    assert (mild.validity, strong.validity) == (SEEN, LOST)
    assert mild.kappa == pytest.approx(1.5, abs=0.15)
    assert "beyond 2" in strong.words[0]


def test_drift_is_told_from_memory_and_refused_on_the_fast_rung_only() -> None:
    sums = window_sums(scores(4, 1000, 500, drift=0.006))
    fast, slow = judge(sums, rho=0.0, slow=False), judge(sums, rho=0.0, slow=True)
    assert fast.validity is LOST
    assert "drift" in fast.words[0]
    assert slow.validity is SEEN


def test_a_drift_ratio_of_few_windows_needs_three_standard_errors_more() -> None:
    def with_ratio_of_1_3(short: Floats, long: Floats) -> dict[int, Floats]:
        return {10: short, 100: long * np.sqrt(1.3 * vif(short)[0] / vif(long)[0])}

    few = with_ratio_of_1_3(GREEN[10][:1000], GREEN[100][:400])
    many = with_ratio_of_1_3(GREEN[10], GREEN[100])
    assert judge(few, rho=0.0, slow=False).validity is SEEN
    assert judge(many, rho=0.0, slow=False).validity is LOST


def test_too_few_windows_are_never_green() -> None:
    verdict = judge({m: GREEN[m][:2000] for m in WINDOWS}, rho=0.0, slow=False)
    assert (verdict.validity, verdict.words) == (SEEN, ("not enough windows yet",))
    assert judge({}, rho=0.0, slow=False).validity is SEEN


@pytest.mark.parametrize("rho", [0.16, -0.16, float("nan")])
def test_a_lag_one_correlation_keeps_it_from_green(rho: float) -> None:
    verdict = judge(GREEN, rho=rho, slow=False)
    assert verdict.validity is SEEN
    assert "lag-one" in verdict.words[0]


def test_a_minority_with_memory_of_its_own_keeps_it_from_green() -> None:
    assert judge(GREEN, rho=0.0, slow=False, outlying=0.02).validity is SOUND
    verdict = judge(GREEN, rho=0.0, slow=False, outlying=0.021)
    assert (verdict.validity, verdict.words[0][:5]) == (SEEN, "2.1 %")


def test_the_slow_rung_pays_for_any_inflation_with_its_class() -> None:
    hardly = {m: GREEN[m] * np.sqrt(1.06 / vif(GREEN[m])[0]) for m in WINDOWS}
    assert judge(hardly, rho=0.0, slow=False).validity is SOUND
    assert judge(hardly, rho=0.0, slow=True).validity is SEEN


def test_over_whitening_is_reported_and_costs_no_class() -> None:
    verdict = judge({m: 0.9 * GREEN[m] for m in WINDOWS}, rho=0.0, slow=False)
    assert verdict.validity is SOUND
    assert verdict.kappa == 1.0
    assert "over-whitened at 10" in verdict.words[0]


def test_the_standard_error_of_the_inflation_is_the_measured_one() -> None:
    rng = np.random.default_rng(5)
    values = [vif(rng.standard_normal(400)) for _ in range(600)]
    spread = float(np.std([value for value, _ in values]))
    assert spread == pytest.approx(np.mean([error for _, error in values]), rel=0.1)
    assert np.isnan(vif(np.array([np.nan]))).all()


def test_a_few_ill_shards_do_not_move_the_inflation() -> None:
    ill = np.where(np.arange(len(GREEN[25])) % 50 == 0, 30.0, GREEN[25])
    assert vif(ill)[0] == pytest.approx(vif(GREEN[25])[0], abs=0.06)


def test_kappa_is_never_below_one_and_waits_for_fifty_windows() -> None:
    assert kappa({10: 0.5 * GREEN[10]}) == 1.0
    assert kappa({10: GREEN[10], 100: 9.0 * GREEN[100][:49]}) < 1.1
    assert kappa({10: GREEN[10], 100: 9.0 * GREEN[100][:50]}) > 10.0
    assert kappa({}) == 1.0


def test_windows_are_completed_from_scores_that_exist() -> None:
    windows, done = WindowSums.start(2), []
    for block in range(12):
        z = np.array([1.0, np.nan if block in (3, 4) else 2.0])
        done.append(windows.update(z))
    assert [sorted(step) for step in done] == [[]] * 9 + [[10], [], [10]]
    assert done[9][10].tolist()[0] == pytest.approx(np.sqrt(10.0))
    assert np.isnan(done[9][10][1])
    assert done[11][10].tolist()[1] == pytest.approx(2.0 * np.sqrt(10.0))
    assert windows.filled.tolist() == [[2, 12, 12, 12], [0, 10, 10, 10]]


def test_one_streams_own_memory_is_found_behind_a_green_fleet() -> None:
    # Power of V_i: 10 % of the streams at AR 0.7 leave the fleet's MAD alone.
    z = scores(6, 200, 500)
    z[:, :20] = scores(7, 20, 500, phi=0.7)
    v, blocks = long_run_variance(z.T), np.full(200, 500, dtype=np.int64)
    found = stream_validity(SOUND, v, 1.0, blocks)
    assert vif(window_sums(z)[25])[0] < 1.4
    assert (found[:20] < SOUND).all()
    assert np.mean(found[20:] < SOUND) <= 0.01
    assert (found[v > 3.0] == LOST).all()


@settings(max_examples=30, derandomize=True)
@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_overlapping_windows_are_summed_as_by_hand(m: int, length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = np.where(rng.uniform(size=length) < 0.2, np.nan, rng.standard_normal(length))
    known = z[~np.isnan(z)]
    sums = [known[i : i + m].sum() for i in range(len(known) - m + 1)]
    value = long_run_variance(z[None, :], m)[0]
    assert np.isnan(value) if not sums else value == pytest.approx(np.mean(np.square(sums)) / m)


def test_a_stream_that_is_not_known_yet_bets_as_if_it_had_the_memory_it_may_have() -> None:
    blocks = np.array([100, 399, 100, 300])
    v = np.array([1.0, 2.0, 0.1, np.nan])
    assert stream_kappa(1.2, v, blocks) == pytest.approx([1.577, 2.578, 1.2, 1.2], abs=1e-3)


def test_alike_streams_share_the_kappa_of_their_pool_and_unlike_ones_keep_their_own() -> None:
    blocks = np.full(64, 400)
    alike = 1.0 + 0.29 * np.random.default_rng(14).standard_normal(64)
    assert stream_kappa(1.0, alike, blocks).max() < 1.2
    unlike = np.where(np.arange(64) % 8 == 0, 6.0, alike)
    assert stream_kappa(1.0, unlike, blocks)[::8].min() > 5.0
    assert stream_kappa(1.0, np.array([5.0, np.nan]), np.full(2, 400)).tolist() == [5.0, 1.0]


def test_a_stream_is_never_better_than_its_fleet() -> None:
    blocks = np.full(4, 400)
    v = np.array([1.0, 2.5, 3.1, np.nan])
    assert stream_validity(SOUND, v, 1.0, blocks).tolist() == [SOUND, SEEN, LOST, SOUND]
    assert stream_validity(SEEN, v, 1.0, blocks).tolist() == [SEEN, SEEN, LOST, SEEN]
    assert stream_validity(LOST, v, 1.0, blocks).tolist() == [LOST] * 4


def test_the_small_sample_bias_of_lag_one_is_taken_out() -> None:
    z = scores(8, 4000, 60, phi=0.5)
    r = z - z.mean(axis=0)
    n, cross = np.full(4000, 59.0), (r[1:] * r[:-1]).sum(axis=0)
    square = (r[1:] ** 2).sum(axis=0)
    assert np.mean(cross / square) < 0.47
    assert np.mean(lag_one(n, cross, square)) == pytest.approx(0.5, abs=0.02)


def test_a_stream_that_does_not_move_has_no_phi() -> None:
    rho = lag_one(np.array([0.0, 50.0]), np.zeros(2), np.array([1.0, 0.0]))
    assert np.isnan(rho).all()
    assert np.isnan(pooled_phi(rho))


def test_the_fleet_has_one_phi_between_zero_and_almost_one() -> None:
    assert pooled_phi(np.array([0.2, 0.9, 0.3, np.nan])) == pytest.approx(0.3)
    assert pooled_phi(np.array([-0.3])) == 0.0
    assert pooled_phi(np.array([1.2])) == 0.999


@settings(max_examples=40, derandomize=True)
@given(st.sampled_from(LADDER), st.floats(0.3, 3000.0))
def test_the_memory_of_ticks_is_found_again_from_block_means(length: int, tau: float) -> None:
    phi = block_correlation(tau, length)
    assert tau_seconds(phi, length) == pytest.approx(tau, rel=1e-6)


def test_block_means_correlate_as_simulated() -> None:
    z = scores(9, 400, 3000, phi=np.exp(-1.0 / 20.0))
    means = z.reshape(100, 30, 400).mean(axis=1)
    measured = (means[1:] * means[:-1]).sum() / (means[1:] ** 2).sum()
    assert measured == pytest.approx(block_correlation(20.0, 30), abs=0.02)


def test_the_logarithm_of_a_block_correlation_overstates_the_memory() -> None:
    for ticks, factor in ((30.0, 5.5), (300.0, 1.8), (600.0, 1.64), (6000.0, 1.51)):
        naive = -600.0 / np.log(block_correlation(ticks, 600))
        assert naive / ticks == pytest.approx(factor, abs=0.01)


def test_no_memory_is_zero_and_a_unit_root_is_refused() -> None:
    assert tau_seconds(0.0, 30) == tau_seconds(-0.2, 30) == 0.0
    assert np.isnan(tau_seconds(float("nan"), 30))
    with pytest.raises(ValueError, match="no AR"):
        tau_seconds(1.0, 30)


@settings(max_examples=60, derandomize=True)
@given(st.floats(0.0, 1e5), st.sampled_from([1, 2, 5]))
def test_the_fast_rung_is_always_the_shorter(tau: float, shortest: int) -> None:
    fast, slow = rungs(tau, shortest=shortest)
    assert shortest <= fast < slow <= 600
    assert {fast, slow} <= set(LADDER)


@pytest.mark.parametrize(
    ("tau", "pair"),
    [(0.0, (5, 10)), (9.5, (5, 30)), (20.0, (10, 60)), (99.5, (60, 300)), (5000.0, (300, 600))],
)
def test_the_rungs_follow_the_memory(tau: float, pair: tuple[int, int]) -> None:
    assert rungs(tau) == pair


def test_rungs_need_a_memory_and_room() -> None:
    with pytest.raises(ValueError, match="no two rungs"):
        rungs(float("nan"))
    with pytest.raises(ValueError, match="no two rungs"):
        rungs(10.0, shortest=30, longest=30)


@pytest.mark.parametrize(
    ("samples", "word"),
    [(0, "none"), (19, "none"), (20, "warm_start"), (59, "warm_start"), (60, "strict")],
)
def test_a_summary_earns_its_tier(samples: int, word: str) -> None:
    assert Tier.of(samples).word == word
