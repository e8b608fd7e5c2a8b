from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.engine.arrays import Bools, Floats, Ints, Words
from tessera.engine.calibration import lag_one, pooled_phi
from tessera.engine.change import LEARNING_BLOCKS, OFFSET_BLOCKS, ChangeChannel
from tessera.engine.onset import NEVER
from tessera.engine.peers import FEWEST, central, leave_one_out_median, plain_median
from tessera.engine.ranks import stream_key

PEERS, LATE, CROSSING = 64, 260, np.log(100.0)


def keys(n: int) -> Words:
    return np.array([stream_key(f"gpu-{i}", "power", "10") for i in range(n)], dtype=np.uint64)


def channel(n: int = PEERS, horizon: int = 1000) -> ChangeChannel:
    return ChangeChannel(keys(n), np.zeros(n, dtype=np.int64), horizon)


def fleet(seed: int, blocks: int, phi: float = 0.0, unequal: float = 0.0, n: int = PEERS) -> Floats:
    """Blocks x peers: AR(1) own noise of sd 1, a wandering common mode, offsets, loadings."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(blocks, n))
    for b in range(1, blocks):
        own[b] = phi * own[b - 1] + np.sqrt(1.0 - phi**2) * own[b]
    common = np.cumsum(0.2 * rng.normal(size=(blocks, 1)), axis=0)
    return own + common * rng.uniform(1.0 - unequal, 1.0 + unequal, n) + rng.normal(0.0, 5.0, n)


def play(made: ChangeChannel, x: Floats, first: int = 0, may_bet: Bools | None = None) -> Floats:
    """Feed one group's values (blocks, n), each against the others; return ln M (blocks, n)."""
    every = np.ones(x.shape[1], dtype=np.bool_) if may_bet is None else may_bet
    out = np.empty(x.shape)
    for b, row in enumerate(x.astype(np.float32)):
        y = made.demeaned(row)
        middle = central((y if np.isfinite(y).sum() >= FEWEST else row)[:, None])
        others = leave_one_out_median(y, middle.count[0], middle.s3[0])
        whole = plain_median(middle.count[0], middle.s3[0])  # for who has no offset yet
        made.step(first + b, row, np.where(np.isnan(y), whole, others), every)
        out[b] = made.log_m()
    return out


def settle(made: ChangeChannel, phi: float | None = None, kappa: float = 1.0) -> Ints:
    """Do what the plan does when the fleet has learned; ``phi`` None = pool it."""
    rows = made.ready()
    pairs, cross, square = made.lag_sums(rows).T
    made.phi[rows] = pooled_phi(lag_one(pairs, cross, square)) if phi is None else phi
    made.kappa[rows] = kappa
    return made.settle(rows).rows


def learned(x: Floats, phi: float | None = None, blocks: int = LEARNING_BLOCKS) -> ChangeChannel:
    """Return a channel that has seen the first ``blocks`` of ``x`` and settled on them."""
    made = channel(x.shape[1])
    play(made, x[:blocks])
    settle(made, phi)
    return made


@pytest.mark.parametrize(
    ("seed", "phi", "unequal"), [(81, 0.0, 0.0), (82, 0.6, 0.4), (83, 0.9, 0.4)]
)
def test_null_a_healthy_fleet_whose_phi_came_late_never_crosses(
    seed: int, phi: float, unequal: float
) -> None:
    x = fleet(seed, LATE + 400, phi, unequal)
    made = learned(x, blocks=LATE)
    log_m = play(made, x[LATE:], first=LATE)
    assert made.phi == pytest.approx(np.full(PEERS, phi), abs=0.1)
    assert (made.mixture.age >= 399).all()
    assert log_m.max() < CROSSING


def test_without_the_pooled_phi_memory_alarms_so_the_null_test_can_fail() -> None:
    x = fleet(83, LATE + 400, 0.9, 0.4)
    log_m = play(learned(x, phi=0.0, blocks=LATE), x[LATE:], first=LATE)
    assert (log_m.max(axis=0) >= CROSSING).mean() > 0.3


@pytest.mark.parametrize(("seed", "phi", "most"), [(84, 0.0, 10), (85, 0.6, 20)])
def test_power_four_noise_sd_are_found_dated_and_blamed_on_nobody_else(
    seed: int, phi: float, most: int
) -> None:
    x, onset, ill = fleet(seed, LATE + 160, phi, unequal=0.4), LATE + 100, slice(7, 12)
    x[onset:, ill] += 4.0
    made = learned(x, blocks=LATE)
    healthy = play(made, x[LATE:onset], first=LATE)
    log_m = play(made, x[onset : onset + most], first=onset)
    assert healthy.max() < CROSSING <= log_m[-1, ill].min()
    assert np.median(np.abs(made.mixture.onset()[ill] - onset)) <= 3
    log_m = play(made, x[onset + most :], first=onset + most)
    assert np.delete(log_m, np.arange(7, 12), axis=1).max() < CROSSING


def test_only_the_bad_side_counts_where_it_is_known() -> None:
    x = fleet(86, 340, n=40)
    x[300:, 0] -= 5.0
    x[300:, 1] += 5.0
    made = ChangeChannel(keys(40), np.ones(40, dtype=np.int64), 1000)
    play(made, x[:LEARNING_BLOCKS])
    settle(made)
    log_m = play(made, x[LEARNING_BLOCKS:], first=LEARNING_BLOCKS)
    assert log_m[:, 1].max() >= CROSSING
    assert log_m[:, 0].max() < 1.0


def test_a_stream_bets_only_when_it_has_learned_and_phi_and_kappa_are_known() -> None:
    x, made = fleet(87, 240, n=8), channel(8)
    play(made, x[:220])
    made.phi[:] = 0.0
    made.settle(made.ready())
    play(made, x[220:230], first=220)
    assert (made.mixture.age == 0).all()
    made.kappa[:] = 1.0
    play(made, x[230:], first=230)
    assert (made.mixture.age == 10).all()
    assert made.learned().tolist() == [LEARNING_BLOCKS] * 8


def test_the_offset_is_the_median_distance_of_fifty_blocks_and_unknown_before() -> None:
    made, offsets = channel(5), np.array([0.0, 3.0, -2.0, 8.0, 1.0])
    rng = np.random.default_rng(88)
    reference, every = rng.normal(size=OFFSET_BLOCKS), np.ones(5, dtype=np.bool_)
    for b in range(OFFSET_BLOCKS):
        assert np.isnan(made.demeaned(np.ones(5, dtype=np.float32))).all()
        x = (reference[b] + offsets).astype(np.float32)
        made.step(b, x, np.full(5, reference[b]), every)
    assert made.offset == pytest.approx(offsets, abs=1e-5)
    assert made.demeaned(offsets.astype(np.float32)) == pytest.approx(np.zeros(5), abs=1e-5)


def test_what_the_kept_blocks_say_of_memory_is_the_noises_phi() -> None:
    made = channel()
    play(made, fleet(89, LEARNING_BLOCKS, 0.7, unequal=0.3))
    pairs, cross, square = made.lag_sums(made.ready()).T
    assert (pairs == LEARNING_BLOCKS - OFFSET_BLOCKS - 1).all()
    assert np.median(lag_one(pairs, cross, square)) == pytest.approx(0.7, abs=0.05)


def test_only_neighbours_in_time_make_a_pair() -> None:
    made, x = channel(4), fleet(90, 2 * LEARNING_BLOCKS, n=4)
    x[1::2, 0] = np.nan
    play(made, x[:, :4])
    pairs = made.lag_sums(np.arange(4))[:, 0]
    assert pairs.tolist() == [0.0, 149.0, 149.0, 149.0]


def test_blocks_that_never_came_break_a_pair_like_those_that_came_empty() -> None:
    x, made = fleet(91, LEARNING_BLOCKS, n=6), channel(6)
    play(made, x[:120])
    play(made, x[120:], first=500)
    assert made.lag_sums(np.arange(6))[:, 0].tolist() == [148.0] * 6


def test_a_stream_that_does_not_move_knows_its_offset_never_reports_and_never_bets() -> None:
    made, x = channel(6), np.full((460, 6), 45.3) + np.arange(6.0)
    told = [play(made, x[b : b + 1], first=b).any() or len(made.ready()) for b in range(460)]
    assert not any(told)
    assert (made.learned() < OFFSET_BLOCKS).all()
    assert np.isfinite(made.offset).all()
    assert (made.mixture.age == 0).all()


@pytest.mark.parametrize("still", [30, 49, 50, 51, 240])
def test_learning_begins_with_the_last_still_block_before_the_first_movement(still: int) -> None:
    made, x = channel(40), fleet(92, 190, n=40)
    play(made, np.repeat(x[:1], still, axis=0))
    moving = play(made, x[1:52], first=still)
    assert (moving == 0.0).all()
    assert made.learned().tolist() == [52] * 40
    known = np.median(x[:OFFSET_BLOCKS] - x[:OFFSET_BLOCKS].mean(axis=1)[:, None], axis=0)
    assert made.offset - made.offset.mean() == pytest.approx(known - known.mean(), abs=0.3)


def test_a_stream_that_begins_to_move_is_learned_then_bet() -> None:
    made, x = channel(40), fleet(92, LEARNING_BLOCKS + 60, n=40)
    still = 240
    play(made, np.repeat(x[:1], still, axis=0))
    x[230:, 3] += 5.0
    play(made, x[1:LEARNING_BLOCKS], first=still)
    assert len(settle(made, phi=0.0)) == 40
    log_m = play(made, x[LEARNING_BLOCKS:], first=still + LEARNING_BLOCKS - 1)
    assert log_m[:, 3].max() >= CROSSING
    assert np.delete(log_m, 3, axis=1).max() < CROSSING


def test_a_stream_that_falls_still_while_it_learns_begins_again_and_keeps_its_offset() -> None:
    x, made = fleet(92, LEARNING_BLOCKS, n=8), channel(8)
    x[OFFSET_BLOCKS - 1 :] = x[OFFSET_BLOCKS - 1]
    play(made, x)
    assert made.ready().tolist() == []
    assert made.learned().tolist() == [0] * 8
    assert np.isfinite(made.offset).all()


def every_second(blocks: int, phi: float | None) -> ChangeChannel:
    """Return six streams of which the first is there in every second block only."""
    made, x = channel(6), fleet(96, blocks, n=6)
    x[1::2, 0] = np.nan
    if phi is not None:
        made.phi[:] = phi
    play(made, x)
    return made


@pytest.mark.parametrize("phi", [None, 0.5])
def test_a_stream_without_neighbours_in_time_goes_on_learning_and_says_so(
    phi: float | None,
) -> None:
    for blocks in (400, 700):
        made = every_second(blocks, phi)
        assert made.ready().tolist() == [1, 2, 3, 4, 5]
        assert OFFSET_BLOCKS <= made.learned()[0] < LEARNING_BLOCKS


def test_where_phi_is_nought_a_stream_needs_no_neighbours() -> None:
    assert every_second(400, 0.0).ready().tolist() == list(range(6))


def test_scores_of_the_baseline_have_variance_one_whatever_the_tails() -> None:
    x = fleet(93, LEARNING_BLOCKS)
    x += np.random.default_rng(94).standard_t(2, size=x.shape)
    made = channel()
    play(made, x)
    made.phi[:] = 0.0
    told = made.settle(made.ready())
    assert told.scores.shape == (PEERS, 100)
    assert (told.scores**2).mean() == pytest.approx(1.0, abs=0.05)
    assert np.abs(told.scores).max() < 3.3


def test_streams_settle_one_by_one_and_the_last_does_not_disturb_the_first() -> None:
    x = fleet(95, 330, n=8)
    x[:100, 5] = np.nan
    made = channel(8)
    play(made, x[:LEARNING_BLOCKS])
    assert settle(made, phi=0.0).tolist() == [0, 1, 2, 3, 4, 6, 7]
    play(made, x[LEARNING_BLOCKS:300], first=LEARNING_BLOCKS)
    assert made.learned()[5] == LEARNING_BLOCKS
    assert settle(made, phi=0.0).tolist() == [5]
    play(made, x[300:], first=300)
    assert made.mixture.age.tolist() == [130] * 5 + [30] + [130] * 2


@settings(max_examples=3)
@given(st.integers(0, 10_000))
def test_frozen_blocks_change_nothing_wherever_they_come(seed: int) -> None:
    rng, x = np.random.default_rng(seed), fleet(seed, 260, n=6)
    plain, frozen, nothing = channel(6), channel(6), np.full((1, 6), np.nan)
    plain.phi[:] = frozen.phi[:] = 0.0  # known from the start: no block has a neighbour here
    for b in range(260):
        for made in (plain, frozen):
            play(made, x[b : b + 1], first=2 * b)
            settle(made, phi=0.0)
        if rng.random() < 0.3:
            play(frozen, nothing, first=2 * b + 1)
    np.testing.assert_array_equal(plain.log_m(), frozen.log_m())
    np.testing.assert_array_equal(plain.offset, frozen.offset)
    np.testing.assert_array_equal(plain.mixture.onset(), frozen.mixture.onset())
    np.testing.assert_array_equal(plain.long_run_variance(), frozen.long_run_variance())
    assert (plain.mixture.age == 60).all()


@pytest.mark.parametrize(("phi", "lost"), [(0.0, 1), (0.5, 2)])
def test_a_missing_block_costs_its_bet_and_with_phi_the_next(phi: float, lost: int) -> None:
    x = fleet(96, 250, phi, n=8)
    made = learned(x, phi=phi)
    play(made, x[200:210], first=200)
    before = made.mixture.age.copy()
    x[220, 2] = np.nan
    play(made, x[210:], first=210)
    assert (made.mixture.age - before).tolist() == [40, 40, 40 - lost, 40, 40, 40, 40, 40]


def test_evidence_stands_still_while_a_block_is_missing() -> None:
    x = fleet(97, 240, n=8)
    made = learned(x)
    log_m = play(made, np.where(np.arange(8) == 4, np.nan, x[200:]), first=200)
    assert (log_m[:, 4] == 0.0).all()
    assert (made.mixture.onset()[4], made.mixture.age[4]) == (NEVER, 0)


@pytest.mark.parametrize(("phi", "bets"), [(0.0, 1), (0.5, 0)])
def test_blocks_that_never_came_leave_no_neighbour_behind(phi: float, bets: int) -> None:
    x = fleet(98, 260, phi, n=8)
    made = learned(x, phi=phi)
    play(made, x[200:230], first=200)
    before = made.mixture.age.copy()
    play(made, x[240:241], first=240)
    assert (made.mixture.age - before == bets).all()
    play(made, x[241:260], first=241)
    assert (made.mixture.age - before == bets + 19).all()


def test_no_pair_spans_the_blocks_that_passed_before_phi_came() -> None:
    x = fleet(99, 310, 0.5, n=8)
    made = learned(x, phi=0.5, blocks=300)
    play(made, x[300:], first=300)
    assert (made.mixture.age == 9).all()


def test_a_row_that_may_not_bet_learns_its_new_level_and_a_frozen_one_does_not() -> None:
    x = fleet(100, 812, n=40)
    x[400:, :2] += 4.0
    x[400:800, 1] = np.nan
    made = learned(x, phi=0.0)
    before = play(made, x[200:400], first=200)[-1]
    log_m = play(made, x[400:800], first=400, may_bet=np.arange(40) != 0)
    assert (log_m[-1, :2] == before[:2]).all()
    log_m = play(made, x[800:], first=800)
    assert made.mixture.age[:2].tolist() == [212, 212]
    assert log_m[-1, 1] >= CROSSING > log_m[-1, 0]


def test_rows_that_may_not_bet_learn_their_baseline_all_the_same() -> None:
    x, made = fleet(101, LEARNING_BLOCKS, n=8), channel(8)
    play(made, x, may_bet=np.zeros(8, dtype=np.bool_))
    assert made.ready().tolist() == list(range(8))


def test_without_peers_there_is_no_bet_and_nothing_is_learned() -> None:
    made, every = channel(3), np.ones(3, dtype=np.bool_)
    made.step(0, np.ones(3, dtype=np.float32), np.full(3, np.nan), every)
    assert made.observed.tolist() == [0, 0, 0]


@pytest.mark.parametrize("which", ["x", "reference"])
def test_an_infinite_value_is_refused_by_name(which: str) -> None:
    x, reference = np.zeros(2, dtype=np.float32), np.zeros(2)
    (x if which == "x" else reference)[1] = np.inf
    with pytest.raises(ValueError, match=f"{which} is infinite"):
        channel(2).step(0, x, reference, np.ones(2, dtype=np.bool_))


def test_a_new_epoch_forgets_the_evidence_and_keeps_what_was_learned() -> None:
    x = fleet(102, 460, n=40)
    x[240:, 3] += 5.0
    x[420:, 9] += 5.0
    made = learned(x)
    assert play(made, x[200:260], first=200)[-1, 3] >= CROSSING
    made.restart(np.arange(40), 800)
    assert (made.log_m() == 0.0).all()
    assert (made.mixture.horizon == 800).all()
    log_m = play(made, x[260:], first=260)
    assert (made.mixture.age == 200).all()
    assert log_m[:160, 9].max() < CROSSING <= log_m[160:175, 9].max()


def test_a_new_epoch_of_one_row_is_not_one_of_the_others() -> None:
    x = fleet(103, 260, n=8)
    made = learned(x)
    before = play(made, x[200:], first=200)[-1]
    made.restart(np.array([2]), 500)
    np.testing.assert_array_equal(made.log_m(), np.where(np.arange(8) == 2, 0.0, before))


def test_another_phi_in_a_new_epoch_is_learned_for_and_one_within_an_epoch_is_not() -> None:
    x = fleet(110, 260, 0.3, n=8)
    made = learned(x, phi=0.3)
    offset = made.offset.copy()
    play(made, x[200:], first=200)
    phi, kappa, new = np.full(8, 0.5), np.full(8, np.nan), np.arange(8) == 2
    made.obey(phi, kappa, new)
    assert made.learned().tolist() == [
        OFFSET_BLOCKS if i == 2 else LEARNING_BLOCKS for i in range(8)
    ]
    assert made.phi.tolist() == [0.5 if i == 2 else 0.3 for i in range(8)]
    assert ((made.log_m() == 0.0) == new).all()
    np.testing.assert_array_equal(made.offset, offset)


def test_a_phi_that_is_forgotten_is_waited_for_again_and_then_finds_again() -> None:
    x = fleet(111, 520, n=40)
    x[480:, 3] += 5.0
    made = learned(x)
    play(made, x[200:260], first=200)
    unknown = np.full(40, np.nan)
    made.obey(unknown, unknown, np.ones(40, dtype=np.bool_))
    waiting = play(made, x[260:420], first=260)
    assert (waiting == 0.0).all()
    assert len(made.ready()) == 40
    settle(made)
    log_m = play(made, x[420:], first=420)
    assert made.mixture.age.min() >= 99
    assert log_m[:, 3].max() >= CROSSING
    assert np.delete(log_m, 3, axis=1).max() < CROSSING


def test_who_learns_anew_disturbs_nobody_else() -> None:
    x = fleet(112, 420, 0.3, n=8)
    peers = np.random.default_rng(113).normal(size=(420, 8))
    calm, disturbed = channel(8), channel(8)
    for b, row in enumerate(x.astype(np.float32)):
        for made in (calm, disturbed):
            made.step(b, row, peers[b], np.ones(8, dtype=np.bool_))
            settle(made, phi=0.3)
        if b == 250:
            disturbed.relearn(np.array([1, 6]))
    others = np.delete(np.arange(8), [1, 6])
    np.testing.assert_array_equal(calm.log_m()[others], disturbed.log_m()[others])
    assert calm.mixture.age.tolist() == [219] * 8
    assert disturbed.mixture.age.tolist() == [219, 18, 219, 219, 219, 219, 18, 219]


def test_a_larger_kappa_weakens_every_fault() -> None:
    x = fleet(104, 230, n=40)
    x[205:, :4] += 5.0
    sure, doubtful = channel(40), channel(40)
    for made, kappa in ((sure, 1.0), (doubtful, 1.9)):
        play(made, x[:200])
        settle(made, phi=0.0, kappa=kappa)
    strong, weak = (play(made, x[200:], first=200)[-1, :4] for made in (sure, doubtful))
    assert (weak < strong).all()


def test_a_copy_taken_midway_goes_on_bit_for_bit_as_the_original() -> None:
    x = fleet(105, 300, 0.5, n=16)
    made = learned(x)
    play(made, x[200:250], first=200)
    copy = deepcopy(made)
    np.testing.assert_array_equal(play(made, x[250:], 250), play(copy, x[250:], 250))
    assert (made.log_m() != 0.0).all()


def test_two_channels_fed_the_same_agree_bit_for_bit() -> None:
    x = fleet(106, 300, 0.5, n=16)
    one, other = (play(learned(x), x[200:], first=200) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_streams_evidence_does_not_depend_on_who_shares_its_channel() -> None:
    rng, n = np.random.default_rng(107), 9
    x = rng.normal(size=(260, n)).astype(np.float32)
    peers = rng.normal(size=260)
    every = np.ones(n, dtype=np.bool_)
    together = channel(n)
    parts = [np.array([8, 0, 3]), np.array([1, 2, 4, 5, 6, 7])]
    apart = [ChangeChannel(keys(n)[p], np.zeros(len(p), dtype=np.int64), 1000) for p in parts]
    for b in range(260):
        for made, rows in ((together, np.arange(n)), *zip(apart, parts, strict=True)):
            made.step(b, x[b, rows], np.full(len(rows), peers[b]), every[rows])
            settle(made, phi=0.4)
    for made, rows in zip(apart, parts, strict=True):
        np.testing.assert_allclose(made.log_m(), together.log_m()[rows], rtol=1e-12)
    assert (together.mixture.age == 59).all()


def test_the_key_decides_the_ties_and_not_the_place() -> None:
    x = np.round(fleet(108, 300, n=1).repeat(3, axis=1))
    made = ChangeChannel(keys(2)[[0, 1, 0]], np.zeros(3, dtype=np.int64), 1000)
    for b, row in enumerate(x.astype(np.float32)):
        made.step(b, row, np.zeros(3), np.ones(3, dtype=np.bool_))
        settle(made, phi=0.0)
    assert made.log_m()[0] == made.log_m()[2] != made.log_m()[1]


def test_the_long_run_variance_of_a_healthy_fleet_is_one() -> None:
    x = fleet(109, 700, 0.6)
    made = learned(x)
    play(made, x[200:], first=200)
    variance, scores = made.long_run_variance()
    assert np.median(variance) == pytest.approx(1.0, abs=0.15)
    assert (scores == 499).all()
