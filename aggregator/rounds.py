"""One round: what has come in goes to the pipeline, and what follows from it goes out.

Apart from the runtime, which decides when: here is the order of things within a round, and it is
the same on a simulated clock.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import groupby

import structlog

from ..adapters.catalogue import Catalogue
from ..adapters.topology.model import BadTopology, Topology
from ..proto import decode, encode
from ..proto.messages import Down, Freeze, Inventory, Plan, Up1, Up2
from ..proto.pack import BadMessage
from ..proto.schema import ingest
from ..settings.clock import Clock
from .combine.histories import LARGEST_NUMBER
from .config import AggregatorSettings
from .decide.recalled import recalled
from .decide.transition import Transition
from .hosts import Hosts
from .ingest.inbox import Inbox
from .ingest.session import Session
from .ingest.sessions import Sessions
from .ledger import Ledger
from .mind import Mind, Minds
from .pipeline import StepResult
from .publish.view import Shown
from .state.assembly import Assembly, same_rows
from .state.fleet import Fleet
from .state.forming import form
from .state.records import PlanRecord, Remembered, Up2Record

CLOCK_SET = 5.0  # seconds by which a clock that is set, and not steered, has moved
HOUR = 3600.0  # seconds between looks for hosts that are long gone


class Rounds:
    """The pipeline amid its hosts. ``shown`` are the open verdicts that are on disk, by id.

    ``dirty`` says that a view made now would differ; ``formed`` is called with the
    pipeline of a new fleet and the topology that this was built from.
    """

    def __init__(  # noqa: PLR0913 - what a round reads and writes
        self,
        settings: AggregatorSettings,
        clock: Clock,
        minds: Minds,
        *,
        catalogue: Catalogue,
        topology: Topology,
        hosts: Hosts,
        assembly: Assembly,
        sessions: Sessions,
        inbox: Inbox,
        ledger: Ledger,
        formed: Callable[[Mind, Topology], None],
    ) -> None:
        """Take the parts; there is no fleet yet."""
        self._settings, self._clock, self._minds = settings, clock, minds
        self._catalogue, self._told = catalogue, topology
        self._assembly, self._sessions = assembly, sessions
        self._inbox, self._ledger, self._on_formed = inbox, ledger, formed
        self._remembered = Remembered()
        self._inventories: dict[str, Inventory] = {}  # that the fleet was built from
        self._alive: frozenset[str] = frozenset()
        self._plan: Plan | None = None  # the newest that is on disk
        self._log = structlog.get_logger()
        self._ahead = clock.now() - clock.monotonic()  # of the wall clock, in seconds
        self._tidied = clock.monotonic()
        self._hosts = hosts
        self.mind: Mind | None = None
        self.shown: dict[str, Shown] = {}
        self.plan_id = 0
        self.decided = 0.0
        self.dirty = True

    def remember(self, remembered: Remembered) -> None:
        """Take up what the last run left: its verdicts are shown, and its hosts are a fleet."""
        self._remembered = remembered
        self.shown = {v.id: Shown(recalled(v), v.at) for v in remembered.open}
        self._hosts.remember(remembered)
        self._ledger.audit("aggregator", "", "started")
        if any(inventory.shards for inventory in self._assembly.inventories.values()):
            self._form()
        for record in remembered.up2:
            self._recall(record)

    def step(self) -> StepResult | None:
        """Do one round at the present time; return what the pipeline said, None without a fleet.

        What it decided is in the ledger then and not committed yet.
        """
        now = self._clock.now()
        self.dirty |= bool(self._hosts.turns())
        self._tidy()
        self._heed_clock(now)
        if self.mind is None and self._due():
            self._form()
        if self.mind is None:
            return None  # what has come waits: an agent says but once which plan it followed
        result = self._round(self.mind, now)
        if result.downs or not self._due():
            return result
        self._form()  # between blocks, so that none of a fleet that changes is cut in two
        after = self._round(self.mind, now)
        return replace(after, transitions=(*result.transitions, *after.transitions))

    def _due(self) -> bool:
        return self._assembly.due(self._clock.monotonic())

    def _round(self, mind: Mind, now: float) -> StepResult:
        """Give the pipeline what has come in; send and keep what follows."""
        messages = self._drained()
        self._prepare(mind, messages)
        result = mind.step(now, messages)
        self._send_downs(result)
        self._keep(result, now)
        return result

    def absorb(self) -> bool:
        """Give the pipeline what has come in; say whether it need not wait for the next round."""
        if self.mind is None:
            return False
        messages = self._drained()
        self._prepare(self.mind, messages)
        self.mind.take(messages)
        return self.mind.complete

    def serve(self, session: Session) -> None:
        """Send the plan to a host that can follow it; it has come, or there is a new plan."""
        self.dirty = True
        announced = session.announced
        if self._plan is not None and announced and self._fits(announced, session.host):
            session.inventory, session.announced, session.plan = announced, None, 0
        if self._plan is None or session.inventory is None or not self._follows(session):
            return
        if session.plan == 0 and self.mind is not None:
            self._tell_freezes(session, self.mind.freezes)
        if session.plan < self._plan.id:
            session.plan = self._plan.id
            shards = [shard.id for shard in session.inventory.shards]
            plan = encode.plan(self._plan, shards, session.inventory.version)
            session.send(ingest.FromAggregator(plan=plan))

    def _tell_freezes(self, session: Session, freezes: Iterable[Freeze]) -> None:
        """Tell a host which of its shards are frozen, from when and until when."""
        if session.inventory is None or self.mind is None or not self._follows(session):
            return
        for freeze in freezes:
            covered = self.mind.covered(freeze)
            mine = [shard.id for shard in session.inventory.shards if shard.id in covered]
            if mine:
                told = encode.freeze(freeze, mine)
                session.send(ingest.FromAggregator(freeze=told))

    def _send_freezes(self, freezes: Collection[Freeze]) -> None:
        self.dirty = True
        for session in self._sessions:
            self._tell_freezes(session, freezes)

    def gone(self) -> frozenset[str]:
        """Return the shards of the fleet that their host does not report any more."""
        if self.mind is None:
            return frozenset()
        return frozenset(
            row.id for row in self.mind.fleet.shards if self._assembly.owner(row.id) is None
        )

    def _tidy(self) -> None:
        """Forget now and then who is long gone."""
        now = self._clock.monotonic()
        if now - self._tidied >= HOUR:
            self._tidied = now
            self._hosts.forget_gone()

    def _heed_clock(self, now: float) -> None:
        """Begin afresh with blocks if the wall clock was set while this ran."""
        ahead = now - self._clock.monotonic()
        moved = ahead - self._ahead
        if abs(moved) <= CLOCK_SET:
            return
        self._ahead = ahead
        self._say("aggregator", "", f"clock set by {moved:+.0f} s")
        if self.mind is not None:
            self.mind.begin(now)

    def _form(self) -> None:
        """Make a fleet of all inventories, fresh or in the place of the one there is."""
        self._hosts.forget_gone()
        inventories = self._assembly.take()
        settings = self._settings
        try:
            formation = form(
                inventories, self._catalogue, self._told, settings.cluster, settings.shortest
            )
        except BadTopology as bad:
            self._say("fleet", "", f"not formed: {bad}")
            return
        if formation is None:
            self._say("fleet", "", "not formed: no host reports a metric that is judged")
            return
        for host, why in formation.refused.items():
            self._say("host", host, f"what it says of its wiring is not used: {why}")
        if self.mind is None:
            self.mind, why = self._minds.fresh(formation.fleet, self._remembered)
            if why:
                self._say("fleet", "", f"evidence begins anew: {why}")
            self.mind.begin(self._clock.now())
        else:
            self.mind = self._minds.regrouped(formation.fleet)
        self._inventories = {inventory.host: inventory for inventory in inventories}
        self._alive, self._plan, self.dirty = frozenset(), None, True
        self._tell(formation.fleet, len(self._assembly.inventories))
        self._on_formed(self.mind, formation.topology)

    def _recall(self, record: Up2Record) -> None:
        """Let the last evidence of a host be heard again, if its rows are still the same."""
        held = self._assembly.inventories.get(record.host)
        message = ingest.Up2.FromString(record.message)
        if held is None or held.version != message.inventory:
            return
        try:
            found = decode.up2(message, record.host, (len(held.shards), len(held.metrics)))
        except BadMessage as bad:  # of another version of the program
            self._log.warning("evidence not remembered", host=record.host, reason=str(bad))
            return
        if self.mind is not None and self._fits(held, record.host):
            self.mind.take([found])  # before its host is back, whose own first word is looked at

    def _say(self, kind: str, node: str, text: str) -> None:
        """Keep in the audit trail what a person may have to mend, and log it."""
        self._ledger.audit(kind, node, text)
        self._log.warning(text, **({kind: node} if node else {}))

    def _tell(self, fleet: Fleet, hosts: int) -> None:
        shards = fleet.shard_count
        text = f"fleet of {shards} shards on {hosts} hosts, {len(fleet.nodes)} nodes above them"
        self._ledger.audit("fleet", "", text, shards=shards, hosts=hosts, rows=len(fleet.rows))
        self._log.info("fleet formed", hosts=hosts, shards=shards, nodes=len(fleet.nodes))

    def _drained(self) -> list[Up1 | Up2]:
        """Return what has come in from hosts whose rows and columns are the fleet's.

        Of others, which wait for their plan, only the numbers are heard that they have.
        """
        arrived = self._inbox.drain()
        fit: list[Up1 | Up2] = []
        others: list[Up1 | Up2] = []
        for a in arrived:
            (fit if self._fits(a.inventory, a.message.host) else others).append(a.message)
        if self.mind is not None:
            self._check(self.mind, (m for m in others if m.host in self._inventories))
        return fit

    def _fits(self, inventory: Inventory, host: str) -> bool:
        held = self._inventories.get(host)
        return held is not None and (held is inventory or same_rows(held, inventory))

    def _follows(self, session: Session) -> bool:
        return session.inventory is not None and self._fits(session.inventory, session.host)

    def _prepare(self, mind: Mind, messages: Iterable[Up1 | Up2]) -> None:
        """Tell the pipeline who is alive, who lost its evidence, and whose numbers are ahead."""
        alive = self._hosts.alive()
        if alive != self._alive:
            self._alive = alive
            mind.expect(alive)
        lost = sorted(self._hosts.lost.keys() & self._inventories.keys())
        for host in lost:  # the others' reasons wait until they are of the fleet
            mind.lost(host, self._hosts.lost.pop(host))
        self._check(mind, messages)

    def _check(self, mind: Mind, messages: Iterable[Up1 | Up2]) -> None:
        """Let the numbers of hosts that have come back be below ours."""
        for message in messages:
            if message.host in self._hosts.unchecked:
                plan, epoch = message.plan, _highest_epoch(message)
                if max(plan, epoch) <= LARGEST_NUMBER:
                    mind.overtake(message.host, plan, epoch)
                if isinstance(message, Up2):
                    self._hosts.unchecked.discard(message.host)

    def _send_downs(self, result: StepResult) -> None:
        """Send every host its summaries, those of one block together."""
        for host, downs in result.downs.items():
            session = self._sessions.of(host)
            if session is None or not self._follows(session):
                continue
            for _, of_block in groupby(downs, key=_block):
                down = encode.downs(tuple(of_block))
                session.send(ingest.FromAggregator(down=down))
        self.dirty |= bool(result.downs or result.transitions)
        if result.downs or result.transitions:
            self.decided = self._clock.now()

    def _keep(self, result: StepResult, now: float) -> None:
        """Write down what was decided; what others see of it waits until it is written."""
        self._ledger.keep(result.audit, result.transitions)
        if result.transitions:
            self._ledger.then(lambda: self._publish(result.transitions))
        if result.freezes:
            self._ledger.keep_state()
            self._ledger.then(lambda: self._send_freezes(result.freezes))
        plan, mind = result.plan, self.mind
        if plan is not None:
            whole = encode.plan(plan, plan.groups).SerializeToString()
            self._ledger.keep_plan(PlanRecord(plan.id, now, whole))
            self._ledger.then(lambda: self._send_plan(plan, mind))

    def _send_plan(self, plan: Plan, mind: Mind | None) -> None:
        if mind is not self.mind:
            return  # of a fleet that there is no more; that of the next one follows
        if self._plan is None or plan.id > self._plan.id:
            self._plan, self.plan_id = plan, plan.id
        for session in self._sessions:
            self.serve(session)

    def _publish(self, transitions: Collection[Transition]) -> None:
        """Show what is on disk now."""
        self.dirty = True
        for made in transitions:
            if made.transition == "closed":
                self.shown.pop(made.id, None)
            else:
                held = self.shown.get(made.id)
                self.shown[made.id] = Shown(made, made.at if held is None else held.opened)
            self._log.info(
                made.transition, verdict=made.id, node=made.node, why=made.reason, at_s=made.at
            )


def _block(down: Down) -> tuple[int, int]:
    return down.rung, down.block


def _highest_epoch(message: Up1 | Up2) -> int:
    """Return the highest epoch that a message speaks of, −1 for none."""
    if isinstance(message, Up1) or not message.change_epoch.size:
        return -1
    return int(max(message.change_epoch.max(), message.level_epoch.max()))
