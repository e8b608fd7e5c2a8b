"""What is refused, where, and that a sound message of the same kind is not."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from tessera.proto import decode, encode
from tessera.proto.messages import (
    ChangePlan,
    CountsPlan,
    Down,
    Inventory,
    LevelPlan,
    PathNode,
    Plan,
    RawTicks,
    ShardRow,
    Up1,
)
from tessera.proto.pack import BadMessage, pack
from tessera.proto.schema import ingest

from .samples import SHAPE, an_up2

ZEROS = np.zeros(SHAPE, dtype=np.float32)
LATE = 2**63 // 10**9  # the first second that nanoseconds of 64 bits do not hold


def refusal(decoding: Callable[[], object]) -> str:
    with pytest.raises(BadMessage) as caught:
        decoding()
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 250
    assert line == f"{caught.value.message}.{caught.value.field}: {caught.value.what}"
    return line


def inventory() -> ingest.Inventory:
    rows = tuple(ShardRow(f"s{i}", "gpu", "", "", "", (PathNode("r", "rack"),)) for i in range(2))
    return encode.inventory(Inventory("h", 1, rows, ("power", "step")))


def plan() -> ingest.Plan:
    change = ChangePlan("power", "p", 5, nan, nan, 1, {"s0": 2.0})
    level = LevelPlan("power", "g", 5, 0.05, 0.5, 1)
    needed = {"g": (3, 3)}
    whole = Plan(
        1, {"s0": "g", "s1": "g"}, {"s0": "p", "s1": "p"}, needed, (change,), (level,), 9.0
    )
    counts = (CountsPlan("step", "g", 60, 2.0, 1),)
    whole = replace(whole, from_block={5: 1}, direction={"power": 1}, counts=counts)
    return encode.plan(whole, ["s0", "s1"])


def up1() -> ingest.Up1:
    return encode.up1(Up1("h", 5, 7, ZEROS, ZEROS, np.ones(SHAPE[0], np.bool_)))


def down() -> ingest.Down:
    three, count = np.zeros((SHAPE[1], 3), np.float32), np.zeros(SHAPE[1], np.int64)
    sums = np.zeros(SHAPE[1], np.float32)
    one = Down("g", 5, 7, count, three, count, three, np.ones(SHAPE[0], np.bool_), total=sums)
    return encode.downs([one, replace(one, group="g2")])


def up2() -> ingest.Up2:
    return encode.up2(an_up2())


def ticks() -> ingest.RawTicks:
    values = np.zeros((3, 2), np.float32)
    return encode.raw_ticks(RawTicks("s", ("a", "b"), np.array([1.0, 2.0, 3.0]), values), 1)


def with_value(array: ingest.Array, value: float) -> None:
    """Put ``value`` at the end of an array that is otherwise as it was."""
    kinds: dict[int, type[np.generic]] = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.int64}
    kind = kinds[array.kind]
    last = pack(np.array([value], dtype=kind), kind).data
    array.data = array.data[: -len(last)] + last


def test_what_is_sound_is_taken() -> None:
    assert len(decode.inventory(inventory()).shards) == 2
    assert decode.plan(plan()).horizon == 9.0
    assert decode.up1(up1(), "h", SHAPE).block == 7
    assert len(decode.downs(down(), SHAPE)) == 2
    assert decode.up2(up2(), "h", SHAPE).windows.keys() == {10}
    assert decode.raw_ticks(ticks()).at.tolist() == [1.0, 2.0, 3.0]


def add_shard(m: ingest.Inventory) -> None:
    m.shards.add(id="s1")


def add_shards(m: ingest.Inventory) -> None:
    m.shards.extend(ingest.Shard(id=str(i)) for i in range(4096))


def add_metrics(m: ingest.Inventory) -> None:
    m.streams.extend(ingest.StreamRow(metric=str(i), score="mean") for i in range(512))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: m.ClearField("host"), "Inventory.host: is empty"),
        (lambda m: setattr(m, "host", "x" * 513), "Inventory.host: has 513 characters"),
        (lambda m: setattr(m, "host", "x\n"), "Inventory.host: 'x\\n' holds a control"),
        (lambda m: setattr(m, "boot_id", "\x1b[2J"), "Inventory.boot_id: '\\x1b[2J' holds"),
        (add_shard, "Inventory.shards: has 's1' twice"),
        (add_shards, "Inventory.shards: has 4098"),
        (lambda m: m.shards.add(), "Shard.id: is empty"),
        (lambda m: setattr(m.shards[0], "sku", "x" * 513), "Shard.sku: has 513 characters"),
        (lambda m: setattr(m.shards[0].path[0], "id", ""), "Shard.path: is empty"),
        (lambda m: m.shards[0].path.extend([ingest.PathNode(id="n")] * 64), "Shard.path: of 's0'"),
        (lambda m: m.streams.add(metric="step", score="mean"), "Inventory.streams: has 'step' tw"),
        (lambda m: m.streams.add(metric="", score="mean"), "Inventory.metric: is empty"),
        (lambda m: m.streams.add(metric="x", score="?"), "Inventory.streams: score '?' is not"),
        (lambda m: setattr(m.streams[0], "unit", "x" * 513), "Inventory.unit: has 513"),
        (add_metrics, "Inventory.streams: has 514"),
    ],
)
def test_an_inventory_is_refused(spoil: Callable[[ingest.Inventory], object], line: str) -> None:
    message = inventory()
    spoil(message)
    assert refusal(lambda: decode.inventory(message)).startswith(line)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: setattr(m, "id", 2**63), "Plan.id: 9223372036854775808 is not"),
        (lambda m: m.shards.add(shard="s1", group="g", pool="p"), "Plan.shards: has 's1' twice"),
        (lambda m: m.shards.add(group="g", pool="p"), "Plan.shard: is empty"),
        (lambda m: m.shards.add(shard="x", group="g"), "Plan.pool: is empty"),
        (lambda m: m.shards.add(shard="x", group="y", pool="p"), "Plan.needed: says nothing of"),
        (lambda m: setattr(m.shards[0], "epoch", 2**64 - 1), "Plan.epoch: 18446744073709551615"),
        (lambda m: m.needed[""].SetInParent(), "Plan.needed: is empty"),
        (lambda m: m.from_block.update({7: 1}), "Plan.rung: 7 s is none of 1, 2, 5"),
        (lambda m: m.from_block.update({5: -1}), "Plan.block: -1 is no block of 5 s"),
        (lambda m: m.direction.update({"power": 2}), "Plan.direction: 'power' has 2"),
        (lambda m: m.ClearField("horizon_seconds"), "Plan.horizon_seconds: 0 is not"),
        (lambda m: setattr(m, "horizon_seconds", inf), "Plan.horizon_seconds: inf is not"),
        (lambda m: setattr(m, "horizon_seconds", nan), "Plan.horizon_seconds: nan is not"),
        (lambda m: setattr(m.change[0], "rung", 0), "ChangePlan.rung: 0 s is none"),
        (lambda m: setattr(m.change[0], "metric", ""), "ChangePlan.metric: is empty"),
        (lambda m: setattr(m.change[0], "pool", ""), "ChangePlan.pool: is empty"),
        (lambda m: setattr(m.change[0], "phi", 1.0), "ChangePlan.phi: 1 is not in [0, 1)"),
        (lambda m: setattr(m.change[0], "phi", -0.1), "ChangePlan.phi: -0.1 is not"),
        (lambda m: setattr(m.change[0], "kappa", 0.9), "ChangePlan.kappa: 0.9 is not"),
        (lambda m: setattr(m.change[0], "kappa", inf), "ChangePlan.kappa: inf is not"),
        (lambda m: setattr(m.change[0], "epoch", 2**63), "ChangePlan.epoch: 92233720"),
        (lambda m: m.change[0].stream_kappa.update({"s0": nan}), "ChangePlan.stream_kappa: nan"),
        (lambda m: setattr(m.level[0], "metric", ""), "LevelPlan.metric: is empty"),
        (lambda m: setattr(m.level[0], "group", ""), "LevelPlan.group: is empty"),
        (lambda m: setattr(m.level[0], "rung", 3), "LevelPlan.rung: 3 s is none"),
        (lambda m: setattr(m.level[0], "margin", 0.0), "LevelPlan.margin: 0 is not"),
        (lambda m: setattr(m.level[0], "largest_lambda", -1.0), "LevelPlan.largest_lambda: -1 "),
        (lambda m: setattr(m.level[0], "epoch", 2**63), "LevelPlan.epoch: 92233720"),
        (lambda m: setattr(m.counts[0], "metric", ""), "CountsPlan.metric: is empty"),
        (lambda m: setattr(m.counts[0], "group", ""), "CountsPlan.group: is empty"),
        (lambda m: setattr(m.counts[0], "rung", 3), "CountsPlan.rung: 3 s is none"),
        (lambda m: setattr(m.counts[0], "odds", 0.5), "CountsPlan.odds: 0.5 is not"),
        (lambda m: setattr(m.counts[0], "odds", float("nan")), "CountsPlan.odds: nan is not"),
        (lambda m: setattr(m.counts[0], "epoch", 2**63), "CountsPlan.epoch: 92233720"),
    ],
)
def test_a_plan_is_refused(spoil: Callable[[ingest.Plan], object], line: str) -> None:
    message = plan()
    spoil(message)
    assert refusal(lambda: decode.plan(message)).startswith(line)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: setattr(m, "rung", 7), "Up1.rung: 7 s is none of 1, 2, 5, 10"),
        (lambda m: setattr(m, "block", -1), "Up1.block: -1 is no block of 5 s"),
        (lambda m: setattr(m, "block", LATE // 5 + 1), "Up1.block: 1844674408 is no block"),
        (lambda m: setattr(m, "plan", 2**63), "Up1.plan: 92233720"),
        (lambda m: m.ClearField("x"), "Up1.x: is KIND_UNSPECIFIED, not FLOAT32"),
        (lambda m: m.x.CopyFrom(pack(ZEROS.T, np.float32)), "Up1.x: has shape (2, 3), not (3, 2)"),
        (lambda m: with_value(m.x, inf), "Up1.x: is infinite at (2, 1)"),
        (lambda m: with_value(m.offset, -inf), "Up1.offset: is infinite at (2, 1)"),
        (lambda m: m.eligible.CopyFrom(m.x), "Up1.eligible: is FLOAT32, not BITS"),
        (lambda m: setattr(m.eligible, "data", b"\1\2"), "Up1.eligible: has 2 bytes"),
    ],
)
def test_block_values_are_refused(spoil: Callable[[ingest.Up1], object], line: str) -> None:
    message = up1()
    spoil(message)
    assert refusal(lambda: decode.up1(message, "h", SHAPE)).startswith(line)


def test_the_last_block_of_time_is_a_block() -> None:
    message = up1()
    message.block = LATE // 5
    assert decode.up1(message, "h", SHAPE).block == LATE // 5


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: m.ClearField("summaries"), "Down.summaries: is empty"),
        (lambda m: m.summaries.extend(list(m.summaries)), "Down.summaries: has 'g' twice"),
        (lambda m: setattr(m, "rung", 0), "Down.rung: 0 s is none"),
        (lambda m: setattr(m, "block", -1), "Down.block: -1 is no block"),
        (lambda m: setattr(m, "plan", 2**63), "Down.plan: 92233720"),
        (lambda m: setattr(m.summaries[1], "group", ""), "Summary.group: is empty"),
        (lambda m: m.summaries[0].ClearField("count_raw"), "Summary.count_raw: is KIND_UNSP"),
        (lambda m: m.summaries[0].ClearField("count_demeaned"), "Summary.count_demeaned: is KI"),
        (lambda m: with_value(m.summaries[0].s3_raw, inf), "Summary.s3_raw: is infinite at (1, 2)"),
        (lambda m: with_value(m.summaries[1].s3_demeaned, inf), "Summary.s3_demeaned: is inf"),
        (lambda m: setattr(m.summaries[0].included, "data", b""), "Summary.included: has 0 bytes"),
        (lambda m: with_value(m.summaries[0].total, inf), "Summary.total: is infinite at (1,)"),
        (lambda m: with_value(m.summaries[1].total, -1.0), "Summary.total: is below 0"),
    ],
)
def test_summaries_are_refused(spoil: Callable[[ingest.Down], object], line: str) -> None:
    message = down()
    spoil(message)
    assert refusal(lambda: decode.downs(message, SHAPE)).startswith(line)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: setattr(m, "rung", 4), "Up2.rung: 4 s is none"),
        (lambda m: setattr(m, "block", -2), "Up2.block: -2 is no block"),
        (lambda m: setattr(m, "plan", 2**63), "Up2.plan: 92233720"),
        (lambda m: with_value(m.change, inf), "Up2.change: claims inf nats at (2, 1)"),
        (lambda m: with_value(m.level, 1.1e6), "Up2.level: claims 1.1e+06 nats at (2, 1)"),
        (lambda m: with_value(m.change_epoch, -2), "Up2.change_epoch: is -2 at (2, 1)"),
        (lambda m: with_value(m.level_epoch, -2), "Up2.level_epoch: is -2 at (2, 1)"),
        (lambda m: with_value(m.change_onset, -2), "Up2.change_onset: is -2 at (2, 1)"),
        (lambda m: with_value(m.level_onset, 8), "Up2.level_onset: is 8 at (2, 1)"),
        (lambda m: with_value(m.learned, -2), "Up2.learned: is -2 at (2, 1)"),
        (lambda m: with_value(m.lags, inf), "Up2.lags: is infinite at (2, 1, 2)"),
        (lambda m: with_value(m.baseline, -inf), "Up2.baseline: is infinite at (2, 1, 99)"),
        (lambda m: m.baseline.CopyFrom(m.lags), "Up2.baseline: has shape (3, 2, 3), not"),
        (lambda m: m.windows.extend(list(m.windows)), "Up2.windows: has 10 twice"),
        (lambda m: setattr(m.windows[0], "length", 0), "Up2.windows: has a window of no blocks"),
        (lambda m: with_value(m.windows[0].sums, inf), "Up2.windows: is infinite"),
        (lambda m: m.windows.extend(m.windows[0] for _ in range(16)), "Up2.windows: has 17 of 16"),
        (lambda m: m.ClearField("long_run_scores"), "Up2.long_run: must come with"),
        (lambda m: m.ClearField("long_run"), "Up2.long_run: must come with"),
        (lambda m: with_value(m.long_run, inf), "Up2.long_run: is infinite"),
        (lambda m: with_value(m.long_run_scores, -2), "Up2.long_run_scores: is -2"),
        (lambda m: with_value(m.review.observed, -2), "LevelReport.observed: is -2"),
        (lambda m: with_value(m.review.median, inf), "LevelReport.median: is infinite"),
        (lambda m: with_value(m.review.noise_ratio, inf), "LevelReport.noise_ratio: is infinite"),
        (lambda m: with_value(m.review.lag_one, inf), "LevelReport.lag_one: is infinite"),
        (lambda m: with_value(m.review.runs, -2), "LevelReport.runs: is -2 at (2, 1, 4)"),
        (lambda m: m.review.plusses.CopyFrom(m.learned), "LevelReport.plusses: has shape (3, 2)"),
        (
            lambda m: m.review.runs.CopyFrom(pack(np.zeros((*SHAPE, 17), np.int32), np.int32)),
            "LevelReport.runs: has 17 of 16 lengths",
        ),
    ],
)
def test_evidence_is_refused(spoil: Callable[[ingest.Up2], object], line: str) -> None:
    message = up2()
    spoil(message)
    assert refusal(lambda: decode.up2(message, "h", SHAPE)).startswith(line)


@pytest.mark.parametrize("value", [nan, -inf, 1e6])
def test_evidence_may_be_unknown_or_nothing_or_a_million_nats(value: float) -> None:
    message = up2()
    with_value(message.change, value)
    np.testing.assert_equal(decode.up2(message, "h", SHAPE).change[2, 1], np.float32(value))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda m: m.ClearField("shard"), "RawTicks.shard: is empty"),
        (lambda m: m.metrics.append("a"), "RawTicks.metrics: has 'a' twice"),
        (lambda m: m.metrics.append(""), "RawTicks.metrics: is empty"),
        (lambda m: m.metrics.extend(map(str, range(511))), "RawTicks.metrics: has 513"),
        (lambda m: m.metrics.append("c"), "RawTicks.values: has shape (3, 2), not (3, 3)"),
        (lambda m: m.ClearField("at"), "RawTicks.at: is KIND_UNSPECIFIED"),
        (lambda m: with_value(m.at, nan), "RawTicks.at: is not a row of growing times"),
        (lambda m: with_value(m.at, inf), "RawTicks.at: is not a row of growing times"),
        (lambda m: with_value(m.at, 2.0), "RawTicks.at: is not a row of growing times"),
        (lambda m: with_value(m.values, inf), "RawTicks.values: is infinite"),
    ],
)
def test_raw_readings_are_refused(spoil: Callable[[ingest.RawTicks], object], line: str) -> None:
    message = ticks()
    spoil(message)
    assert refusal(lambda: decode.raw_ticks(message)).startswith(line)


ARRAYS = [
    field.name
    for field in ingest.Up2.DESCRIPTOR.fields
    if field.message_type and field.message_type.name == "Array" and field.name != "columns"
]


@pytest.mark.parametrize("field", ARRAYS)
def test_an_array_of_another_host_is_refused_wherever_it_stands(field: str) -> None:
    message = up2()
    getattr(message, field).shape[0] += 1
    assert refusal(lambda: decode.up2(message, "h", SHAPE)).startswith(f"Up2.{field}: has shape")
