import numpy as np
import numpy.typing as npt
import pytest

from tessera.aggregator.combine.contrasts import Contrasts, NodeValues
from tessera.aggregator.combine.peers import Summariser
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.move import Move
from tessera.engine.outcome import Outcome

from ..fleets import fleet_of, tree, worker

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
HOSTS = 16


class Nodes:
    """Hosts of two shards whose two values are given by hand."""

    def __init__(self) -> None:
        self.fleet = fleet_of(tree(1, HOSTS, 2))
        self.planner = Planner(self.fleet, shortest=1, horizon=500.0)
        self.contrasts = Contrasts(self.fleet, 500.0)
        self.contrasts.adopt(self.planner)
        groups = [np.flatnonzero(self.fleet.group == g) for g in range(len(self.fleet.groups))]
        self._summariser = Summariser(groups, len(self.fleet.rows))

    def step(self, block: int, level: Float32s, change: Float32s | None = None) -> Outcome:
        values = NodeValues(level[:, None], (level if change is None else change)[:, None])
        shards = np.full((self.fleet.shard_count, 1), np.nan, dtype=np.float32)
        demeaned = self.contrasts.demeaned(1, values.change)
        x, y = np.vstack([shards, values.level]), np.vstack([shards, demeaned])
        everyone = np.ones(len(x), dtype=np.bool_)
        found = self._summariser.summarise(x, y, everyone, np.array([0]))
        return self.contrasts.step(1, block, values, found, self.planner.members.needed())


def medians(ill: float, seed: int) -> Float32s:
    """Return log medians of sixteen hosts and their rack; host 2 is ``ill`` higher."""
    values = 0.01 * np.random.default_rng(seed).standard_normal(HOSTS + 1)
    values[2] += ill
    return values.astype(np.float32)


def test_a_host_beyond_the_margin_of_its_siblings_gains_evidence() -> None:
    nodes = Nodes()
    outcome = [nodes.step(block, medians(0.12, block)) for block in range(40)][-1]
    assert outcome.level[2, 0] > np.log(100.0)
    assert np.delete(outcome.level, [2, HOSTS], axis=0).max() < 1.0


def test_hosts_that_are_alike_gain_none() -> None:
    nodes = Nodes()
    outcome = [nodes.step(block, medians(0.0, block)) for block in range(100)][-1]
    assert np.nanmax(outcome.level) < 1.0


def test_a_node_without_siblings_has_no_stream_of_either_channel() -> None:
    outcome = Nodes().step(0, medians(0.0, 0))
    for told in (outcome.level, outcome.change):
        assert np.isnan(told[-1, 0])
        assert np.isfinite(told[:-1]).all()
    assert outcome.learned[-1, 0] == -1


def test_offsets_are_learned_by_the_nodes_own_streams() -> None:
    nodes = Nodes()
    for block in range(60):
        nodes.step(block, medians(0.1, block))
    offset = -nodes.contrasts.demeaned(1, np.zeros((HOSTS + 1, 1), dtype=np.float32))[:HOSTS, 0]
    assert offset[2] - np.median(offset) > 0.08


def test_the_level_channel_hears_raw_medians_and_the_change_channel_the_steady_ones() -> None:
    nodes, nothing = Nodes(), np.full(HOSTS + 1, np.nan, dtype=np.float32)
    outcome = [nodes.step(block, medians(0.12, block), nothing) for block in range(30)][-1]
    assert outcome.level[2, 0] > np.log(100.0)
    assert (outcome.learned[:HOSTS] == 0).all()
    outcome = [nodes.step(block, nothing, medians(0.0, block)) for block in range(30, 60)][-1]
    assert (outcome.learned[:HOSTS] == 30).all()


def steady(nodes: Nodes, counts: Floats, times: int) -> list[bool]:
    """Return which nodes have a value after ``counts`` members stood behind it so often."""
    behind = counts.astype(np.int64)[:, None]
    values = np.zeros(behind.shape, dtype=np.float32)
    found = [nodes.contrasts.steady(1, values, behind) for _ in range(times)][-1]
    return [bool(known) for known in np.isfinite(found[:, 0])]


@pytest.mark.parametrize(("left", "known"), [(6, True), (5, False)])
def test_a_block_without_a_quarter_of_the_usual_members_says_nothing_of_change(
    left: int,
    known: bool,  # noqa: FBT001 - the table's second column
) -> None:
    nodes, whole = Nodes(), np.full(HOSTS + 1, 8.0)
    steady(nodes, whole, 30)
    some = np.where(np.arange(HOSTS + 1) == 2, left, whole)
    assert steady(nodes, some, 1) == [i != 2 or known for i in range(HOSTS + 1)]


def test_a_loss_that_lasts_becomes_usual_and_a_block_without_anyone_does_not() -> None:
    nodes, fewer = Nodes(), np.full(HOSTS + 1, 5.0)
    steady(nodes, np.full(HOSTS + 1, 8.0), 1)
    steady(nodes, np.zeros(HOSTS + 1), 300)
    assert not any(steady(nodes, fewer, 50))
    assert all(steady(nodes, fewer, 50))


def test_nodes_among_other_siblings_forget_what_they_learned_and_the_others_do_not() -> None:
    nodes = Nodes()
    last = [nodes.step(block, medians(0.1, block)) for block in range(60)][-1]
    topology, zero = tree(1, HOSTS, 2), np.zeros((HOSTS + 1, 1), dtype=np.float32)
    jobs = {f"gpu-0-{h}-{g}": "serve" for h in range(4) for g in range(2)}
    shards = [worker(name, job=jobs.get(name, "train")) for name in topology.shards]
    fleet = fleet_of(topology, shards)
    move = Move.of(nodes.fleet, fleet)
    planner, contrasts = Planner(fleet, shortest=1, horizon=500.0), Contrasts(fleet, 500.0)
    planner.inherit(nodes.planner, move)
    contrasts.inherit(nodes.contrasts, move)
    contrasts.adopt(planner)
    assert last.level[2, 0] > np.log(100.0)
    known = contrasts.demeaned(1, zero)[:HOSTS, 0] != 0.0
    assert np.flatnonzero(known).tolist() == list(range(4, HOSTS))
