"""Exactness is proved by summing over all outcomes, not by simulation."""

from math import comb, exp, log

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import xlog1py, xlogy

from tessera.engine import counts, onset
from tessera.engine.arrays import Floats
from tessera.engine.counts import (
    ALTERNATIVES,
    MOST,
    ODDS,
    CountsChannel,
    beta_mixture,
    counts_bets,
    equal_share,
    largest_healthy,
)
from tessera.engine.snapshot import named, restored, snapshot

CROSSING = log(100.0)


def alike(n: int, value: float) -> Floats:
    return np.full(n, value)


def outcomes(total: int, members: int, odds: float = ODDS) -> tuple[Floats, float]:
    """Return the log bets (total + 1, 8) of every x, and p0."""
    x = np.arange(total + 1.0)
    share = alike(len(x), 1.0 / members)
    bets = counts_bets(x, alike(len(x), float(total)), share, alike(len(x), odds))
    return bets, float(largest_healthy(share, alike(len(x), odds))[0])


def binomial(total: int, p: float) -> Floats:
    return np.array([comb(total, k) * p**k * (1.0 - p) ** (total - k) for k in range(total + 1)])


def poisson(rng: np.random.Generator, rate: Floats, blocks: int) -> Floats:
    return rng.poisson(rate, (blocks, len(rate))).astype(np.float64)


def channel(n: int, horizon: int = 1000) -> CountsChannel:
    return CountsChannel(alike(n, ODDS), horizon)


def play(made: CountsChannel, x: Floats) -> Floats:
    """Feed errors ``x`` (blocks, n) of one group of n; return ln M (blocks, n)."""
    n = x.shape[1]
    share, every = equal_share(np.full(n, n)), np.ones(n, dtype=np.bool_)
    out = np.empty(x.shape)
    for b, row in enumerate(x):
        made.step(b, row, alike(n, float(np.nansum(row))), share, every)
        out[b] = made.log_m()
    return out


@pytest.mark.parametrize("members", [3, 8, 64, 256])
@pytest.mark.parametrize("total", [1, 2, 7, 60])
def test_no_bet_gains_on_average_whatever_the_healthy_probability(total: int, members: int) -> None:
    bets, null = outcomes(total, members)
    for p in np.linspace(0.0, null, 9):
        mean = binomial(total, p) @ np.exp(bets)
        assert (mean <= 1.0 + 1e-12).all()


def test_at_the_margin_a_bet_that_no_cap_reaches_is_exactly_fair() -> None:
    bets, null = outcomes(3, 8)
    assert bets.max() < MOST
    np.testing.assert_allclose(binomial(3, null) @ np.exp(bets), 1.0, rtol=1e-13)


def test_beyond_the_margin_every_bet_has_its_place_where_it_gains() -> None:
    bets, null = outcomes(60, 8)
    least = [binomial(60, p) @ bets for p in np.linspace(null, 0.999, 400)]
    assert (np.max(least, axis=0) > 0.0).all()


@pytest.mark.parametrize("null", [0.03, 0.4])
@pytest.mark.parametrize("total", [1, 5, 40])
def test_the_closed_mixture_is_fair_at_the_margin_and_below_it(total: int, null: float) -> None:
    values = np.exp([beta_mixture(x, total, null) for x in range(total + 1)])
    assert binomial(total, null) @ values == pytest.approx(1.0, abs=1e-12)
    assert binomial(total, null / 2.0) @ values < 1.0


@pytest.mark.parametrize(("x", "total", "null"), [(0, 3, 0.2), (3, 3, 0.2), (9, 40, 0.05)])
def test_the_closed_mixture_is_the_integral_it_stands_for(x: int, total: int, null: float) -> None:
    def ratio(p: float) -> float:
        under = xlogy(x, null) + xlog1py(total - x, -null)
        return exp(xlogy(x, p) + xlog1py(total - x, -p) - under)

    area, _ = quad(ratio, null, 1.0, epsabs=0.0, epsrel=1e-11)
    assert beta_mixture(x, total, null) == pytest.approx(log(area / (1.0 - null)), rel=1e-9)


@pytest.mark.parametrize(("x", "total"), [(2, 2), (3, 5), (5, 20), (4, 60)])
def test_eight_alternatives_lose_little_to_the_mixture_over_all(x: int, total: int) -> None:
    bets, null = outcomes(total, 64)
    on_the_grid = np.logaddexp.reduce(bets[x]) - log(ALTERNATIVES)
    assert on_the_grid > min(beta_mixture(x, total, null), MOST - log(ALTERNATIVES)) - 1.0


@pytest.mark.parametrize(("x", "total"), [(4, 2), (-1, 2), (0.5, 2), (0, 0), (1, 2.5)])
def test_numbers_that_cannot_be_counts_make_no_bet(x: float, total: float) -> None:
    assert np.isnan(counts_bets(alike(1, x), alike(1, total), alike(1, 0.1), alike(1, 2.0))).all()


def test_two_members_have_no_share_and_missing_numbers_make_no_bet() -> None:
    share = equal_share(np.array([2, 3, 3, 3]))
    x, total = np.array([1.0, np.nan, 1.0, 1.0]), np.array([2.0, 2.0, np.nan, 2.0])
    bets = counts_bets(x, total, share, alike(4, ODDS))
    assert np.isnan(bets[:3]).all()
    assert np.isfinite(bets[3]).all()


@pytest.mark.parametrize(("share", "odds"), [(0.1, 0.5), (0.0, 2.0), (1.0, 2.0)])
def test_a_share_or_margin_outside_its_domain_is_refused(share: float, odds: float) -> None:
    with pytest.raises(ValueError, match="share"):
        largest_healthy(alike(1, share), alike(1, odds))


def test_an_infinite_count_is_refused() -> None:
    made = channel(3)
    with pytest.raises(ValueError, match="infinite"):
        play(made, np.array([[np.inf, 0.0, 0.0]]))


def test_null_members_that_err_alike_or_twice_as_often_keep_villes_bounds() -> None:
    drawn = np.random.default_rng(5)
    rate = np.where(np.arange(64) % 8 == 0, 0.2, 0.1)  # an eighth errs at twice the rate of others
    highest = np.concatenate(
        [play(channel(64), poisson(drawn, rate, 400)).max(axis=0) for _ in range(12)]
    )
    assert (highest >= log(20.0)).mean() <= 0.05
    assert (highest >= CROSSING).mean() <= 0.01


def test_a_margin_of_one_is_broken_by_members_that_differ_so_the_null_test_can_fail() -> None:
    drawn = np.random.default_rng(5)
    rate = np.where(np.arange(64) % 8 == 0, 0.4, 0.1)
    made = CountsChannel(alike(64, 1.0), 1000)
    highest = play(made, poisson(drawn, rate, 400)).max(axis=0)
    assert (highest[::8] >= CROSSING).mean() > 0.5


def test_power_a_member_that_errs_alone_once_a_block_is_found_within_a_dozen() -> None:
    x = poisson(np.random.default_rng(6), np.full(64, 0.01), 120)
    x[60:, 5] += 1.0
    made = channel(64)
    log_m = play(made, x)
    assert log_m[59].max() < 1.0
    found = int(np.argmax(log_m[:, 5] >= CROSSING))
    assert 60 <= found < 72
    assert made.mixture.onset()[5] in range(58, 62)
    assert np.delete(log_m, 5, axis=1).max() < 1.0


def test_one_block_full_of_errors_is_not_enough_to_accuse() -> None:
    x = np.zeros((30, 64))
    x[10, 5] = 60.0  # every tick of a minute
    assert play(channel(64), x).max() < 1.0


def test_blocks_without_an_error_use_up_no_horizon() -> None:
    x = np.zeros((50, 8))
    x[20, 3] = 1.0
    made = channel(8)
    play(made, x)
    assert (made.mixture.age == 1).all()
    assert (made.observed == 50).all()


def test_a_member_that_may_not_bet_stands_still() -> None:
    made, every = channel(3), np.array([False, True, True])
    made.step(0, np.array([1.0, 0.0, 0.0]), alike(3, 1.0), equal_share(np.full(3, 3)), every)
    assert made.log_m()[0] == 0.0
    assert made.log_m()[1] < 0.0


def test_a_new_epoch_begins_with_nothing_said() -> None:
    made = channel(3)
    play(made, np.tile([[2.0, 0.0, 0.0]], (9, 1)))
    made.restart(np.array([0]), np.array([4.0]), 50)
    assert made.log_m()[0] == 0.0
    assert made.odds[0] == 4.0
    assert made.mixture.horizon.tolist() == [50, 1000, 1000]


def test_what_is_restored_goes_on_to_the_last_bit() -> None:
    known = named(counts, onset)
    x = poisson(np.random.default_rng(8), np.full(5, 0.3), 60)
    made = channel(5)
    play(made, x)
    again = restored(snapshot(made, known), known)
    assert isinstance(again, CountsChannel)
    made.keep(np.array([3, 1]))
    again.keep(np.array([3, 1]))
    assert play(made, x[:, :2]).tobytes() == play(again, x[:, :2]).tobytes()
