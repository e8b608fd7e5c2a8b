"""A freeze that is known before its blocks costs nothing; one that looks at them costs all (B5)."""

from collections.abc import Callable

import numpy as np
import pytest

from tessera.engine.arrays import Bools, Floats
from tessera.engine.bets import normal_score_bets, side_weights
from tessera.engine.onset import OnsetMixture

PATHS, BLOCKS, HORIZON = 20_000, 300, 300
FREEZES = (slice(40, 60), slice(150, 200))  # as a calendar would have them
Skip = Callable[[int, Floats], Bools]


def ever_at_twenty(skip: Skip, seed: int, shift: float = 0.0) -> float:
    """Return the share of paths whose M is ever at 20, blocks left out as ``skip`` says."""
    random = np.random.default_rng(seed)
    up = np.ones(PATHS, dtype=np.int64)
    mixture = OnsetMixture.start(side_weights(up), np.full(PATHS, HORIZON))
    highest = np.zeros(PATHS)
    for block in range(BLOCKS):
        z = random.standard_normal(PATHS) + shift
        z[skip(block, z)] = np.nan
        mixture.step(normal_score_bets(z, np.ones(PATHS), deadband=0.0), block)
        highest = np.maximum(highest, mixture.log_m())
    return float((highest >= np.log(20.0)).mean())


def nothing(_block: int, z: Floats) -> Bools:
    return np.zeros(len(z), dtype=np.bool_)


def announced(block: int, z: Floats) -> Bools:
    frozen = any(freeze.start <= block < freeze.stop for freeze in FREEZES)
    return np.full(len(z), frozen)


def peeking(_block: int, z: Floats) -> Bools:
    """Leave out the block in which the shard looks well: its evidence never falls."""
    return z < 0.0


@pytest.mark.parametrize(("skip", "seed"), [(nothing, 1), (announced, 2)])
def test_null_a_freeze_known_beforehand_keeps_villes_bound(skip: Skip, seed: int) -> None:
    assert ever_at_twenty(skip, seed) <= 0.05


def test_power_dropping_a_block_for_what_is_in_it_destroys_the_guarantee() -> None:
    assert ever_at_twenty(peeking, 3) > 0.5


def test_power_a_fault_is_found_around_the_freezes() -> None:
    assert ever_at_twenty(announced, 4, shift=1.0) > 0.95


def test_a_frozen_block_leaves_the_mixture_as_it_was_to_the_last_bit() -> None:
    random = np.random.default_rng(5)
    up, horizon = np.ones(50, dtype=np.int64), np.full(50, HORIZON)
    held, free = (OnsetMixture.start(side_weights(up), horizon) for _ in range(2))
    ones, frozen = np.ones(50), np.full(50, np.nan)
    for block in range(100):
        if 30 <= block < 60:
            held.step(normal_score_bets(frozen, ones), block)
            continue
        z = random.standard_normal(50)
        held.step(normal_score_bets(z, ones), block)
        free.step(normal_score_bets(z, ones), block)
    np.testing.assert_array_equal(held.log_m(), free.log_m())
    np.testing.assert_array_equal(held.age, free.age)
