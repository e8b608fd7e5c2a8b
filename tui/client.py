"""The terminal's side of the console service: follow its views for ever, and ask about a node.

Apart, because the wire ends here: screens and widgets hold decoded views and know no gRPC.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar, cast

import grpc.aio

from ..proto.schema import console, console_stub
from ..proto.secure import open_channel, why_no_handshake
from ..settings.clock import Clock
from ..settings.tls import Tls
from . import decode
from .answers import Explanation, History, RawTicks, Unanswered
from .decode import BadAnswer
from .view import NO_LAYOUT, Layout, LinkLost, View

EVERY_SECONDS = 1.0  # views that a person can follow
ASK_SECONDS = 5.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0  # seconds before the link is tried again
LARGEST_VIEW = 64 << 20  # bytes; one of 100,000 shards with its layout has about 8 million
CHANNEL = (
    ("grpc.max_receive_message_length", LARGEST_VIEW),
    # Waiting is this client's; the channel's own grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A machine that is gone closes nothing: ask whether it is there.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

CLOSED = "the aggregator closed the stream"

Message = TypeVar("Message")
Decoded = TypeVar("Decoded")


class Client:
    """Watches one aggregator at ``address`` ("host:port"); used by one reader."""

    def __init__(
        self,
        address: str,
        *,
        clock: Clock,
        draw: Callable[[], float],
        waits: tuple[float, float] = (FIRST_WAIT, LONGEST_WAIT),
        tls: Tls | None = None,
    ) -> None:
        """Keep what is needed to connect; ``draw`` returns random numbers in [0, 1).

        Without ``tls`` it connects in plain text.
        ``waits`` are the seconds before the first and, doubling, the longest wait after a loss.
        """
        self._address = address
        self._clock = clock
        self._draw = draw
        self._waits = waits
        self._tls = tls
        self._layout: Layout = NO_LAYOUT
        self._last: View | None = None
        self._channel: grpc.aio.Channel | None = None

    @property
    def address(self) -> str:
        """Return the address as it was given."""
        return self._address

    async def close(self) -> None:
        """End every question that is under way."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def watch(self) -> AsyncGenerator[View | LinkLost, None]:
        """Yield the latest view, and each loss of the link; try again for ever.

        A reader that is slow misses views and is never behind.
        """
        latest: asyncio.Queue[View | LinkLost] = asyncio.Queue(maxsize=1)
        reading = asyncio.create_task(self._follow(latest))
        try:
            while True:
                getting = asyncio.create_task(latest.get())
                await asyncio.wait({getting, reading}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    getting.cancel()
                    reading.result()  # it never ends but by an error of its own
                yield await getting
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def once(self, timeout: float) -> View:  # noqa: ASYNC109  the deadline travels to the server
        """Return one view, or raise ``Unanswered`` after ``timeout`` seconds without one."""
        request = console.WatchRequest(every_seconds=EVERY_SECONDS)
        call = self._stub().Watch(request, timeout=timeout, wait_for_ready=False)
        try:
            async for message in call:
                return self._taken(message)
        except grpc.aio.AioRpcError as error:
            raise Unanswered(self._why(error)) from None
        except BadAnswer as bad:
            raise Unanswered(_unreadable(bad)) from None
        finally:
            call.cancel()
        raise Unanswered(CLOSED)

    async def explain(self, node: str) -> Explanation:
        """Return why ``node`` has a verdict or has none, or raise ``Unanswered``."""
        request = console.ExplainRequest(node=node)
        return await _asked(self._stub().Explain(request, timeout=ASK_SECONDS), decode.explanation)

    async def history(self, node: str) -> History:
        """Return what is kept of ``node``'s evidence, or raise ``Unanswered``."""
        request = console.HistoryRequest(node=node)
        return await _asked(self._stub().History(request, timeout=ASK_SECONDS), decode.history)

    async def raw_ticks(self, shard: str) -> RawTicks:
        """Return the last readings of ``shard``, or raise ``Unanswered``."""
        request = console.RawTicksRequest(shard=shard)
        return await _asked(self._stub().RawTicks(request, timeout=ASK_SECONDS), decode.raw_ticks)

    async def _follow(self, latest: asyncio.Queue[View | LinkLost]) -> None:
        """Put views and losses into ``latest``, the newest in the place of an unread one."""
        failures, since = 0, 0.0
        while True:
            reason = CLOSED
            self._layout = NO_LAYOUT  # another aggregator may count its layouts from one again
            request = console.WatchRequest(every_seconds=EVERY_SECONDS)
            try:
                async for message in self._stub().Watch(request):
                    _put(latest, self._taken(message))
                    failures = 0
            except grpc.aio.AioRpcError as error:
                reason = _told(error) if failures == 0 and self._last else self._why(error)
            except BadAnswer as bad:
                reason = _unreadable(bad)
            since = since if failures else self._clock.monotonic()
            _put(latest, LinkLost(self._address, reason, since))
            await asyncio.sleep(self._wait(failures))
            failures += 1
            if self._tls is not None and await asyncio.to_thread(self._tls.refresh):
                await self.close()  # the next call opens a channel with what is new

    def _taken(self, message: console.View) -> View:
        """Return the message decoded, with the layout that it came with or the one before."""
        view = decode.view(message, self._layout, self._clock.monotonic())
        if self._last is not None and view.at == self._last.at:
            view = replace(view, received=self._last.received)
        self._layout, self._last = view.layout, view
        return view

    def _wait(self, failures: int) -> float:
        """Return seconds: half of the doubling wait is certain, half is drawn."""
        first, longest = self._waits
        wait = min(longest, first * 2.0 ** min(failures, 16))
        return wait * (0.5 + 0.5 * self._draw())

    def _why(self, error: grpc.aio.AioRpcError) -> str:
        """Return one line about a call that failed before anything came."""
        secure = self._tls is not None
        return why_no_handshake(error.details() or "", secure=secure) or _told(error)

    def _stub(self) -> "_Asks":
        if self._channel is None:
            material, name = (self._tls.pem, self._tls.name) if self._tls else (None, "")
            self._channel = open_channel(self._address, CHANNEL, material, name)
        return cast("_Asks", console_stub(self._channel))


class _Asks(Protocol):
    """What is asked of the stub, in the one name that the checkers have for each message."""

    def Watch(  # noqa: N802  the service's name
        self,
        request: console.WatchRequest,
        *,
        timeout: float | None = None,
        wait_for_ready: bool | None = None,
    ) -> grpc.aio.UnaryStreamCall[console.WatchRequest, console.View]: ...

    def Explain(  # noqa: N802  the service's name
        self, request: console.ExplainRequest, *, timeout: float
    ) -> Awaitable[console.Explanation]: ...

    def History(  # noqa: N802  the service's name
        self, request: console.HistoryRequest, *, timeout: float
    ) -> Awaitable[console.HistoryReply]: ...

    def RawTicks(  # noqa: N802  the service's name
        self, request: console.RawTicksRequest, *, timeout: float
    ) -> Awaitable[console.RawTicksReply]: ...


async def _asked(call: Awaitable[Message], take: Callable[[Message], Decoded]) -> Decoded:
    try:
        return take(await call)
    except grpc.aio.AioRpcError as error:
        raise Unanswered(_told(error)) from None
    except BadAnswer as bad:
        raise Unanswered(_unreadable(bad)) from None


def _put(latest: asyncio.Queue[View | LinkLost], item: View | LinkLost) -> None:
    if latest.full():
        latest.get_nowait()
    latest.put_nowait(item)


def _unreadable(bad: BadAnswer) -> str:
    return f"an answer cannot be read ({bad})"


def _told(error: grpc.aio.AioRpcError) -> str:
    """Return one line about a failed call, without the library's own addresses and stamps."""
    details = " ".join((error.details() or "").split())
    words = {
        grpc.StatusCode.UNAVAILABLE: "no aggregator answers",
        grpc.StatusCode.DEADLINE_EXCEEDED: "no answer in time",
        grpc.StatusCode.UNIMPLEMENTED: "this aggregator does not serve it",
    }
    word = words.get(error.code(), error.code().name.lower().replace("_", " "))
    if "onnection refused" in details:
        return f"{word} (connection refused)"
    if error.code() in words or not details:
        return word
    return f"{word}: {details}"
