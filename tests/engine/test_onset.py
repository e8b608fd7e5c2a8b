import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Floats, Ints
from tessera.engine.bets import normal_score_bets, normal_scores, side_weights
from tessera.engine.onset import NEVER, OnsetMixture


def mixture(n: int, horizon: int, accumulators: int = 8) -> OnsetMixture:
    weights = np.full((n, accumulators), 1.0 / accumulators)
    return OnsetMixture.start(weights, np.full(n, horizon))


def fair_bets(rng: np.random.Generator, n: int) -> Floats:
    """Normal-score bets without a deadband: mean factor 1 but for the clip."""
    return normal_score_bets(normal_scores(rng.random(n)), np.ones(n), 0.0)


def linear_m(bets: Floats, weights: Floats, horizon: int) -> float:
    """ln M of one stream's bets (blocks, J), by the recursion in plain numbers."""
    r, age = np.zeros(len(weights)), 0
    for row in bets[~np.isnan(bets).any(axis=1)]:
        r = ((1.0 if age < horizon else 0.0) + r) * np.exp(row)
        age += 1
    return float(np.log((weights @ r + max(horizon - age, 0)) / horizon))


def test_null_the_mean_is_at_most_one_at_any_stopping_time() -> None:
    rng, n, horizon = np.random.default_rng(31), 20_000, 60
    mix, stopped = mixture(n, horizon), np.full(n, np.nan)
    means = []
    for block in range(horizon):
        mix.step(fair_bets(rng, n), block)
        log_m = mix.log_m()
        stopped = np.where(np.isnan(stopped) & (log_m >= np.log(3)), log_m, stopped)
        if block in (0, 5, 20, 59):
            means.append(np.exp(log_m).mean())
    at_three_or_the_end = np.where(np.isnan(stopped), mix.log_m(), stopped)
    means.append(np.exp(at_three_or_the_end).mean())
    assert max(means) <= 1.05  # three standard errors and more
    assert (~np.isnan(stopped)).mean() <= 1 / 3  # Ville


def test_power_no_healthy_past_delays_a_fault() -> None:
    healthy, ill = np.full((1, 8), -0.3), np.full((1, 8), 0.8)
    delays = []
    for past in (0, 700):
        mix, block = mixture(1, 1000), past
        for t in range(past):
            mix.step(healthy, t)
        while mix.log_m()[0] < np.log(1000):
            mix.step(ill, block)
            block += 1
        delays.append(block - past)
    assert delays[0] <= 20
    assert abs(delays[1] - delays[0]) <= 1


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 40))
def test_the_log_domain_says_what_plain_numbers_say(seed: int, blocks: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    bets = rng.normal(-0.1, 0.8, (blocks, 3))
    bets[rng.random(blocks) < 0.2, 1] = np.nan
    weights = rng.dirichlet(np.ones(3))
    mix = OnsetMixture.start(weights[None, :], np.array([horizon]))
    for block in range(blocks):
        mix.step(bets[block : block + 1], block)
    assert mix.log_m()[0] == pytest.approx(linear_m(bets, weights, horizon), rel=1e-9, abs=1e-9)


def test_inserting_blocks_without_a_bet_changes_nothing() -> None:
    rng = np.random.default_rng(32)
    plain, skipping = mixture(5, 100), mixture(5, 100)
    nothing = np.full((5, 8), np.nan)
    for block in range(40):
        bets = fair_bets(rng, 5)
        plain.step(bets, 2 * block)
        skipping.step(bets, 2 * block)
        skipping.step(nothing, 2 * block + 1)
    np.testing.assert_array_equal(plain.log_r, skipping.log_r)
    np.testing.assert_array_equal(plain.age, skipping.age)
    np.testing.assert_array_equal(plain.onset(), skipping.onset())


def test_one_missing_bet_skips_its_row_and_no_other() -> None:
    mix, bets = mixture(2, 10), np.zeros((2, 8))
    bets[0, 3] = np.nan
    mix.step(bets, 4)
    np.testing.assert_array_equal(mix.age, [0, 1])
    np.testing.assert_array_equal(mix.onset(), [NEVER, 4])
    assert mix.log_m()[0] == 0.0


def test_before_the_first_bet_the_evidence_is_exactly_one() -> None:
    mix = mixture(3, 120_960)
    np.testing.assert_array_equal(mix.log_m(), 0.0)
    np.testing.assert_array_equal(mix.onset(), NEVER)


def test_past_the_horizon_no_new_onset_begins() -> None:
    mix = mixture(1, 2)
    for block in range(6):
        mix.step(np.zeros((1, 8)), block)
    assert mix.age[0] == 6
    assert mix.log_m()[0] == pytest.approx(0.0, abs=1e-12)  # two onsets of weight 1/2, no more


def test_the_onset_is_the_block_in_which_the_leader_last_began_to_grow() -> None:
    mix = mixture(1, 500, accumulators=2)
    for block in range(100, 160):
        fault = block >= 130
        mix.step(np.array([[0.5, -0.9]]) if fault else np.array([[-0.3, -0.1]]), block)
    assert mix.onset()[0] == 130


def test_an_accumulator_without_weight_carries_neither_evidence_nor_onset() -> None:
    weights = np.array([[0.0, 1.0]])
    mix = OnsetMixture.start(weights, np.array([50]))
    for block in range(50):
        mix.step(np.array([[2.0, -3.0 if block < 45 else 0.1]]), block)
    assert mix.log_m()[0] < 0.0
    assert mix.onset()[0] == 45


@pytest.mark.parametrize("bet", [500.0, -500.0, -np.inf])
def test_evidence_stays_finite_however_far_it_goes(bet: float) -> None:
    mix = mixture(1, 5)
    for block in range(20):
        mix.step(np.full((1, 8), bet), block)
    assert np.isfinite(mix.log_m()[0])
    assert np.sign(mix.log_m()[0]) == np.sign(bet)


def test_evidence_far_below_underflow_is_still_exact() -> None:
    mix = mixture(1, 1)
    for block in range(10):
        mix.step(np.full((1, 8), -500.0), block)
    assert mix.log_m()[0] == pytest.approx(-5000.0, rel=1e-12)


def test_a_restart_forgets_its_rows_and_no_other() -> None:
    mix = mixture(3, 50)
    for block in range(10):
        mix.step(np.full((3, 8), 0.4), block)
    kept = mix.log_m()[0]
    mix.restart(np.array([1, 2]), np.array([70, 80]))
    np.testing.assert_array_equal(mix.log_m(), [kept, 0.0, 0.0])
    np.testing.assert_array_equal(mix.horizon, [50, 70, 80])
    np.testing.assert_array_equal(mix.onset()[1:], NEVER)


def test_a_sure_bet_is_refused_and_nothing_is_changed() -> None:
    mix, bets = mixture(2, 10), np.zeros((2, 8))
    bets[1, 0] = np.inf
    with pytest.raises(ValueError, match="no bet may be sure"):
        mix.step(bets, 0)
    np.testing.assert_array_equal(mix.age, 0)


def test_bets_of_another_shape_or_a_negative_block_are_refused() -> None:
    mix = mixture(2, 10)
    with pytest.raises(ValueError, match="mixture is"):
        mix.step(np.zeros((2, 4)), 0)
    with pytest.raises(ValueError, match="numbered from 0"):
        mix.step(np.zeros((2, 8)), -1)


@pytest.mark.parametrize(
    ("weights", "horizon", "word"),
    [
        ([[-0.1, 0.5]], [10], "weights"),
        ([[0.6, 0.6]], [10], "weights"),
        ([[0.5, 0.5]], [0], "hori"),
    ],
)
def test_weights_and_horizons_that_would_break_the_mean_are_refused(
    weights: list[list[float]], horizon: list[int], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        OnsetMixture.start(np.array(weights), np.array(horizon))


def test_choosing_the_blocks_to_skip_after_looking_makes_evidence_of_nothing() -> None:
    rng, n = np.random.default_rng(33), 400
    direction: Ints = np.ones(n, dtype=np.int64)
    peeking = OnsetMixture.start(side_weights(direction), np.full(n, 300))
    for block in range(150):
        bets = fair_bets(rng, n)
        bets[bets[:, 2] < 0.0] = np.nan
        peeking.step(bets, block)
    assert (peeking.log_m() >= np.log(20)).mean() > 0.5


def in_logs(bets: Floats, weights: Floats, horizon: int) -> Floats:
    """ln M of one stream after each of ``bets`` (blocks, J), by the recursion in logarithms."""
    log_r, told = np.full(len(weights), -np.inf), []
    for age, row in enumerate(bets, 1):
        log_r = (np.logaddexp(0.0, log_r) if age <= horizon else log_r) + row
        left = np.log(horizon - age) if age < horizon else -np.inf
        log_sum = np.logaddexp.reduce([*(np.log(weights) + log_r), left])
        told.append(max(log_sum, -1e30) - np.log(horizon))
    return np.array(told)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 400.0), st.integers(1, 60))
def test_plain_numbers_and_logarithms_take_turns_without_a_seam(
    seed: int, size: float, horizon: int
) -> None:
    rng = np.random.default_rng(seed)
    bets = size * (rng.normal(size=(60, 3)) + np.sin(np.arange(60) / 9.0)[:, None])
    bets[rng.random(60) < 0.05] = -np.inf
    weights = rng.dirichlet(np.ones(3))
    mix, told = OnsetMixture.start(weights[None, :], np.array([horizon])), []
    for block in range(60):
        mix.step(bets[block : block + 1], block)
        told.append(mix.log_m()[0])
    np.testing.assert_allclose(told, in_logs(bets, weights, horizon), rtol=1e-12, atol=1e-12)


def test_a_million_blocks_of_evidence_either_way_stay_finite_and_exact() -> None:
    up, down = np.full((1, 8), 4.4), np.full((1, 8), -8.8)
    mix = mixture(1, 1)
    mix.step(np.zeros((1, 8)), 0)
    mix.r[0], mix.far[0] = 4.4e6, True  # as after a million blocks upward
    mix.step(up, 1)
    assert mix.log_m()[0] == pytest.approx(4.4e6 + 4.4, rel=1e-12)
    for block in range(2, 300):
        mix.step(down, block)
    assert mix.log_m()[0] == pytest.approx(4.4e6 + 4.4 - 298 * 8.8, rel=1e-12)


def test_a_stream_that_comes_back_from_afar_dates_and_counts_as_before() -> None:
    mix = mixture(1, 10_000)
    for block in range(400):
        mix.step(np.full((1, 8), 3.0), block)
    assert mix.far[0]
    assert mix.log_m()[0] == pytest.approx(
        np.log(np.exp(3.0) / (np.exp(3.0) - 1)) + 1200 - np.log(1e4)
    )
    for block in range(400, 700):
        mix.step(np.full((1, 8), -5.0), block)
    assert not mix.far[0]
    assert mix.log_r[0, 0] == pytest.approx(np.log(1.0 / (np.exp(5.0) - 1)), rel=1e-9)
    assert mix.onset()[0] == 699


def test_bets_taken_part_by_part_are_those_taken_at_once_to_the_last_bit() -> None:
    rng, n = np.random.default_rng(34), 9000
    whole, apart, alone = mixture(n, 50), mixture(n, 50), mixture(1, 50)
    for block in range(6):
        bets = 60.0 * fair_bets(rng, n)  # some of them far, some wild
        bets[rng.random(n) < 0.1, 2] = np.nan
        whole.step(bets, block)
        for rows in (slice(0, 17), slice(17, 8500), slice(8500, None)):
            apart.step(bets[rows], block, rows)
        alone.step(bets[8191:8192], block)
    assert whole.far.any()
    assert not whole.far.all()
    np.testing.assert_array_equal(whole.log_m(), apart.log_m())
    np.testing.assert_array_equal(whole.log_r, apart.log_r)
    np.testing.assert_array_equal(whole.onset(), apart.onset())
    assert alone.log_m()[0] == whole.log_m()[8191]
