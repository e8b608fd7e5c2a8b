"""Where the aggregator answers: a flag, two variables, a default.

Apart from the command line, because the rule has a trap: the second variable is the aggregator's.
"""

from collections.abc import Mapping
from typing import Final

from ..settings.address import SERVED, host_and_port
from ..settings.load import BadSettings

FLAG, OWN, SERVER = "--address", "TESSERA_ADDRESS", "TESSERA_LISTEN"
# Where a server listens on every address, the terminal asks this machine.
HERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  read, not bound


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
