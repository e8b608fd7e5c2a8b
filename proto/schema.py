"""The generated code of the wire, under the names by which the rest of Tessera calls it.

Apart, so that one file alone knows what the generator calls its modules, and that its stubs are
typed for two kinds of channel of which only ``grpc.aio``'s is ever used here.
"""

from typing import cast

import grpc.aio

from . import console_pb2 as console
from . import console_pb2_grpc as console_grpc
from . import health_pb2 as health
from . import health_pb2_grpc as health_grpc
from . import ingest_pb2 as ingest
from . import ingest_pb2_grpc as ingest_grpc

__all__ = [
    "MAJOR",
    "MINOR",
    "console",
    "console_grpc",
    "console_stub",
    "health",
    "health_grpc",
    "health_stub",
    "ingest",
    "ingest_grpc",
    "ingest_stub",
]

# The protocol's version: both ends need the same major; a later minor only adds fields.
MAJOR, MINOR = 1, 1


def ingest_stub(channel: grpc.aio.Channel) -> "ingest_grpc.IngestAsyncStub":
    """Return the agent's side of the ingest service on ``channel``."""
    return cast("ingest_grpc.IngestAsyncStub", ingest_grpc.IngestStub(channel))


def console_stub(channel: grpc.aio.Channel) -> "console_grpc.ConsoleAsyncStub":
    """Return the terminal's side of the console service on ``channel``."""
    return cast("console_grpc.ConsoleAsyncStub", console_grpc.ConsoleStub(channel))


def health_stub(channel: grpc.aio.Channel) -> "health_grpc.HealthAsyncStub":
    """Return the asking side of the health service on ``channel``."""
    return cast("health_grpc.HealthAsyncStub", health_grpc.HealthStub(channel))
