"""The gRPC server: its limits, and an address that is ours alone.

Apart from the services on it, because these numbers come from measurements of gRPC itself.
"""

from typing import Final

import grpc.aio

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


def bind(server: grpc.aio.Server, address: str) -> str:
    """Let ``server`` listen on HOST:PORT; return it with the port chosen where that was 0.

    Raises ``AddressTaken``.
    """
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        todo = "stop who uses it or set `listen` to another"
        message = f"{address}: cannot be listened on; {todo}"
        raise AddressTaken(message)
    return f"{address.rpartition(':')[0]}:{port}"
