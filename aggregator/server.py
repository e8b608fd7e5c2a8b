"""The gRPC server: its limits, and an address that is ours alone.

Apart from the services on it, because these numbers come from measurements of gRPC itself.
"""

import errno
import socket
from typing import Final

import grpc
import grpc.aio

from ..settings.address import host_and_port

OPTIONS: Final = (
    # Both: with gRPC's own limits a restart beneath 12,500 agents resets half of their streams.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
    ("grpc.max_receive_message_length", 4 << 20),  # bytes
    ("grpc.max_send_message_length", 32 << 20),  # a view of a whole fleet
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),  # a second aggregator on one address would take half of the hosts
)


class AddressTaken(Exception):  # noqa: N818  named for what it says
    """An address that cannot be listened on; its text is one line."""


def make_server() -> grpc.aio.Server:
    """Return a server without services."""
    return grpc.aio.server(options=OPTIONS)


def bind(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Let ``server`` listen on HOST:PORT; return it with the port chosen where that was 0.

    Without ``credentials`` it speaks plain text. Raises ``AddressTaken``.
    """
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        message = f"{address}: {_why_not(address)}"
        raise AddressTaken(message)
    return f"{address.rpartition(':')[0]}:{port}"


def _why_not(address: str) -> str:
    """Return why nobody can listen on HOST:PORT, as far as the system says, and what to do.

    gRPC itself tells neither.
    """
    host, port = host_and_port(address)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(place)
    except OSError as fault:
        if isinstance(fault, socket.gaierror) or fault.errno == errno.EADDRNOTAVAIL:
            return "is no address of this machine; set `listen` to one of its own"
        if fault.errno == errno.EACCES:
            return "needs rights that this user has not; set `listen` to a port above 1023"
    return "is in use; stop who uses it or set `listen` to another"
