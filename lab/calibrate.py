"""`python -m tessera.lab.calibrate`: count false alarms and delays on seeded synthetic fleets.

Apart from replay, because it plays hundreds of fleets, looks at every M at every tick, and
writes what it counted to docs/calibration.md.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from math import comb, inf, log, sqrt
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from ..adapters.catalogue import default_catalogue
from ..adapters.synthetic.faults import Fault
from ..adapters.synthetic.fleet import SyntheticFleet, null_fleet
from ..aggregator.decide.verdicts import Transition
from ..settings.refused import HELP, OneLine, Refused
from .lockstep import Lockstep

Floats = npt.NDArray[np.float64]

SHARDS = 64
SPAN = 2500  # ticks of the null; also those in which eight shared steps and fifteen shocks fall
WATCHED = 6500  # ticks of the power cell
ONSET = 5000
SHIFT = 4.0  # marginal standard deviations of the shard's own noise
LAYOUTS = {"two racks of 32, K = 32": 4, "one rack of 64, K = 64": 8}  # hosts in a rack
NORMAL = 1.959963984540054  # Φ⁻¹(0.975), for intervals of 95 %


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


@dataclass(frozen=True, slots=True)
class Count:
    """One measured number with its interval of 95 % and the target it is held against."""

    what: str
    value: float
    low: float
    high: float
    target: float
    at_most: bool = True
    share: bool = True

    @property
    def met(self) -> bool:
        """Say whether the number itself, not its interval, is on the right side of the target."""
        return self.value <= self.target if self.at_most else self.value >= self.target


def seed_of(*words: object) -> int:
    """Return a seed hashed from ``words``: neighbours in number are strangers as seeds."""
    text = "-".join(map(str, words))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


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


def count_null(played: Sequence[Played]) -> list[Count]:
    """Return what went wrong in healthy fleets, each as a share."""
    return [
        _streams_above(played, 100, target=0.01),
        _streams_above(played, 20, target=0.05),
        _fleets("fleets in which a shard opens", [p.shard_opened for p in played], 0.02),
        _fleets("fleets in which anything opens", [bool(p.opened) for p in played], 0.02),
    ]


def count_power(played: Sequence[Played]) -> list[Count]:
    """Return how often exactly the shifted shard was named, and how late."""
    named = _fleets("fleets in which exactly it is named", [p.delay < inf for p in played], 0.95)
    delays = sorted(p.delay for p in played)
    low, high = median_interval(len(delays))
    what = "median delay in ticks, never named = ∞"
    late = Count(what, median(delays), delays[low], delays[high], 70, share=False)
    return [replace(named, at_most=False), late]


def _streams_above(played: Sequence[Played], e: float, *, target: float) -> Count:
    """Return the share of streams whose M was ever at least ``e``, clustered by fleet."""
    shares = np.array([(p.peaks >= log(e)).mean() for p in played])
    value = float(shares.mean())
    streams = sum(len(p.peaks) for p in played)
    alone = value * (1 - value) * len(played)
    spread = float(shares.var())
    # Korn and Graubard (1998): the independent streams that would be as uncertain as these. When
    # none or all are above, the streams of a fleet tell nothing of each other and count as one.
    effective = float(len(played)) if alone == 0 else alone / max(spread, alone / streams)
    return Count(f"streams ever at M ≥ {e:g}", value, *share_interval(value, effective), target)


def _fleets(what: str, happened: Sequence[bool], target: float) -> Count:
    value = sum(happened) / len(happened)
    return Count(what, value, *share_interval(value, len(happened)), target)


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return the interval of 95 % for a ``share`` in [0, 1] seen in ``n`` > 0 cases.

    Source: Wilson (1927), the score interval.
    """
    z = NORMAL**2 / n
    middle = (share + z / 2) / (1 + z)
    half = sqrt(z * share * (1 - share) + z * z / 4) / (1 + z)
    return max(0.0, middle - half), min(1.0, middle + half)


def median_interval(n: int) -> tuple[int, int]:
    """Return which two of ``n`` ≥ 1 sorted values (from 0) hold the median with 95 %.

    By signs alone, whatever the distribution; below six values they hold it less often.
    """
    below, k = 0, 0
    while 2 * (below + comb(n, k)) <= 0.05 * 2**n:
        below += comb(n, k)
        k += 1
    low = max(0, k - 1)
    return low, n - 1 - low


Row = tuple[str, str, int, Count]  # cell, layout, fleets, what was counted


def table(rows: Iterable[Row]) -> str:
    """Return ``rows`` as a table in Markdown."""
    lines = [
        "| cell | layout | fleets | counted | value | 95 % | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for cell, layout, fleets, count in rows:
        sign, verdict = ("≤" if count.at_most else "≥"), ("met" if count.met else "**missed**")
        value, low, high, target = (
            _text(v, share=count.share) for v in (count.value, count.low, count.high, count.target)
        )
        words = (cell, layout, fleets, count.what, value, f"{low} to {high}", f"{sign} {target}")
        lines.append("| " + " | ".join(map(str, (*words, verdict))) + " |")
    return "\n".join(lines)


def _text(value: float, *, share: bool) -> str:
    if value == inf:
        return "∞"
    return f"{100 * value:.3g} %" if share else f"{value:g}"


Play = Callable[[int, int], Played]
CountAll = Callable[[Sequence[Played]], list[Count]]
CELLS: dict[str, tuple[Play, CountAll]] = {
    "null": (play_null, count_null),
    "power": (play_power, count_power),
}
Work = tuple[str, int, int]  # cell, hosts in a rack, seed
PlayAll = Callable[[Sequence[Work]], Iterable[Played]]


def play(work: Work) -> Played:
    """Play one fleet of one cell."""
    cell, hosts_per_rack, seed = work
    return CELLS[cell][0](hosts_per_rack, seed)


def measure(fleets: int, seed_prefix: str, play_all: PlayAll) -> list[Row]:
    """Return the counts of ``fleets`` in every cell and layout; ``play_all`` keeps their order.

    Both layouts have the same seeds, so that a difference between them is theirs.
    """
    cells = [(cell, layout) for cell in CELLS for layout in LAYOUTS]
    work = [
        (cell, LAYOUTS[layout], seed_of(seed_prefix, cell, number))
        for cell, layout in cells
        for number in range(fleets)
    ]
    played = iter(play_all(work))
    return [
        (cell, layout, fleets, count)
        for cell, layout in cells
        for count in CELLS[cell][1](list(islice(played, fleets)))
    ]


@click.command(cls=OneLine, context_settings=HELP)
@click.option(
    "--fleets",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="played in each cell and layout",
)
@click.option("--seed-prefix", default="calibrate", show_default=True, help="hashed into each seed")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="processes at once"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("docs/calibration.md"),
    show_default=True,
    help="page that is rewritten",
)
def calibrate(*, fleets: int, seed_prefix: str, jobs: int, out: Path) -> None:
    """Play FLEETS fleets in every cell and layout; print the counts and write them to OUT."""
    if not out.absolute().parent.is_dir():
        message = f"--out {out}: its folder does not exist; make it first"
        raise Refused(message)
    # Set before the workers load numpy: small arrays gain nothing from threads.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        found = table(measure(fleets, seed_prefix, lambda work: _shown(pool, work)))
    out.write_text(_page(found, seed_prefix), encoding="utf-8")
    click.echo(found)


def _shown(pool: Executor, work: Sequence[Work]) -> Iterable[Played]:
    """Play in ``pool``, with a progress bar on a terminal."""
    return track(
        pool.map(play, work),
        "calibrate",
        total=len(work),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def _page(found: str, seed_prefix: str) -> str:
    return f"""# Calibration

Written by `make calibrate`; seeds are hashed from `{seed_prefix}-CELL-NUMBER`. The fleets:
{SHARDS} shards with one metric, own noise AR(0.9), loadings ±40 %, static spread 3 %, eight shared
steps and fifteen shocks in each {SPAN:,} ticks of one second, blocks and weights as shipped, H the
run's length. *null*: healthy for {SPAN:,} ticks; a stream is shard × metric × rung. *power*:
{WATCHED:,} ticks, one shard shifted by +{SHIFT:g} marginal standard deviations from tick {ONSET:,};
*exactly* means that nothing else opened at any time. Intervals are clustered by fleet.

{found}
"""


if __name__ == "__main__":
    calibrate()
