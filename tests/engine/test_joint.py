import numpy as np
import pytest

from tessera.engine import calibration, joint, memory, onset, ranks
from tessera.engine.arrays import Floats, Words
from tessera.engine.bets import normal_score_bets, normal_scores, side_weights
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.joint import FITTED_ON, PATIENCE, JointChannel, scores_in_order
from tessera.engine.onset import OnsetMixture
from tessera.engine.ranks import BASELINE, Ranks, stream_key, uniforms
from tessera.engine.scatter import fit, squared_distances
from tessera.engine.snapshot import named, restored, snapshot

CROSSING = np.log(100.0)
KNOWN = named(joint, calibration, memory, onset, ranks)


def keys(n: int) -> Words:
    return np.array([stream_key(f"gpu-{i}", "joint", "5") for i in range(n)], dtype=np.uint64)


def residuals(seed: int, blocks: int, n: int, columns: int = 2, together: float = 0.8) -> Floats:
    """Blocks x rows x columns: normal, any two columns of a row correlated by ``together``."""
    rng = np.random.default_rng(seed)
    shared = np.sqrt(together) * rng.normal(size=(blocks, n, 1))
    w: Floats = shared + np.sqrt(1.0 - together) * rng.normal(size=(blocks, n, columns))
    return w


def channel(n: int, columns: int = 2, horizon: int = 1000) -> JointChannel:
    return JointChannel(keys(n), columns, horizon)


def play(made: JointChannel, w: Floats, first: int = 0, kappa: float = 1.0) -> Floats:
    """Feed ``w`` (blocks, n, p), settling rows as the plan would; return ln M (blocks, n)."""
    out = np.empty(w.shape[:2])
    for b, row in enumerate(w):
        made.step(first + b, row)
        out[b] = made.log_m()
        ready = made.may_settle()
        if len(ready):
            made.settle(ready)
            made.kappa[ready] = kappa
    return out


def column_alone(w: Floats) -> Floats:
    """Return ln M (blocks, n) of a change stream of one column ``w`` (blocks, n), as it bets."""
    blocks, n = w.shape
    held, every = Ranks.start(n), np.ones(n, dtype=np.bool_)
    held.set_knots(np.arange(n), w[:BASELINE].T)
    both = side_weights(np.zeros(n, dtype=np.int64))
    mixture = OnsetMixture.start(both, np.full(n, 1000))
    out = np.zeros(w.shape)
    for b in range(BASELINE, blocks):
        z = normal_scores(held.rank(w[b], uniforms(keys(n), b), every))
        mixture.step(normal_score_bets(z, np.ones(n)), b)
        out[b] = mixture.log_m()
    return out


@pytest.mark.parametrize("columns", [2, 5])
def test_null_rows_that_go_on_as_they_were_keep_villes_bounds(columns: int) -> None:
    made = channel(200, columns)
    highest = play(made, residuals(31, 900, 200, columns)).max(axis=0)
    assert made.settled.all()
    assert (highest >= np.log(20.0)).mean() <= 0.05
    assert (highest >= CROSSING).mean() <= 0.01


def test_power_two_columns_that_part_are_found_sooner_than_by_either_alone() -> None:
    n, onset_at = 24, 600
    w = residuals(32, 700, n, together=0.95)
    w[onset_at:, :, 0] += 1.5
    w[onset_at:, :, 1] -= 1.5
    log_m = play(channel(n), w)
    assert log_m[:onset_at].max() < CROSSING
    delay = np.argmax(log_m >= CROSSING, axis=0) - onset_at
    assert (log_m[-1] >= CROSSING).all()
    for column in range(2):
        alone = column_alone(w[:, :, column])
        late = np.where((alone >= CROSSING).any(axis=0), np.argmax(alone >= CROSSING, axis=0), 700)
        assert (delay < late - onset_at).all()


def test_without_a_drift_the_same_rows_stay_quiet() -> None:
    log_m = play(channel(24), residuals(32, 700, 24, together=0.95))
    assert log_m.max() < CROSSING


def test_the_onset_is_dated() -> None:
    w = residuals(33, 500, 6)
    w[400:, 3] += np.array([3.0, -3.0])
    made = channel(6)
    assert np.flatnonzero(play(made, w)[-1] >= CROSSING).tolist() == [3]
    assert 395 <= made.mixture.onset()[3] <= 402


def test_what_comes_nearer_than_ever_is_not_blamed() -> None:
    w = residuals(34, 500, 20)
    w[300:] *= 0.2
    assert play(channel(20), w).max() < 1.0


def test_a_distance_is_that_of_the_fit() -> None:
    w = residuals(35, 160, 1, columns=3)
    made = channel(1, columns=3)
    play(made, w[:FITTED_ON])
    found = fit(w[:FITTED_ON, 0])
    later = w[FITTED_ON:]
    got = np.array([made.distance(row)[0] for row in later])
    np.testing.assert_allclose(got**2, squared_distances(later[:, 0], found), rtol=1e-9)


def test_what_the_fit_has_seen_is_neither_a_knot_nor_counted() -> None:
    w = residuals(36, LEARNING_BLOCKS + 10, 4)
    w[FITTED_ON - 1] += 1e3  # in the fit's last vector; a distance made of it would be a knot
    made = channel(4)
    counted = [made._ranks.total.copy()]  # noqa: SLF001 - what is asked about
    for b, row in enumerate(w):
        made.step(b, row)
        counted.append(made._ranks.total.copy())  # noqa: SLF001 - as above
        if len(made.may_settle()):
            made.settle(made.may_settle())
            made.kappa[:] = 1.0
    assert np.array(counted)[: LEARNING_BLOCKS + 1].max() == 0
    assert counted[-1].tolist() == [10] * 4
    assert made._ranks.knots.max() < 1e2  # noqa: SLF001 - as above


def test_a_row_bets_after_two_hundred_vectors_and_says_how_far_it_has_come() -> None:
    w = residuals(37, 250, 3)
    made = channel(3)
    play(made, w[:150])
    assert made.learned().tolist() == [150] * 3
    assert (made.log_m() == 0.0).all()
    play(made, w[150:], first=150)
    assert made.learned().tolist() == [LEARNING_BLOCKS] * 3
    assert (made.mixture.age == 250 - LEARNING_BLOCKS).all()


def test_a_row_without_its_kappa_waits_and_counts_nothing() -> None:
    made = channel(3)
    play(made, residuals(38, 260, 3), kappa=np.nan)
    assert made.waits_for_kappa(np.arange(3))
    assert (made.mixture.age == 0).all()
    made.obey(np.ones(3))
    play(made, residuals(39, 10, 3), first=260)
    assert (made.mixture.age == 10).all()


def test_a_vector_that_lacks_a_member_makes_no_bet_and_a_stranger_does_not_matter() -> None:
    w = residuals(40, 240, 2, columns=3)
    w[::20, :, 2] = 1.0  # there once in twenty blocks: no member
    w[np.arange(240) % 20 != 0, :, 2] = np.nan
    w[230:, 1, 0] = np.nan
    made = channel(2, columns=3)
    play(made, w)
    assert made.members.tolist() == [[True, True, False]] * 2
    assert made.mixture.age.tolist() == [40, 30]


def test_a_row_with_one_column_only_goes_on_learning() -> None:
    w = residuals(41, 300, 2)
    w[:, 1, 1] = np.nan
    made = channel(2)
    log_m = play(made, w)
    assert made.learned().tolist() == [LEARNING_BLOCKS, 0]
    assert (log_m[:, 1] == 0.0).all()


def test_a_column_that_has_just_come_is_waited_for_but_not_for_ever() -> None:
    w = residuals(42, PATIENCE + FITTED_ON, 2, columns=3)
    w[:60, 0, 2] = np.nan  # a metric that settled later
    w[::2, 1, 2] = np.nan  # one that is there every other block
    made = channel(2, columns=3)
    play(made, w[: PATIENCE + 1])
    assert made.members.tolist() == [[True, True, True], [True, True, False]]


def test_an_infinite_residual_is_refused_and_the_largest_finite_one_is_not() -> None:
    made, w = channel(2), residuals(43, 260, 2)
    play(made, w)
    with pytest.raises(ValueError, match="residual"):
        made.step(260, np.array([[np.inf, 0.0], [0.0, 0.0]]))
    made.step(260, np.array([[1e308, -1e308], [0.0, 0.0]]))
    assert np.isfinite(made.log_m()).all()


def test_rows_that_forget_learn_again_and_the_others_go_on() -> None:
    made, other, w = channel(2), channel(2), residuals(44, 300, 2)
    play(made, w[:250])
    play(other, w[:250])
    made.forget(np.array([0]))
    assert made.learned().tolist() == [0, LEARNING_BLOCKS]
    assert made.log_m()[0] == 0.0
    np.testing.assert_array_equal(
        play(made, w[250:], first=250)[:, 1], play(other, w[250:], first=250)[:, 1]
    )


def test_power_a_fault_still_there_after_closing_is_found_again_by_what_was_set_aside() -> None:
    n = 24
    w = residuals(41, 1100, n, together=0.95)
    w[600:, :, 0] += 1.5
    w[600:, :, 1] -= 1.5
    held, learning_on = channel(n), channel(n)
    for made in (held, learning_on):
        play(made, w[:650])
    held.hold(np.arange(n))
    for made in (held, learning_on):
        play(made, w[650:1000], first=650)
    held.release(np.arange(n), 1000)
    learning_on.restart(np.arange(n), 1000)
    after = [play(made, w[1000:], first=1000)[-1] for made in (held, learning_on)]
    assert (after[0] >= CROSSING).mean() > 0.9
    assert (after[0] > after[1]).all()


def test_null_a_healthy_row_that_was_held_stays_quiet_after_its_release() -> None:
    n = 100
    w = residuals(42, 1000, n)
    made = channel(n)
    play(made, w[:600])
    made.hold(np.arange(n))
    play(made, w[600:700], first=600)
    made.release(np.arange(n), 1000)
    assert (play(made, w[700:], first=700).max(axis=0) >= CROSSING).mean() <= 0.01


def test_a_row_that_settled_while_it_was_held_learns_anew() -> None:
    made = channel(2)
    made.hold(np.array([0]))
    play(made, residuals(43, 260, 2))
    made.release(np.array([0]), 1000)
    assert made.settled.tolist() == [False, True]


def test_a_row_that_was_learning_when_it_was_held_learns_anew_even_if_it_has_not_settled() -> None:
    made = channel(1)
    play(made, residuals(44, 120, 1))
    made.hold(np.array([0]))
    play(made, residuals(45, 30, 1), first=120)
    made.release(np.array([0]), 1000)
    assert made.learned().tolist() == [0]


def test_a_new_epoch_keeps_what_was_learned() -> None:
    made, w = channel(2), residuals(45, 260, 2)
    play(made, w)
    made.restart(np.array([0]), 77)
    assert made.log_m()[0] == 0.0
    assert made.learned().tolist() == [LEARNING_BLOCKS] * 2
    assert made.mixture.horizon.tolist() == [77, 1000]


@pytest.mark.parametrize("at", [40, 150, 230])
def test_what_is_restored_goes_on_to_the_last_bit(at: int) -> None:
    made, w = channel(5), residuals(46, 300, 5)
    play(made, w[:at])
    again = restored(snapshot(made, KNOWN), KNOWN)
    assert isinstance(again, JointChannel)
    for one in (made, again):
        one.keep(np.array([4, 1]))
    assert play(made, w[at:, :2], first=at).tobytes() == play(again, w[at:, :2], first=at).tobytes()


def test_null_scores_in_order_are_standard_normal_and_unrelated_whatever_the_law() -> None:
    values = np.random.default_rng(47).pareto(1.0, (400, BASELINE))
    z = scores_in_order(values, keys(400))
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1.0) < 0.02
    assert abs((z[:, 1:] * z[:, :-1]).mean()) < 0.02


def test_power_scores_in_order_show_memory_that_a_window_sum_adds_up() -> None:
    rng = np.random.default_rng(48)
    values = rng.normal(size=(400, BASELINE))
    for b in range(1, BASELINE):
        values[:, b] += 0.8 * values[:, b - 1]
    sums = scores_in_order(values, keys(400))[:, :50].sum(axis=1) / np.sqrt(50.0)
    assert sums.var() > 2.0
