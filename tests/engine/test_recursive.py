import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tessera.engine.arrays import Bools, Floats, put_rows, take_rows
from tessera.engine.recursive import Recursive


def play(state: Recursive, x: Floats, c: Floats, phi: float = 0.0) -> Floats:
    on: Bools = np.ones(x.shape[1], dtype=np.bool_)
    return np.array([state.step(x[t], c[t], np.full(x.shape[1], phi), on) for t in range(len(x))])


def line(seed: int, blocks: int, n: int) -> tuple[Floats, Floats]:
    """A random-walk common mode, and streams on lines of their own about it, unit noise."""
    rng = np.random.default_rng(seed)
    c = np.cumsum(rng.normal(size=(blocks, 1)), axis=0) * np.ones(n)
    offset, slope = rng.normal(0, 5, n), rng.uniform(0.6, 1.4, n)
    return offset + slope * c + rng.normal(size=(blocks, n)), c


def test_null_residuals_about_any_line_are_iid_standard_normal() -> None:
    x, c = line(11, 220, 300)
    w = play(Recursive.start(300), x, c)[20:]
    assert stats.kstest(w.ravel(), "norm").pvalue > 0.01
    assert abs((w[1:] * w[:-1]).mean()) < 4 / np.sqrt(w.size)


def test_power_a_shift_shows_in_the_next_residual() -> None:
    x, c = line(12, 300, 200)
    x[250:] += 3.0
    w = play(Recursive.start(200), x, c)
    assert w[250].mean() == pytest.approx(3.0, abs=0.3)
    assert abs(w[249].mean()) < 0.3


@settings(max_examples=20, derandomize=True, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
def test_the_posterior_is_that_of_the_whole_past_at_once(
    seed: int, centre: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    c = rng.normal(centre, spread, (40, 1))
    x = 2.0 + 0.8 * c + rng.normal(size=(40, 1))
    state = Recursive.start(1)
    play(state, x, c)
    z = np.column_stack([np.ones(40), c])
    precision = np.diag([1 / 100.0, 1 / 0.09]) + z.T @ z
    moment = np.array([0.0, 1 / 0.09]) + z.T @ x[:, 0]
    np.testing.assert_allclose(state.theta[0], np.linalg.solve(precision, moment), rtol=1e-6)
    covariance = np.linalg.inv(precision)
    np.testing.assert_allclose(state.p[0], covariance[[0, 0, 1], [0, 1, 1]], rtol=1e-6, atol=1e-12)


def test_the_residual_comes_before_the_learning() -> None:
    first, second = Recursive.start(2), Recursive.start(2)
    learn, still = np.array([True, True]), np.array([True, False])
    x, c, phi = np.array([4.0, 4.0]), np.ones(2), np.zeros(2)
    np.testing.assert_array_equal(first.step(x, c, phi, learn), second.step(x, c, phi, still))
    np.testing.assert_array_equal(second.theta[1], [0.0, 1.0])
    assert first.theta[1, 0] > 0.0
    np.testing.assert_array_equal(second.steps, [1, 0])
    np.testing.assert_array_equal(second.last_x, x)


def test_a_missing_value_costs_two_quasi_differences_but_one_plain_residual() -> None:
    x, c = line(13, 6, 2)
    x[3] = np.nan
    plain = play(Recursive.start(2), x, c)
    differenced = play(Recursive.start(2), x, c, phi=0.5)
    np.testing.assert_array_equal(np.isnan(plain[:, 0]), [0, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(np.isnan(differenced[:, 0]), [1, 0, 0, 1, 1, 0])


def test_a_missing_value_teaches_nothing() -> None:
    state = Recursive.start(1)
    x, c = line(14, 20, 1)
    play(state, x, c)
    theta, p = state.theta.copy(), state.p.copy()
    w = play(state, np.full((3, 1), np.nan), c[:3])
    assert np.isnan(w).all()
    np.testing.assert_array_equal(state.theta, theta)
    np.testing.assert_array_equal(state.p, p)


def test_the_pooled_phi_takes_the_autocorrelation_out() -> None:
    rng = np.random.default_rng(15)
    noise = rng.normal(size=(400, 100))
    for t in range(1, 400):
        noise[t] = 0.9 * noise[t - 1] + np.sqrt(1 - 0.81) * noise[t]
    c = rng.normal(size=(400, 100))
    w = play(Recursive.start(100), noise + c, c, phi=0.9)[50:]
    assert abs(np.corrcoef(w[1:].ravel(), w[:-1].ravel())[0, 1]) < 0.03


def test_streams_with_and_without_phi_share_a_step_without_meeting() -> None:
    x, c = line(16, 30, 2)
    on = np.ones(2, dtype=np.bool_)
    mixed_state = Recursive.start(2)
    mixed = np.array([mixed_state.step(x[t], c[t], np.array([0.0, 0.6]), on) for t in range(30)])
    np.testing.assert_array_equal(mixed[:, 0], play(Recursive.start(2), x, c)[:, 0])
    np.testing.assert_array_equal(mixed[:, 1], play(Recursive.start(2), x, c, phi=0.6)[:, 1])


@pytest.mark.parametrize("which", [0, 1])
def test_an_infinity_is_refused_before_anything_is_learnt(which: int) -> None:
    state = Recursive.start(1)
    pair = [np.zeros(1), np.zeros(1)]
    pair[which][0] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        state.step(pair[0], pair[1], np.zeros(1), np.ones(1, dtype=np.bool_))
    assert state.steps[0] == 0


def test_rows_can_be_taken_out_and_put_back() -> None:
    x, c = line(17, 40, 3)
    state, rows = Recursive.start(3), np.array([0, 2])
    play(state, x[:20], c[:20])
    kept = take_rows(state, rows)
    play(state, x[20:], c[20:])
    put_rows(state, rows, kept)
    again = play(state, x[20:, :], c[20:, :])
    assert np.isfinite(again).all()
    np.testing.assert_array_equal(state.steps, [40, 60, 40])


def hard_inputs(rng: np.random.Generator, blocks: int) -> Floats:
    """Peers far off centre, constant, huge at times, and ordinary: one stream each."""
    c = rng.normal(size=(blocks, 4))
    c[:, 0] += 1e3
    c[:, 1] = 7.0
    c[:: blocks // 20, 2] *= 1e8
    return c


def assert_covariance(state: Recursive) -> None:
    p00, p01, p11 = state.p.T
    assert (p00 > 0).all()
    assert (p11 > 0).all()
    assert (p01**2 <= p00 * p11 * (1 + 1e-9)).all()


def test_the_covariance_stays_one_under_hard_inputs() -> None:
    rng = np.random.default_rng(18)
    state, c = Recursive.start(4), hard_inputs(rng, 5000)
    for _ in range(2):
        play(state, c + rng.normal(size=c.shape), c)
        assert_covariance(state)


@pytest.mark.slow
def test_the_covariance_stays_one_over_a_million_steps() -> None:
    rng = np.random.default_rng(19)
    state, information = Recursive.start(4), np.zeros(4)
    for _ in range(100):
        c = hard_inputs(rng, 10_000)
        play(state, c + rng.normal(size=c.shape), c)
        information += (c**2).sum(axis=0)
    assert_covariance(state)
    assert state.p[3, 2] == pytest.approx(1 / (information[3] + 1 / 0.09), rel=1e-3)
    np.testing.assert_allclose(state.theta[3], [0.0, 1.0], atol=5e-3)


def test_a_stream_learns_the_same_alone_as_among_many_thousand() -> None:
    rng, n = np.random.default_rng(20), 9000
    c, late = rng.normal(size=(5, n)), np.array([8191, 8192, n - 1])
    x = c + rng.normal(size=c.shape)
    among = play(Recursive.start(n), x, c, phi=0.4)
    np.testing.assert_array_equal(
        play(Recursive.start(3), x[:, late], c[:, late], 0.4), among[:, late]
    )
