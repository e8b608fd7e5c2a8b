import numpy as np
import pytest

from tessera.engine.calibration import block_correlation
from tessera.lab.cells.generate import (
    MAJORITY_PHI,
    MINORITY_PHI,
    BlockMeans,
    Cell,
    Fleets,
    blocks,
)

QUIET = Cell("own noise alone", common=0.0)


def seeded(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def block_variance(phi: float, length: int) -> float:
    """Return the variance of a mean of ``length`` ticks of unit variance, by its double sum."""
    at = np.arange(length)
    return float((phi ** np.abs(at[:, None] - at)).mean())


@pytest.mark.parametrize(("phi", "length"), [(0.0, 1), (0.5, 1), (0.9, 5), (0.99, 60)])
def test_block_means_are_those_of_an_ar_at_ticks(phi: float, length: int) -> None:
    law = BlockMeans.of(np.array(phi), length)
    variance = law.carry**2 + law.sd**2
    # neighbours share the tick between them: mean b+1 = carry·last b, last b = decay·s + shared·a
    covariance = law.carry * (law.carry * law.decay + law.sd * law.shared)
    assert variance == pytest.approx(block_variance(phi, length))
    assert law.decay**2 + law.shared**2 + law.alone**2 == pytest.approx(1.0)
    if phi:
        tau = -1.0 / np.log(phi)
        assert covariance / variance == pytest.approx(block_correlation(tau, length))


def test_heavy_ticks_make_blocks_of_the_same_memory_and_heavier_tails() -> None:
    cell = Cell("t3", phi=0.5, block=2, innovations="t3", common=0.0)
    x = blocks(cell, seeded(1), 20, 16, 500)
    z = x / x.std()
    assert x.var() == pytest.approx(block_variance(0.5, 2), rel=0.1)
    assert (np.abs(z) > 5).mean() > 1e-4  # a normal value is there once in two millions


def test_the_same_seed_draws_the_same_blocks_and_another_others() -> None:
    cell = Cell("all", phi="both", block=5, offset=3.0, scale=0.3, loading=0.4, missing=0.1)
    one, again, other = (blocks(cell, seeded(n), 2, 10, 30) for n in (3, 3, 4))
    assert np.array_equal(one, again, equal_nan=True)
    assert not np.array_equal(one, other, equal_nan=True)
    assert one.shape == (30, 10, 2)


def test_peers_share_their_common_mode_and_fleets_do_not() -> None:
    x = blocks(Cell("common", common=5.0), seeded(5), 2, 64, 2000)
    one, other = np.median(x, axis=1).T
    assert np.corrcoef(x[:, 0, 0], one)[0, 1] > 0.99
    assert np.abs(np.corrcoef(np.diff(one), np.diff(other))[0, 1]) < 0.2


def test_the_share_of_missing_blocks_is_the_one_asked_for() -> None:
    x = blocks(Cell("gaps", missing=0.1), seeded(6), 4, 32, 500)
    assert np.isnan(x).mean() == pytest.approx(0.1, abs=0.01)


def test_offsets_and_own_scales_stay_with_their_shard() -> None:
    fleets = Fleets(Cell("apart", offset=3.0, scale=0.3, common=0.0), seeded(7), 4, 64)
    x = fleets.blocks(400)
    assert np.allclose(x.std(axis=0), fleets.unit, rtol=0.2)
    assert x.mean(axis=0).std() == pytest.approx(3.0, rel=0.15)


def test_a_drifting_shard_walks_away_and_a_still_one_returns() -> None:
    x = blocks(Cell("walk", drift=0.1, common=0.0), seeded(8), 8, 16, 2000)
    still = blocks(QUIET, seeded(8), 8, 16, 2000)
    assert x[-100:].mean(axis=0).std() == pytest.approx(0.1 * np.sqrt(1950), rel=0.25)
    assert still[-100:].mean(axis=0).std() < 0.2


def test_every_tenth_shard_of_a_minority_has_the_longer_memory() -> None:
    x = blocks(Cell("minority", phi="minority", common=0.0), seeded(9), 10, 40, 3000)
    x -= x.mean(axis=0)
    lag = (x[1:] * x[:-1]).mean(axis=0) / x.var(axis=0)
    assert (lag > (MAJORITY_PHI + MINORITY_PHI) / 2).sum(axis=0).tolist() == [4] * 10


def test_fleets_go_on_where_they_stopped() -> None:
    fleets = Fleets(Cell("slow", phi=0.99, block=5), seeded(10), 1, 64)
    first, then = fleets.blocks(50), fleets.blocks(50)
    assert np.median(np.abs(then[0] - first[-1])) < 1.0
