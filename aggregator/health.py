"""The gRPC health service: whether this aggregator can be relied on now.

Apart from the other services, because load balancers and supervisors ask nothing else.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import grpc
import grpc.aio

from ..proto.schema import health, health_grpc

SERVICES = frozenset({"", "tessera.ingest.v1.Ingest", "tessera.console.v1.Console"})

Status = health.HealthCheckResponse
Context = grpc.aio.ServicerContext[health.HealthCheckRequest, health.HealthCheckResponse]


class HealthService:
    """One status for all services: they share a store and a pipeline.

    It has the methods of the generated servicer, whose types are those of another kind of server.
    """

    def __init__(self) -> None:
        """Start as not serving."""
        self._serving = False
        self._closed = False
        self._news = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Say whether it answers SERVING."""
        return self._serving

    def set(self, *, serving: bool) -> None:
        """Change the answer, and tell those who watch; after ``close`` nothing changes."""
        if serving != self._serving and not self._closed:
            self._serving = serving
            self._wake()

    def close(self) -> None:
        """Answer NOT_SERVING from now on and end all watching."""
        self._serving, self._closed = False, True
        self._wake()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the service."""
        health_grpc.add_HealthServicer_to_server(cast("health_grpc.HealthServicer", self), server)

    async def Check(  # noqa: N802 - the generated name
        self, request: health.HealthCheckRequest, context: Context
    ) -> health.HealthCheckResponse:
        """Answer once."""
        if request.service not in SERVICES:
            what = f"no service {request.service!r:.80} here"
            await context.abort(grpc.StatusCode.NOT_FOUND, what)
        return self._answer(request.service)

    async def Watch(  # noqa: N802 - the generated name
        self, request: health.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health.HealthCheckResponse]:
        """Answer now and whenever the answer changes."""
        del context
        while True:
            news = self._news
            yield self._answer(request.service)
            if self._closed:
                return
            await news.wait()

    def _answer(self, service: str) -> health.HealthCheckResponse:
        if service not in SERVICES:
            return Status(status=Status.SERVICE_UNKNOWN)
        return Status(status=Status.SERVING if self._serving else Status.NOT_SERVING)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
