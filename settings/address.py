"""Addresses as settings hold them: HOST:PORT.

Apart, because who listens and who calls must agree on what an address is.
"""

import ipaddress
from typing import Annotated, Final

from pydantic import AfterValidator

SERVED: Final = "127.0.0.1:9460"  # where an aggregator serves unless told otherwise
_LAST_PORT: Final = 65_535


def host_and_port(text: str, first_port: int = 0) -> tuple[str, int]:
    """Return the host, which may be empty, and the port, at least ``first_port``, of ``text``.

    Raises ``ValueError`` for what is no such pair; its text says what to write.
    """
    host, colon, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else -1
    if not colon or not first_port <= number <= _LAST_PORT or set(host) & set(" /"):
        message = f"is not HOST:PORT; write for instance {SERVED}"
        raise ValueError(message)
    return host, number


def _to_listen(text: str) -> str:
    host, _ = host_and_port(text)
    if not host:
        message = f"names no host; write for instance {SERVED}"
        raise ValueError(message)
    return text


# Where a program listens; port 0 is any free one.
Address = Annotated[str, AfterValidator(_to_listen)]


def is_loopback(address: str) -> bool:
    """Say whether only this machine can reach ``address`` (HOST:PORT)."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
