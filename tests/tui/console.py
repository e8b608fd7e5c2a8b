"""A console that answers from a script, on a real socket: what the client is tested against."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import grpc.aio

from tessera.proto.schema import console, console_grpc


class ScriptedConsole(console_grpc.ConsoleServicer):
    """Sends ``views`` to each watcher, then those of ``say``; answers questions if it can."""

    def __init__(self, views: Iterable[console.View] = ()) -> None:
        self.views = list(views)
        self.asked: list[console.WatchRequest] = []
        self.explanation: console.Explanation | None = None
        self.kept: console.HistoryReply | None = None
        self.readings: console.RawTicksReply | None = None
        self.sent = asyncio.Event()  # all of ``views``
        self._more: asyncio.Queue[console.View | None] = asyncio.Queue()

    def hang_up(self) -> None:
        """End the stream of who watches."""
        self._more.put_nowait(None)

    def say(self, view: console.View) -> None:
        """Send one more view to who watches."""
        self._more.put_nowait(view)

    async def Watch(  # noqa: N802  gRPC names it
        self,
        request: console.WatchRequest,
        context: grpc.aio.ServicerContext[console.WatchRequest, console.View],
    ) -> AsyncIterator[console.View]:
        del context
        self.asked.append(request)
        for view in self.views:
            yield view
        self.sent.set()
        while (more := await self._more.get()) is not None:
            yield more

    async def Explain(  # noqa: N802  gRPC names it
        self,
        request: console.ExplainRequest,
        context: grpc.aio.ServicerContext[console.ExplainRequest, console.Explanation],
    ) -> console.Explanation:
        if self.explanation is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no node '{request.node}'")
        assert self.explanation is not None
        return self.explanation

    async def History(  # noqa: N802  gRPC names it
        self,
        request: console.HistoryRequest,
        context: grpc.aio.ServicerContext[console.HistoryRequest, console.HistoryReply],
    ) -> console.HistoryReply:
        if self.kept is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no node '{request.node}'")
        assert self.kept is not None
        return self.kept

    async def RawTicks(  # noqa: N802  gRPC names it
        self,
        request: console.RawTicksRequest,
        context: grpc.aio.ServicerContext[console.RawTicksRequest, console.RawTicksReply],
    ) -> console.RawTicksReply:
        if self.readings is None:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"not of '{request.shard}'")
        assert self.readings is not None
        return self.readings


def scripted(views: Iterable[console.View] = ()) -> ScriptedConsole:
    """Return a console on ``views``."""
    # The generated class calls its methods abstract; those that are missing answer UNIMPLEMENTED.
    return ScriptedConsole(views)  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]  # see above


@asynccontextmanager
async def serving(
    script: ScriptedConsole,
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[str]:
    """Serve ``script``, in plain text without ``credentials``; yield the address."""
    server = grpc.aio.server()
    console_grpc.add_ConsoleServicer_to_server(script, server)
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
