import numpy as np

from tessera.lab.cells.generate import Cell, Fleets
from tessera.lab.cells.levels import MARGIN, PEERS, Levels

FLEETS = 2


def levels_after(ticks: int, phi: float, *, ill: float = 0.0) -> Levels:
    """Play noise of half a margin from blocks of one tick; one shard is ``ill`` margins higher."""
    drawn = Fleets(Cell("level", phi=phi), np.random.default_rng(1), FLEETS, PEERS)
    levels = Levels(FLEETS, 1)
    for block in drawn.blocks(ticks):
        x = 0.5 * MARGIN * block.T
        x[:, 0] += ill * MARGIN
        levels.step(x.ravel())
    return levels


def test_white_noise_is_judged_at_the_block_it_began_with_and_stays_silent() -> None:
    levels = levels_after(300, 0.0)
    claimed, rungs = levels.standing()
    assert claimed.all()
    assert (rungs == 1).all()
    assert levels.believed().max() < np.log(20.0)


def test_blocks_too_short_for_the_memory_are_left_for_longer_ones() -> None:
    _, rungs = levels_after(300, 0.9).standing()
    assert (rungs > 1).all()


def test_a_shard_beyond_the_margin_is_believed_and_only_that_one() -> None:
    believed = levels_after(300, 0.0, ill=3.0).believed().reshape(FLEETS, PEERS)
    assert (believed[:, 0] >= np.log(100.0)).all()
    assert believed[:, 1:].max() < np.log(20.0)


def test_nothing_is_believed_before_the_first_review() -> None:
    levels = levels_after(15, 0.0, ill=3.0)
    assert not levels.standing()[0].any()
    assert not levels.believed().any()
