"""What a synthetic fleet is made of, and three ready-made ones.

Apart, because calibration, the simulator and tests name a fleet without making it.
"""

from dataclasses import dataclass, replace

from ..topology.model import Edge, Node, Topology
from .faults import Fault


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """How one metric behaves: a level, the common mode times a loading, and own noise.

    ``base`` is the level in base units, ``sd`` the marginal standard deviation of a shard's own
    AR(``phi``) noise, ``static`` the standard deviation of fixed offsets as a share of ``base``.
    Loadings on the common mode are uniform in ``common`` × (1 ± ``loading``). ``multiplicative``
    makes noise and common mode act on the logarithm. ``quantum`` rounds readings (0: not at all).
    ``idle`` is the share of ``base`` left while the job is idle; None: no readings then.
    """

    name: str
    base: float
    sd: float
    phi: float = 0.0
    static: float = 0.03
    loading: float = 0.4
    common: float = 1.0
    quantum: float = 0.0
    multiplicative: bool = False
    idle: float | None = 1.0


@dataclass(frozen=True, slots=True)
class CommonSpec:
    """What all shards go through together, in units of a metric's ``sd``.

    A random walk of ``walk`` a tick, ``steps`` lasting changes N(0, ``step_sd``²) and ``shocks`` of
    one tick N(0, ``shock_sd``²) at random places of each ``span`` ticks, a sinusoid of
    ``amplitude`` and ``period`` ticks. Source: statistics.md D.
    """

    walk: float = 0.15
    steps: int = 8
    step_sd: float = 5.0
    shocks: int = 15
    shock_sd: float = 10.0
    amplitude: float = 2.0
    period: float = 1000.0
    span: int = 2500


DEFAULT_METRICS = (
    MetricSpec("power_watts", 700.0, 8.0, phi=0.8, quantum=0.01, idle=0.15),
    MetricSpec("temperature_celsius", 55.0, 0.6, phi=0.99, common=0.3, quantum=0.01, idle=0.6),
    MetricSpec(
        "step_time_seconds",
        1.2,
        0.012,
        static=0.003,
        common=0.3,
        quantum=1e-6,
        multiplicative=True,
        idle=None,
    ),
)


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """A fleet: its shape, its metrics and what they share.

    Hosts hold ``shards_per_host``, racks ``hosts_per_rack`` (0: neither exists). With ``stages``
    shard i works in stage i mod ``stages``, its role, and the last stage is slower by
    ``last_stage``. Shards are dealt to ``jobs`` in equal runs. ``missing`` is the share of readings
    lost; ``tails`` the degrees of freedom of Student innovations, above 2 (None: normal);
    ``phases`` lets jobs start and stop.
    """

    shards: int = 64
    shards_per_host: int = 8
    hosts_per_rack: int = 4
    stages: int = 0
    last_stage: float = 1.0
    jobs: tuple[str, ...] = ("train",)
    sku: str = "gpu"
    metrics: tuple[MetricSpec, ...] = DEFAULT_METRICS
    common: CommonSpec = CommonSpec()
    missing: float = 0.0
    tails: float | None = None
    phases: bool = False

    def __post_init__(self) -> None:
        """Refuse a shape or a share that means nothing."""
        for wrong, message in (
            (self.shards < 1, "a fleet needs at least one shard"),
            (not self.metrics, "a fleet needs at least one metric"),
            (not 0 <= self.missing < 1, "the missing share lies in [0, 1)"),
            (not _has_variance(self.tails), "tails need a finite number above 2 of degrees"),
            (not 1 <= len(self.jobs) <= self.shards, "every job needs a shard"),
        ):
            if wrong:
                raise ValueError(message)

    def job_of(self, shard: int) -> int:
        """Return the index of the job that shard number ``shard`` works for."""
        return shard * len(self.jobs) // self.shards


def _has_variance(tails: float | None) -> bool:
    return tails is None or 1 < tails / 2 < float("inf")


def null_fleet(*, shards: int = 64, ticks: int = 2500, phi: float = 0.9) -> FleetSpec:
    """Return the null of calibration: healthy, one metric, nothing kind about it.

    ``power_watts`` of one job, own noise AR(``phi``), loadings ±40 %, static spread 3 %, eight
    shared steps N(0, 5 sd) and fifteen shocks N(0, 10 sd) in each ``ticks``.
    """
    metric = MetricSpec("power_watts", 700.0, 8.0, phi=phi)
    common = CommonSpec(walk=0.0, amplitude=0.0, span=ticks)
    return FleetSpec(shards=shards, metrics=(metric,), common=common)


def straggler(
    *, factor: float = 1.3, onset: int = 0, shards: int = 16
) -> tuple[FleetSpec, tuple[Fault, ...]]:
    """Return a pipeline job in four stages, and faults that slow its first worker by ``factor``.

    Shaped like the recorded job of DESIGN section 2: compute times with 1 % lognormal noise, the
    last stage 6 % slower by design. ``onset`` is the first slow tick.
    """
    forward = MetricSpec(
        "forward_compute_seconds",
        0.215,
        0.00215,
        static=0.002,
        common=0.0,
        quantum=1e-6,
        multiplicative=True,
        idle=None,
    )
    backward = replace(forward, name="backward_compute_seconds", base=0.38, sd=0.0038)
    spec = FleetSpec(
        shards=shards,
        shards_per_host=0,
        stages=4,
        last_stage=1.06,
        metrics=(backward, forward),
        common=CommonSpec(walk=0.0, steps=0, shocks=0, amplitude=0.0),
    )
    slow = Fault(shard_names(spec)[0], "*", "step", round(factor - 1, 9), onset, unit="fraction")
    return spec, (slow,)


def mixed_fleet(*, shards: int = 64) -> FleetSpec:
    """Return two jobs that start and stop, with power, temperature and step time."""
    return FleetSpec(
        shards=shards, jobs=("train-a", "train-b")[: max(1, min(2, shards))], phases=True
    )


def shard_names(spec: FleetSpec) -> tuple[str, ...]:
    """Return the ids of the shards in the order in which the fleet numbers them."""
    if spec.stages:
        pairs = (divmod(i, spec.stages) for i in range(spec.shards))
        return tuple(f"dp{replica:02}-pp{stage}" for replica, stage in pairs)
    if spec.shards_per_host:
        pairs = (divmod(i, spec.shards_per_host) for i in range(spec.shards))
        return tuple(f"host-{host:02}-gpu-{slot}" for host, slot in pairs)
    return tuple(f"gpu-{i:03}" for i in range(spec.shards))


def fleet_topology(spec: FleetSpec) -> Topology:
    """Return the cluster, racks, hosts and stages of ``spec``, and its shards beneath them."""
    names = shard_names(spec)
    nodes, edges = {"cluster": Node("cluster", "cluster")}, set[tuple[str, str]]()
    for number, name in enumerate(names):
        role = f"pp{number % spec.stages}" if spec.stages else "worker"
        about = {"sku": spec.sku, "job": spec.jobs[spec.job_of(number)], "role": role}
        for chain in _chains(spec, number, role):
            for (above, kind), (below, _) in zip(chain, [*chain[1:], (name, "")], strict=True):
                nodes.setdefault(above, Node(above, kind))
                edges.add((above, below))
        nodes[name] = Node(name, "gpu_shard", about)
    contained = tuple(Edge(above, below, "contains") for above, below in sorted(edges))
    return Topology(tuple(nodes.values()), contained)


def _chains(spec: FleetSpec, number: int, role: str) -> list[list[tuple[str, str]]]:
    """Return the ways from the cluster down to a shard: by rack and host, by stage, or direct."""
    chains = []
    if spec.shards_per_host:
        host = number // spec.shards_per_host
        place = [("cluster", "cluster"), (f"host-{host:02}", "host")]
        if spec.hosts_per_rack:
            place.insert(1, (f"rack-{host // spec.hosts_per_rack:02}", "rack"))
        chains.append(place)
    if spec.stages:
        chains.append([("cluster", "cluster"), (role, "stage")])
    return chains or [[("cluster", "cluster")]]
