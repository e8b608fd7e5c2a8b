import numpy as np
import numpy.typing as npt

from tessera.aggregator.combine.contrasts import Contrasts
from tessera.aggregator.combine.peers import Summariser
from tessera.aggregator.plan.planner import Planner
from tessera.engine.streams import Outcome

from ..fleets import fleet_of, tree

Float32s = npt.NDArray[np.float32]
HOSTS = 8


class Nodes:
    """Hosts of two shards whose medians are given by hand."""

    def __init__(self) -> None:
        self.fleet = fleet_of(tree(1, HOSTS, 2))
        self.planner = Planner(self.fleet, shortest=1, horizon=500.0)
        self.contrasts = Contrasts(self.fleet, 500.0)
        self.contrasts.adopt(self.planner)
        groups = [np.flatnonzero(self.fleet.group == g) for g in range(len(self.fleet.groups))]
        self._summariser = Summariser(groups, len(self.fleet.rows))

    def step(self, block: int, values: Float32s) -> Outcome:
        shards = np.full(self.fleet.shard_count, np.nan, dtype=np.float32)
        x = np.concatenate([shards, values])[:, None].astype(np.float32)
        everyone = np.ones(len(x), dtype=np.bool_)
        found = self._summariser.summarise(x, np.full_like(x, np.nan), everyone, np.array([0]))
        own = x[self.fleet.shard_count :]
        return self.contrasts.step(1, block, own, found, self.planner.members.needed())


def medians(ill: float, seed: int) -> Float32s:
    """Return log medians of eight hosts and their rack; host 2 is ``ill`` higher."""
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


def test_a_node_without_siblings_has_no_level_stream() -> None:
    outcome = Nodes().step(0, medians(0.0, 0))
    assert np.isnan(outcome.level[-1, 0])


def test_offsets_are_learned_by_the_nodes_own_streams() -> None:
    nodes = Nodes()
    assert np.isnan(nodes.contrasts.offset(1)).all()
    for block in range(60):
        nodes.step(block, medians(0.1, block))
    offset = nodes.contrasts.offset(1)[:HOSTS, 0]
    assert offset[2] - np.median(offset) > 0.08
