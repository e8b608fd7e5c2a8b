"""What a host makes of columns that are counted, and of the one that judges others together."""

from dataclasses import replace

import numpy as np

from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block
from tessera.agent.ledger import CLASSES
from tessera.engine.arrays import Floats
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.peers import central
from tessera.engine.snapshot import restored, snapshot
from tessera.proto.messages import (
    ChangePlan,
    CountsPlan,
    Down,
    Inventory,
    Plan,
    ShardRow,
    Up2,
)

METRICS = ("joint", "power", "replays", "volts")
POWER, REPLAYS, VOLTS = 1, 2, 3
RUNG, SHARDS, CROSSING = 10, 16, np.log(100.0)
NAMES = tuple(f"gpu-{i}" for i in range(SHARDS))


def host() -> Evidence:
    rows = tuple(ShardRow(shard, "gpu", "h200", "train", "worker") for shard in NAMES)
    made = Evidence(Inventory("host", 1, rows, METRICS))
    made.adopt(plan())
    return made


def plan() -> Plan:
    change = [
        ChangePlan(m, "h200", RUNG, 0.0, 1.0, 0, stream_kappa={}) for m in METRICS if m != "replays"
    ]
    return Plan(
        id=1,
        groups=dict.fromkeys(NAMES, "peers"),
        pools=dict.fromkeys(NAMES, "h200"),
        needed={"peers": (3, 3)},
        change=tuple(change),
        level=(),
        horizon=10_000.0,
        counts=(
            CountsPlan("replays", "peers", RUNG, 2.0, 0),
            CountsPlan("replays", "others", 60, 2.0, 0),
        ),
    )


def values(seed: int, blocks: int) -> Floats:
    """Blocks x shards x metrics: two gauges alike but for little, few errors, nothing joint."""
    rng = np.random.default_rng(seed)
    x = np.full((blocks, SHARDS, len(METRICS)), np.nan)
    shared = rng.normal(size=(blocks, SHARDS))
    x[..., POWER] = shared + 0.2 * rng.normal(size=shared.shape)
    x[..., VOLTS] = shared + 0.2 * rng.normal(size=shared.shape)
    x[..., REPLAYS] = rng.poisson(0.05, shared.shape)
    return x


def play(one: Evidence, x: Floats, first: int = 0, *, totals: bool = True) -> Up2:
    """Let ``one`` exchange blocks ``x`` with its group of all shards; return the last evidence."""
    told: Up2 | None = None
    for index, row in enumerate(x.astype(np.float32), first):
        up1 = one.offer(Block(RUNG, index, row))
        raw, demeaned = central(up1.x), central(up1.x - up1.offset)
        total = np.where(np.arange(len(METRICS)) == REPLAYS, np.nansum(up1.x, axis=0), np.nan)
        down = Down(
            "peers",
            RUNG,
            index,
            raw.count,
            raw.s3.astype(np.float32),
            demeaned.count,
            demeaned.s3.astype(np.float32),
            np.ones(SHARDS, dtype=np.bool_),
            total=total.astype(np.float32) if totals else None,
        )
        told = one.answer([down])
    assert told is not None
    return told


def test_the_joint_column_is_not_folded_and_counts_are() -> None:
    assert {rung: found.tolist() for rung, found in host().columns().items()} == {
        RUNG: [POWER, REPLAYS, VOLTS],
        60: [REPLAYS],
    }


def test_null_a_healthy_host_raises_nothing() -> None:
    told = play(host(), values(1, 2 * LEARNING_BLOCKS + 100))
    assert np.nanmax(told.change) < CROSSING
    assert np.nanmax(told.level) < CROSSING
    assert (told.learned[:, 0] == LEARNING_BLOCKS).all()
    assert np.isfinite(told.change).all(axis=0).tolist() == [True, True, False, True]
    assert np.isfinite(told.level).all(axis=0).tolist() == [False, False, True, False]


def test_power_gauges_that_part_and_a_shard_that_errs_are_found_each_in_its_column() -> None:
    onset = 2 * LEARNING_BLOCKS + 100
    x = values(2, onset + 40)
    x[onset:, 3, POWER] += 1.5
    x[onset:, 3, VOLTS] -= 1.5
    x[onset:, 9, REPLAYS] += 1.0
    told = play(host(), x)
    assert np.flatnonzero(told.change[:, 0] >= CROSSING).tolist() == [3]
    assert np.flatnonzero(told.level[:, REPLAYS] >= CROSSING).tolist() == [9]


def test_without_a_total_counts_are_not_bet() -> None:
    told = play(host(), values(3, 30), totals=False)
    assert (told.level[:, REPLAYS] == 0.0).all()


def test_what_a_host_holds_goes_on_to_the_last_bit() -> None:
    one, x = host(), values(4, 2 * LEARNING_BLOCKS + 40)
    play(one, x[:-20])
    again = restored(snapshot(one, CLASSES), CLASSES)
    assert isinstance(again, Evidence)
    first, second = (play(each, x[-20:], len(x) - 20) for each in (one, again))
    for name in ("change", "level", "learned", "change_onset"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_an_epoch_of_counts_that_grew_begins_at_one() -> None:
    one = host()
    play(one, values(5, 60))
    grown = tuple(replace(cell, epoch=1) for cell in plan().counts)
    one.adopt(replace(plan(), id=2, counts=grown))
    x = np.zeros((1, SHARDS, len(METRICS)))
    told = play(one, x, 60)
    assert (told.level[:, REPLAYS] == 0.0).all()
    assert (told.level_epoch[:, REPLAYS] == 1).all()
