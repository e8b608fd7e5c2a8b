"""The whole system in lock step, agents and aggregator, on healthy fleets and on shifted shards.

Apart from the cells of single channels, because members, inner nodes, merging and verdicts all
have their say here, at every tick; which also makes it a hundred times as dear.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import default_catalogue
from ...adapters.synthetic.faults import Fault
from ...adapters.synthetic.fleet import SyntheticFleet, null_fleet
from ...aggregator.decide.transition import Transition
from ..lockstep import Lockstep
from .count import Tally, Target
from .grid import Planned

Floats = npt.NDArray[np.float64]

SHARDS = 64
SPAN = 2500  # ticks of the null; also those in which eight shared steps and fifteen shocks fall
WATCHED = 6500  # ticks of the power cell
ONSET = 5000
SHIFT = 4.0  # marginal standard deviations of the shard's own noise
LAYOUTS = {"two racks of 32, K = 32": 4, "one rack of 64, K = 64": 8}  # hosts in a rack

AT_20 = "streams ever at M ≥ 20"
AT_100 = "streams ever at M ≥ 100"
SHARD_OPENS = "fleets in which a shard opens"
ANY_OPENS = "fleets in which anything opens"
NAMED = "fleets in which exactly it is named"
DELAY = "median delay in ticks, never named = ∞"

NULL = {
    AT_100: Target(0.01),
    AT_20: Target(0.05),
    SHARD_OPENS: Target(0.02),
    ANY_OPENS: Target(0.02),
}
POWER = {NAMED: Target(0.95, at_most=False), DELAY: Target(70.0)}


@dataclass(frozen=True, slots=True)
class Played:
    """One fleet, played: ``peaks`` (streams,) of ln M over shard × metric × rung, and verdicts.

    ``faulty`` is the shard that was shifted, None in a healthy fleet.
    """

    faulty: str | None
    peaks: Floats
    transitions: tuple[Transition, ...]

    @property
    def opened(self) -> frozenset[str]:
        """Return every node that had a verdict at any time."""
        return frozenset(t.node for t in self.transitions if t.transition == "opened")

    @property
    def shard_opened(self) -> bool:
        """Say whether a verdict on some shard was opened."""
        return any(t.level == "shard" for t in self.transitions if t.transition == "opened")

    @property
    def delay(self) -> float:
        """Return the ticks from onset to crossing; infinite unless exactly the shard is named.

        Exactly means that no other node, and not the shard itself before its onset, was opened.
        """
        first = min((t.at for t in self.transitions), default=inf)
        named = self.opened == {self.faulty} and first >= ONSET
        return first - ONSET if named else inf


def play_null(hosts_per_rack: int, seed: int, ticks: int = SPAN) -> Played:
    """Play a healthy fleet of 64 shards for ``ticks``, which is also its horizon H."""
    return _play(hosts_per_rack, seed, ticks, None)


def play_power(hosts_per_rack: int, seed: int, ticks: int = WATCHED) -> Played:
    """Play the same with one shard, chosen by ``seed``, shifted by +4 marginal sd from 5,000."""
    return _play(hosts_per_rack, seed, ticks, seed % SHARDS)


def _play(hosts_per_rack: int, seed: int, ticks: int, faulty: int | None) -> Played:
    spec = replace(null_fleet(shards=SHARDS, ticks=SPAN), hosts_per_rack=hosts_per_rack)
    fleet = SyntheticFleet(spec, seed)
    name = None if faulty is None else fleet.names[faulty]
    if name is not None:
        fleet = SyntheticFleet(spec, seed, [Fault(name, "*", "step", SHIFT, ONSET)])
    metrics = [default_catalogue().of(metric) for metric in fleet.metrics]
    lockstep = Lockstep(
        fleet.topology, fleet.names, metrics, interval=1.0, shortest=1, horizon=ticks
    )
    exists = lockstep.pipeline.planner.parts().weights[:, :, :SHARDS] > 0
    peaks = np.zeros(int(exists.sum()))  # M begins at 1
    transitions: list[Transition] = []
    for at, readings in enumerate(fleet.ticks(0, ticks)):
        transitions.extend(lockstep.play([(float(at), readings)]))
        np.maximum(peaks, lockstep.pipeline.log_m()[:, :, :SHARDS][exists], out=peaks)
    return Played(name, peaks, tuple(transitions))


def tally_null(played: Played) -> Tally:
    """Return what went wrong in a healthy fleet."""
    return Tally(
        {
            AT_100: _share(played.peaks >= log(100.0)),
            AT_20: _share(played.peaks >= log(20.0)),
            SHARD_OPENS: _share(np.array([played.shard_opened])),
            ANY_OPENS: _share(np.array([bool(played.opened)])),
        }
    )


def tally_power(played: Played) -> Tally:
    """Return whether exactly the shifted shard was named, and how late."""
    delay = np.array([[played.delay]])
    return Tally({NAMED: _share(np.isfinite(delay[0]))}, {DELAY: delay})


def _share(happened: npt.NDArray[np.bool_]) -> Floats:
    return np.array([[happened.sum()], [len(happened)]], dtype=np.float64)


def _tallied(
    play: Callable[[int, int], Played],
    tally: Callable[[Played], Tally],
    hosts_per_rack: int,
    fleets: int,
    seed: int,
) -> Tally:
    """Play one fleet; ``fleets`` is 1, for each has its own seed."""
    assert fleets == 1  # noqa: S101 - parts of this family are single fleets
    return tally(play(hosts_per_rack, seed))


def planned(fleets: int) -> list[Planned]:
    """Return the cells of this family, each of so many ``fleets``."""
    found = []
    for layout, hosts in LAYOUTS.items():
        null = partial(_tallied, play_null, tally_null, hosts)
        power = partial(_tallied, play_power, tally_power, hosts)
        found.append(Planned("system", layout, "null", null, fleets, 1, NULL))
        found.append(Planned("system", layout, "power", power, fleets, 1, POWER))
    return found
