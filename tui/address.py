"""Where the aggregator answers, and with which certificates it is asked: flags, then variables.

Apart from the command line, because the rule has a trap: one variable is the aggregator's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..settings.address import SERVED, host_and_port
from ..settings.clock import SystemClock
from ..settings.load import BadSettings
from ..settings.tls import Tls, client_tls

FLAG, OWN, SERVER = "--address", "TESSERA_ADDRESS", "TESSERA_LISTEN"
# Where a server listens on every address, the terminal asks this machine.
HERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  read, not bound


@dataclass(frozen=True, slots=True)
class Place:
    """Where the aggregator is asked, and with what; ``tls`` None = in plain text."""

    address: str
    tls: Tls | None = None


def tls_of(
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    name: str | None,
    environ: Mapping[str, str],
) -> Tls | None:
    """Return what to connect with, read and checked: each flag, else its variable TESSERA_TLS_….

    Raises ``BadTls``.
    """

    def file(flag: Path | None, variable: str) -> Path | None:
        said = environ.get(variable, "")
        return flag if flag is not None else Path(said) if said else None

    return client_tls(
        file(ca, "TESSERA_TLS_CA"),
        file(cert, "TESSERA_TLS_CERT"),
        file(key, "TESSERA_TLS_KEY"),
        name=environ.get("TESSERA_TLS_SERVER_NAME", "") if name is None else name,
        clock=SystemClock(),
    )


def address_of(flag: str | None, environ: Mapping[str, str]) -> str:
    """Return "host:port": the flag, else TESSERA_ADDRESS, else TESSERA_LISTEN, else the default.

    Other variables are other programs'. Raise ``BadSettings`` for what is no such pair.
    """
    given = SERVED
    source = FLAG if flag is not None else next(filter(environ.get, (OWN, SERVER)), "")
    if source:
        given = environ[source] if flag is None else flag
    try:
        host, port = host_and_port(given, first_port=1)
    except ValueError as bad:
        what, _, todo = str(bad).partition("; ")
        raise BadSettings(source, "", what, todo) from None
    return f"{HERE.get(host, host)}:{port}"
