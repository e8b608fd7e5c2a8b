"""`tessera-aggregator`: read the settings, refuse what cannot work in one line, serve.

Apart from the runtime, which is the same in the demo and in tests, without a command line.
"""

import os

# Small arrays gain nothing from threads, and published numbers must not depend on them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines, beside ours, help nobody

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import click
import structlog

from .. import __version__
from ..settings.address import is_loopback
from ..settings.clock import SystemClock
from ..settings.environ import own_environ
from ..settings.folder import BadFolder, Folder, state_folder
from ..settings.load import BadSettings, load
from ..settings.logs import start_logs
from ..settings.notify import Notify, keep_told
from ..settings.refused import HELP, OneLine, Refused, warn
from ..settings.tls import BadTls
from ..settings.toml import in_effect
from .config import AggregatorSettings
from .inputs import BadInput, baseline_of, catalogue_of, tls_of, topology_of
from .pipelines import Pipelines
from .runtime import Aggregator
from .server import AddressTaken
from .state.store import DATABASE, BadStore, Store, backup

PROGRAM = "tessera-aggregator"


@click.command(PROGRAM, cls=OneLine, context_settings=HELP)
@click.version_option(__version__, prog_name=PROGRAM)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="settings in TOML")
@click.option("--check-config", is_flag=True, help="print the settings in force and exit")
@click.option(
    "--backup",
    "backup_to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="copy the database into a new FILE and exit; an aggregator may be running",
)
@click.option("--listen", metavar="HOST:PORT", help="gRPC, agents and terminals  [127.0.0.1:9460]")
@click.option(
    "--http-listen",
    metavar="HOST:PORT",
    help="HTTP for DeploySignal: checked, not served yet  [127.0.0.1:9461]",
)
@click.option("--http-token", metavar="TOKEN", help="its token: checked, not used yet")
@click.option("--tls-cert", metavar="FILE", help="its certificate with the chain, PEM: use TLS")
@click.option("--tls-key", metavar="FILE", help="the key of it, PEM")
@click.option("--tls-client-ca", metavar="FILE", help="serve only clients with one of these, PEM")
@click.option("--state-dir", metavar="DIR", help="all that is kept, in DIR/aggregator")
@click.option("--baseline", metavar="FILE", help="what tessera curate-baseline learned")
@click.option("--topology", metavar="FILE", help="what is wired to what, in JSON")
@click.option("--metrics", metavar="FILE", help="this site's changes to the catalogue, in JSON")
@click.option("--cluster", metavar="NAME", help="shown on every screen")
@click.option("--q", type=float, help="level of e-BH, in (0, 1)  [0.1]")
@click.option("--shortest", type=int, metavar="S", help="shortest block in seconds  [5]")
@click.option("--horizon", type=float, metavar="S", help="seconds of an epoch  [604800]")
@click.option("--expect-hosts", type=int, metavar="N", help="form the fleet when N have come")
@click.option(
    "--gather-seconds", type=float, metavar="S", help="or S seconds after the last new one  [10]"
)
@click.option("--history-hours", type=float, metavar="H", help="keep block values for H hours  [6]")
@click.option("--silent-after", type=float, metavar="S", help="no word for S seconds  [15]")
@click.option("--log-layout", metavar="text|json", help="of the log on standard error  [text]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error  [info]")
def main(
    *, config: Path | None, check_config: bool, backup_to: Path | None, **flags: object
) -> None:
    """Form peer groups, hand agents their peers' summaries, and say who is not like the others.

    Flags go before TESSERA_* variables, these before the file, that before defaults. The terminal
    may look at everything from wherever the address can be reached. Exit status 0 after SIGTERM,
    2 on bad input.
    """
    with _refusing():
        mine, strange = own_environ("aggregator", os.environ)
        settings = load(AggregatorSettings, flags=flags, environ=mine, file=config)
        folder = state_folder("aggregator", settings.state_dir, os.environ, Path.home())
        if backup_to is None and not check_config:
            _serve(settings, strange, Folder(folder, "aggregator"))
            return
        for line in strange:
            warn(line)
        if backup_to is not None:
            backup(Store(folder / DATABASE), backup_to)
            click.echo(f"{folder / DATABASE} copied to {backup_to}")
        else:
            clock = SystemClock()
            start_logs(sys.stderr, clock, layout=settings.log_layout, level=settings.log_level)
            tls_of(settings, clock)
            topology_of(settings.topology)
            catalogue_of(settings.metrics)
            _, why = baseline_of(settings.baseline)
            if why:
                raise Refused(why)
            click.echo(in_effect(settings, folder))


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn whatever a person can mend into one line and exit status 2."""
    try:
        yield
    except (BadSettings, BadInput, BadFolder, BadStore, BadTls, AddressTaken) as bad:
        raise Refused(str(bad)) from None


def _serve(settings: AggregatorSettings, strange: tuple[str, ...], folder: Folder) -> None:
    """Hold the folder and run until a signal."""
    clock = SystemClock()
    start_logs(sys.stderr, clock, layout=settings.log_layout, level=settings.log_level)
    log = structlog.get_logger()
    for line in strange:
        log.warning("unknown variable", what=line)
    catalogue, topology = catalogue_of(settings.metrics), topology_of(settings.topology)
    baseline, why = baseline_of(settings.baseline)
    if why:
        log.warning("every stream learns anew", reason=why)
    folder.hold()

    async def serve() -> None:
        aggregator = Aggregator(
            settings,
            folder,
            clock,
            SystemRandom(),
            catalogue=catalogue,
            topology=topology,
            minds=Pipelines(settings, clock, patient=False, baseline=baseline),
        )
        for number in (signal.SIGTERM, signal.SIGINT):  # before anybody hears that it serves
            asyncio.get_running_loop().add_signal_handler(number, aggregator.ask_to_stop)
        await aggregator.start()
        click.echo(f"{PROGRAM}: serving on {aggregator.address}, state in {folder.path}")
        if settings.tls_client_ca is None and not is_loopback(settings.listen):
            lacks = "tls_client_ca" if settings.tls_cert else "tls_cert, tls_key and tls_client_ca"
            warning = f"whoever reaches this address can look and report; set {lacks}"
            log.warning(warning, listen=aggregator.address)
        notify = Notify(os.environ)
        notify.ready(aggregator.status)
        telling = asyncio.create_task(keep_told(notify, clock, lambda: aggregator.status))
        try:
            await aggregator.run()
        finally:
            notify.stopping()
            telling.cancel()

    try:
        asyncio.run(serve())
    finally:
        folder.release()


if __name__ == "__main__":
    main()
