"""Small fleets for tests, and hosts that talk to one aggregator block by block.

Apart, because every part of the aggregator is tested on a table of rows, and none makes one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tessera.adapters.catalogue import Metric, apply_transform
from tessera.adapters.synthetic.fleet import FleetSpec, MetricSpec, SyntheticFleet
from tessera.adapters.topology.model import Edge, Node, Topology
from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block, Fold
from tessera.aggregator.decide.audit import Audit
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline, StepResult
from tessera.aggregator.state.fleet import Fleet, build_fleet
from tessera.engine.level import LevelReport
from tessera.engine.outcome import Outcome
from tessera.proto.messages import Inventory, ShardRow, Up1, Up2

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP_TIME = Metric(
    "step_time_seconds",
    "s",
    transform="log",
    direction=1,
    margin=0.05,
    role_margin=0.1,
    fast=1,
    slow=5,
    level=1,
)
POWER = Metric("power_watts", "W", fast=5, slow=30)

_KINDS = {"gpu": "gpu_shard", "cooling": "cooling_zone"}
_RELATIONS = {"psu": "power_supply", "cooling": "cooling"}


def graph(beneath: Mapping[str, str]) -> Topology:
    """Return the topology in which each key stands above the words of its text.

    A name's kind is what stands before its first dash; gpu-… are shards.
    """
    names = dict.fromkeys(n for above, below in beneath.items() for n in (above, *below.split()))
    nodes = [Node(name, _KINDS.get(_stem(name), _stem(name))) for name in names]
    edges = [
        Edge(above, name, _RELATIONS.get(_stem(above), "contains"))
        for above, below in beneath.items()
        for name in below.split()
    ]
    return Topology(tuple(nodes), tuple(edges))


def _stem(name: str) -> str:
    return name.partition("-")[0]


def tree(racks: int, hosts: int, gpus: int) -> Topology:
    """Return a cluster of racks of hosts of shards, named cluster, rack-0, host-0-1, gpu-0-1-2."""
    beneath = {"cluster": " ".join(f"rack-{r}" for r in range(racks))}
    for r in range(racks):
        beneath[f"rack-{r}"] = " ".join(f"host-{r}-{h}" for h in range(hosts))
        for h in range(hosts):
            beneath[f"host-{r}-{h}"] = " ".join(f"gpu-{r}-{h}-{g}" for g in range(gpus))
    return graph(beneath)


def flat(shards: int) -> Topology:
    """Return a cluster of shards gpu-0, gpu-1, … and nothing between."""
    return graph({"cluster": " ".join(f"gpu-{i}" for i in range(shards))})


def worker(shard: str, sku: str = "h100", job: str = "train", role: str = "worker") -> ShardRow:
    return ShardRow(shard, "gpu_shard", sku, job, role)


def workers(topology: Topology) -> tuple[ShardRow, ...]:
    return tuple(worker(shard) for shard in topology.shards)


def fleet_of(
    topology: Topology,
    shards: Sequence[ShardRow] | None = None,
    metrics: Sequence[Metric] = (STEP_TIME,),
) -> Fleet:
    """Return the fleet of ``shards``, all workers of the topology by default, on one host."""
    rows = workers(topology) if shards is None else tuple(shards)
    inventory = Inventory("here", 1, rows, tuple(m.name for m in metrics))
    return build_fleet([inventory], topology, metrics)


def outcome(rows: int, metrics: int = 1, *, block: int = 0) -> Outcome:
    """Return an outcome that brings no evidence and no news, for ``dataclasses.replace``."""
    shape = (rows, metrics)
    return Outcome(
        block=block,
        change=np.zeros(shape),
        level=np.zeros(shape),
        change_epoch=np.zeros(shape, dtype=np.int64),
        level_epoch=np.zeros(shape, dtype=np.int64),
        change_onset=np.full(shape, -1, dtype=np.int64),
        level_onset=np.full(shape, -1, dtype=np.int64),
        learned=np.zeros(shape, dtype=np.int64),
        lags=None,
        baseline=None,
        windows={},
        long_run=None,
        long_run_scores=None,
        review=None,
    )


def notes(
    rows: int,
    *,
    observed: int = 20,
    median: float | Floats = 0.0,
    noise_ratio: float = 0.1,
    lag_one: float = 0.0,
) -> LevelReport:
    """Return what streams of one metric report that are quiet, unless told otherwise."""
    shape = (rows, 1)
    return LevelReport(
        observed=np.full(shape, observed, dtype=np.int64),
        median=np.broadcast_to(np.asarray(median, dtype=np.float64), rows).reshape(shape).copy(),
        noise_ratio=np.full(shape, noise_ratio),
        lag_one=np.full(shape, lag_one),
        runs=np.zeros((*shape, 5), dtype=np.int64),
        plusses=np.zeros((*shape, 5), dtype=np.int64),
    )


def step_times(spec: FleetSpec, *, sd: float = 0.012, phi: float = 0.0) -> FleetSpec:
    """Return ``spec`` with one metric, step times of 1.2 s with 1 % noise."""
    metric = MetricSpec(
        "step_time_seconds", 1.2, sd, phi=phi, static=0.003, common=0.3, multiplicative=True
    )
    return replace(spec, metrics=(metric,))


class Hosts:
    """Agents of one fleet and their aggregator, passing whole blocks by hand."""

    def __init__(
        self,
        topology: Topology,
        inventories: Sequence[Inventory],
        metrics: Sequence[Metric],
        *,
        horizon: float,
    ) -> None:
        """Take the seconds of an epoch; ticks are one second apart."""
        self.fleet = build_fleet(inventories, topology, metrics)
        self.pipeline = Pipeline(self.fleet, shortest=1, horizon=horizon)
        self.agents = {i.host: Evidence(i) for i in inventories}
        self.downs = 0
        self.said = list[Audit]()
        self._metrics = metrics
        self._fold = Fold((self.fleet.shard_count, len(metrics)))
        self._follow(self.pipeline.step(0.0, ()))

    def play(self, readings: Floats, order: Sequence[str] | None = None) -> list[Transition]:
        """Return the transitions that raw ``readings`` (T, S, M) cause; hosts speak in ``order``.

        Who is not in ``order`` is not heard.
        """
        done: list[Transition] = []
        for at, tick in enumerate(readings):
            done += self.tick(float(at), tick, order)
        return done

    def tick(self, at: float, tick: Floats, order: Sequence[str] | None = None) -> list[Transition]:
        """Return the transitions that the readings (S, M) of one second cause."""
        scaled = np.stack(
            [apply_transform(m, tick[:, j]) for j, m in enumerate(self._metrics)], axis=1
        )
        done: list[Transition] = []
        for block in self._fold.push(at, scaled):
            done += self.exchange(at, block, order or tuple(self.agents))
        return done

    def carry(self, fleet: Fleet, *joined: Inventory) -> None:
        """Go on with another fleet: hosts that ``joined`` send from now on, those gone do not.

        Readings are those of the shards of all that send, in the order of the first fleet, those
        who joined behind.
        """
        self.pipeline = self.pipeline.carried(fleet)
        self.agents = {h: a for h, a in self.agents.items() if h in fleet.hosts}
        for inventory in joined:
            self.agents[inventory.host] = Evidence(inventory)
        self.fleet = fleet
        if joined:
            self._fold = Fold((fleet.shard_count, len(self._metrics)))
        self._follow(self.pipeline.step(0.0, ()))

    def exchange(self, at: float, block: Block, order: Iterable[str]) -> list[Transition]:
        """Pass one block of the whole fleet up, its summaries down, its evidence up."""
        ups = [self.offer(host, block) for host in order]
        result = self.pipeline.step(at, ups)
        done = list(result.transitions)
        self._follow(result)
        found: list[Up2] = []
        for host in order:
            downs = result.downs.get(host, ())
            self.downs += len(downs)
            made = self.agents[host].answer(downs) if downs else None
            if made is not None:
                found.append(made)
        result = self.pipeline.step(at, found)
        self._follow(result)
        return done + list(result.transitions)

    def offer(self, host: str, block: Block) -> Up1:
        """Return the rows of ``block`` that ``host`` has."""
        mine = block.x[self.fleet.hosts[host]]
        return self.agents[host].offer(Block(block.rung, block.index, mine))

    def _follow(self, result: StepResult) -> None:
        self.said += result.audit
        if result.plan is not None:
            for agent in self.agents.values():
                agent.adopt(result.plan)
            self._fold.watch(next(iter(self.agents.values())).columns())


def hosts_of(
    made: SyntheticFleet, metrics: Sequence[Metric], *, hosts: int, horizon: float
) -> Hosts:
    """Return the agents of a synthetic fleet, its shards dealt to ``hosts`` in equal runs."""
    rows = [
        ShardRow(name, "gpu_shard", about["sku"], about["job"], about["role"])
        for name, about in ((n, made.topology.node(n).metadata) for n in made.names)
    ]
    names = tuple(m.name for m in metrics)
    runs = np.array_split(np.arange(len(rows)), hosts)
    inventories = [
        Inventory(f"h{i}", 1, tuple(rows[r] for r in run), names) for i, run in enumerate(runs)
    ]
    return Hosts(made.topology, inventories, metrics, horizon=horizon)
