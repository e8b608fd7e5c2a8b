"""The link to the aggregator: one stream, opened again whenever it ends, and a bounded queue.

Apart from what is said over it, because order, loss and reconnecting are the same for every
message: what cannot be sent now is dropped and counted, and whatever must not be lost is said
again when the link is back.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from math import inf, nan
from typing import Final, Protocol, TypeAlias

import grpc.aio
import structlog

from ..proto.schema import ingest, ingest_stub
from ..proto.secure import open_channel, why_no_handshake
from ..settings.clock import Clock
from ..settings.tls import Tls
from .backoff import Backoff

MOST_WAITING: Final = 512  # messages
WELCOME_WITHIN: Final = 10.0  # seconds
PROVEN: Final = 1.0  # seconds of a link after which it is told: a refusal comes before
RENEWED: Final = "the certificates have changed"
BROKEN: Final = "an error of this agent's own; its log says which"
OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),  # else grpc's own backoff outlives the channel
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", 4 << 20),
)

Call: TypeAlias = "grpc.aio.StreamStreamCall[ingest.FromAgent, ingest.FromAggregator]"


class Speaker(Protocol):
    """Who speaks over the link and is told what comes."""

    def hello(self) -> ingest.Hello:
        """Return who speaks, at the beginning of each link."""
        ...

    def greeting(self, welcome: ingest.Welcome) -> Iterable[ingest.FromAgent]:
        """Return what is said first on each link that was welcomed."""
        ...

    def take(self, message: ingest.FromAggregator) -> None:
        """Do what one message asks for; it must not raise."""
        ...


def _nothing() -> None:
    """Serve nobody: nobody drives this agent in lock-step."""


class Uplink:
    """The stream to one aggregator.

    ``sent`` counts the messages of this link that were put on their way, ``received`` those of
    which nothing is left to do, Hello and Welcome included; both begin anew with each link.
    ``dropped`` counts, by kind, what could not be sent, over all links.
    """

    def __init__(
        self,
        target: str,
        speaker: Speaker,
        clock: Clock,
        backoff: Backoff,
        tls: Tls | None = None,
    ) -> None:
        """Take the aggregator's address, HOST:PORT; :meth:`run` connects, without ``tls`` in plain.

        With it, the link is made anew when its files have changed.
        """
        self.target = target
        self.sent = self.received = self.links = 0
        self.dropped: dict[str, int] = {}
        self.on_change: Callable[[], None] = _nothing
        self.superseded = False
        self._speaker = speaker
        self._clock = clock
        self._backoff = backoff
        self._tls = tls
        self._waiting: deque[ingest.FromAgent] = deque()
        self._news = asyncio.Event()
        self._since = inf  # monotonic second since which the link is up
        self._refused = self._down = ""
        self._telling: asyncio.TimerHandle | None = None  # of a link that is up
        self._log = structlog.get_logger("agent")

    @property
    def up(self) -> bool:
        """Say whether the aggregator has welcomed us and the stream still stands."""
        return self._since < inf

    @property
    def state(self) -> str:
        """Return "up", or in one line why not."""
        return "up" if self.up else self._down or "connecting"

    @property
    def certificate_ends(self) -> float:
        """Return the last Unix second of our own certificate, NaN without one."""
        return self._tls.pem.ends if self._tls is not None and self._tls.pem.cert else nan

    def send(self, message: ingest.FromAgent) -> bool:
        """Put ``message`` on its way; return False where it was dropped because the link is down.

        When too much waits, old block values go first.
        """
        if not self.up or not self._made_room():
            self._drop(message)
            return False
        self._queue(message)
        return True

    async def run(self) -> None:
        """Connect, and again each time that the link ends, until another instance takes over.

        However it ends, by an error that nobody foresaw too, the link is down then.
        """
        while not self.superseded:
            self._refused, reason = "", BROKEN
            try:
                reason = await self._link()
            finally:
                lasted = self._clock.monotonic() - self._since if self.up else 0.0
                self._end(reason)
            wait = self._backoff.refused() if self._refused else self._backoff.after(lasted)
            if not self.superseded and reason != RENEWED:
                await asyncio.sleep(wait)

    async def _link(self) -> str:
        """Serve one link to its end; return in one line why it ended."""
        if self._tls is not None:
            await asyncio.to_thread(self._tls.refresh)
        material, name = (self._tls.pem, self._tls.name) if self._tls else (None, "")
        async with open_channel(self.target, OPTIONS, material, name) as channel:
            call = ingest_stub(channel).Exchange()
            try:
                renewed = await self._serve(call)  # pyright: ignore[reportArgumentType]  # it knows the generated modules by two names
            except grpc.aio.AioRpcError as fault:
                secure = self._tls is not None
                why = "" if self.up else why_no_handshake(fault.details() or "", secure=secure)
                return why or _line(fault)
            except TimeoutError:
                return f"the aggregator did not answer within {WELCOME_WITHIN:g} s"
            except asyncio.InvalidStateError:
                return "the stream was closed"  # while a message was written
            finally:
                call.cancel()
        if renewed:
            return RENEWED
        return self._refused or "the aggregator closed the stream"

    async def _serve(self, call: Call) -> bool:
        """Speak until the stream ends; return whether it is to be made anew."""
        self.sent = self.received = 0
        self._waiting.clear()
        hello = ingest.FromAgent(hello=self._speaker.hello())
        self.sent += 1
        await call.write(hello)
        first = await asyncio.wait_for(call.read(), WELCOME_WITHIN)
        if not isinstance(first, ingest.FromAggregator):
            await _raise_status(call)
            return False
        self._take(first)
        if not self.up:
            return False
        reading = asyncio.create_task(self._read(call))
        writing = asyncio.create_task(self._write(call))
        renewing = asyncio.create_task(self._renewed())
        tasks = {reading, writing, renewing}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: task is writing):
                task.result()
            return renewing in done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _renewed(self) -> None:
        """Return once the files of TLS have changed, never without TLS."""
        while True:
            await asyncio.sleep(self._tls.every if self._tls else inf)
            if self._tls is not None and await asyncio.to_thread(self._tls.refresh):
                return

    async def _read(self, call: Call) -> None:
        while isinstance(message := await call.read(), ingest.FromAggregator):
            self._take(message)
            if self.superseded or self._refused:
                return
        await _raise_status(call)

    async def _write(self, call: Call) -> None:
        while True:
            while self._waiting:
                await call.write(self._waiting.popleft())
            self._news.clear()
            await self._news.wait()

    def _take(self, message: ingest.FromAggregator) -> None:
        kind = message.WhichOneof("body")
        if kind == "refused":
            self._refused = f"the aggregator refuses this agent: {message.refused.reason}"
        elif kind == "superseded":
            self.superseded = True
        elif kind == "welcome":
            self._welcomed(message.welcome)
        elif self.up:
            self._speaker.take(message)
        self.received += 1
        self.on_change()

    def _welcomed(self, welcome: ingest.Welcome) -> None:
        self._since = self._clock.monotonic()
        self.links += 1
        self._telling = asyncio.get_running_loop().call_later(PROVEN, self._say_up)
        for message in self._speaker.greeting(welcome):
            self._queue(message)

    def _say_up(self) -> None:
        self._down = ""
        self._log.info("link is up", aggregator=self.target, link=self.links)

    def _end(self, reason: str) -> None:
        """Say why the link ended or could not be made, unless that was said last.

        What broke it here is the runtime's to log.
        """
        self._since = inf
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self.sent = self.received = 0
        for message in self._waiting:
            self._drop(message)
        self._waiting.clear()
        if reason not in (self._down, BROKEN) and not self.superseded:
            self._log.warning("link is down", aggregator=self.target, reason=reason)
        self._down = reason
        self.on_change()

    def _queue(self, message: ingest.FromAgent) -> None:
        self._waiting.append(message)
        self.sent += 1
        self._news.set()
        self.on_change()

    def _made_room(self) -> bool:
        """Return whether one more may wait; history, then the oldest UP1, then UP2, makes room."""
        if len(self._waiting) < MOST_WAITING:
            return True
        for kind in ("history", "up1", "up2"):
            old = next((m for m in self._waiting if m.WhichOneof("body") == kind), None)
            if old is not None:
                self._waiting.remove(old)
                self.sent -= 1
                self._drop(old)
                return True
        return False

    def _drop(self, message: ingest.FromAgent) -> None:
        kind = message.WhichOneof("body") or "empty"
        self.dropped[kind] = self.dropped.get(kind, 0) + 1


async def _raise_status(call: Call) -> None:
    """Raise the error that a stream ended with, if it was one."""
    code = await call.code()
    if code is not grpc.StatusCode.OK:
        raise grpc.aio.AioRpcError(
            code,
            await call.initial_metadata(),
            await call.trailing_metadata(),
            await call.details(),
        )


def _line(fault: grpc.aio.AioRpcError) -> str:
    """Return one line for a person: what gRPC calls it, and the first line of its details."""
    details = " ".join((fault.details() or "").split())
    return f"{fault.code().name.lower().replace('_', ' ')}: {details:.200}"
