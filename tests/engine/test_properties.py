"""What holds for any input at all: of ranks, mixtures, channels, whole tables, and lists."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tessera.engine
from tessera.agent.packed import packed, unpacked
from tessera.engine.arrays import Bools, Floats, Ints
from tessera.engine.bets import normal_score_bets, normal_scores, side_weights
from tessera.engine.evalue import EValues, Validity
from tessera.engine.level import LevelChannel
from tessera.engine.onset import OnsetMixture
from tessera.engine.outcome import Outcome
from tessera.engine.ranks import BASELINE, Ranks
from tessera.engine.scatter import fit, squared_distances
from tessera.engine.selection import ControlledList, controlled
from tessera.engine.snapshot import named, restored, snapshot
from tessera.engine.streams import Streams

from .tables import HORIZON, adopted, keys, opened, play, step, values

MODULES = [module.name for module in iter_modules(tessera.engine.__path__)]
ENGINE = named(*(import_module(f"tessera.engine.{name}") for name in MODULES))
SEEDS = st.integers(0, 2**32 - 1)
LEARNED, LATER = 215, 20  # blocks in which a table learns and begins to bet, and those after
BLOCKS = LEARNED + LATER
EVIDENCE = ("change", "level")
COUNTED = ("learned", "change_onset", "level_onset", "change_epoch", "level_epoch")
COARSE = st.integers(-3, 3).map(float)
ANY = st.floats(-(2.0**99), 2.0**99, width=32)


def told_the_same(found: Outcome, expected: Outcome, rows: Ints | slice = slice(None)) -> None:
    """Assert that ``found`` says, to the last bit, what ``expected`` says of ``rows``."""
    for name in (*EVIDENCE, *COUNTED):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name)[rows])


@cache
def kept(phi: float) -> tuple[bytes, Floats]:
    """Return a table that has learned, as a checkpoint keeps it, and the blocks it has seen."""
    made, x = opened(phi=phi), values(7, LEARNED)
    play(made, x)
    return packed(snapshot(made, ENGINE)), x


def learned(phi: float) -> Streams:
    """Return a table that has learned and bets."""
    return again(kept(phi)[0])


def again(data: bytes) -> Streams:
    """Return the table of a checkpoint."""
    made = restored(unpacked(data), ENGINE)
    assert isinstance(made, Streams)
    return made


def later(seed: int, phi: float, share: float) -> Floats:
    """Return blocks to follow those of :func:`kept`, a ``share`` of their values missing."""
    rng, level = np.random.default_rng(seed), kept(phi)[1][-1].mean(axis=0)
    x = level + values(seed, LATER)
    x[rng.random(x.shape) < share] = np.nan
    return np.asarray(x)


# Ranks are uniform on exchangeable input.


@given(st.lists(COARSE | ANY, min_size=1, max_size=30), SEEDS)
def test_over_the_orders_of_any_numbers_the_rank_of_the_last_is_exactly_uniform(
    numbers: list[float], seed: int
) -> None:
    # Each number comes last once; u is uniform between its bounds, and these tile (0, 1).
    n, rng = len(numbers), np.random.default_rng(seed)
    knots = rng.normal(size=BASELINE) * rng.choice([0.0, 1.0, 1e10])
    bounds = []
    for last in range(n):
        counted = Ranks.start(2)  # one stream for either bound
        counted.set_knots(np.arange(2), np.stack([knots, knots]))
        order = [*(rng.permutation([v for i, v in enumerate(numbers) if i != last])), numbers[last]]
        ends, both = np.array([0.0, 1.0]), np.ones(2, dtype=np.bool_)
        bounds.append([counted.rank(np.full(2, v), ends, both) for v in order][-1])
    low, high = np.array(bounds).T
    middle = (np.arange(n) + 0.5) / n
    inside = (low[:, None] < middle) & (middle < high[:, None])
    density = (inside / (n * (high - low))[:, None]).sum(axis=0)
    np.testing.assert_allclose(density, 1.0, rtol=1e-9)


# A block without a value is as if it never was.


@settings(max_examples=12)
@given(SEEDS, st.booleans())
def test_blocks_that_a_whole_table_skips_change_nothing(seed: int, young: bool) -> None:  # noqa: FBT001  pytest passes parameters by keyword
    rng, x = np.random.default_rng(seed), later(seed, 0.0, 0.1)
    plain, skipping = (opened() if young else learned(0.0) for _ in range(2))
    before, nothing = plain.offset.copy(), np.full(plain.shape, np.nan)
    for block, row in enumerate(x):
        at = LEARNED + 3 * block
        told_the_same(step(skipping, at, row), expected := step(plain, at, row))
        for gap in range(rng.integers(0, 3)):
            told_the_same(step(skipping, at + 1 + gap, nothing), expected)
    np.testing.assert_array_equal(skipping.offset, plain.offset)
    assert young or (plain.offset == before).all()


# A snapshot taken at any instant goes on as the original does.


@settings(max_examples=5)
@given(SEEDS, st.integers(0, BLOCKS), st.sampled_from([0.0, 0.4]))
def test_a_table_restored_at_any_instant_goes_on_to_the_last_bit(
    seed: int, cut: int, phi: float
) -> None:
    x = np.concatenate([kept(phi)[1], later(seed, phi, 0.05)])
    x[LEARNED:, 2] += 0.08
    made = opened(phi=phi)
    play(made, x[:cut])
    copy = again(packed(snapshot(made, ENGINE)))
    for one, other in zip(play(made, x[cut:], cut), play(copy, x[cut:], cut), strict=True):
        assert packed(snapshot(one)) == packed(snapshot(other))
    assert packed(snapshot(made)) == packed(snapshot(copy))


@settings(max_examples=12)
@given(SEEDS, st.integers(0, LATER), st.sampled_from([0.0, 0.4]))
def test_a_betting_table_restored_at_any_instant_goes_on_to_the_last_bit(
    seed: int, cut: int, phi: float
) -> None:
    made, x = learned(phi), later(seed, phi, 0.1)
    play(made, x[:cut], LEARNED)
    copy, first = again(packed(snapshot(made, ENGINE))), LEARNED + cut
    for one, other in zip(play(made, x[cut:], first), play(copy, x[cut:], first), strict=True):
        assert packed(snapshot(one)) == packed(snapshot(other))
    assert packed(snapshot(made)) == packed(snapshot(copy))


# How streams are put together into arrays changes nothing.


@settings(max_examples=4)
@given(SEEDS, st.sampled_from([0.0, 0.4]))
def test_the_order_of_the_rows_of_a_table_changes_nothing(seed: int, phi: float) -> None:
    rng, x = np.random.default_rng(seed), values(seed, BLOCKS)
    x[rng.random(x.shape) < 0.05] = np.nan
    order = rng.permutation(x.shape[1])
    names, direction = keys(*x.shape[1:]), np.array([1, -1])
    plain, shuffled = (
        adopted(Streams(table, direction, HORIZON), phi) for table in (names, names[order])
    )
    expected, found = play(plain, x)[-1], play(shuffled, x[:, order])[-1]
    told_the_same(found, expected, order)
    assert (expected.change != 0.0).any()


@settings(max_examples=4)
@given(SEEDS)
def test_streams_opened_in_several_batches_say_what_they_say_in_one(seed: int) -> None:
    rng, x = np.random.default_rng(seed), values(seed, BLOCKS)
    whole, pieces = opened(), Streams(keys(*x.shape[1:]), np.array([1, -1]), HORIZON)
    part = rng.integers(0, 3, size=pieces.shape)
    for last in range(3):
        adopted(pieces, epoch=np.where(part <= last, 0, -1))
    told_the_same(play(pieces, x)[-1], play(whole, x)[-1])


@given(SEEDS, st.integers(1, 20), st.integers(1, 15))
def test_a_mixture_that_is_split_says_the_same(seed: int, n: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    order, cut = rng.permutation(n), int(rng.integers(0, n + 1))
    whole, first, second = (mixture(k) for k in (n, cut, n - cut))
    for block in range(blocks):
        bets = rng.normal(0.0, 1.0, size=(n, 8)) * rng.choice([0.1, 10.0])
        bets[rng.random(n) < 0.2] = np.nan
        whole.step(bets, block)
        first.step(bets[order[:cut]], block)
        second.step(bets[order[cut:]], block)
    for name in ("log_m", "onset"):
        parts = np.concatenate([getattr(first, name)(), getattr(second, name)()])
        np.testing.assert_array_equal(parts, getattr(whole, name)()[order])


# Not a number never bets.


def mixture(n: int, horizon: int = 100) -> OnsetMixture:
    weights = side_weights(np.zeros(n, dtype=np.int64))
    return OnsetMixture.start(weights, np.full(n, horizon, dtype=np.int64))


@given(arrays(np.float64, (12, 3), elements=st.floats(1e-9, 1 - 1e-9) | st.just(np.nan)))
def test_only_a_rank_that_is_a_number_moves_a_mixture(u: Floats) -> None:
    mix = mixture(3)
    for block, row in enumerate(u):
        before, age = mix.log_m(), mix.age.copy()
        mix.step(normal_score_bets(normal_scores(row), np.ones(3)), block)
        np.testing.assert_array_equal(mix.age - age, np.isfinite(row))
        np.testing.assert_array_equal(mix.log_m()[np.isnan(row)], before[np.isnan(row)])


@given(arrays(np.float64, (12, 3), elements=st.floats(-1.0, 1.0) | st.just(np.nan)))
def test_only_a_contrast_that_is_a_number_moves_a_level_channel(contrast: Floats) -> None:
    made = LevelChannel(np.full(3, 0.05), HORIZON)
    for block, row in enumerate(contrast):
        before, age = made.log_m(), made.mixture.age.copy()
        made.step(block, row, np.ones(3, dtype=np.bool_))
        np.testing.assert_array_equal(made.mixture.age - age, np.isfinite(row))
        np.testing.assert_array_equal(made.log_m()[np.isnan(row)], before[np.isnan(row)])


@settings(max_examples=12)
@given(SEEDS, st.floats(0.05, 0.6), st.sampled_from([0.0, 0.4]))
def test_a_missing_value_moves_no_evidence_of_its_stream_in_a_whole_table(
    seed: int, share: float, phi: float
) -> None:
    made, x = learned(phi), later(seed, phi, share)
    first = before = step(made, LEARNED, np.full(made.shape, np.nan))
    for block, row in enumerate(x):
        after, gone = step(made, LEARNED + 1 + block, row), np.isnan(row)
        for name in EVIDENCE:
            np.testing.assert_array_equal(getattr(after, name)[gone], getattr(before, name)[gone])
        before = after
    assert (before.level != first.level).any()  # the others' does move


# No finite input makes NaN or +inf.


@settings(max_examples=12)
@given(
    SEEDS,
    st.sampled_from([1e-44, 1e-30, 1e-9, 1.0, 1e9, 1e30]),
    st.sampled_from([0.0, 1e-44, 1.0, 1e30]),
    st.sampled_from([0.0, 0.02, 0.4]),
    st.sampled_from([0.0, 0.9]),
)
def test_evidence_is_finite_whatever_finite_values_a_table_is_given(
    seed: int, size: float, wild: float, share: float, phi: float
) -> None:
    rng, made = np.random.default_rng(seed), opened(rows=5, phi=phi)
    x = size * rng.uniform(-1.0, 1.0, size=(BLOCKS, *made.shape))
    odd = rng.random(x.shape) < share
    x[odd] = wild * rng.choice([-1.0, 1.0], size=int(odd.sum()))
    for out in play(made, x):
        assert np.isfinite(out.change).all()
        assert np.isfinite(out.level).all()
        assert all(not np.isinf(sums).any() for sums in out.windows.values())
    assert np.isfinite(made.offset).all()


@given(
    arrays(np.float64, (6, 2, 8), elements=st.floats(-1e100, 1e100)),
    st.integers(1, 8),
)
def test_evidence_is_finite_whatever_finite_bets_a_mixture_is_given(
    bets: Floats, horizon: int
) -> None:
    mix = mixture(2, horizon)
    for block, row in enumerate(bets):
        mix.step(row, block)
        assert np.isfinite(mix.log_m()).all()
        assert (mix.onset() >= 0).all()


@given(
    arrays(np.float64, 8, elements=st.floats(1e-300, 1.0, exclude_max=True)),
    arrays(np.float64, 8, elements=st.floats(1.0, 1e300)),
)
def test_bets_on_any_rank_are_finite_and_bounded(u: Floats, kappa: Floats) -> None:
    bets = normal_score_bets(normal_scores(u), kappa)
    assert np.isfinite(bets).all()
    assert bets.max() < 5.0  # 2 · (3.29 − 0.1) − 2 at most


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 40), st.integers(1, 4)),
        elements=COARSE | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_a_scatter_of_any_finite_rows_has_finite_distances(rows: Floats) -> None:
    scatter = fit(rows)
    assert np.isfinite(scatter.centre).all()
    assert np.isfinite(scatter.covariance).all()
    distances = squared_distances(rows, scatter)
    assert np.isfinite(distances).all()
    assert (distances >= 0.0).all()


# Whatever is taken off a list, what stays is a list that holds.

LOG_E = st.lists(st.floats(-1e30, 1e6) | st.just(-np.inf), min_size=1, max_size=12)


Filter = Callable[[int, float, int], bool]  # a node, its evidence, and how many are listed


def like_a_filter(node: int, log_e: float, listed: int) -> bool:
    """Give filters their shape; what they answer is drawn."""
    return listed > node > log_e


@given(
    LOG_E, st.floats(0.01, 1.0), st.functions(like=like_a_filter, returns=st.booleans(), pure=True)
)
def test_any_filter_again_and_again_leaves_a_list_that_holds(
    log_e: list[float], q: float, keep: Filter
) -> None:
    values = EValues(np.array(log_e), np.full(len(log_e), Validity.THEOREM, dtype=np.int8))
    listed, before = controlled(values, q), len(log_e) + 1
    while len(listed) < before:
        before = len(listed)
        assert (listed.log_e >= np.log(len(log_e) / (q * max(before, 1))) - 1e-9).all()
        np.testing.assert_array_equal(listed.log_e, values.log_e[listed.members])
        told = zip(listed.members.tolist(), listed.log_e.tolist(), strict=True)
        kept: Bools = np.array([keep(v, e, before) for v, e in told], dtype=np.bool_)
        listed = ControlledList.check(listed.members[kept], values.log_e, len(log_e), q)


@given(LOG_E, st.floats(0.01, 1.0), SEEDS)
def test_a_filter_is_the_same_before_and_after_a_list_is_checked(
    log_e: list[float], q: float, seed: int
) -> None:
    values = EValues(np.array(log_e), np.full(len(log_e), Validity.THEOREM, dtype=np.int8))
    first, second = np.random.default_rng(seed).random((2, len(log_e))) < 0.7
    both = controlled(values, q, first & second)
    after = controlled(values, q, first).members
    again = ControlledList.check(after[second[after]], values.log_e, len(log_e), q)
    assert again.members.tolist() == both.members.tolist()


def test_a_list_shorter_than_its_evidence_allows_is_refused() -> None:
    with pytest.raises(ValueError, match="too weak"):
        ControlledList(np.array([1]), np.array([np.log(15.0)]), 3, 0.1)
