"""Messages of every kind for the tests of the wire, and when two of them are the same."""

import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from tessera.proto.messages import (
    ChangePlan,
    CountsPlan,
    Down,
    Freeze,
    Held,
    HeldNote,
    Inventory,
    LevelNotes,
    LevelPlan,
    PathNode,
    Plan,
    RawTicks,
    ShardRow,
    Up1,
    Up2,
)
from tessera.proto.refuse import LADDER

SHAPE = (3, 2)  # shards and metrics of the samples

names = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)
texts = st.one_of(st.just(""), names)
rungs: st.SearchStrategy[int] = st.sampled_from(LADDER)
blocks = st.integers(0, 10**7)
ids = st.integers(0, 2**63 - 1)
versions = st.integers(0, 2**32 - 1)
unknown = st.just(float("nan"))
shapes = st.tuples(st.integers(0, 4), st.integers(0, 3))


def floats(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    """Draw NaN of every pattern and finite numbers."""
    return hnp.arrays(np.float32, shape, elements=st.floats(width=32, allow_infinity=False))


def evidence(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.float32]]:
    """Draw log M: at most a million nats, NaN or −∞."""
    numbers = st.floats(max_value=1e6, width=32)
    return hnp.arrays(np.float32, shape, elements=st.one_of(unknown, numbers))


def ints(shape: tuple[int, ...], most: int) -> st.SearchStrategy[npt.NDArray[np.int64]]:
    """Draw integers from −1, which means none."""
    return hnp.arrays(np.int64, shape, elements=st.integers(-1, most))


def bits(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.bool_]]:
    """Draw truth values."""
    return hnp.arrays(np.bool_, shape)


def maybe_bits(shape: tuple[int, ...]) -> st.SearchStrategy[npt.NDArray[np.bool_] | None]:
    """Draw truth values, or nothing."""
    return st.none() | bits(shape)


shards = st.builds(
    ShardRow,
    id=names,
    kind=texts,
    sku=texts,
    job=texts,
    role=texts,
    path=st.lists(st.builds(PathNode, names, texts), max_size=3).map(tuple),
)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Draw what a host has."""
    words = st.sampled_from(["", "/spread", "/oscillation", "/spike", "/joint"])
    named = st.one_of(st.tuples(names, words).map("".join), st.just("joint"))
    metrics = tuple(draw(st.lists(named, max_size=4, unique=True)))
    some = st.tuples(*([texts] * len(metrics))).filter(any) if metrics else st.just(())
    rows = draw(st.lists(shards, max_size=4, unique_by=lambda row: row.id))
    units = draw(st.one_of(st.just(()), some))
    schemas = draw(st.one_of(st.just(()), some))
    times = st.floats(0.0, 3600.0)
    seldom = st.tuples(*([times] * len(metrics))).filter(any) if metrics else st.just(())
    return Inventory(
        draw(names),
        draw(versions),
        tuple(rows),
        metrics,
        units,
        draw(texts),
        refreshes=draw(st.one_of(st.just(()), seldom)),
        schemas=schemas,
    )


held_rows = st.builds(
    Held,
    verdict=ids,
    since=st.one_of(unknown, st.floats(0, 1e9)),
    channel=st.sampled_from(["change", "level"]),
    metric=names,
    rung=rungs,
    opened=blocks,
)


@st.composite
def notes(draw: st.DrawFn, row: int) -> HeldNote:
    """Draw how the open verdict of a row goes on."""
    low, middle, high = sorted(draw(st.tuples(*([st.floats(-1e9, 1e9)] * 3))))
    return HeldNote(
        row=row,
        verdict=draw(ids),
        turns=draw(st.integers(0, 1000)),
        lasted=draw(st.floats(0, 1e8)),
        log_m=draw(st.floats(max_value=1e6, exclude_max=True, allow_infinity=False)),
        low=draw(st.sampled_from([low, float("-inf")])),
        middle=middle,
        high=draw(st.sampled_from([high, float("inf")])),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan of one host's shards and nothing else."""
    rows = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    groups = {row: draw(st.sampled_from(["g1", "g2"])) for row in rows}
    pools = {row: draw(st.sampled_from(["p1", "p2"])) for row in rows}
    counts = st.integers(0, 2**32 - 1)
    changes = st.builds(
        ChangePlan,
        metric=names,
        pool=st.sampled_from(sorted(pools.values())),
        rung=rungs,
        phi=st.one_of(unknown, st.floats(0, 1, exclude_max=True)),
        kappa=st.one_of(unknown, st.floats(1, 1e9)),
        epoch=ids,
        stream_kappa=st.dictionaries(st.sampled_from(rows), st.floats(1, 1e9)),
    )
    levels = st.builds(
        LevelPlan,
        metric=names,
        group=st.sampled_from(sorted(groups.values())),
        rung=rungs,
        margin=st.floats(1e-300, 1e300),
        largest_lambda=st.floats(0, 1),
        epoch=ids,
    )
    counted = st.builds(
        CountsPlan,
        metric=names,
        group=st.sampled_from(sorted(groups.values())),
        rung=rungs,
        odds=st.floats(1, 1e9),
        epoch=ids,
    )
    return Plan(
        id=draw(ids),
        groups=groups,
        pools=pools,
        needed={group: (draw(counts), draw(counts)) for group in groups.values()},
        change=tuple(draw(st.lists(changes, max_size=3))),
        level=tuple(draw(st.lists(levels, max_size=3))),
        horizon=draw(st.floats(1, 1e9)),
        from_block=draw(st.dictionaries(rungs, blocks)),
        epochs=draw(st.dictionaries(st.sampled_from(rows), st.integers(1, 2**63 - 1))),
        direction=draw(st.dictionaries(names, st.sampled_from([-1, 0, 1]))),
        counts=tuple(draw(st.lists(counted, max_size=2))),
        held=draw(st.dictionaries(st.sampled_from(rows), held_rows)),
        born=draw(st.dictionaries(st.sampled_from(rows), st.integers(1, 2**63 - 1))),
        metric_epochs=draw(
            st.dictionaries(
                st.sampled_from(rows), st.dictionaries(names, ids, min_size=1, max_size=2)
            )
        ),
    )


freezes = st.builds(
    Freeze,
    id=names,
    nodes=st.lists(names, max_size=3, unique=True).map(tuple),
    start=st.integers(0, 2**31).map(float),
    until=st.integers(0, 2**31).map(float),
    reason=texts,
    exogenous=st.booleans(),
)


@st.composite
def up1s(draw: st.DrawFn, shape: tuple[int, int]) -> Up1:
    """Draw a host's block values."""
    head = draw(names), draw(rungs), draw(blocks)
    x, offset = draw(floats(shape)), draw(floats(shape))
    numbers = draw(ids), draw(versions)
    return Up1(*head, x, offset, draw(bits(shape[:1])), *numbers, draw(maybe_bits(shape[:1])))


@st.composite
def downs(draw: st.DrawFn, shape: tuple[int, int]) -> tuple[Down, ...]:
    """Draw the summaries of one block."""
    rung, block, plan = draw(rungs), draw(blocks), draw(ids)
    frozen = draw(maybe_bits(shape[:1]))
    counts = hnp.arrays(np.int64, shape[1:], elements=st.integers(0, 65535))
    s3 = floats((shape[1], 3))
    sums = st.one_of(unknown, st.floats(0, width=32, allow_infinity=False))
    totals = st.one_of(st.none(), hnp.arrays(np.float32, shape[1:], elements=sums))
    return tuple(
        Down(
            group=group,
            rung=rung,
            block=block,
            count_raw=draw(counts),
            s3_raw=draw(s3),
            count_demeaned=draw(counts),
            s3_demeaned=draw(s3),
            included=draw(bits(shape[:1])),
            plan=plan,
            total=draw(totals),
            frozen=frozen,
        )
        for group in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    )


def reviews(shape: tuple[int, int]) -> st.SearchStrategy[LevelNotes]:
    """Draw the notes of level streams."""
    numbers, counts = floats(shape), ints((*shape, 5), 2**31 - 1)
    return st.builds(LevelNotes, ints(shape, 2**31 - 1), numbers, numbers, numbers, counts, counts)


@st.composite
def up2s(draw: st.DrawFn, shape: tuple[int, int]) -> Up2:
    """Draw a host's evidence, with and without news for the plan."""
    block, small = draw(blocks), ints(shape, 2**31 - 1)
    long_run = draw(st.booleans())
    return Up2(
        host=draw(names),
        rung=draw(rungs),
        block=block,
        change=draw(evidence(shape)),
        level=draw(evidence(shape)),
        change_epoch=draw(ints(shape, 2**31 - 1)),
        level_epoch=draw(ints(shape, 2**31 - 1)),
        change_onset=draw(ints(shape, block)),
        level_onset=draw(ints(shape, block)),
        learned=draw(small),
        lags=draw(st.none() | floats((*shape, 3))),
        baseline=draw(st.none() | floats((*shape, 100))),
        windows=draw(st.dictionaries(st.integers(1, 2**32 - 1), floats(shape), max_size=3)),
        long_run=draw(floats(shape)) if long_run else None,
        long_run_scores=draw(small) if long_run else None,
        review=draw(st.none() | reviews(shape)),
        plan=draw(ids),
        inventory=draw(versions),
        held=tuple(draw(notes(row)) for row in range(shape[0]) if draw(st.booleans())),
    )


@st.composite
def raw_ticks(draw: st.DrawFn) -> RawTicks:
    """Draw raw readings of one shard."""
    metrics = tuple(draw(st.lists(names, max_size=3, unique=True)))
    times = draw(st.lists(st.floats(0, 1e10, allow_subnormal=False), max_size=5, unique=True))
    values = draw(floats((len(times), len(metrics))))
    return RawTicks(draw(names), metrics, np.array(sorted(times), dtype=np.float64), values)


def an_up2() -> Up2:
    """Return quiet evidence with every kind of news."""
    nothing = np.zeros(SHAPE, dtype=np.float32)
    none = np.full(SHAPE, -1, dtype=np.int64)
    runs = np.zeros((*SHAPE, 5), dtype=np.int64)
    return Up2(
        host="h",
        rung=5,
        block=7,
        change=nothing,
        level=nothing,
        change_epoch=none,
        level_epoch=none,
        change_onset=np.zeros(SHAPE, dtype=np.int64),
        level_onset=np.zeros(SHAPE, dtype=np.int64),
        learned=none,
        lags=np.zeros((*SHAPE, 3), dtype=np.float32),
        baseline=np.zeros((*SHAPE, 100), dtype=np.float32),
        windows={10: nothing},
        long_run=nothing,
        long_run_scores=none,
        review=LevelNotes(none, nothing, nothing, nothing, runs, runs),
    )


def same(one: object, other: object) -> bool:
    """Say whether two messages are of the same types and bits, NaN and the sign of 0 included."""
    if is_dataclass(one) and type(one) is type(other):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        kind = (one.dtype, one.shape) == (other.dtype, other.shape)
        return kind and one.tobytes() == other.tobytes()
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("<d", one) == struct.pack("<d", other)
    return type(one) is type(other) and one == other
