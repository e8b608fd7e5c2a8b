"""`tessera-agent`: the daemon, and two commands to look and to record without an aggregator.

Apart, because only a command line reads the environment and ends a process.
"""

import os

# Small arrays gain nothing from threads, and a host has better use for its cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines, beside ours, help nobody

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from threading import Event

import click
import structlog

from .. import __version__
from ..adapters.base import SourceUnavailable
from ..adapters.document import BadDocument
from ..adapters.nvidia.xid import read_xids
from ..adapters.recording import BadRecording
from ..proto.baseline_file import BadBaseline, load_baseline
from ..settings.clock import Clock, SystemClock
from ..settings.duration import duration, seconds_of
from ..settings.folder import BadFolder, state_folder
from ..settings.logs import start_logs
from ..settings.notify import Notify, keep_told
from ..settings.refused import BAD_INPUT, HELP, OneLineGroup, Refused, warn
from ..settings.tls import BadTls
from ..settings.toml import in_effect
from .assembly import BadStart, link_tls
from .check import check as check_table
from .config import AgentSettings
from .datagram import KINDS
from .declare import declare
from .grid import Grid
from .identity import identify
from .inventory import interval_of
from .program import Found, find_sources, local_sources, read_settings, settings_options
from .record import Pace
from .record import record as write_record
from .reexec import AGAIN, begin
from .runtime import Agent
from .vitals import Vitals

PROGRAM = "tessera-agent"
WRITERS = 2  # threads: a checkpoint, and what the spool forces to the disk
NO_SOURCE, FULL = 3, 5  # exit statuses


@click.group(PROGRAM, cls=OneLineGroup, invoke_without_command=True, context_settings=HELP)
@settings_options
@click.option("--check-config", is_flag=True, help="print the settings in effect and end")
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def main(context: click.Context, /, *, check_config: bool, **flags: object) -> None:
    """Read this host's accelerators each second and stream evidence to the aggregator.

    Every option is also a key of the TOML file and a variable TESSERA_<KEY>. Exit status: 0 ended
    by a signal, 2 bad settings, 3 no accelerator here, 4 another agent of this host took over,
    5 the disk is full.
    """
    context.obj = flags
    if context.invoked_subcommand is not None:
        return
    settings, strange = read_settings(flags)
    folder = state_folder("agent", settings.state_dir, os.environ, Path.home())
    if check_config:
        for line in strange:
            warn(line)
        _refuse_bad_tls(settings)
        if settings.baseline is not None:
            _refuse_unreadable(settings.baseline)
        _refuse_classes(settings.xid_classes)
        click.echo(in_effect(settings, folder))
        return
    context.exit(_daemon(settings, strange, folder))


@main.command("check", short_help="what is readable here")
@settings_options
@click.pass_obj
def check(above: dict[str, object], /, **flags: object) -> None:
    """Print one reading of every counter here, or why there is none. Exit status 0."""
    settings, _ = read_settings(_over(above, flags))
    now = SystemClock().now()
    found = find_sources(settings, now)
    click.echo(check_table(found.sources, found.absent, now))


@main.command("record", short_help="write a recording of this host")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seconds", type=click.FloatRange(min=0.0, min_open=True), help="how long")
@settings_options
@click.pass_obj
def record(
    above: dict[str, object], /, *, folder: Path, seconds: float | None, **flags: object
) -> None:
    """Write what is readable here to DIR, until --seconds are over or Ctrl-C."""
    settings, _ = read_settings(_over(above, flags))
    clock = SystemClock()
    found = _needed(find_sources(settings, clock.now()))
    ending = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    interval = interval_of(found.sources, settings.tick_seconds)
    count = None if seconds is None else max(1, round(seconds / interval))
    pace = Pace(clock, Grid(interval), count, lambda wait: not ending.wait(wait))
    host = identify(settings.host, SystemRandom()).host
    try:
        taken = write_record(folder, found.sources, host, pace, warn)
    except (BadRecording, SourceUnavailable, ValueError) as bad:
        raise Refused(str(bad)) from None
    except OSError as fault:
        message = f"{folder}: {(fault.strerror or 'cannot be written').lower()}; nothing was kept"
        raise Refused(message) from None
    click.echo(f"{folder}: {taken} ticks; play them with tessera replay {folder}")


@main.command("event", short_help="say what is being done to this host")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--detail", default="", help="one line for who reads it later")
@click.option("--scope", multiple=True, metavar="DEVICE", help="only this device; may be repeated")
@click.option("--at", type=float, metavar="UNIX_SECONDS", help="when it was done; default: now")
@settings_options
@click.pass_obj
def event(
    above: dict[str, object],
    /,
    *,
    kind: str,
    detail: str,
    scope: tuple[str, ...],
    at: float | None,
    **flags: object,
) -> None:
    """Tell the agent of this host what is being done to it; root and the agent's user may.

    It goes to the aggregator as an event of this host, beside which what follows can be read.
    """
    settings, _ = read_settings(_over(above, flags))
    folder = state_folder("agent", settings.state_dir, os.environ, Path.home())
    when = {} if at is None else {"at": at}
    declare({"event": kind, "detail": detail, "devices": scope, **when}, settings, folder)
    click.echo(f"{kind} told to the agent")


@main.command("pause-profiling", short_help="leave the profiler to somebody else")
@click.option("--for", "text", default="15m", show_default=True, help="how long: 90s, 15m, 2h")
@settings_options
@click.pass_obj
def pause_profiling(above: dict[str, object], /, *, text: str, **flags: object) -> None:
    """Let the agent of this host read no counter that needs a device's profiler for a while.

    All others go on. It ends by itself; root and the agent's own user may ask for it.
    """
    try:
        seconds = seconds_of(text)
    except ValueError as bad:
        message = f"--for: {bad}"
        raise Refused(message) from None
    _tell_pause(above, flags, seconds)
    click.echo(f"profiling counters pause for {duration(seconds)}; resume-profiling ends it")


@main.command("resume-profiling", short_help="read the profiler's counters again")
@settings_options
@click.pass_obj
def resume_profiling(above: dict[str, object], /, **flags: object) -> None:
    """Let the agent of this host read counters that need a device's profiler again."""
    _tell_pause(above, flags, 0.0)
    click.echo("profiling counters are read again")


def _tell_pause(above: dict[str, object], flags: dict[str, object], seconds: float) -> None:
    settings, _ = read_settings(_over(above, flags))
    folder = state_folder("agent", settings.state_dir, os.environ, Path.home())
    declare({"pause_profiling": seconds}, settings, folder)


def _over(above: dict[str, object], flags: dict[str, object]) -> dict[str, object]:
    """Return the flags of the command over those that stood before its name."""
    return above | {key: value for key, value in flags.items() if value not in (None, ())}


def _needed(found: Found) -> Found:
    if not found.sources:
        why = "; ".join(str(reason) for reason in found.absent)
        message = f"no accelerator to read: {why}; name a source, as in --source recording"
        raise Refused(message, NO_SOURCE)
    return found


def _refuse_unreadable(baseline: Path) -> None:
    try:
        load_baseline(baseline)
    except BadBaseline as bad:
        raise Refused(str(bad)) from None


def _refuse_classes(overlay: Path | None) -> None:
    try:
        read_xids(overlay)
    except BadDocument as bad:
        raise Refused(str(bad)) from None


def _refuse_bad_tls(settings: AgentSettings) -> None:
    clock = SystemClock()
    start_logs(sys.stderr, clock, layout=settings.log_layout, level=settings.log_level)
    try:
        link_tls(settings, clock)
    except BadTls as bad:
        raise Refused(str(bad)) from None


def _daemon(settings: AgentSettings, strange: tuple[str, ...], folder: Path) -> int:
    clock = SystemClock()
    start_logs(sys.stderr, clock, layout=settings.log_layout, level=settings.log_level)
    log = structlog.get_logger("agent")
    for line in strange:
        log.warning("unknown variable", what=line)
    found = _needed(find_sources(settings, clock.now()))
    sources = (*found.sources, *local_sources(settings, folder))
    agent = Agent(settings, sources, clock, SystemRandom(), folder=folder)
    status = asyncio.run(_live(agent, Notify(os.environ), clock))
    if status == AGAIN:
        begin(clock.now())
    return status


async def _live(running: Agent, notify: Notify, clock: Clock) -> int:
    # Few threads write to the disk: each keeps the memory of the largest checkpoint that it made.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WRITERS, "disk"))
    try:
        await running.start()
    except (BadFolder, BadStart, SourceUnavailable) as bad:
        await running.stop()
        raise Refused(str(bad), _status_of(bad)) from None
    notify.ready(running.vitals().status)
    telling = asyncio.create_task(keep_told(notify, clock, lambda: _status(running.vitals())))
    try:
        return await running.run()
    finally:
        notify.stopping()
        telling.cancel()


def _status_of(bad: Exception) -> int:
    """Return the exit status of an agent that cannot start; only for 2 a person is needed."""
    if isinstance(bad, SourceUnavailable):
        return NO_SOURCE
    return FULL if isinstance(bad, BadFolder) and bad.full else BAD_INPUT


def _status(vitals: Vitals) -> str | None:
    return vitals.status if vitals.alive else None


if __name__ == "__main__":
    main()
