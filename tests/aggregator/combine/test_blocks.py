import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.combine.blocks import Blocks
from tessera.aggregator.combine.gather import Gathered
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.fleet import Fleet
from tessera.proto.messages import Down

from ..fleets import fleet_of, tree, worker

HOSTS, GPUS, RUNG, PLAN = 4, 4, 1, 7


def two_jobs() -> Fleet:
    """Return four hosts of four shards, of which the last host has a job of its own."""
    topology = tree(1, HOSTS, GPUS)
    jobs = {f"gpu-0-3-{g}": "serve" for g in range(GPUS)}
    return fleet_of(topology, [worker(n, job=jobs.get(n, "train")) for n in topology.shards])


def gathered(values: npt.NDArray[np.float64]) -> Gathered:
    """Return a block of these values (S,), no offset known, in which shard 0 is not eligible."""
    x = values.astype(np.float32)[:, None]
    return Gathered(
        x,
        np.full_like(x, np.nan),
        np.arange(len(x)) != 0,
        np.zeros(len(x), dtype=np.bool_),
        {"here"},
    )


def downs(fleet: Fleet, held: Gathered) -> dict[str, Down]:
    """Return what the one host is told, by group."""
    blocks = Blocks(fleet, 500.0)
    blocks.adopt(Planner(fleet, shortest=RUNG, horizon=500.0))
    closed = blocks.close(RUNG, held)
    return {down.group: down for down in blocks.downs("here", (RUNG, 5), closed, held, PLAN)}


def test_a_host_is_told_of_every_group_of_its_shards_and_of_no_other() -> None:
    fleet = two_jobs()
    told = downs(fleet, gathered(np.arange(16.0)))
    assert set(told) == {fleet.groups[g] for g in np.unique(fleet.group[: fleet.shard_count])}
    assert {(down.rung, down.block, down.plan) for down in told.values()} == {(RUNG, 5, PLAN)}


def test_a_group_is_told_the_middle_of_its_eligible_members() -> None:
    fleet = two_jobs()
    told = downs(fleet, gathered(np.arange(16.0)))
    train, serve = (told[fleet.groups[int(fleet.group[row])]] for row in (0, 15))
    assert (train.count_raw.tolist(), serve.count_raw.tolist()) == ([11], [4])
    assert train.s3_raw[0].tolist() == [5.0, 6.0, 7.0]  # of 1 to 11: shard 0 stays out
    assert serve.s3_raw[0].tolist() == [12.0, 13.0, 14.0]
    assert train.included.tolist() == [False] + [True] * 15
    assert train.count_demeaned.tolist() == [0]


def test_a_node_beyond_its_siblings_gains_evidence_from_the_same_blocks() -> None:
    fleet, rng = fleet_of(tree(1, 16, GPUS)), np.random.default_rng(1)
    planner, blocks = Planner(fleet, shortest=RUNG, horizon=500.0), Blocks(fleet, 500.0)
    blocks.adopt(planner)
    found = []
    for block in range(40):
        values = 0.01 * rng.standard_normal(16 * GPUS)
        values[2 * GPUS : 3 * GPUS] += 0.12
        closed = blocks.close(RUNG, gathered(values))
        found.append(blocks.nodes((RUNG, block), closed, planner.members.needed()))
    level = found[-1].level[:, 0]
    assert fleet.nodes[int(np.nanargmax(level))].id == "host-0-2"
    assert np.nanmax(level) > np.log(100.0)
    assert np.sort(level[np.isfinite(level)])[-2] == pytest.approx(0.0, abs=1.0)
