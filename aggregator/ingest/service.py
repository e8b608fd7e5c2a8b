"""The ingest service: a handshake, then what an agent says goes where it belongs.

Apart from the runtime, because here nothing is believed yet: whatever an agent sends, the worst
that comes of it is one refused message, one line in the log, or the end of its own stream.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, cast

import grpc.aio
import structlog

from ...proto import decode
from ...proto.messages import Inventory
from ...proto.pack import BadMessage
from ...proto.schema import MAJOR, MINOR, ingest, ingest_grpc
from ...proto.secure import verified_name
from ...settings.clock import Clock
from .inbox import Arrived, Inbox
from .liveness import Liveness
from .past import Past
from .session import Session
from .sessions import Sessions

HELLO_WITHIN = 10.0  # seconds in which a new stream has to say who it is
AHEAD = 0.25  # of a block: a host whose clock is further ahead is not compared
QUIET = 60.0  # seconds between two lines of log about the messages of one host
LONGEST_NAME = 512

Requests = AsyncIterator[ingest.FromAgent]
Context = grpc.aio.ServicerContext[ingest.FromAgent, ingest.FromAggregator]


class Desk(Protocol):
    """What the runtime does with what the service lets through."""

    def greeted(self, session: Session, hello: ingest.Hello) -> None:
        """Take note of a host that has connected."""
        ...

    def superseded(self, session: Session, before: int) -> None:
        """Take note that ``session`` is served in the place of an instance that was connected."""
        ...

    def left(self, session: Session) -> None:
        """Take note of a host that is not connected any more."""
        ...

    def claimed(self, session: Session, inventory: Inventory) -> str:
        """Take an inventory; return "", or in one line why the host cannot be served."""
        ...

    def evidence(self, host: str, message: ingest.Up2) -> None:
        """Take evidence that has been let through, as it travelled."""
        ...

    def told(self, session: Session, message: ingest.Fact | ingest.Event) -> None:
        """Take a fact or an event, which is acknowledged once it is stored."""
        ...


class IngestService:
    """Serves every agent's stream.

    It has the method of the generated servicer, whose types are those of another kind of server.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a stream feeds
        self,
        sessions: Sessions,
        inbox: Inbox,
        liveness: Liveness,
        desk: Desk,
        clock: Clock,
        *,
        past: Past,
        instance: int,
        heartbeat_seconds: float,
    ) -> None:
        """Take where messages go; ``instance`` is this aggregator's, new with each start."""
        self._sessions = sessions
        self._inbox = inbox
        self._liveness = liveness
        self._desk = desk
        self._clock = clock
        self._past = past
        self._instance = instance
        self._heartbeat = heartbeat_seconds
        self._log = structlog.get_logger()
        self._logged: dict[str, float] = {}  # monotonic seconds by host

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the service."""
        ingest_grpc.add_IngestServicer_to_server(cast("ingest_grpc.IngestServicer", self), server)

    async def Exchange(self, requests: Requests, context: Context) -> None:  # noqa: N802 - the generated name
        """Serve one stream until either end has enough of it."""
        hello = await self._hello(requests)
        refusal = self._refusal(hello)
        if hello is None or refusal:
            if refusal:
                await context.write(_refused(refusal))
            return
        older = self._sessions.of(hello.host)
        session = self._sessions.open(hello.host, hello.instance)
        session.verified = verified_name(context.auth_context())
        if older is not None and older.instance != session.instance:
            self._desk.superseded(session, older.instance)
        session.send(self._welcome())
        self._liveness.hear(session.host)
        self._desk.greeted(session, hello)
        session.took()
        reading = asyncio.create_task(self._read(session, requests))
        reading.add_done_callback(lambda _: session.end())
        try:
            while (message := await session.next()) is not None:
                await context.write(message)
        finally:
            reading.cancel()
            outcome = await asyncio.gather(reading, return_exceptions=True)
            if self._sessions.close(session):
                self._desk.left(session)
        if isinstance(outcome[0], Exception) and not isinstance(outcome[0], grpc.RpcError):
            raise outcome[0]  # a defect of ours: grpc logs it and ends this stream alone

    async def _hello(self, requests: Requests) -> ingest.Hello | None:
        """Return the Hello, an empty one for any other first message, None if nothing comes."""
        try:
            first = await asyncio.wait_for(anext(aiter(requests)), HELLO_WITHIN)
        except (TimeoutError, StopAsyncIteration):
            return None
        return first.hello

    def _refusal(self, hello: ingest.Hello | None) -> str:
        """Return in one line why ``hello`` cannot be served, "" if it can."""
        if hello is None:
            return ""
        if hello.major != MAJOR:
            theirs = f"{hello.major}.{hello.minor}"
            return (
                f"the agent speaks version {theirs} of the protocol, the aggregator {MAJOR}.{MINOR}"
                "; install the same major version of both"
            )
        if not hello.host or len(hello.host) > LONGEST_NAME or not hello.host.isprintable():
            return "the agent does not say its host's name; set `host` in its configuration"
        if self._sessions.full and self._sessions.of(hello.host) is None:
            return f"{len(self._sessions)} hosts are connected, which is all this aggregator takes"
        return ""

    def _welcome(self) -> ingest.FromAggregator:
        welcome = ingest.Welcome(
            major=MAJOR,
            minor=MINOR,
            instance=self._instance,
            heartbeat_seconds=self._heartbeat,
            sent_ns=self._now_ns(),
        )
        return ingest.FromAggregator(welcome=welcome)

    async def _read(self, session: Session, requests: Requests) -> None:
        """Take messages until the agent has no more, or its session has ended."""
        async for message in requests:
            if session.ended:
                return
            self._liveness.hear(session.host)
            if session.bucket.take(self._clock.monotonic()):
                self._take(session, message)
            else:
                session.dropped += 1
                self._complain(session, "sends too much; the rest is dropped")
            session.took()

    def _take(self, session: Session, message: ingest.FromAgent) -> None:
        """Do with one message what its kind asks for; a bad one is counted and forgotten."""
        kind = message.WhichOneof("body")
        try:
            if kind in {"up1", "up2"}:
                self._take_up(session, message)
            elif kind == "inventory":
                self._take_inventory(
                    session, decode.inventory(message.inventory), former=message.inventory.former
                )
            elif kind == "heartbeat":
                beat = message.heartbeat.sent_ns
                ack = ingest.Ack(heartbeat_ns=beat, received_ns=self._now_ns())
                session.send(ingest.FromAggregator(ack=ack))
            elif kind in {"fact", "event"}:
                self._desk.told(session, message.fact if kind == "fact" else message.event)
            elif kind == "history":
                self._past.tell(session.host, session.inventory, message.history)
            elif kind == "raw_ticks":
                session.answer_ticks(message.raw_ticks)
        except BadMessage as bad:
            session.refused += 1
            if kind == "inventory":
                session.end(_refused(f"{bad}; correct it on host {session.host}"))
            self._complain(session, str(bad))

    def _take_inventory(self, session: Session, inventory: Inventory, *, former: bool) -> None:
        """Take what a host has, or had until the inventory that comes right behind.

        Of a host that is served, another one is followed only once there is a plan for it; should
        it be refused, the host is served as it was.
        """
        if inventory.host != session.host:
            what = f"is {inventory.host!r:.60}, but the stream is of {session.host!r:.60}"
            raise BadMessage(("Inventory", "host"), what)
        held = session.inventory
        followed = (session.asked_inventory, None if held is None else held.version)
        session.asked_inventory = None
        if former or held is None or inventory.version in followed:
            session.inventory = inventory
            if former:
                return
        else:
            session.announced = inventory
        refusal = self._desk.claimed(session, inventory)
        if refusal and session.announced is inventory:
            session.announced = None
        elif refusal:
            session.end(_refused(refusal))

    def _take_up(self, session: Session, message: ingest.FromAgent) -> None:
        """Take block values or evidence, if they follow an inventory that is known."""
        up = message.up1 if message.HasField("up1") else message.up2
        held = session.inventory
        if held is None or held.version != up.inventory:
            session.refused += 1
            if session.asked_inventory is None:  # asked once, not for each message on its way
                session.asked_inventory = up.inventory
                need = ingest.NeedInventory(version=up.inventory)
                session.send(ingest.FromAggregator(need_inventory=need))
            return
        ahead = up.rung * up.block - self._clock.now()
        if ahead > AHEAD * up.rung:  # it would close the block for everybody else
            session.refused += 1
            self._complain(
                session, f"a block of {up.rung} s begins in {ahead:.0f} s: a wrong clock"
            )
            return
        shape = (len(held.shards), len(held.metrics))
        if isinstance(up, ingest.Up1):
            self._inbox.put(Arrived(held, decode.up1(up, session.host, shape)))
            self._past.live(session.host, held, up)
        elif self._inbox.put(Arrived(held, decode.up2(up, session.host, shape))):
            self._desk.evidence(session.host, up)

    def _complain(self, session: Session, what: str) -> None:
        """Log one line about a host's messages, not more than one a minute."""
        now = self._clock.monotonic()
        if now - self._logged.get(session.host, -QUIET) >= QUIET:
            self._logged[session.host] = now
            counts = {"refused": session.refused, "dropped": session.dropped}
            self._log.warning("bad message", host=session.host, what=what, **counts)

    def _now_ns(self) -> int:
        return round(self._clock.now() * 1e9)


def _refused(reason: str) -> ingest.FromAggregator:
    return ingest.FromAggregator(refused=ingest.Refused(reason=reason))
