"""The hosts of this aggregator: who they are, what they have, whether they are heard of.

Apart from the runtime, because all this goes on before there is a fleet, and apart from the
ingest service, which knows streams and not what a host's inventory means for the others.
"""

from collections.abc import Callable, Sequence

import structlog

from ..proto import decode, encode, refuse
from ..proto.messages import Inventory
from ..proto.pack import BadMessage
from ..proto.schema import ingest
from ..settings.clock import Clock
from .ingest.liveness import Liveness, Turn
from .ingest.session import Session
from .ledger import Ledger
from .publish.view import HostNote
from .state.assembly import Assembly
from .state.records import FactRecord, HostRecord, Remembered

FORGOTTEN_AFTER = 7 * 86_400.0  # seconds without a word after which a host is no part of the fleet
LARGEST_FACT = 64 * 1024  # bytes
REMEMBERED_FACTS = 10_000  # of which a repetition is known as one


class Hosts:
    """Takes what the ingest service lets through (its ``Desk``), and answers for all hosts.

    ``lost`` collects, by host, why evidence is to begin anew; ``unchecked`` hosts have connected
    and not said yet which plan and epochs they have. ``served`` is called with a session whose
    inventory was taken.
    """

    def __init__(
        self,
        assembly: Assembly,
        liveness: Liveness,
        ledger: Ledger,
        clock: Clock,
        served: Callable[[Session], None],
    ) -> None:
        """Take the parts that it keeps in step."""
        self._assembly = assembly
        self._liveness = liveness
        self._ledger = ledger
        self._clock = clock
        self._served = served
        self._instances: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._seen: dict[tuple[str, str, int, float], None] = {}
        self._log = structlog.get_logger()
        self.lost: dict[str, str] = {}
        self.unchecked: set[str] = set()

    def remember(self, remembered: Remembered) -> None:
        """Take the hosts of the last run: silent until they come again."""
        now = self._clock.monotonic()
        for record in remembered.hosts:
            if self._clock.now() - record.heard >= FORGOTTEN_AFTER:
                self._ledger.forget_host(record.host)
                continue
            try:
                held = decode.inventory(ingest.Inventory.FromString(record.inventory))
            except BadMessage as bad:  # of another version of the program
                self._log.warning("host not remembered", host=record.host, reason=str(bad))
                continue
            self._instances[record.host] = record.instance
            self._liveness.remember(record.host, record.heard)
            self._assembly.claim(held, now)

    def greeted(self, session: Session, hello: ingest.Hello) -> None:
        """Note who has connected, and whether its evidence is still what it was."""
        host = session.host
        before = self._instances.get(host)
        self._instances[host] = hello.instance
        self.unchecked.add(host)
        if before not in (None, hello.instance) and not hello.resumed:
            said = " ".join(hello.lost.split())[: refuse.LONGEST_TEXT]
            reason = said or "its agent began without a checkpoint"
            self.lost[host] = reason
            self._ledger.audit("host", host, f"evidence lost: {reason}")
        software = " ".join(hello.software.split())[:60]
        self._log.info("connected", host=host, software=software)

    def left(self, session: Session) -> None:
        """Note who is not connected any more."""
        self._log.info("disconnected", host=session.host)

    def claimed(self, session: Session, inventory: Inventory) -> str:
        """Take an inventory; return "", or why the host cannot be served."""
        held = self._assembly.inventories.get(inventory.host)
        refusal = self._assembly.claim(inventory, self._clock.monotonic())
        if refusal:
            if self._refused.get(inventory.host) != refusal:  # it will try again and again
                self._ledger.audit("host", inventory.host, f"refused: {refusal}")
            self._refused[inventory.host] = refusal
            self._log.warning("host refused", host=inventory.host, reason=refusal)
            return refusal
        self._refused.pop(inventory.host, None)
        if held is None:
            count = len(inventory.shards)
            self._ledger.audit("host", inventory.host, f"new: {count} shards", shards=count)
        self._ledger.keep_host(self._record(inventory))
        self._served(session)
        return ""

    def evidence(self, host: str, message: ingest.Up2) -> None:
        """Keep the newest evidence of ``host``."""
        self._ledger.keep_up2(host, message)

    def told(self, session: Session, message: ingest.Fact | ingest.Event) -> None:
        """Keep a fact or an event, and acknowledge it once it is on disk."""
        if self._ledger.full:
            return  # not acknowledged, so it comes again
        record = _fact(session.host, message)
        key = (record.host, record.word, record.id, record.at)
        if key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > REMEMBERED_FACTS:
                del self._seen[next(iter(self._seen))]
            self._ledger.keep_fact(record)
            self._ledger.audit(record.word, *_said(session.host, message))
        self._ledger.then(lambda: session.send(_ack(record)))

    def turns(self) -> tuple[Turn, ...]:
        """Return who fell silent and who came back, and keep it in the audit trail."""
        turns = self._liveness.turns()
        for turn in turns:
            word = "silent: not heard of for" if turn.silent else "back: not heard of for"
            self._ledger.audit("host", turn.host, f"{word} {turn.seconds:.0f} s")
            self._log.warning(
                "silent" if turn.silent else "back", host=turn.host, seconds=round(turn.seconds)
            )
        return turns

    def forget_gone(self) -> None:
        """Leave out hosts that were silent for a week, now that a fleet is formed anyway."""
        for host in self._liveness.gone(FORGOTTEN_AFTER):
            self._liveness.forget(host)
            self._assembly.forget([host])
            self._instances.pop(host, None)
            self._ledger.forget_host(host)
            self._ledger.audit("host", host, "forgotten: not heard of for a week")

    def notes(self) -> tuple[HostNote, ...]:
        """Return every host with its age, by name."""
        live = self._liveness
        return tuple(
            HostNote(host, live.age(host), live.silent(host))
            for host in sorted(self._assembly.inventories)
        )

    def heard(self) -> Sequence[tuple[str, float]]:
        """Return when each host that is not silent was last heard of, in Unix seconds."""
        alive = self._liveness.alive(self._assembly.inventories)
        return [(host, self._liveness.heard_at(host)) for host in sorted(alive)]

    def alive(self) -> frozenset[str]:
        """Return the hosts that are not silent."""
        return self._liveness.alive(self._assembly.inventories)

    def _record(self, inventory: Inventory) -> HostRecord:
        message = encode.inventory(inventory).SerializeToString()
        instance = self._instances.get(inventory.host, 0)
        return HostRecord(inventory.host, instance, self._clock.now(), message)


def _fact(host: str, message: ingest.Fact | ingest.Event) -> FactRecord:
    """Return a fact or an event as it is kept; raise ``BadMessage``."""
    text = message.SerializeToString()
    if len(text) > LARGEST_FACT:
        raise BadMessage(("Fact", "detail"), f"has {len(text)} bytes of {LARGEST_FACT}")
    at = message.at_ns / 1e9
    number = refuse.whole(message.id, ("Fact", "id"))
    if isinstance(message, ingest.Fact):
        refuse.text(message.shard, ("Fact", "shard"))
        refuse.name(message.code, ("Fact", "code"))
        refuse.text(message.detail, ("Fact", "detail"))
        return FactRecord(host, "fact", number, at, text)
    refuse.name(message.kind, ("Event", "kind"))
    refuse.text(message.detail, ("Event", "detail"))
    return FactRecord(host, "event", number, at, text)


def _said(host: str, message: ingest.Fact | ingest.Event) -> tuple[str, str]:
    """Return the node that a fact or an event is about, and a line that says it."""
    if isinstance(message, ingest.Fact):
        word = "cleared" if message.cleared else "raised"
        return message.shard or host, f"{word} {message.code} {message.detail}".strip()
    return host, f"{message.kind} {message.detail}".strip()


def _ack(record: FactRecord) -> ingest.FromAggregator:
    facts = [record.id] if record.word == "fact" else []
    events = [record.id] if record.word == "event" else []
    return ingest.FromAggregator(ack=ingest.Ack(facts=facts, events=events))
