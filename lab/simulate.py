"""`tessera simulate`: write a synthetic recording, with what is wrong in it as truth.json.

Apart, because it is the one program that makes recordings out of nothing but a seed.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import click
import numpy as np
from rich.console import Console
from rich.progress import track

from ..adapters.document import BadDocument
from ..adapters.recording_write import Chunk, Outline, refuse_occupied, write_recording
from ..adapters.synthetic.faults import BadFault, Fault, parse_fault
from ..adapters.synthetic.fleet import (
    FleetSpec,
    SyntheticFleet,
    mixed_fleet,
    null_fleet,
    straggler,
)
from ..settings.refused import OneLine, Refused

_CHUNK = 200  # ticks drawn and written at once
_LEAST_TAILS = 2.0  # degrees of freedom; up to here Student noise has no variance
_FULL = 64  # shards of a preset that has no number of its own


@dataclass(frozen=True, slots=True)
class Preset:
    """A ready-made fleet with its faults and its usual length in ticks."""

    spec: FleetSpec
    faults: tuple[Fault, ...]
    ticks: int


def preset(name: str, shards: int | None, ticks: int | None) -> Preset:
    """Return the preset called null, straggler or mixed; raise ``ValueError`` for bad numbers."""
    if name == "straggler":
        length = ticks or 1408
        return Preset(*straggler(shards=shards or 16), length)
    if name == "null":
        length = ticks or 2500
        return Preset(null_fleet(shards=shards or _FULL, ticks=length), (), length)
    return Preset(mixed_fleet(shards=shards or _FULL), (), ticks or 3600)


@click.command(cls=OneLine, short_help="write a synthetic recording")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--preset",
    "name",
    type=click.Choice(["null", "straggler", "mixed"]),
    default="mixed",
    show_default=True,
    help="null: a healthy fleet; straggler: a pipeline job with one slow worker; "
    "mixed (healthy): two jobs with pauses",
)
@click.option(
    "--shards",
    type=click.IntRange(min=1),
    help="number of accelerators  [default: 64; straggler: 16]",
)
@click.option(
    "--ticks",
    type=click.IntRange(min=1),
    help="length in ticks of one second  [default: null 2500, straggler 1408, mixed 3600]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="of everything that is drawn",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NODE:METRIC:WHAT@ONSET[-END]",
    help="WHAT: +4sd, -8%, slope+4sd, spread*3, wave+1sd/6, spikes+8sd/20, flatline, missing; "
    "METRIC may be *",
)
@click.option("--missing", type=float, default=0.0, help="share of readings lost, in [0, 1)")
@click.option("--tails", type=float, help="Student noise of that many degrees, above 2")
@click.option(
    "--gzip/--no-gzip",
    "packed",
    default=True,
    show_default=True,
    help="write readings.csv.gz, or readings.csv",
)
def simulate(  # noqa: PLR0913 - one parameter for each option of the command line
    *,
    out: Path,
    name: str,
    shards: int | None,
    ticks: int | None,
    seed: int,
    faults: Sequence[str],
    missing: float,
    tails: float | None,
    packed: bool,
) -> None:
    """Write a synthetic recording to the folder OUT; the same options give the same bytes."""
    try:
        _refuse_options(missing, tails)
        refuse_occupied(out)
        base = preset(name, shards, ticks)
        spec = replace(base.spec, missing=missing, tails=tails)
        planted = base.faults + tuple(map(parse_fault, faults))
        for fault in planted:
            fault.refuse_beyond(base.ticks)
        fleet = SyntheticFleet(spec, seed, planted)
        outline = Outline(
            topology=fleet.topology,
            shards=fleet.names,
            metrics=fleet.metrics,
            truth=truth_of(planted, name, seed),
        )
        with _leaving_when_terminated():
            write_recording(out, outline, _chunks(fleet, base.ticks), packed=packed)
    except (BadDocument, BadFault, ValueError, OSError) as bad:
        raise Refused(str(bad)) from None
    name = click.format_filename(out)
    click.echo(f"{name}: {len(fleet.names)} shards, {base.ticks} ticks, {', '.join(fleet.metrics)}")


def truth_of(faults: Sequence[Fault], name: str, seed: int) -> dict[str, object]:
    """Return what truth.json says: the faulty nodes, their first onsets in seconds, the faults."""
    onset: dict[str, int] = {}
    for fault in faults:
        onset[fault.node] = min(fault.onset, onset.get(fault.node, fault.onset))
    listed = [{slot: getattr(fault, slot) for slot in Fault.__slots__} for fault in faults]
    return {
        "source": f"tessera simulate, preset {name}, seed {seed}",
        "ticks": "one tick is one second",
        "open": sorted(onset),
        "onset": dict(sorted(onset.items())),
        "faults": listed,
    }


def _refuse_options(missing: float, tails: float | None) -> None:
    if not 0.0 <= missing < 1.0:
        message = f"--missing {missing:g}: not a share in [0, 1); write 0.05 for 5 %"
        raise ValueError(message)
    if tails is not None and not _LEAST_TAILS < tails < float("inf"):
        message = f"--tails {tails:g}: not a finite number above 2; write 3 for heavy tails"
        raise ValueError(message)


@contextmanager
def _leaving_when_terminated() -> Iterator[None]:
    """Let SIGTERM unwind as an exit does, so that no half-written folder stays behind."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)  # what a shell says of a process ended by a signal


def _chunks(fleet: SyntheticFleet, ticks: int) -> Iterator[Chunk]:
    console = Console(stderr=True)
    starts = range(0, ticks, _CHUNK)
    shown = track(starts, "simulate", console=console, disable=not sys.stderr.isatty())
    for start in shown:
        stop = min(start + _CHUNK, ticks)
        times = np.arange(start, stop, dtype=np.float64)
        yield Chunk(times, fleet.ticks(start, stop))
