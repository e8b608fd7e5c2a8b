"""The console service: views as they come, and answers to what a person asks.

Apart from ingest, because a terminal may ask anything and change nothing here, and agents may
not ask at all once roles come with TLS.
"""

# ruff: noqa: N802 - calls have the names that the generator gave them

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, NoReturn, Protocol, cast

import grpc
import grpc.aio
import numpy as np
import numpy.typing as npt

from ...proto import decode
from ...proto.pack import BadMessage
from ...proto.schema import console, console_grpc, ingest
from ..decide.explained import Explained, Part
from ..ingest.sessions import Sessions
from ..state.records import AuditRecord
from .hub import Hub
from .view import Shown, nanoseconds, verdict

Floats = npt.NDArray[np.float64]
Handlers = dict[str, "grpc.RpcMethodHandler[object, object]"]
Context = grpc.aio.ServicerContext[object, object]

SERVICE: Final = "tessera.console.v1.Console"
TICKS_WITHIN = 3.0  # seconds that a host has for an answer
MOST_TICKS = 256 * 1024  # bytes of such an answer
SLOWEST = 3600.0  # seconds between views that a reader may ask for
LIVE = "this server is live: only a replay can be moved in time"
LATER = "not served by this version: verdicts cannot be told anything yet"


class Answers(Protocol):
    """What the runtime can say about a node; all raise ``KeyError`` for one that is not known."""

    def explain(self, node: str) -> Explained:
        """Say why it stands as it does."""
        ...

    def path(self, node: str) -> Sequence[str]:
        """Return what contains it, from the root to its parent."""
        ...

    def shown(self, node: str) -> Shown | None:
        """Return its open verdict."""
        ...

    async def audit_of(self, node: str) -> Sequence[AuditRecord]:
        """Return its newest audit lines, newest first."""
        ...

    def history(self, node: str, start: float, end: float, step: float) -> tuple[Floats, Floats]:
        """Return times (T,) in Unix seconds and merged ranked log e (T,); 0 = no bound."""
        ...

    def threshold(self) -> float:
        """Return ln(N/q), the bar of a list of one."""
        ...

    def host_of(self, shard: str) -> str:
        """Return the host that has ``shard``."""
        ...


class ConsoleService:
    """Serves terminals. Whoever can connect may look: loopback by default.

    It has every method of the generated servicer, without being one: that knows of servers that
    do not wait, and of views that are not encoded yet.
    """

    def __init__(self, hub: Hub, answers: Answers, sessions: Sessions) -> None:
        """Take where views come from, who answers, and the way to the hosts."""
        self._hub = hub
        self._answers = answers
        self._sessions = sessions

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the service, with a Watch that sends bytes as they are."""
        taken = _Handlers()
        servicer = cast("console_grpc.ConsoleServicer", self)
        console_grpc.add_ConsoleServicer_to_server(servicer, cast("grpc.aio.Server", taken))
        watch = grpc.unary_stream_rpc_method_handler(
            self.Watch, console.WatchRequest.FromString, bytes
        )
        taken.handlers["Watch"] = cast("grpc.RpcMethodHandler[object, object]", watch)
        served = grpc.method_handlers_generic_handler(SERVICE, taken.handlers)
        server.add_generic_rpc_handlers((served,))

    async def Watch(self, request: console.WatchRequest, context: Context) -> AsyncIterator[bytes]:
        """Yield views, encoded already."""
        del context
        every = request.every_seconds
        every = min(every, SLOWEST) if every > 0 else 0.0
        async for view in self._hub.watch(every, request.layout_version):
            yield view

    async def Explain(
        self, request: console.ExplainRequest, context: Context
    ) -> console.Explanation:
        """Say why a node stands as it does, with its audit trail."""
        try:
            found = self._answers.explain(request.node)
        except KeyError:
            await _unknown(context, request.node)
        shown = self._answers.shown(request.node)
        audit = await self._answers.audit_of(request.node)
        return console.Explanation(
            node=request.node,
            kind=found.kind,
            path=self._answers.path(request.node),
            group=found.group,
            members=found.members,
            parts=[_part(part) for part in found.parts],
            why=found.why,
            audit=[
                console.AuditLine(at_ns=nanoseconds(a.at), kind=a.kind, text=a.text) for a in audit
            ],
            verdict=None if shown is None else verdict(shown),
        )

    async def History(
        self, request: console.HistoryRequest, context: Context
    ) -> console.HistoryReply:
        """Return how a node's evidence went."""
        start, end = request.from_ns / 1e9, request.to_ns / 1e9
        step = min(request.step_seconds, SLOWEST) if request.step_seconds > 0 else 0.0
        try:
            at, log_e = self._answers.history(request.node, start, end, step)
        except KeyError:
            await _unknown(context, request.node)
        threshold = self._answers.threshold()
        return console.HistoryReply(node=request.node, at=at, log_e=log_e, threshold=threshold)

    async def RawTicks(
        self, request: console.RawTicksRequest, context: Context
    ) -> console.RawTicksReply:
        """Ask the shard's own host for its readings, which nobody else has."""
        try:
            host = self._answers.host_of(request.shard)
        except KeyError:
            await _unknown(context, request.shard)
        session = self._sessions.of(host)
        if session is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"host {host} is not connected")
        answer = session.ask_ticks(request.shard, request.from_ns)
        if answer is None:
            what = f"host {host} is answering another request for raw ticks; ask again"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
        try:
            ticks = await asyncio.wait_for(answer, TICKS_WITHIN)
        except TimeoutError:
            what = f"host {host} did not answer within {TICKS_WITHIN:g} s"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, what)
        except asyncio.CancelledError:
            if not answer.cancelled():
                raise  # it is the terminal that has gone
            what = f"host {host} went away"
            await context.abort(grpc.StatusCode.UNAVAILABLE, what)
        return await _relayed(host, ticks, context)

    async def Acknowledge(
        self, request: console.AcknowledgeRequest, context: Context
    ) -> console.Done:
        """Refuse: not served yet."""
        await _refuse(request, context, grpc.StatusCode.UNIMPLEMENTED, LATER)

    async def Silence(self, request: console.SilenceRequest, context: Context) -> console.Done:
        """Refuse: not served yet."""
        await _refuse(request, context, grpc.StatusCode.UNIMPLEMENTED, LATER)

    async def Close(self, request: console.CloseRequest, context: Context) -> console.Done:
        """Refuse: not served yet."""
        await _refuse(request, context, grpc.StatusCode.UNIMPLEMENTED, LATER)

    async def Freeze(self, request: console.FreezeRequest, context: Context) -> console.Done:
        """Refuse: not served yet."""
        await _refuse(request, context, grpc.StatusCode.UNIMPLEMENTED, LATER)

    async def Seek(self, request: console.SeekRequest, context: Context) -> console.Done:
        """Refuse: this is no replay."""
        await _refuse(request, context, grpc.StatusCode.FAILED_PRECONDITION, LIVE)

    async def Pause(self, request: console.PauseRequest, context: Context) -> console.Done:
        """Refuse: this is no replay."""
        await _refuse(request, context, grpc.StatusCode.FAILED_PRECONDITION, LIVE)

    async def Speed(self, request: console.SpeedRequest, context: Context) -> console.Done:
        """Refuse: this is no replay."""
        await _refuse(request, context, grpc.StatusCode.FAILED_PRECONDITION, LIVE)


class _Handlers:
    """What the generated code registers, taken aside before a server has it."""

    def __init__(self) -> None:
        self.handlers: Handlers = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Leave the way of older servers alone: it holds the same."""

    def add_registered_method_handlers(self, service: str, handlers: Handlers) -> None:
        """Take the handlers by name of their method."""
        del service
        self.handlers = dict(handlers)


async def _relayed(host: str, ticks: ingest.RawTicks, context: Context) -> console.RawTicksReply:
    """Return a host's answer as a terminal reads it."""
    if ticks.refused:
        what = f"host {host}: {' '.join(ticks.refused.split()):.200}"
        await context.abort(grpc.StatusCode.NOT_FOUND, what)
    if ticks.ByteSize() > MOST_TICKS:
        what = f"host {host} sent more than {MOST_TICKS // 1024} KB; ask for a shorter time"
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, what)
    try:
        found = decode.raw_ticks(ticks)
    except BadMessage as bad:
        await context.abort(grpc.StatusCode.INTERNAL, f"host {host}: {bad}")
    return console.RawTicksReply(
        shard=found.shard,
        metrics=found.metrics,
        at=found.at,
        values=found.values.ravel(),
    )


async def _unknown(context: Context, node: str) -> NoReturn:
    what = f"no node {node!r:.80} in this fleet; the view's layout lists them"
    await context.abort(grpc.StatusCode.NOT_FOUND, what)


async def _refuse(request: object, context: Context, code: grpc.StatusCode, why: str) -> NoReturn:
    del request
    await context.abort(code, why)


def _part(part: Part) -> console.Part:
    return console.Part(
        channel=part.channel,
        metric=part.metric,
        rung=part.rung,
        log_m=part.log_m,
        weight=part.weight,
        validity_class=part.validity_class,
        since_ns=nanoseconds(part.since),
        reason=part.reason,
        family=part.family,
    )
