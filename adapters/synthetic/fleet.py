"""A seeded fleet: ticks of readings in order, the same whichever way they are cut into chunks.

Apart, because calibration, the simulator and agents of a demonstration draw from one model.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..base import Reading, Shard, shards_of
from .faults import Fault, Planted
from .jobs import JobPhases
from .spec import (
    CommonSpec,
    FleetSpec,
    MetricSpec,
    fleet_topology,
    mixed_fleet,
    null_fleet,
    shard_names,
    straggler,
)

__all__ = [
    "CommonSpec",
    "FleetSpec",
    "MetricSpec",
    "SyntheticFleet",
    "SyntheticSource",
    "mixed_fleet",
    "null_fleet",
    "straggler",
]

Floats = npt.NDArray[np.float64]

_AHEAD = 64  # ticks drawn at once for sources that ask tick by tick


class SyntheticFleet:
    """Readings of the fleet that ``spec`` describes, with ``faults`` planted in it.

    The shard axis follows ``names``, which is the graph order of ``topology``.
    """

    def __init__(self, spec: FleetSpec, seed: int, faults: Sequence[Fault] = ()) -> None:
        """Lay out the fleet; raise ``BadFault`` for a fault on something it does not have."""
        self.spec = spec
        self.topology = fleet_topology(spec)
        self.names = self.topology.shards
        self.metrics = tuple(metric.name for metric in spec.metrics)
        self._seed = seed
        self._faults = tuple(faults)
        rows = {name: row for row, name in enumerate(self.names)}
        self._rows: dict[str, list[int]] = {name: [row] for name, row in rows.items()}
        for node, members in self.topology.beneath().items():
            self._rows[node] = [rows[name] for name in members]
        self._kept: tuple[int, Floats] = (0, np.empty((0, 0, 0)))
        self._restart()

    def ticks(self, start: int, stop: int) -> Floats:
        """Return ticks ``start`` to ``stop`` as (T, S, M), NaN for a lost reading.

        Drawn in order: going on is cheap, skipping draws what is skipped, going back starts anew.
        """
        if not 0 <= start <= stop:
            message = f"ticks run from 0 upward, not from {start} to {stop}"
            raise ValueError(message)
        if start < self._next:
            self._restart()
        while self._next < start:
            self._draw(min(start - self._next, 4096))
        return self._draw(stop - start)

    def tick(self, number: int) -> Floats:
        """Return one tick as (S, M); neighbours are drawn with it and kept."""
        first, block = self._kept
        if not first <= number < first + len(block):
            first, block = self._kept = number, self.ticks(number, number + _AHEAD)
        found: Floats = block[number - first]
        return found

    def _restart(self) -> None:
        spec = self.spec
        fixed, own, common, lost, jobs = np.random.SeedSequence(self._seed).spawn(5)
        self._fix(np.random.default_rng(fixed))
        self._own = _OwnNoise(spec, np.random.default_rng(own))
        self._common = _CommonMode(spec.common, common)
        self._lost = np.random.default_rng(lost)
        self._phases = JobPhases(len(spec.jobs), jobs) if spec.phases else None
        self._planted = Planted(self._faults, self._rows, self.metrics)
        self._next = 0

    def _fix(self, random: np.random.Generator) -> None:
        spec, metrics = self.spec, self.spec.metrics
        size = (spec.shards, len(metrics))
        base = np.array([m.base for m in metrics])
        offset = 1 + np.array([m.static for m in metrics]) * random.standard_normal(size)
        spread = np.array([m.loading for m in metrics]) * random.uniform(-1, 1, size)
        self._level = base * offset
        self._loading = np.array([m.common for m in metrics]) * (1 + spread)
        numbers = {name: number for number, name in enumerate(shard_names(spec))}
        dealt = np.array([numbers[name] for name in self.names])
        if spec.stages:
            self._level[dealt % spec.stages == spec.stages - 1] *= spec.last_stage
        self._sd = np.array([m.sd for m in metrics])
        self._share = np.array([m.sd / m.base if m.multiplicative else np.nan for m in metrics])
        self._jobs = np.array([spec.job_of(i) for i in dealt.tolist()])

    def _draw(self, count: int) -> Floats:
        start, self._next = self._next, self._next + count
        noise = self._own.ticks(count)
        self._planted.scale_noise(noise, start)
        noise += self._common.ticks(count)[:, None, None] * self._loading
        values = self._levels(count)
        self._add(noise, values)
        self._planted.shift(values, self._sd, start)
        for column, metric in enumerate(self.spec.metrics):
            if metric.quantum:
                steps = np.round(values[..., column] / metric.quantum)
                values[..., column] = np.round(steps * metric.quantum, 9)  # 0.30000000000000004
        if self.spec.missing:
            values[self._lost.random(values.shape) < self.spec.missing] = np.nan
        self._planted.silence(values, start)
        return values

    def _levels(self, count: int) -> Floats:
        levels = np.broadcast_to(self._level, (count, *self._level.shape)).copy()
        if self._phases is not None:
            pace = self._phases.ticks(count)[:, self._jobs]
            for column, metric in enumerate(self.spec.metrics):
                if metric.idle is None:
                    levels[..., column][pace == 0] = np.nan
                else:
                    levels[..., column] *= metric.idle + (1 - metric.idle) * pace
        return levels

    def _add(self, noise: Floats, levels: Floats) -> None:
        for column, metric in enumerate(self.spec.metrics):
            if metric.multiplicative:
                levels[..., column] *= np.exp(noise[..., column] * self._share[column])
            else:
                levels[..., column] += noise[..., column] * metric.sd


class _OwnNoise:
    """Stationary AR(1) noise of unit variance, one stream for every shard and metric."""

    def __init__(self, spec: FleetSpec, random: np.random.Generator) -> None:
        self._random = random
        self._tails = spec.tails
        self._phi = np.array([m.phi for m in spec.metrics])
        self._gain = np.sqrt(1 - self._phi**2)
        self._last = random.standard_normal((spec.shards, len(spec.metrics)))

    def ticks(self, count: int) -> Floats:
        drawn: Floats = self._innovations((count, *self._last.shape)) * self._gain
        if self._phi.any():
            last = self._last
            for tick in range(count):
                drawn[tick] += self._phi * last
                last = drawn[tick]
            self._last = last.copy()
        return drawn

    def _innovations(self, size: tuple[int, ...]) -> Floats:
        if self._tails is None:
            return self._random.standard_normal(size)
        unit = float(np.sqrt((self._tails - 2) / self._tails))
        return np.asarray(self._random.standard_t(self._tails, size) * unit)


class _CommonMode:
    """The one stream that all shards follow, in units of sd."""

    def __init__(self, spec: CommonSpec, seed: np.random.SeedSequence) -> None:
        walk, self._placed, phase = seed.spawn(3)
        self._spec = spec
        self._walk = np.random.default_rng(walk)
        self._phase = float(np.random.default_rng(phase).uniform(0, 2 * np.pi))
        self._level = 0.0
        self._next = 0

    def ticks(self, count: int) -> Floats:
        spec, start = self._spec, self._next
        self._next += count
        steps, shocks = self._placed_in(start, count)
        moves = spec.walk * self._walk.standard_normal(count) + steps
        # one running sum from the last level: the same to the last bit for any chunks
        level = np.cumsum(np.concatenate(([self._level], moves)))
        self._level = float(level[-1])
        angle = 2 * np.pi * np.arange(start, start + count) / spec.period + self._phase
        found: Floats = level[1:] + shocks + spec.amplitude * np.sin(angle)
        return found

    def _placed_in(self, start: int, count: int) -> tuple[Floats, Floats]:
        steps, shocks = np.zeros(count), np.zeros(count)
        spec = self._spec
        for number in range(start // spec.span, -(-(start + count) // spec.span)):
            random = np.random.default_rng([*self._placed.generate_state(4), number])
            for found, many, sd in (
                (steps, spec.steps, spec.step_sd),
                (shocks, spec.shocks, spec.shock_sd),
            ):
                placed = random.choice(spec.span, min(many, spec.span), replace=False)
                at = placed + number * spec.span - start
                size = random.normal(0, sd, at.size)
                inside = (at >= 0) & (at < count)
                found[at[inside]] = size[inside]
        return steps, shocks


class SyntheticSource:
    """Serve the readings of some shards of a fleet, one tick a second: the agent of one host."""

    def __init__(self, fleet: SyntheticFleet, shards: Sequence[str], began: float = 0.0) -> None:
        """Choose the shards; tick 0 is at ``began`` seconds. Raise ``KeyError`` for an unknown."""
        rows = {name: row for row, name in enumerate(fleet.names)}
        self.name = "synthetic"
        self._fleet = fleet
        self._rows = [(name, rows[name]) for name in shards]
        self._began = began

    def shards(self) -> tuple[Shard, ...]:
        """Return the shards served, in the order they were chosen."""
        known = {shard.id: shard for shard in shards_of(self._fleet.topology)}
        return tuple(known[name] for name, _ in self._rows)

    def read(self, at: float) -> Iterator[Reading]:
        """Yield the readings of the second that holds ``at``; nothing before the fleet began."""
        number = int(np.floor(at - self._began))
        if number < 0:
            return
        tick = self._fleet.tick(number)
        for name, row in self._rows:
            for column, metric in enumerate(self._fleet.metrics):
                if not np.isnan(tick[row, column]):
                    yield Reading(name, metric, float(tick[row, column]))
