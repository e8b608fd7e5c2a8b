from dataclasses import replace

import numpy as np
import pytest

from tessera.agent.warm import Asked, Warm, columns_of, knowledge_of
from tessera.engine.ranks import stream_key
from tessera.engine.streams import Streams
from tessera.proto.messages import Inventory, ShardRow

from ..proto.baselines import baseline, columns, stream

GROUP = "sku=h200,job=train,role=worker"
SHARDS = tuple(ShardRow(f"g{i}", "gpu_shard", "h200", "train", "worker") for i in range(3))
HOST = Inventory("host-0", 1, SHARDS, ("idle", "power_watts"))
PLACES = np.array([1, 3, 5])  # of power_watts of the three shards


def begun(warm: Warm, **changes: object) -> tuple[Streams, str]:
    """Return streams opened at 5 s as a plan asks, and what was said of it."""
    keys = np.array([[stream_key(s.id, m, "5") for m in HOST.metrics] for s in SHARDS])
    streams = Streams(keys.astype(np.uint64), np.zeros(2, dtype=np.int64), 1000)
    epoch = np.array([[-1, 0]] * 3)
    phi, kappa = np.full((3, 2), 0.4), np.full((3, 2), 1.1)
    at = streams.adopt_change(phi, kappa, epoch)
    asked = Asked(at, phi.ravel()[at], kappa.ravel()[at], np.array([GROUP] * 3))
    warm.begin(5, streams, replace(asked, **changes))  # type: ignore[arg-type]  # its own fields
    (said,) = warm.said
    return streams, said


def settled(streams: Streams) -> list[int]:
    return [int(place) for at, _ in streams.knowledge() for place in at]


def test_shards_that_are_as_they_were_start_from_the_baseline() -> None:
    made = replace(baseline(), id="abc")
    streams, said = begun(Warm.of(made, HOST))
    assert settled(streams) == PLACES.tolist()
    assert said == "5 s: 3 of 3 streams start from baseline abc"


def test_their_offsets_are_told_from_the_first_block_on() -> None:
    made = baseline(columns={**columns(3), "offset": np.array([1, 2, 3], dtype=np.float32)})
    streams, _ = begun(Warm.of(made, HOST))
    np.testing.assert_array_equal(streams.offset[:, 1], [1, 2, 3])
    assert np.isnan(streams.offset[:, 0]).all()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"phi": np.full(3, 0.5)}, "the plan's φ is another one"),
        ({"kappa": np.full(3, 1.2)}, "the plan's κ is another one"),
        ({"kappa": np.full(3, np.nan)}, "the plan has no φ and κ yet"),
        ({"group": np.array(["others"] * 3)}, "its peers were sku=h200"),
    ],
)
def test_a_plan_of_another_past_lets_all_learn_and_says_why(
    asked: dict[str, object], reason: str
) -> None:
    streams, said = begun(Warm.of(baseline(), HOST), **asked)
    assert settled(streams) == []
    assert f"3 learn: {reason}" in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"streams": tuple(stream(f"x{i}") for i in range(3))}, "their shards are not in it"),
        ({"streams": tuple(stream(f"g{i}", sku="b200") for i in range(3))}, "its SKU was 'b200'"),
        ({"streams": tuple(stream(f"g{i}", job="other") for i in range(3))}, "its job was 'other'"),
        ({"streams": tuple(stream(f"g{i}", rung=10) for i in range(3))}, "no such stream of 5 s"),
        ({"streams": tuple(stream(f"g{i}", metric="m") for i in range(3))}, "no such stream of"),
        ({"columns": columns(3, blocks=19)}, "fewer than 20 blocks stand behind it"),
    ],
)
def test_a_baseline_that_does_not_fit_lets_all_learn_and_says_why(
    changes: dict[str, object], reason: str
) -> None:
    streams, said = begun(Warm.of(baseline(3, **changes), HOST))
    assert settled(streams) == []
    assert said.startswith("5 s: 0 of 3 streams start from baseline")
    assert reason in said


def test_a_shard_that_was_left_out_says_for_what() -> None:
    made = baseline(2, left_out={"g2": "a verdict was opened on g2"})
    streams, said = begun(Warm.of(made, HOST))
    assert settled(streams) == [1, 3]
    assert "1 learn: left out of it: a verdict was opened on g2" in said


def test_what_is_known_is_written_and_read_without_loss() -> None:
    made = baseline()
    for name, values in columns_of(knowledge_of(made)).items():
        np.testing.assert_array_equal(values, made.columns[name])
