"""The hosts of this aggregator: who they are, what they have, whether they are heard of.

Apart from the runtime, because all this goes on before there is a fleet, and apart from the
ingest service, which knows streams and not what a host's inventory means for the others.
"""

from collections.abc import Callable, Iterator, Sequence

import structlog

from ..adapters.topology.model import SHARD_KINDS
from ..proto import decode, encode, refuse
from ..proto.messages import Inventory
from ..proto.pack import BadMessage
from ..proto.schema import ingest
from ..settings.clock import Clock
from .ingest.liveness import Liveness, Turn
from .ingest.session import Session
from .ingest.sessions import Sessions
from .ledger import Ledger
from .publish.view import HostNote
from .state.assembly import Assembly, same_rows
from .state.records import FactRecord, HostRecord, Remembered

GIVEN_UP_AFTER = 60.0  # seconds without a word after which another host may have its shards
FORGOTTEN_AFTER = 7 * 86_400.0  # seconds without a word after which a host is no part of the fleet
NAMED = 8  # shards or metrics that one line calls by name
LARGEST_FACT = 64 * 1024  # bytes
REMEMBERED_FACTS = 10_000  # of which a repetition is known as one

_Key = tuple[str, str, int, float]  # of a fact or an event: host, word, id, Unix seconds


class Hosts:
    """Takes what the ingest service lets through (its ``Desk``), and answers for all hosts.

    ``lost`` collects, by host, why evidence is to begin anew; ``unchecked`` hosts have connected
    and not said yet which plan and epochs they have. ``served`` is called with a session whose
    inventory was taken.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that it keeps in step
        self,
        assembly: Assembly,
        liveness: Liveness,
        ledger: Ledger,
        clock: Clock,
        sessions: Sessions,
        *,
        served: Callable[[Session], None],
    ) -> None:
        """Take the parts that it keeps in step."""
        self._assembly = assembly
        self._liveness = liveness
        self._ledger = ledger
        self._clock = clock
        self._sessions = sessions
        self._served = served
        self._instances: dict[str, int] = {}
        self._refused: dict[str, str] = {}
        self._verified: dict[str, str] = {}  # whom the certificate named, by host
        self._seen: dict[_Key, int] = {}  # facts and events on disk
        self._keeping: dict[_Key, int] = {}  # those on their way, and how many batches were lost
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
        self._log.info("connected", host=host, software=software, verified=session.verified)
        if session.verified != self._verified.get(host, ""):
            self._verified[host] = session.verified
            who = session.verified or "nobody: it has no certificate"
            self._ledger.audit("host", host, f"verified as {who}", verified=session.verified)

    def superseded(self, session: Session, before: int) -> None:
        """Note that a second instance has come while the first was connected."""
        text = f"superseded: instance {before:016x} by instance {session.instance:016x}"
        self._ledger.audit("host", session.host, text)
        self._log.warning("superseded", host=session.host, instance=f"{before:016x}")

    def left(self, session: Session) -> None:
        """Note who is not connected any more."""
        self._log.info("disconnected", host=session.host)

    def claimed(self, session: Session, inventory: Inventory) -> str:
        """Take an inventory; return "", or why the host cannot be served."""
        held = self._assembly.inventories.get(inventory.host)
        refusal = _strange(inventory)
        if not refusal:
            self._give_up(inventory)
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
        elif not same_rows(held, inventory):
            for what in _changes(held, inventory):
                self._ledger.audit("host", inventory.host, what)
        self._ledger.keep_host(self._record(inventory))
        self._served(session)
        return ""

    def _give_up(self, inventory: Inventory) -> None:
        """Let hosts that are silent for long lose their shards to one that has them now."""
        rivals = self._assembly.rivals(inventory)
        if any(self._liveness.age(rival) <= GIVEN_UP_AFTER for rival in rivals):
            return
        for rival in rivals:
            rest = self._assembly.give(rival, inventory)
            if rest is None:
                self._know_no_more(rival)
            else:
                self._ledger.keep_host(self._record(rest))
            session = self._sessions.of(rival)
            if session is not None:
                session.end()  # should it live after all, it comes again and hears why not
            self.lost[inventory.host] = f"moved from {rival}"
            self._ledger.audit("host", inventory.host, f"moved from {rival}")
            self._log.warning("moved", host=inventory.host, before=rival)

    def evidence(self, host: str, message: ingest.Up2) -> None:
        """Keep the newest evidence of ``host``."""
        self._ledger.keep_up2(host, message)

    def told(self, session: Session, message: ingest.Fact | ingest.Event) -> None:
        """Keep a fact or an event, and acknowledge it once it is on disk."""
        if self._ledger.full:
            return  # not acknowledged, so it comes again
        record = _fact(session.host, message)
        key = (record.host, record.word, record.id, record.at)
        if key not in self._seen and self._keeping.get(key) != self._ledger.lost:
            _note(self._keeping, key, self._ledger.lost)
            self._ledger.keep_fact(record)
            self._ledger.audit(record.word, *_said(session.host, message))
            self._ledger.then(lambda: self._stored(key))
        self._ledger.then(lambda: self._acknowledge(session, key, record))

    def _stored(self, key: _Key) -> None:
        self._keeping.pop(key, None)
        _note(self._seen, key, 0)

    def _acknowledge(self, session: Session, key: _Key, record: FactRecord) -> None:
        """Acknowledge what is on disk; what a commit before this one lost has to come again."""
        if key in self._seen:
            session.send(_ack(record))

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
        """Leave out hosts that were silent for a week; the fleet is due to be formed without."""
        self._assembly.expire(self._clock.monotonic())
        for host in self._liveness.gone(FORGOTTEN_AFTER):
            self._assembly.forget([host], self._clock.monotonic())
            self._know_no_more(host)
            self._ledger.audit("host", host, "forgotten: not heard of for a week")

    def _know_no_more(self, host: str) -> None:
        self._liveness.forget(host)
        self._instances.pop(host, None)
        self._verified.pop(host, None)
        self.lost.pop(host, None)
        self.unchecked.discard(host)
        self._ledger.forget_host(host)

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
        heard = self._liveness.heard_at(inventory.host)
        return HostRecord(inventory.host, instance, heard, message)


def _strange(inventory: Inventory) -> str:
    """Return "", or why no fleet can be formed of these shards."""
    for shard in inventory.shards:
        if shard.kind not in SHARD_KINDS:
            kinds = ", ".join(sorted(SHARD_KINDS))
            return f"shard {shard.id} is of kind {shard.kind!r:.60}; the kinds are {kinds}"
    return ""


def _changes(before: Inventory, after: Inventory) -> Iterator[str]:
    """Yield what has come and gone; what is another now, the epochs that it begins say."""
    pairs = {
        "shards": ([s.id for s in before.shards], [s.id for s in after.shards]),
        "metrics": (before.metrics, after.metrics),
    }
    for what, (was, now) in pairs.items():
        for word, names, others in (("new", now, was), ("gone", was, now)):
            if found := [name for name in names if name not in others]:
                some, more = ", ".join(found[:NAMED]), len(found) - NAMED
                yield f"{word} {what}: {some}" + (f" and {more} more" if more > 0 else "")


def _note(of: dict[_Key, int], key: _Key, value: int) -> None:
    """Keep ``value`` by ``key``, and the newest ones alone."""
    of[key] = value
    if len(of) > REMEMBERED_FACTS:
        del of[next(iter(of))]


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
