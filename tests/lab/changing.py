"""Hosts whose shards and metrics come, go and change while they are watched.

Apart from the fleets that stay as they are, because here the source of a host is told what to be.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tessera.adapters.base import CounterSource, Reading, Shard
from tessera.adapters.catalogue import default_catalogue
from tessera.adapters.synthetic.faults import Fault
from tessera.adapters.synthetic.fleet import FleetSpec, SyntheticFleet, SyntheticSource
from tessera.aggregator.decide.transition import Transition
from tessera.lab.live import Live

from .living import BEGAN, INTERVAL, Values, mind, run, values

HOSTS, EIGHT = 5, 8
STEP_TIME = "step_time_seconds"
HORIZON = 4000.0  # seconds


@dataclass
class Changing:
    """A host that shows of its ``source`` what is not hidden, under other jobs where told so.

    ``silent`` shards are there and have no readings; ``slices`` are what a shard was cut into.
    """

    source: CounterSource
    name: str = "changing"
    hidden: set[str] = field(default_factory=set)  # shards and metrics
    silent: set[str] = field(default_factory=set)
    job: dict[str, str] = field(default_factory=dict)
    slices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    schemas: dict[str, str] = field(default_factory=dict)
    interval: float = INTERVAL

    def shards(self) -> Sequence[Shard]:
        found: list[Shard] = []
        for shard in self.source.shards():
            shown = replace(shard, job=self.job.get(shard.id, shard.job))
            cut = self.slices.get(shard.id)
            found += [shown] if cut is None else _cut(shown, cut)
        return [shard for shard in found if shard.id not in self.hidden]

    def read(self, at: float) -> Iterable[Reading]:
        kept_back = self.hidden | self.silent | self.slices.keys()
        for reading in self.source.read(round((at - BEGAN) / INTERVAL)):
            if not {reading.shard, reading.metric} & kept_back:
                yield reading


def _cut(shard: Shard, names: Iterable[str]) -> list[Shard]:
    return [replace(shard, id=name, kind="mig_slice", sku=f"{shard.sku}-slice") for name in names]


@dataclass(frozen=True)
class Played:
    """What has come of a run: transitions, ln M and epochs by name, and the number of rows."""

    transitions: tuple[Transition, ...]
    values: Values
    epochs: dict[str, int]
    hypotheses: int


class Fleet:
    """Forty shards on five changing hosts, one of which may become slow."""

    def __init__(self, *faults: Fault, seed: int = 7) -> None:
        made = SyntheticFleet(FleetSpec(shards=HOSTS * EIGHT), seed, faults)
        self.topology = made.topology
        names = [n.id for n in made.topology.nodes if n.kind == "host"]
        self.hosts = {
            name: Changing(SyntheticSource(made, made.topology.members(name))) for name in names
        }

    @asynccontextmanager
    async def live(self, folder: Path) -> AsyncIterator[Live]:
        """Lend the fleet as agents and an aggregator, at its first tick."""
        async with Live(
            self.hosts,
            folder,
            catalogue=default_catalogue(),
            topology=self.topology,
            horizon=HORIZON,
            began=BEGAN,
            interval=INTERVAL,
        ) as fleet:
            yield fleet

    async def played(
        self, folder: Path, change: Callable[["Fleet"], None], at: int, ticks: int
    ) -> Played:
        """Let ``ticks`` pass, with a ``change`` after ``at`` of them; return what comes of it."""
        async with self.live(folder) as fleet:
            done = await run(fleet, at)
            change(self)
            done += await run(fleet, ticks - at)
            return told(fleet, done)


def told(fleet: Live, done: Sequence[Transition]) -> Played:
    """Return what has come of a run that is over."""
    pipeline = mind(fleet)
    epochs = pipeline.planner.parts().epochs.max(axis=(0, 1))
    names = pipeline.fleet.rows
    return Played(
        tuple(done), values(pipeline), dict(zip(names, epochs.tolist(), strict=True)), len(names)
    )


def others(found: Values, *without: str) -> Values:
    """Return ln M of all nodes whose names do not begin with one of ``without``."""
    return {key: value for key, value in found.items() if not key[2].startswith(without)}
