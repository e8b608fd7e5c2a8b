"""What holds for a table of every kind: two that change, their joint stream, and counts."""

from dataclasses import replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tessera.engine
from tessera.agent.packed import packed, unpacked
from tessera.engine.arrays import Floats, Ints
from tessera.engine.joint_rows import Together
from tessera.engine.outcome import Outcome
from tessera.engine.snapshot import named, restored, snapshot
from tessera.engine.streams import Streams

from .tables import HORIZON, MARGIN, NEEDED, keys, told, values

MODULES = [module.name for module in iter_modules(tessera.engine.__path__)]
ENGINE = named(*(import_module(f"tessera.engine.{name}") for name in MODULES))
ROWS, JOINT, COUNTED = 8, 2, 3
DIRECTION = np.array([1, -1, 1, 1])
LEARNED, LATER = 430, 15  # blocks until the joint streams bet, and those after
SEEDS = st.integers(0, 2**32 - 1)
EVIDENCE = ("change", "level")


def opened(names: np.typing.NDArray[np.uint64]) -> Streams:
    """Return a table whose first two columns change and have a level, judged jointly in the third.

    The fourth counts errors.
    """
    made = Streams(names, DIRECTION, HORIZON, Together(JOINT, np.array([0, 1])))
    column, ones = np.broadcast_to(np.arange(len(DIRECTION)), made.shape), np.ones(made.shape)
    made.adopt_change(0.0 * ones, ones, np.where(column != COUNTED, 0, -1))
    made.adopt_level(MARGIN * ones, 0.9 * ones, np.where(column < JOINT, 0, -1))
    made.adopt_counts(2.0 * ones, np.where(column == COUNTED, 0, -1))
    return made


def blocks(seed: int, count: int) -> Floats:
    """Return blocks x rows x 4: two measured columns, nothing in the joint one, a few errors."""
    x = np.full((count, ROWS, len(DIRECTION)), np.nan)
    x[:, :, :JOINT] = values(seed, count, ROWS, JOINT)
    x[:, :, COUNTED] = np.random.default_rng(seed).poisson(2.0, size=(count, ROWS))
    return x


def play(made: Streams, x: Floats, first: int = 0) -> list[Outcome]:
    """Take the blocks ``x`` (blocks, S, 4) from number ``first`` on, with the counts' totals."""
    out, needed = [], np.full(len(made.offset), NEEDED)
    for b, row in enumerate(x.astype(np.float32)):
        total = np.full(row.shape, np.nan, dtype=np.float32)
        total[:, COUNTED] = np.nansum(row[:, COUNTED])
        summary = replace(told(row, made.offset), total=total)
        out.append(made.step(first + b, row, summary, needed, needed))
    return out


@cache
def kept() -> bytes:
    """Return a table whose streams all bet, as a checkpoint keeps it."""
    made = opened(keys(ROWS, len(DIRECTION)))
    play(made, blocks(7, LEARNED))
    return packed(snapshot(made, ENGINE))


def again(data: bytes) -> Streams:
    """Return the table of a checkpoint."""
    made = restored(unpacked(data), ENGINE)
    assert isinstance(made, Streams)
    return made


def later(seed: int, share: float = 0.1) -> Floats:
    """Return blocks that follow those of :func:`kept`, a ``share`` of their values missing."""
    x = blocks(seed, LATER)
    x[:, :, :JOINT] += blocks(7, LEARNED)[-1, :, :JOINT].mean(axis=0)
    x[np.random.default_rng(seed).random(x.shape) < share] = np.nan
    return x


def there(made: Outcome) -> tuple[Floats, Floats]:
    """Return the evidence of the columns that have any: (S, 3) of change, (S, 3) of level."""
    return made.change[:, :COUNTED], made.level[:, [0, 1, COUNTED]]


def same(found: Outcome, expected: Outcome, rows: Ints | slice = slice(None)) -> None:
    for ours, theirs in zip(there(found), there(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs[rows])


def test_every_kind_of_stream_bets() -> None:
    made = again(kept())
    before, after = play(made, later(1, share=0.0), LEARNED)[-2:]
    for old, new in zip(there(before), there(after), strict=True):
        assert (old != new).all()


@settings(max_examples=10)
@given(SEEDS, st.integers(0, LATER))
def test_it_goes_on_to_the_last_bit_from_any_instant(seed: int, cut: int) -> None:
    made, x = again(kept()), later(seed)
    play(made, x[:cut], LEARNED)
    copy, first = again(packed(snapshot(made, ENGINE))), LEARNED + cut
    for one, other in zip(play(made, x[cut:], first), play(copy, x[cut:], first), strict=True):
        assert packed(snapshot(one)) == packed(snapshot(other))
    assert packed(snapshot(made)) == packed(snapshot(copy))


@settings(max_examples=2)
@given(SEEDS)
def test_the_order_of_its_rows_changes_nothing(seed: int) -> None:
    rng, x, names = np.random.default_rng(seed), blocks(seed, LEARNED), keys(ROWS, len(DIRECTION))
    x[rng.random(x.shape) < 0.02] = np.nan
    order = rng.permutation(ROWS)
    plain, shuffled = opened(names), opened(names[order])
    expected, found = play(plain, x)[-1], play(shuffled, x[:, order])[-1]
    same(found, expected, order)
    assert (expected.change[:, JOINT] != 0.0).any()


@settings(max_examples=10)
@given(SEEDS, st.floats(0.05, 0.6))
def test_a_missing_value_moves_no_evidence_of_its_stream_nor_of_the_joint_one(
    seed: int, share: float
) -> None:
    made, x = again(kept()), later(seed, share)
    (before,) = play(made, np.full((1, ROWS, len(DIRECTION)), np.nan), LEARNED)
    for block, row in enumerate(x):
        (after,) = play(made, row[None], LEARNED + 1 + block)
        gone = np.isnan(row)
        gone[:, JOINT] = gone[:, :JOINT].any(axis=1)
        for name in EVIDENCE:
            np.testing.assert_array_equal(getattr(after, name)[gone], getattr(before, name)[gone])
        before = after


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 3))
def test_blocks_without_any_value_change_nothing(seed: int, gaps: int) -> None:
    plain, skipping, x = again(kept()), again(kept()), later(seed)
    nothing = np.full((gaps, *plain.shape), np.nan)
    for block, row in enumerate(x):
        at = LEARNED + (gaps + 1) * block
        (expected,), (found,) = (play(made, row[None], at) for made in (plain, skipping))
        same(found, expected)
        same(play(skipping, nothing, at + 1)[-1], expected)


@settings(max_examples=10)
@given(SEEDS, st.sampled_from([0.0, 1e-44, 1.0, 1e9, 1e30]), st.sampled_from([0.02, 0.4, 1.0]))
def test_evidence_is_finite_whatever_finite_values_it_is_given(
    seed: int, wild: float, share: float
) -> None:
    rng, made, x = np.random.default_rng(seed), again(kept()), later(seed, share=0.0)
    odd = rng.random(x.shape) < share
    x[odd] = wild * rng.choice([-1.0, 1.0], size=int(odd.sum()))
    for out in play(made, x, LEARNED):
        assert all(np.isfinite(evidence).all() for evidence in there(out))


@settings(max_examples=3)
@given(SEEDS, st.sampled_from([1e-44, 1.0, 1e30]), st.sampled_from([0.0, 1.0, 1e30]))
def test_so_it_is_where_they_were_learned_from(seed: int, size: float, wild: float) -> None:
    rng, made = np.random.default_rng(seed), opened(keys(ROWS, len(DIRECTION)))
    x = size * rng.uniform(-1.0, 1.0, size=(LEARNED, ROWS, len(DIRECTION)))
    odd = rng.random(x.shape) < 0.02
    x[odd] = wild * rng.choice([-1.0, 1.0], size=int(odd.sum()))
    for out in play(made, x):
        assert all(np.isfinite(evidence).all() for evidence in there(out))
