import numpy as np
import pytest

from tessera.engine.arrays import Floats
from tessera.engine.change import LEARNING_BLOCKS, ChangeChannel
from tessera.engine.knowledge import nothing, put
from tessera.engine.moments import Tier
from tessera.engine.peers import central, leave_one_out_median, plain_median
from tessera.engine.ranks import stream_key

PEERS, CROSSING = 64, np.log(100.0)
EVERY = np.arange(PEERS)


def channel(n: int = PEERS) -> ChangeChannel:
    keys = [stream_key(f"gpu-{i}", "power", "10") for i in range(n)]
    return ChangeChannel(np.array(keys, dtype=np.uint64), np.zeros(n, dtype=np.int64), 1000)


def fleet(seed: int, blocks: int) -> Floats:
    """Return blocks of values (blocks, 64): own noise, a wandering level, unequal loadings."""
    rng = np.random.default_rng(seed)
    common = np.cumsum(0.2 * rng.normal(size=(blocks, 1)), axis=0)
    own = rng.normal(size=(blocks, PEERS))
    return own + common * rng.uniform(0.6, 1.4, PEERS) + rng.normal(0.0, 5.0, PEERS)


def play(made: ChangeChannel, x: Floats, first: int) -> Floats:
    """Feed ``x`` (blocks, 64), each stream against the others; return ln M (blocks, 64)."""
    every, out = np.ones(PEERS, dtype=np.bool_), np.empty(x.shape)
    for b, row in enumerate(x.astype(np.float32)):
        y = made.demeaned(row)
        middle = central((y if np.isfinite(y).any() else row)[:, None])
        others = leave_one_out_median(y, middle.count[0], middle.s3[0])
        whole = plain_median(middle.count[0], middle.s3[0])
        made.step(first + b, row, np.where(np.isnan(y), whole, others), every)
        out[b] = made.log_m()
    return out


def taught(x: Floats, phi: float = 0.0) -> ChangeChannel:
    """Return a channel that learned from the first 200 blocks of ``x`` and bet on the rest."""
    made = channel()
    play(made, x[:LEARNING_BLOCKS], 0)
    made.phi[:], made.kappa[:] = phi, 1.0
    made.settle(made.ready())
    play(made, x[LEARNING_BLOCKS:], LEARNING_BLOCKS)
    return made


def started(former: ChangeChannel) -> ChangeChannel:
    made = channel()
    made.begin_with(EVERY, former.knowledge(EVERY))
    return made


def test_a_stream_that_starts_from_it_goes_on_to_the_last_bit() -> None:
    x = fleet(1, 500)
    former = taught(x[:400])
    made = started(former)
    former.restart(EVERY, 1000)
    np.testing.assert_array_equal(play(made, x[400:], 400), play(former, x[400:], 400))


def test_no_evidence_comes_along() -> None:
    x = fleet(2, 400)
    x[300:, 3] += 4.0
    former = taught(x)
    assert former.log_m()[3] > CROSSING
    assert (started(former).log_m() == 0.0).all()


def test_with_phi_the_first_block_has_no_predecessor_and_makes_no_bet() -> None:
    x = fleet(3, 310)
    made = started(taught(x[:300], phi=0.3))
    assert (play(made, x[300:301], 300) == 0.0).all()
    assert (play(made, x[301:303], 301)[-1] != 0.0).all()


def test_null_streams_that_start_from_it_stay_quiet() -> None:
    for seed in range(4):
        x = fleet(10 + seed, 700)
        assert play(started(taught(x[:400])), x[400:], 400).max() < CROSSING


def test_power_they_find_a_fault_while_others_still_learn() -> None:
    x = fleet(4, 500)
    x[430:, 7] += 4.0
    warm, cold = started(taught(x[:400])), channel()
    found = play(warm, x[400:], 400)
    assert found[:30].max() < CROSSING
    assert found[-1].argmax() == 7
    assert found[-1, 7] > CROSSING
    assert (play(cold, x[400:], 400) == 0.0).all()


def test_what_is_put_together_is_what_was_taken_apart() -> None:
    known = taught(fleet(5, 300)).knowledge(EVERY)
    whole = nothing(PEERS)
    put(whole, EVERY[::2], known.only(EVERY[::2]))
    put(whole, EVERY[1::2], known.only(EVERY[1::2]))
    np.testing.assert_array_equal(whole.ranks.counts, known.ranks.counts)
    np.testing.assert_array_equal(whole.ranks.knots, known.ranks.knots)
    np.testing.assert_array_equal(whole.regression.theta, known.regression.theta)
    np.testing.assert_array_equal(whole.scale, known.scale)


@pytest.mark.parametrize("blocks", [0, 10, 19, 20, 100])
def test_a_stream_may_start_with_twenty_blocks_behind_its_ranks(blocks: int) -> None:
    known = taught(fleet(6, LEARNING_BLOCKS + blocks)).knowledge(EVERY)
    assert (known.blocks == blocks).all()
    assert (known.usable() == (blocks >= Tier.WARM_START)).all()
