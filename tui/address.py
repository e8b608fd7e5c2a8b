"""Where the aggregator answers: a flag, two variables, a default.

Apart from the command line, because the rule has a trap: the second variable is the aggregator's.
"""

from collections.abc import Mapping

from ..settings.load import BadSettings, Settings, load

DEFAULT = "127.0.0.1:9460"
FLAG, OWN, SERVER = "--address", "TESSERA_ADDRESS", "TESSERA_LISTEN"
LAST_PORT = 65_535
# Where a server listens on every address, the terminal asks this machine.
HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  read, not bound


class TuiSettings(Settings):
    """What the terminal is told."""

    address: str = DEFAULT


def address_of(flag: str | None, environ: Mapping[str, str]) -> str:
    """Return "host:port": the flag, else TESSERA_ADDRESS, else TESSERA_LISTEN, else the default.

    Other variables are other programs'. Raise ``BadSettings`` for what is no such pair.
    """
    own = {OWN: environ[OWN]} if environ.get(OWN) else {}
    source = FLAG if flag is not None else OWN
    given = load(TuiSettings, flags={"address": flag}, environ=own).address
    if flag is None and not own and environ.get(SERVER):
        given, source = environ[SERVER], SERVER
    host, colon, port = given.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else 0
    if not (colon and 0 < number <= LAST_PORT) or set(host) & set(" /"):
        raise BadSettings(source, "", "is no host:port", f"write it like {DEFAULT}")
    return f"{HERE.get(host, host)}:{number}"
