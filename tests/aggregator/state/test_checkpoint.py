import zlib
from hashlib import sha256

import msgpack  # type: ignore[import-untyped]  # it ships no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet
from tessera.aggregator.pipeline import Pipeline, StepResult
from tessera.aggregator.state.checkpoint import MAGIC, pack, unpack
from tessera.engine.snapshot import snapshot

from ..fleets import STEP_TIME, fleet_of, step_times, tree
from ..wires import Wire, lossy

SPEC = step_times(FleetSpec(shards=32, shards_per_host=8, hosts_per_rack=0), phi=0.3)
SICK = "host-02-gpu-1"


def fresh() -> Pipeline:
    return Pipeline(fleet_of(tree(3, 2, 4)), shortest=1, horizon=1000.0)


def same(one: StepResult, other: StepResult) -> bool:
    """Say whether two steps said the same to the last bit; NaN is NaN."""
    if repr((one.plan, one.transitions, one.audit)) != repr(
        (other.plan, other.transitions, other.audit)
    ):
        return False
    downs = [[d for host in sorted(r.downs) for d in r.downs[host]] for r in (one, other)]
    return len(downs[0]) == len(downs[1]) and all(
        (a.group, a.rung, a.block) == (b.group, b.rung, b.block)
        and a.s3_demeaned.tobytes() == b.s3_demeaned.tobytes()
        and a.s3_raw.tobytes() == b.s3_raw.tobytes()
        for a, b in zip(*downs, strict=True)
    )


def played(cuts: list[int], seed: int = 1) -> tuple[Wire, list[tuple[int, bytes]]]:
    """Play a fleet with a fault; return it and the pipeline's checkpoints after so many steps."""
    made = SyntheticFleet(SPEC, 5, [Fault(SICK, "*", "step", 0.12, 190, unit="fraction")])
    kept: list[tuple[int, bytes]] = []

    def watch(wire: Wire) -> None:
        if len(kept) < len(cuts) and len(wire.tape) >= cuts[len(kept)]:
            kept.append((len(wire.tape), pack(wire.pipeline)))

    wire = Wire(made, [STEP_TIME], hosts=4, fate=lossy, seed=seed, watch=watch)
    wire.play(made.ticks(0, 250))
    return wire, kept


@pytest.mark.parametrize("seed", [1, 2])
def test_a_pipeline_taken_up_anywhere_goes_on_to_the_last_bit(seed: int) -> None:
    cuts = [1, *sorted(np.random.default_rng(seed).integers(2, 2000, 2).tolist()), 2150]
    wire, kept = played(cuts, seed)
    assert wire.transitions
    assert len(kept) == len(cuts)
    for start, data in kept:
        taken_up = unpack(data)
        for now, inbox, result in wire.tape[start:]:
            assert same(taken_up.step(now, inbox), result)
        np.testing.assert_array_equal(taken_up.log_m(), wire.pipeline.log_m())
        assert taken_up.open_verdicts == wire.pipeline.open_verdicts


def test_a_pipeline_that_missed_a_message_is_not_the_same() -> None:
    wire, [(start, data)] = played([2000])
    taken_up = unpack(data)
    missed = next(i for i, (_, _, result) in enumerate(wire.tape[start:]) if result.downs)
    answers = [
        same(taken_up.step(now, inbox if i != missed else []), result)
        for i, (now, inbox, result) in enumerate(wire.tape[start:])
    ]
    assert not all(answers)


def test_the_same_state_makes_the_same_bytes() -> None:
    data = pack(fresh())
    assert data == pack(fresh()) == pack(unpack(data))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_a_checkpoint_cut_short_is_refused_in_one_line(share: float) -> None:
    data = pack(fresh())
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        unpack(data[: int(share * len(data))])


@given(st.data())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_checkpoint_with_one_wrong_byte_is_refused(data: st.DataObject) -> None:
    packed = bytearray(pack(fresh()))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"checksum|version"):
        unpack(bytes(packed))


def sealed(body: bytes) -> bytes:
    return MAGIC + sha256(body).digest() + body


def test_a_state_with_other_fields_is_refused() -> None:
    body = pack(fresh())[len(MAGIC) + 32 :]
    with pytest.raises(ValueError, match="another version"):
        unpack(sealed(b"0" * 16 + body[16:]))


def test_a_checkpoint_of_something_else_is_refused() -> None:
    schema = pack(fresh())[len(MAGIC) + 32 :][:16]
    for tree_, what in ((snapshot([1, 2]), "not a pipeline"), (["odd"], "none of ours")):
        packed = msgpack.packb(tree_)
        assert isinstance(packed, bytes)
        body = schema + zlib.compress(packed)
        with pytest.raises(ValueError, match=what):
            unpack(sealed(body))
    with pytest.raises(ValueError, match="packed as"):
        unpack(sealed(schema + b"no zlib"))
