"""Streams and other states go on after a restart as if there had been none."""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import msgpack  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.engine import (
    bands,
    baseline,
    calibration,
    change,
    count_rows,
    counts,
    held,
    joint,
    joint_rows,
    level,
    margin,
    memory,
    onset,
    ranks,
    recovery,
    recursive,
    streams,
    watch,
)
from tessera.engine.joint_rows import Together
from tessera.engine.outcome import Outcome, Summary
from tessera.engine.snapshot import field_names, named, restored, schema, snapshot
from tessera.engine.streams import Streams

HELD = (bands, held, recovery, watch)
S, M, BLOCKS = 4, 3, 460
JOINT, COUNTED = 3, 4  # columns besides the M that are both ranked and signed
LEARNED = (baseline, margin, memory, ranks, recursive, calibration, *HELD)
TABLES = (joint_rows, joint, count_rows, counts)
ENGINE = named(streams, change, level, onset, *TABLES, *LEARNED)


class Colour(Enum):
    RED = 1


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    colour: Colour


class Plain:
    def __init__(self, part: object) -> None:
        self.part = part
        self.count = 0


KNOWN = named(Colour, Frozen, Plain)
COLOUR, FROZEN, PLAIN = KNOWN
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary()
KEYS = SCALARS | st.tuples(st.integers(-9, 9), st.text(max_size=3))
STATES = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.builds(Frozen, st.text(), st.just(Colour.RED)),
    ),
    max_leaves=20,
)


def again(state: object) -> object:
    """Take ``state`` through a document, as a checkpoint does."""
    packed = msgpack.packb(snapshot(state))
    return restored(msgpack.unpackb(packed, strict_map_key=False), KNOWN)


def opened() -> Streams:
    shape = S, M + 2
    keys = np.arange(1, S * (M + 2) + 1, dtype=np.uint64).reshape(shape)
    together = Together(JOINT, np.arange(M))
    first = Streams(keys, np.array([1, 1, -1, 0, 0]), horizon=1000, together=together)
    ranked = np.broadcast_to(np.where(np.arange(M + 2) == COUNTED, -1, 0), shape)
    signed = np.broadcast_to(np.where(np.arange(M + 2) < M, 0, -1), shape)
    counted = np.broadcast_to(np.where(np.arange(M + 2) == COUNTED, 0, -1), shape)
    first.adopt_change(np.full(shape, 0.3), np.full(shape, 1.2), ranked)
    first.adopt_level(np.full(shape, 0.5), np.full(shape, 0.9), signed)
    first.adopt_counts(np.full(shape, 2.0), counted)
    return first


def played(state: Streams, blocks: range) -> list[Outcome]:
    """Step ``state`` through seeded blocks whose first row leaves its peers at block 430."""
    found = []
    for block in blocks:
        rng = np.random.default_rng(block)
        x = rng.normal(size=(S, M + 2)).astype(np.float32)
        x[0] += 4.0 * (block >= 430)
        x[:, JOINT], x[:, COUNTED] = np.nan, rng.poisson(0.5, S)
        s3 = np.sort(rng.normal(scale=0.1, size=(S, M + 2, 3)), axis=2).astype(np.float32)
        count = np.full(x.shape, 40)
        total = np.full(x.shape, 12.0, dtype=np.float32)
        summary = Summary(count, s3, count, s3, np.ones(S, dtype=np.bool_), total)
        needed = np.full(S, 3)
        found.append(state.step(block, x, summary, needed, needed))
    return found


@pytest.mark.parametrize("cut", [0, 49, 120, 200, 240, 350, 405, 440])
def test_streams_go_on_to_the_last_bit(cut: int) -> None:
    state = opened()
    played(state, range(cut))
    copy = restored(msgpack.unpackb(msgpack.packb(snapshot(state, ENGINE))), ENGINE)
    assert isinstance(copy, Streams)
    rest = range(cut, BLOCKS)
    told = played(state, rest)
    for first, second in zip(told, played(copy, rest), strict=True):
        assert msgpack.packb(snapshot(first)) == msgpack.packb(snapshot(second))
    assert msgpack.packb(snapshot(state)) == msgpack.packb(snapshot(copy))
    for ranked in range(M), [JOINT]:
        assert told[-1].change[0, ranked].max() > 2.0  # there is evidence to lose
    assert abs(told[-1].level[0, COUNTED]) > 0.0


@given(STATES)
def test_any_state_comes_back_equal_and_of_the_same_types(state: object) -> None:
    back = again(state)
    assert back == state
    assert repr(type(back)) == repr(type(state))


@given(
    st.permutations(range(3)),
    st.sampled_from(["f8", "f4", "i8", "u8", "u4", "?", ">f8", "u2", "<U3"]),
    st.sampled_from([(2, 3, 4), (1, 3, 2), (0, 2, 2), (5, 1, 1)]),
)
def test_an_array_keeps_its_bits_and_its_order_in_memory(
    axes: list[int], layout: str, shape: tuple[int, int, int]
) -> None:
    count = int(np.prod(shape))
    values = np.arange(count).astype(layout).reshape([shape[a] for a in axes])
    values = values.transpose(np.argsort(axes))
    back = again(values)
    assert isinstance(back, np.ndarray)
    assert (back.dtype, back.shape, back.tobytes()) == (
        values.dtype,
        values.shape,
        values.tobytes(),
    )
    assert back.size == 0 or (back.strides == values.strides or 1 in shape)
    assert back.flags.writeable


def test_numbers_of_numpy_and_not_a_number_come_back_as_they_were() -> None:
    back = again([np.float32(0.1), np.uint64(2**64 - 1), np.bool_(1), float("nan"), -0.0])
    assert isinstance(back, list)
    assert repr(back) == "[np.float32(0.1), np.uint64(18446744073709551615), np.True_, nan, -0.0]"


def test_a_queue_keeps_its_length_and_a_read_only_dict_becomes_a_dict() -> None:
    back = again((deque([1, 2], maxlen=2), MappingProxyType({(1, "a"): 2})))
    assert back == (deque([1, 2], maxlen=2), {(1, "a"): 2})
    assert isinstance(back, tuple)
    assert back[0].maxlen == 2


def test_what_was_one_object_is_one_again_also_in_a_circle() -> None:
    shared = np.zeros(3)
    first = Plain([shared, {"same": shared}])
    first.count = 7
    first.part = [first, first.part]
    back = again(first)
    assert isinstance(back, Plain)
    assert isinstance(back.part, list)
    assert back.part[0] is back
    back.part[1][0][1] = 5.0
    assert back.part[1][1]["same"][1] == 5.0
    assert back.count == 7


def test_a_snapshot_stays_when_the_state_goes_on() -> None:
    state = {"values": np.zeros(2), "names": ["a"]}
    tree = snapshot(state)
    state["values"][0] = 9.0  # type: ignore[index]  # an array
    back = restored(tree, {})
    assert isinstance(back, dict)
    assert back["values"].tolist() == [0.0, 0.0]


def test_equal_sets_make_equal_bytes() -> None:
    forth, back = {f"n{i}" for i in range(50)}, {f"n{i}" for i in reversed(range(50))}
    assert msgpack.packb(snapshot(forth)) == msgpack.packb(snapshot(back))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (lambda: 0, "a state holds a function"),
        (np.random.default_rng(1), "a state holds a Generator"),
        (np.array([None]), "a state holds an array of object"),
        (int, "a state holds a type"),
    ],
)
def test_what_cannot_be_kept_is_refused(state: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        snapshot([state])


def test_an_attribute_that_init_does_not_set_is_refused() -> None:
    state = Plain(1)
    state.late = 2  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # the fault under test
    with pytest.raises(ValueError, match=r"Plain\.late is not set"):
        snapshot(state)


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ValueError, match="Plain of the snapshot is not known here"):
        restored(snapshot(Plain(1)), named(Frozen))


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (["object", PLAIN, [["part", 1]]], r"Plain\.count is new"),
        (["object", PLAIN, [["part", 1], ["count", 0], ["x", 0]]], r"Plain\.x is gone"),
        (["object", FROZEN, [["name", "a"]]], r"Frozen\.colour is new"),
        (["enum", COLOUR, "BLUE"], "Colour has no BLUE any more"),
        (["pickle", "rm"], "what none of ours does"),
        (["again", 3], "what none of ours does"),
        ([], "what none of ours does"),
        (["dict", [1]], "what none of ours does"),
    ],
)
def test_other_fields_and_strange_trees_are_refused_in_one_line(
    tree: list[object], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        restored(tree, KNOWN)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # lists of anything
    assert "\n" not in str(caught.value)


def test_the_schema_follows_names_and_fields_and_not_their_order() -> None:
    @dataclass
    class Other:
        name: str
        shade: Colour

    assert schema(named(Plain, Frozen)) == schema(named(Frozen, Plain))
    assert schema({"Frozen": Frozen}) != schema({"Frozen": Other})
    assert schema({"Frozen": Frozen}) != schema({"Thawed": Frozen})
    assert field_names(Plain) == ("part", "count")


def test_two_classes_of_one_name_are_refused() -> None:
    other = type("Plain", (), {"__module__": __name__})
    with pytest.raises(ValueError, match=r"two classes are called \w+\.Plain"):
        named(Plain, other)


def test_a_class_that_could_not_be_made_again_is_refused_when_it_is_taken() -> None:
    with pytest.raises(ValueError, match="Plain, which nobody could make again"):
        snapshot([Plain(1)], named(Frozen))
    assert snapshot([Plain(1)], KNOWN) == snapshot([Plain(1)])
