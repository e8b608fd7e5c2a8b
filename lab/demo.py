"""`tessera demo`: plant a fault in a synthetic fleet and let the whole product find it.

Apart from the lock-step that runs agents and aggregator: here are the fleet, the fault, what is
told of them, and the terminal.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import click
import numpy as np
from rich.console import Console
from rich.progress import track

from ..adapters.base import CounterSource
from ..adapters.catalogue import default_catalogue
from ..adapters.synthetic.faults import Fault
from ..adapters.synthetic.fleet import FleetSpec, SyntheticFleet, SyntheticSource
from ..aggregator.decide.transition import Transition
from ..settings.clock import SystemClock
from ..settings.logs import start_logs
from ..settings.refused import OneLine, Refused
from .live import Live
from .tell import transition_text

HOSTS, SHARDS_PER_HOST = 16, 8
BEGAN = 1_767_225_600.0  # 2026-01-01T00:00:00Z: the same bytes whenever it is run
HORIZON = 604_800.0  # seconds of an epoch, as shipped
ONSET = 2400  # seconds from which on the fault is there, all having learned by then
WATCHED = 600  # seconds for which it is looked at
SIZES = (0.08, 0.10, 0.12)  # by which a step takes longer
PACE = 0.1  # seconds of real time for a second of the simulated one, once there is something to see
WARNING = 30  # simulated seconds before the fault at which the pace begins


@dataclass(frozen=True, slots=True)
class Demo:
    """A fleet of 16 hosts with 8 shards each, and the fault planted in it, None for none."""

    fleet: SyntheticFleet
    fault: Fault | None

    @property
    def ticks(self) -> int:
        """Return how many seconds it lasts."""
        return ONSET + WATCHED

    @property
    def planted(self) -> str:
        """Return one line on what is wrong, and since when."""
        if self.fault is None:
            return "planted  nothing"
        share = f"{100 * self.fault.size:+g} %"
        return f"planted  {self.fault.node}: {self.fault.metric} {share} from {self.fault.onset} s"

    def sources(self) -> Mapping[str, CounterSource]:
        """Return what the agent of each host reads."""
        hosts = [n for n in self.fleet.topology.nodes if n.kind == "host"]
        beneath = self.fleet.topology.beneath()
        return {h.id: SyntheticSource(self.fleet, beneath[h.id], BEGAN) for h in hosts}

    def verdict(self, named: Sequence[str]) -> tuple[str, bool]:
        """Return one line on who was ever ``named``, and whether that is exactly who should be."""
        wanted = [] if self.fault is None else [self.fault.node]
        right = list(named) == wanted
        return f"named    {', '.join(named) or 'nobody'}{'' if right else ': wrong'}", right


def make_demo(seed: int, *, fault: bool) -> Demo:
    """Return the demonstration number ``seed``: its noise, and whom it hits by how much."""
    spec = FleetSpec(shards=HOSTS * SHARDS_PER_HOST, shards_per_host=SHARDS_PER_HOST)
    healthy = SyntheticFleet(spec, seed)
    if not fault:
        return Demo(healthy, None)
    random = np.random.default_rng([seed, HOSTS])
    shard = healthy.names[int(random.integers(len(healthy.names)))]
    size = SIZES[int(random.integers(len(SIZES)))]
    planted = Fault(shard, "step_time_seconds", "step", size, ONSET, unit="fraction")
    return Demo(SyntheticFleet(spec, seed, [planted]), planted)


@click.command(cls=OneLine, short_help="watch a planted fault being found")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--no-fault", is_flag=True, help="plant nothing: nobody is to be named")
@click.option("--headless", is_flag=True, help="print the verdicts instead of showing a terminal")
@click.option(
    "--screenshot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="headless; at the end write what the terminal shows to FILE and FILE-verdict (SVG)",
)
@click.pass_context
def demo(
    context: click.Context, *, seed: int, no_fault: bool, headless: bool, screenshot: Path | None
) -> None:
    """Run 16 hosts of 8 shards and an aggregator, and let one shard become slower.

    Agents, aggregator and terminal are the real ones and talk gRPC on loopback; only counters and
    clock are simulated. Without a terminal (or with --headless) the verdicts are printed, and the
    exit status is 0 only if exactly the planted shard was named, 1 otherwise.
    """
    if screenshot is not None and not screenshot.absolute().parent.is_dir():
        message = f"--screenshot {screenshot}: its folder does not exist; make it first"
        raise Refused(message)
    made = make_demo(seed, fault=not no_fault)
    alone = headless or screenshot is not None or not (sys.stdin.isatty() and sys.stdout.isatty())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tessera-demo-")))
        log = sys.stderr if alone else stack.enter_context(_log_file(folder))
        start_logs(log, SystemClock(), level="warning")
        play = _play_alone(made, folder, screenshot) if alone else _play_shown(made, folder)
        named = asyncio.run(play)
    line, right = made.verdict(named)
    click.echo(line if alone else f"{made.planted}\nnamed    {', '.join(named) or 'nobody yet'}")
    context.exit(
        0 if right or not alone else 1
    )  # whoever leaves the terminal leaves when they like


def _log_file(folder: Path) -> AbstractContextManager[TextIO]:
    return (folder / "log").open("w", encoding="utf-8")


def _live(made: Demo, folder: Path) -> Live:
    return Live(
        made.sources(),
        folder,
        catalogue=default_catalogue(),
        topology=made.fleet.topology,
        horizon=HORIZON,
        began=BEGAN,
        cluster="demo",
    )


async def _play_alone(made: Demo, folder: Path, screenshot: Path | None) -> list[str]:
    """Play to the end, print each transition; return who was ever named."""
    click.echo(f"fleet    {HOSTS} hosts of {SHARDS_PER_HOST} shards, {made.ticks} s")
    click.echo(made.planted)
    named: dict[str, None] = {}
    async with _live(made, folder) as live:
        for _ in _shown(made.ticks):
            for transition in await live.tick():
                click.echo(transition_text(_since_the_beginning(transition)))
                named[transition.node] = None
        if screenshot is not None:
            await _terminal(live, "--screenshot", str(screenshot), "--size", "118x24")
            verdict = screenshot.with_stem(f"{screenshot.stem}-verdict")
            await _terminal(live, "--screenshot", str(verdict), "--size", "118x44", "--open")
    return list(named)


def _shown(ticks: int) -> Iterable[int]:
    """Return the numbers of the ticks, with a progress bar where somebody looks."""
    return track(
        range(ticks),
        "demo",
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


async def _play_shown(made: Demo, folder: Path) -> list[str]:
    """Play under the terminal until it is left; return who was ever named."""
    click.echo(made.planted)
    named: dict[str, None] = {}
    async with _live(made, folder) as live:
        terminal = asyncio.create_task(_terminal(live))
        ticks = 0
        while not terminal.done():
            for transition in await live.tick():
                named[transition.node] = None
            ticks += 1
            await asyncio.sleep(PACE if ticks >= ONSET - WARNING else 0.0)
        await terminal
    return list(named)


async def _terminal(live: Live, *options: str) -> None:
    """Run the terminal as a process of its own until it ends."""
    words = (sys.executable, "-m", "tessera.tui", "--address", live.aggregator.address, *options)
    process = await asyncio.create_subprocess_exec(*words)
    try:
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _since_the_beginning(transition: Transition) -> Transition:
    """Return ``transition`` with times from 0, as the fault's onset is told."""
    return replace(transition, at=transition.at - BEGAN, since=transition.since - BEGAN)
