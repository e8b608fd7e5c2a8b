"""``tessera-tui``: the terminal for the person on call, and its plain summary for pipes.

Apart from the application, because a command line is read, and refused, before anything is opened.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C library would write over the screen

import asyncio
import random
import sys
from pathlib import Path

import click

from .. import __version__
from ..settings.address import SERVED
from ..settings.clock import SystemClock
from ..settings.load import BadSettings
from ..settings.logs import start_logs
from ..settings.refused import HELP, OneLine, Refused
from ..settings.tls import BadTls
from .address import OWN, Place, address_of, tls_of
from .answers import Unanswered
from .client import Client
from .format import plain
from .looks import Looks, Shot
from .plain import QUIET, as_json, status, summary
from .view import View

PROGRAM = "tessera-tui"
NO_ANSWER = 3  # exit status
FILE = click.Path(dir_okay=False, path_type=Path)
SMALLEST, LARGEST = (40, 10), (400, 200)  # columns and lines of a picture


def _size(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    """Return columns and lines."""
    del context, parameter
    columns, _, lines = text.partition("x")
    if not (columns.isdecimal() and lines.isdecimal()):
        message = f"'{text}' is no size; write it like 120x36"
        raise click.BadParameter(message)
    size = int(columns), int(lines)
    if not all(a <= v <= b for a, v, b in zip(SMALLEST, size, LARGEST, strict=True)):
        message = f"{text} is not between {SMALLEST[0]}x{SMALLEST[1]} and {LARGEST[0]}x{LARGEST[1]}"
        raise click.BadParameter(message)
    return size


@click.command(PROGRAM, cls=OneLine, context_settings=HELP)
@click.option("--address", metavar="HOST:PORT", help=f"The aggregator [{OWN}, else {SERVED}].")
@click.option("--tls-ca", type=FILE, help="Authorities of its certificate, PEM: use TLS.")
@click.option("--tls-cert", type=FILE, help="Your own certificate, PEM.")
@click.option("--tls-key", type=FILE, help="The key of it, PEM.")
@click.option("--tls-server-name", metavar="NAME", help="In its certificate, if not the address's.")
@click.option("--once", is_flag=True, help="Print a plain summary and exit.")
@click.option("--json", "in_json", is_flag=True, help="With --once: one JSON object.")
@click.option(
    "--exit-status",
    is_flag=True,
    help="With --once: exit 0 if quiet, 1 for suspects, 2 for a fault, 3 if nothing is known.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long --once and --screenshot wait for a view.",
)
@click.option("--ascii", "ascii_only", is_flag=True, help="Use no characters beyond ASCII.")
@click.option("--no-color", is_flag=True, help="Use no colours; so does NO_COLOR.")
@click.option(
    "--screenshot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.svg",
    help="Draw the terminal into a file, without a terminal, and exit.",
)
@click.option(
    "--after",
    type=click.FloatRange(min=0, max=3600),
    default=0.0,
    metavar="SECONDS",
    help="With --screenshot: so long after the first view.",
)
@click.option(
    "--size",
    default="120x36",
    show_default=True,
    metavar="COLUMNSxLINES",
    callback=_size,
    help="With --screenshot.",
)
@click.option("--open", "opened", is_flag=True, help="With --screenshot: the first verdict.")
@click.version_option(__version__, prog_name=PROGRAM)
def main(  # noqa: PLR0913  one parameter for each flag
    *,
    address: str | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_server_name: str | None,
    once: bool,
    in_json: bool,
    exit_status: bool,
    timeout: float,
    ascii_only: bool,
    no_color: bool,
    screenshot: Path | None,
    after: float,
    size: tuple[int, int],
    opened: bool,
) -> None:
    """Watch a fleet: which shard, host or rack, since when, how sure, and may I rely on it."""
    # A line of log would stand in the middle of the screen.
    start_logs(sys.stderr if once else None, SystemClock(), level="warning")
    try:
        tls = tls_of(tls_ca, tls_cert, tls_key, tls_server_name, os.environ)
        where = Place(address_of(address, os.environ), tls)
    except (BadSettings, BadTls) as bad:
        raise Refused(str(bad)) from None
    if (in_json or exit_status) and not once:
        message = "--json and --exit-status belong to --once"
        raise Refused(message)
    if once:
        view = asyncio.run(_one_view(where, timeout))
        click.echo(_told(view, in_json=in_json, ascii_only=ascii_only))
        sys.exit(status(view) if exit_status else QUIET)
    colour = not (no_color or os.environ.get("NO_COLOR"))
    looks = Looks(SystemClock(), ascii_only=ascii_only, colour=colour)
    if screenshot is not None:
        shot = Shot(size=size, patience=timeout, after=after, open_first=opened)
        _save(screenshot, asyncio.run(_draw(where, looks, shot)))
    elif sys.stdin.isatty() and sys.stdout.isatty():
        asyncio.run(_watch(where, looks))
    else:
        message = "needs a terminal; use --once for a plain summary"
        raise Refused(message)


def _client(where: Place) -> Client:
    return Client(where.address, clock=SystemClock(), draw=random.random, tls=where.tls)


def _no_answer(where: Place, why: Exception) -> Refused:
    return Refused(f"{where.address}: {why}; is the aggregator running there?", NO_ANSWER)


async def _one_view(where: Place, patience: float) -> View:
    """Return a view, or refuse with the status for "nobody answers"."""
    client = _client(where)
    try:
        return await client.once(patience)
    except Unanswered as silence:
        raise _no_answer(where, silence) from None
    finally:
        await client.close()


def _told(view: View, *, in_json: bool, ascii_only: bool) -> str:
    now = SystemClock().now()
    if in_json:
        return as_json(view, now, ascii_only=ascii_only)
    text = summary(view, now, None)
    return "\n".join(map(plain, text.split("\n"))) if ascii_only else text


async def _watch(where: Place, looks: Looks) -> None:
    from .app import TesseraApp  # noqa: PLC0415  --once does without Textual, which loads slowly

    client = _client(where)
    try:
        await TesseraApp(client, looks).run_async()
    finally:
        await client.close()


async def _draw(where: Place, looks: Looks, shot: Shot) -> str:
    """Return the picture, or refuse with the status for "nobody answers"."""
    from .app import TesseraApp  # noqa: PLC0415  as above
    from .screenshot import NoPicture, draw  # noqa: PLC0415  as above

    client = _client(where)
    try:
        return await draw(TesseraApp(client, looks), shot)
    except NoPicture as none:
        raise _no_answer(where, none) from None
    finally:
        await client.close()


def _save(file: Path, svg: str) -> None:
    """Write the picture whole or not at all."""
    half = file.with_name(file.name + ".part")
    try:
        half.write_text(svg, encoding="utf-8")
        half.replace(file)
    except OSError as bad:
        half.unlink(missing_ok=True)
        message = f"{file}: {(bad.strerror or 'cannot be written').lower()}; name another file"
        raise Refused(message) from None


if __name__ == "__main__":
    main()
