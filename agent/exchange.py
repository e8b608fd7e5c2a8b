"""What an agent and its aggregator say to each other: blocks up, summaries down, evidence up.

Apart from the link, which carries anything, and from the runtime, which knows when: here is what
each message means to the evidence of this host.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from ..engine.ranks import stream_key
from ..proto import decode, encode, refuse
from ..proto.messages import Freeze, Inventory, Plan, Up1
from ..proto.pack import BadMessage
from ..proto.schema import MAJOR, MINOR, ingest
from ..settings.clock import Clock
from ..settings.logs import rfc3339
from .clock_offset import ClockOffset
from .events import Events
from .facts import Facts
from .fold import Block
from .identity import Identity
from .intake import Intake
from .ledger import Ledger
from .resurvey import Surveyed
from .ring import Ring
from .spool import Spool
from .succession import Succession

HEARTBEAT: Final = 5.0  # seconds, unless the aggregator wishes another number
REPEAT: Final = 30.0  # seconds after which facts that nobody has stored are said again,
MOST_REPEATED: Final = 100  # but no more at once: they share a bounded queue with block values
SETTLING: Final = 10.0  # seconds over which hosts begin with history when all come back at once
PAST_SINCE: Final = 1  # minor version of an aggregator that takes history
NS: Final = 1_000_000_000

Send = Callable[[ingest.FromAgent], bool]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the exchange works on: the host's evidence, ticks, facts and events, and its spool."""

    ledger: Ledger
    intake: Intake
    ring: Ring
    facts: Facts
    events: Events
    spool: Spool


class Exchange:
    """One host's side of the conversation. Everything here runs in the event loop.

    ``refused`` counts messages that made no sense, ``unbet`` blocks that could not be offered.
    """

    def __init__(
        self, identity: Identity, inventory: Inventory, desk: Desk, clock: Clock, software: str
    ) -> None:
        """Take who speaks, of what; :attr:`send` is set by who has a link."""
        self.send: Send = lambda _message: False
        self.refused = self.unbet = 0
        self.offset = ClockOffset(clock)
        self._identity = identity
        self._inventory = inventory
        self._next: Surveyed | None = None  # announced, and followed once there is a plan for it
        self._ended = np.zeros((len(inventory.shards), len(inventory.metrics)), dtype=np.bool_)
        self._ledger = desk.ledger
        self._intake = desk.intake
        self._ring = desk.ring
        self._facts = desk.facts
        self._events = desk.events
        self._spool = desk.spool
        self._takes_past = False  # an aggregator of minor version 0 knows no history
        self._clock = clock
        self._software = software
        self._shape = (len(inventory.shards), len(inventory.metrics))
        self._heartbeat = HEARTBEAT
        self._beat_at = 0.0  # monotonic second of the next heartbeat,
        self._repeat_at = 0.0  # and of the next repetition of facts
        self._skewed: set[int] = set()  # rungs
        self._freezes: dict[str, Freeze] = {}  # by id, as far as they may still cover a block
        self._log = structlog.get_logger("agent")

    @property
    def inventory(self) -> Inventory:
        """Return what messages follow."""
        return self._inventory

    @property
    def version(self) -> int:
        """Return the version of what was announced last."""
        return (self._next or self).inventory.version

    @property
    def intake(self) -> Intake:
        """Return what takes the readings of its rows and columns."""
        return self._intake

    @property
    def ring(self) -> Ring:
        """Return the ticks of its rows and metrics."""
        return self._ring

    def announce(self, found: Surveyed) -> None:
        """Tell the aggregator what this host has by now; its plan for that lets us follow it.

        Until then evidence goes on with the rows and columns of before. Nothing is sent of those
        that are gone or something else.
        """
        move = Succession.of(self._inventory, found.inventory)
        self._next, self._ended = found, move.ended
        for line in move.reasons():
            self._log.info("inventory changed", what=line, version=found.inventory.version)
        self.send(ingest.FromAgent(inventory=encode.inventory(found.inventory)))

    def follow(self) -> None:
        """Let the intake fold what the plan needs, and the spool name what its blocks follow."""
        message = encode.inventory(self._inventory).SerializeToString()
        self._spool.follow(self._inventory.version, message)
        self._intake.watch(self._ledger.evidence.columns())

    def hello(self) -> ingest.Hello:
        """Return who speaks.

        Evidence that began anew is said to be lost until a plan has been taken up with it.
        """
        return ingest.Hello(
            major=MAJOR,
            minor=MINOR,
            host=self._identity.host,
            instance=self._identity.instance,
            boot_id=self._identity.boot_id,
            software=self._software,
            resumed=self._ledger.resumed,
            lost=self._ledger.lost,
        )

    def greeting(self, welcome: ingest.Welcome) -> Iterator[ingest.FromAgent]:
        """Yield inventory, last evidence of each rung, facts and events that nobody has stored."""
        if welcome.heartbeat_seconds > 0:
            self._heartbeat = welcome.heartbeat_seconds
        self._beat_at = 0.0
        self._takes_past = welcome.minor >= PAST_SINCE
        self._spool.linked(SETTLING * stream_key(self._identity.host) / 2.0**64)
        self._repeat_at = self._clock.monotonic() + REPEAT
        yield self._inventory_message()  # ahead of the evidence that follows it
        for _, up2 in sorted(self._ledger.last.items()):
            now = replace(up2, inventory=self._inventory.version)
            yield ingest.FromAgent(up2=encode.up2(now))
        if self._next is not None:
            yield ingest.FromAgent(inventory=encode.inventory(self._next.inventory))
        for fact in self._facts:
            yield ingest.FromAgent(fact=fact)
        for event in self._events:
            yield ingest.FromAgent(event=event)

    def offer(self, blocks: Iterable[Block]) -> Iterator[Up1]:
        """Yield, one by one, the values of ``blocks`` as they may be sent."""
        evidence = self._ledger.evidence
        for block in (b for b in blocks if evidence.asks_for(b.rung, b.index)):
            try:
                up1 = self._ledger.offer(self._sound(block))
            except ValueError as bad:
                self.unbet += 1
                self._log.warning("block not offered", rung=block.rung, reason=str(bad))
                continue
            for line in evidence.drain_said():
                self._log.info("warm start", what=line)
            frozen = self._frozen(up1)
            eligible = self._eligible(up1) & ~frozen
            yield replace(up1, eligible=eligible, frozen=frozen if frozen.any() else None)

    def take(self, message: ingest.FromAggregator) -> None:
        """Do what one message of the aggregator asks for; a bad one is counted and forgotten."""
        kind = message.WhichOneof("body")
        try:
            if kind == "plan":
                self._take_plan(message.plan)
            elif kind == "down":
                self._take_down(message.down)
            elif kind == "ack":
                self.offset.answered(message.ack.heartbeat_ns, message.ack.received_ns)
                self._facts.stored(message.ack.facts)
                self._events.stored(message.ack.events)
                spans = [(s.rung, s.from_block, s.to_block) for s in message.ack.blocks]
                self._spool.stored(spans, message.ack.gaps)
            elif kind == "freeze":
                self._take_freeze(decode.freeze(message.freeze))
            elif kind == "need_inventory":
                self._tell_inventory()
            elif kind == "raw_ticks_request":
                self._take_request(message.raw_ticks_request)
        except BadMessage as bad:
            self.refused += 1
            self._log.warning("bad message of the aggregator", reason=str(bad))

    def beat(self) -> None:
        """Send a heartbeat if it is due, and with it each 30 s what nobody has answered yet."""
        now = self._clock.monotonic()
        if now < self._beat_at:
            return
        offset, round_trip = self.offset.offset, self.offset.round_trip
        beat = ingest.Heartbeat(
            sent_ns=self.offset.sent(),
            clock_offset_seconds=offset,
            round_trip_seconds=round_trip,
        )
        if self.send(ingest.FromAgent(heartbeat=beat)):
            self._beat_at = now + self._heartbeat
            self._repeat(now)

    def send_past(self) -> None:
        """Send what of the spool is due, if it is time; live messages have been sent before."""
        batch = self._spool.batch() if self._takes_past else None
        if batch is None:
            return
        known = batch.inventory == self._inventory.version or not batch.blocks
        told = None if known else ingest.Inventory.FromString(batch.told)
        history = ingest.History(
            inventory=batch.inventory,
            told=told,
            blocks=[sealed.message() for sealed in batch.blocks],
            gaps=batch.gaps,
        )
        self.send(ingest.FromAgent(history=history))

    def _repeat(self, now: float) -> None:
        """Say again which facts nobody stored, and which inventory still has no plan."""
        if now < self._repeat_at:
            return
        self._repeat_at = now + REPEAT
        if self._next is not None:  # it may have been refused for a reason that is gone by now
            self.send(ingest.FromAgent(inventory=encode.inventory(self._next.inventory)))
        for fact in islice(self._facts, MOST_REPEATED):
            self.send(ingest.FromAgent(fact=fact))
        for event in islice(self._events, MOST_REPEATED):
            self.send(ingest.FromAgent(event=event))

    def _take_plan(self, message: ingest.Plan) -> None:
        plan = decode.plan(message)
        found = self._next
        follows = plan.inventory in (0, self._inventory.version)  # 0: of an older aggregator
        try:
            if found is not None and plan.inventory == found.inventory.version:
                self._move_on(found, plan)
                return
            news = follows and self._ledger.adopt(plan)
        except ValueError as bad:
            raise BadMessage(("Plan", "shards"), str(bad)) from None
        if news:
            self.follow()
            self._log.info("plan taken up", plan=plan.id)

    def _move_on(self, found: Surveyed, plan: Plan) -> None:
        """Follow what was announced: nothing is lost of the rows and columns that stay."""
        move = Succession.of(self._inventory, found.inventory)
        self._ledger.follow(found.inventory, plan)
        intake, former = found.intake(), self._intake
        self._inventory, self._intake, self._next = found.inventory, intake, None
        self._shape = move.shape
        self._ended = np.zeros(self._shape, dtype=np.bool_)
        self.follow()
        intake.inherit(former, move)
        ids = tuple(shard.id for shard in found.inventory.shards)
        self._ring = self._ring.carried(ids, intake.read)
        self._log.info("inventory followed", version=found.inventory.version, plan=plan.id)

    def _sound(self, block: Block) -> Block:
        """Return ``block`` without the values of what is gone or something else by now."""
        if not self._ended.any():
            return block
        return replace(block, x=np.where(self._ended, np.float32(np.nan), block.x))

    def _take_down(self, message: ingest.Down) -> None:
        up2 = self._ledger.answer(decode.downs(message, self._shape))
        if up2 is not None:
            self.send(ingest.FromAgent(up2=encode.up2(up2)))

    def _take_freeze(self, freeze: Freeze) -> None:
        """Keep a freeze, or what has become of it; the aggregator tells all again on each link."""
        self._freezes[freeze.id] = freeze
        past = self._clock.now() - 2 * refuse.LADDER[-1]
        self._freezes = {k: held for k, held in self._freezes.items() if held.until >= past}
        self._log.info("freeze", id=freeze.id, until=rfc3339(freeze.until), reason=freeze.reason)

    def _take_request(self, request: ingest.RawTicksRequest) -> None:
        try:
            ticks = self._ring.ticks(request.shard, request.from_ns / NS)
        except KeyError:
            refused = f"host {self._identity.host} has no shard {request.shard!r:.80}"
            told = ingest.RawTicks(id=request.id, shard=request.shard, refused=refused)
        else:
            told = encode.raw_ticks(ticks, request.id)
        self.send(ingest.FromAgent(raw_ticks=told))

    def _inventory_message(self) -> ingest.FromAgent:
        former = self._next is not None
        return ingest.FromAgent(inventory=encode.inventory(self._inventory, former=former))

    def _tell_inventory(self) -> None:
        self.send(self._inventory_message())
        if self._next is not None:
            self.send(ingest.FromAgent(inventory=encode.inventory(self._next.inventory)))

    def _frozen(self, up1: Up1) -> npt.NDArray[np.bool_]:
        """Return the rows (S,) that are frozen in this block, as far as this host was told."""
        covering = [f for f in self._freezes.values() if f.covers(up1.rung, up1.block)]
        names = {name for freeze in covering for name in freeze.nodes}
        return np.array([s.id in names for s in self._inventory.shards], dtype=np.bool_)

    def _eligible(self, up1: Up1) -> npt.NDArray[np.bool_]:
        """Return the rows (S,) that may stand in summaries: none if our clock is too far off."""
        skewed = self.offset.too_far(up1.rung)
        if skewed and not self._skewed:  # said once, at the shortest rung
            self._log.warning(
                "this host's clock is off: its blocks are not compared; set it by NTP",
                reason="clock_skew",
                seconds=round(self.offset.offset, 3),
            )
        (self._skewed.add if skewed else self._skewed.discard)(up1.rung)
        return up1.eligible & ~np.bool_(skewed)
