"""What is still to be written, and what may only happen once it is.

Apart from the writer, which knows rows: here stands the rule that nothing is published or
acknowledged before it is kept.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from ..proto.schema import ingest
from ..settings.clock import Clock
from .decide.audit import Audit
from .decide.transition import Transition
from .state.records import (
    AuditRecord,
    Batch,
    FactRecord,
    HostRecord,
    Past,
    PlanRecord,
    Up2Record,
    VerdictRecord,
)
from .state.writer import UNSTORABLE, Writer

MOST_WAITING = 10_000  # facts and audit lines while a disk is full; facts come again by themselves
MOST_BEHIND = 8  # batches that wait for the disk before it is given no more history
FLUSH = 1.0  # seconds between writes of the newest evidence
HEARD = 10.0  # seconds between writes of when hosts were heard of

Then = Callable[[], None]


class Ledger:
    """Collects what happens and commits it, in order; ``then`` follows a commit in that order."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        """Take where rows go and what stamps them."""
        self._writer = writer
        self._clock = clock
        self._audit: list[AuditRecord] = []
        self._verdicts: list[VerdictRecord] = []
        self._plans: list[PlanRecord] = []
        self._hosts: dict[str, HostRecord] = {}
        self._forgotten: set[str] = set()
        self._facts: list[FactRecord] = []
        self._then: list[Then] = []
        self._changed = False
        self._up2: dict[tuple[str, int], ingest.Up2] = {}
        self._flushed = clock.monotonic()
        self._heard = clock.monotonic()
        self._follow: asyncio.Queue[tuple[asyncio.Future[None], tuple[Then, ...]]] = asyncio.Queue()
        self._following: asyncio.Task[None] | None = None
        self._log = structlog.get_logger()
        self.lost = 0

    @property
    def full(self) -> bool:
        """Say whether so much waits for the disk that facts are not taken any more."""
        return len(self._facts) >= MOST_WAITING or self._writer.waiting >= MOST_WAITING

    def audit(self, kind: str, node: str, text: str, **facts: object) -> None:
        """Add one line to the audit trail, stamped now."""
        self._audit.append(AuditRecord(self._clock.now(), kind, node, text, facts))

    def keep(self, audit: Sequence[Audit], transitions: Sequence[Transition]) -> None:
        """Keep what a step has decided."""
        self._audit += [AuditRecord(a.at, a.kind, a.node, a.text, a.facts) for a in audit]
        self._verdicts += [_verdict(t) for t in transitions]

    def keep_plan(self, plan: PlanRecord) -> None:
        """Keep a whole plan."""
        self._plans.append(plan)

    def keep_host(self, host: HostRecord) -> None:
        """Keep who a host is and what it has."""
        self._hosts[host.host] = host
        self._forgotten.discard(host.host)

    def forget_host(self, host: str) -> None:
        """Keep nothing of ``host`` any more, the audit trail apart."""
        self._hosts.pop(host, None)
        self._up2 = {key: up2 for key, up2 in self._up2.items() if key[0] != host}
        self._forgotten.add(host)

    def keep_fact(self, fact: FactRecord) -> None:
        """Keep a fact or an event."""
        self._facts.append(fact)

    def keep_up2(self, host: str, message: ingest.Up2) -> None:
        """Keep the newest evidence of ``host`` at its rung; it is written once a second."""
        held = self._up2.get((host, message.rung))
        if held is None or held.block <= message.block:
            self._up2[host, message.rung] = message

    @property
    def behind(self) -> bool:
        """Say whether the disk takes less than it is given."""
        return self._writer.waiting >= MOST_BEHIND

    def store_past(self, past: Past, then: Then) -> None:
        """Send history to the disk at once; ``then`` follows when it is there."""
        self._put(Batch(past=past, durable=True), (then,))

    def keep_state(self) -> None:
        """Keep the pipeline as it stands: something was called for that it alone knows."""
        self._changed = True

    def then(self, follow: Then) -> None:
        """Call ``follow`` once all that was kept up to now is on disk."""
        self._then.append(follow)

    @property
    def weighty(self) -> bool:
        """Say whether a plan, a verdict or a freeze waits: with it goes a checkpoint."""
        return bool(self._plans or self._verdicts) or self._changed

    def commit(self, state: bytes | None = None) -> None:
        """Send to the disk what somebody waits for, if there is anything.

        ``state`` is a checkpoint of the pipeline that has just decided it: what agents and people
        have seen and what a restart goes on from are the same.
        """
        batch = Batch(
            verdicts=tuple(self._verdicts),
            audit=tuple(self._audit),
            plans=tuple(self._plans),
            hosts=tuple(self._hosts.values()),
            forgotten=tuple(sorted(self._forgotten)),
            facts=tuple(self._facts),
            checkpoint=None if state is None else (self._clock.now(), state),
            durable=True,
        )
        then, self._changed = tuple(self._then), False
        for waiting in (self._verdicts, self._audit, self._plans, self._facts, self._then):
            waiting.clear()
        self._hosts.clear()
        self._forgotten.clear()
        if then or batch != Batch(durable=True):
            self._put(batch, then)

    def flush(self, heard: Callable[[], Sequence[tuple[str, float]]]) -> None:
        """Send the newest evidence to the disk, and now and then when hosts were ``heard`` of.

        Nothing is sent while the disk is behind: what comes later stands for what came before.
        """
        now = self._clock.monotonic()
        if now - self._flushed < FLUSH or self._writer.waiting:
            return
        self._flushed = now
        times: Sequence[tuple[str, float]] = ()
        if now - self._heard >= HEARD:
            self._heard, times = now, heard()
        if self._up2 or times:
            self._put(Batch(up2=self._evidence(), heard=tuple(times)))

    async def settled(self) -> None:
        """Wait until everything committed is on disk and what follows has been done."""
        await self._follow.join()

    async def close(self, patience: float = 5.0) -> None:
        """Commit what is left, waiting for a full disk ``patience`` seconds."""
        self.commit()
        if self._up2:
            self._put(Batch(up2=self._evidence()))
        try:
            await asyncio.wait_for(self.settled(), patience)
        except TimeoutError:
            self._log.error("not stored", fault="the disk takes nothing, and the program ends")
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def _evidence(self) -> tuple[Up2Record, ...]:
        found = tuple(
            Up2Record(host, rung, up2.block, up2.SerializeToString())
            for (host, rung), up2 in sorted(self._up2.items())
        )
        self._up2.clear()
        return found

    def _put(self, batch: Batch, then: tuple[Then, ...] = ()) -> None:
        """Write ``batch``, and do what follows from it."""
        if self._following is None:
            self._following = asyncio.create_task(self._go_on())
        written = self._writer.put(batch)
        written.add_done_callback(_heard)
        self._follow.put_nowait((written, then))

    async def _go_on(self) -> None:
        """Do what follows each commit, in order, for as long as the program runs."""
        while True:
            written, then = await self._follow.get()
            try:
                await written
            except UNSTORABLE as fault:  # not stored, so nothing of it is published
                self.lost += 1
                self._log.error("not stored", fault=str(fault))
            else:
                for follow in then:
                    self._do(follow)
            finally:
                self._follow.task_done()

    def _do(self, follow: Then) -> None:
        """Do one thing that follows a commit; a defect in it must not hold up all others."""
        try:
            follow()
        except Exception:  # noqa: BLE001 - whatever it is, what else is on disk is published
            self._log.exception("not published, though it is stored")


def _heard(written: "asyncio.Future[None]") -> None:
    """Take note of how it ended, for when the program ends before anybody else does."""
    if not written.cancelled():
        written.exception()


def _verdict(made: Transition) -> VerdictRecord:
    return VerdictRecord(
        id=made.id,
        change=made.transition,
        node=made.node,
        level=made.level,
        channel=made.channel,
        guarantee=made.guarantee,
        validity_class=made.validity_class,
        log_e=made.log_e,
        at=made.at,
        since=made.since,
        metrics=made.metrics,
        reason=made.reason,
        family=made.family,
        turned=made.turned,
    )
