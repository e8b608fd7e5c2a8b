"""Hosts whose shards and metrics come, go and change while they are watched.

Apart from the fleets that stay as they are, because here the source of a host is told what to be.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tessera.adapters.base import CounterSource, Reading, Shard
from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet, SyntheticSource
from tessera.lab.live import Live

from .living import BEGAN, INTERVAL

HOSTS, EIGHT = 5, 8
STEP_TIME = "step_time_seconds"


@dataclass
class Changing:
    """A host that shows of its ``shards`` and metrics what is not hidden, under the ``job``."""

    source: CounterSource
    name: str = "changing"
    hidden_shards: set[str] = field(default_factory=set)
    hidden_metrics: set[str] = field(default_factory=set)
    job: dict[str, str] = field(default_factory=dict)
    schemas: dict[str, str] = field(default_factory=dict)
    interval: float = INTERVAL

    def shards(self) -> Sequence[Shard]:
        shown = [s for s in self.source.shards() if s.id not in self.hidden_shards]
        return [replace(s, job=self.job.get(s.id, s.job)) for s in shown]

    def read(self, at: float) -> Iterable[Reading]:
        for reading in self.source.read(round((at - BEGAN) / INTERVAL)):
            shown = reading.shard not in self.hidden_shards
            if shown and reading.metric not in self.hidden_metrics:
                yield reading


class Fleet:
    """Forty shards on five changing hosts, played live."""

    def __init__(self, *faults: Fault, seed: int = 7) -> None:
        made = SyntheticFleet(FleetSpec(shards=HOSTS * EIGHT), seed, faults)
        self.topology = made.topology
        hosts = [n.id for n in made.topology.nodes if n.kind == "host"]
        self.hosts = {
            h: Changing(SyntheticSource(made, made.topology.members(h))) for h in hosts
        }

    def live(self, folder: Path) -> Live:
        return Live(
            self.hosts,
            folder,
            catalogue=default_catalogue(),
            topology=self.topology,
            horizon=4000.0,
            began=BEGAN,
            interval=INTERVAL,
        )
