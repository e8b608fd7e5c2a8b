"""Play readings through one host's evidence and the aggregator's pipeline, tick by tick.

Apart from what is played and what is printed, because replay, calibration and the coming live
demo differ only there; the order of messages is this one.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..adapters.catalogue import Metric, apply_transform
from ..adapters.topology.model import Topology
from ..agent.columns import Columns
from ..agent.evidence import Evidence
from ..agent.fold import Block, Fold
from ..agent.rates import Rates
from ..agent.warm import Warm
from ..aggregator.decide.transition import Transition
from ..aggregator.pipeline import Pipeline, StepResult
from ..aggregator.state.fleet import build_fleet
from ..proto.baseline_file import Baseline
from ..proto.messages import Down, Inventory, ShardRow

Floats = npt.NDArray[np.float64]

HOST = "recording"


class Lockstep:
    """A fleet whose shards all sit on one host, and its aggregator, on a simulated clock."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a play depends on
        self,
        topology: Topology,
        shards: Sequence[str],
        metrics: Sequence[Metric],
        *,
        interval: float,
        shortest: int,
        horizon: float,
        q: float = 0.1,
        intervals: Sequence[float] | None = None,
        fixed_rungs: bool = False,
        baseline: Baseline | None = None,
    ) -> None:
        """Take who and what is measured each ``interval`` s; ``horizon`` s is an epoch.

        ``metrics`` are the columns; R of them are read, the others are scores of those.
        ``intervals`` (R,) are the metrics' own where some are read more seldom than the clock
        ticks; ``fixed_rungs`` keeps the block lengths of ``metrics`` whatever the plan learns.
        A ``baseline`` is what agent and aggregator start from where it fits.
        """
        columns = Columns.of(metrics)
        read = self._metrics = columns.read
        inventory = _inventory(topology, shards, metrics)
        self.fleet = build_fleet([inventory], topology, metrics)
        self.pipeline = Pipeline(
            self.fleet,
            shortest=shortest,
            horizon=horizon,
            q=q,
            fixed_rungs=fixed_rungs,
            baseline=baseline,
        )
        warm = None if baseline is None else Warm.of(baseline, inventory)
        self.evidence = Evidence(inventory, warm)
        own = [interval] * len(read) if intervals is None else list(intervals)
        self._fold = Fold((len(shards), len(metrics)), interval, own, columns)
        counters = [j for j, m in enumerate(read) if m.kind in {"counter", "counts"}]
        self._rates = Rates(counters, [own[j] for j in counters])
        self._follow(self.pipeline.step(0.0, ()))

    def play(self, ticks: Iterable[tuple[float, Floats]]) -> Iterator[Transition]:
        """Yield the transitions that ``ticks`` of (seconds, raw readings (S, R)) cause."""
        for at, readings in ticks:
            blocks = self._fold.push(at, self._judged(at, readings))
            if blocks:
                yield from self.take(at, blocks)

    def warmed(self) -> tuple[str, ...]:
        """Return, once, what became of the baseline: who starts from it, who learns and why."""
        cold = [f"{scope}: {why}" for scope, why in self.pipeline.planner.change.cold]
        return (*self.evidence.drain_said(), *cold)

    def take(self, at: float, blocks: Sequence[Block]) -> Iterator[Transition]:
        """Pass the blocks of a tick up, their summaries down and their evidence up, all at ``at``.

        As on the wire: all of a tick goes up together, and so does all that comes of it.
        """
        result = self.pipeline.step(at, [self.evidence.offer(block) for block in blocks])
        yield from result.transitions
        self._follow(result)
        downs: dict[tuple[int, int], list[Down]] = {}
        for down in result.downs.get(HOST, ()):
            downs.setdefault((down.rung, down.block), []).append(down)
        found = [self.evidence.answer(of_block) for of_block in downs.values()]
        result = self.pipeline.step(at, [up2 for up2 in found if up2 is not None])
        yield from result.transitions
        self._follow(result)

    def _judged(self, at: float, readings: Floats) -> Floats:
        """Return the readings as rates, on the scales on which their metrics are judged."""
        rated = self._rates.push(at, readings)
        scaled = [apply_transform(m, rated[:, j]) for j, m in enumerate(self._metrics)]
        return np.stack(scaled, axis=1)

    def _follow(self, result: StepResult) -> None:
        if result.plan is not None:
            self.evidence.adopt(result.plan)
            self._fold.watch(self.evidence.columns())


def _inventory(topology: Topology, shards: Sequence[str], metrics: Sequence[Metric]) -> Inventory:
    rows = tuple(_row(topology, shard) for shard in shards)
    return Inventory(HOST, 1, rows, tuple(m.name for m in metrics))


def _row(topology: Topology, shard: str) -> ShardRow:
    node = topology.node(shard)
    about = node.metadata
    return ShardRow(
        shard, node.kind, about.get("sku", ""), about.get("job", ""), about.get("role", "")
    )
