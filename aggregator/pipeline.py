"""One step of the aggregator: messages in, summaries and verdicts out, no input or output.

Apart from any server, because replay and the live system must be the same: same inputs in the
same order give the same result (DESIGN.md section 4.4).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from ..engine.outcome import Outcome
from ..proto.baseline_file import Baseline
from ..proto.messages import Down, Freeze, Plan, Up1, Up2
from .combine.blocks import Blocks
from .combine.excused import excused
from .combine.gather import Block, Gathered, GatherUp1, GatherUp2
from .combine.heard import heard
from .combine.histories import Histories
from .decide.audit import Audit, of_epoch, of_fallen, of_freeze, of_plan
from .decide.explained import Explained
from .decide.judge import Judge
from .decide.lives import Effect
from .decide.transition import Transition
from .plan.abstain import Abstention, abstentions
from .plan.cell import HIGH
from .plan.planner import Planner
from .state.evidence import EvidenceTable
from .state.fleet import NODES_HOST, Fleet
from .state.freezes import Freezes
from .state.move import Move
from .state.standing import Standing, standing

Ints = npt.NDArray[np.int64]


_CARRIED = ("_planner", "_evidence", "_judge", "_blocks", "_up1", "_up2", "_freezes")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step asks the runtime to send, to publish and to keep.

    ``downs`` by host, one per peer group of its shards; ``plan`` when it changed; ``freezes`` that
    are new, or others than they were.
    """

    downs: Mapping[str, tuple[Down, ...]]
    plan: Plan | None
    transitions: tuple[Transition, ...]
    audit: tuple[Audit, ...] = ()
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """How a pipeline is run, whatever fleet it has: see :class:`Pipeline`."""

    shortest: int
    horizon: float
    q: float
    fixed_rungs: bool
    lead: int
    patient: bool


class Pipeline:
    """The aggregator's mind: peers, plan, evidence, selection and verdicts of one fleet."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that decides how it is run
        self,
        fleet: Fleet,
        *,
        shortest: int,
        horizon: float,
        q: float = 0.1,
        fixed_rungs: bool = False,
        lead: int = 0,
        patient: bool = True,
        baseline: Baseline | None = None,
    ) -> None:
        """Take the shortest rung (s), the seconds of an epoch and the level q of e-BH.

        ``fixed_rungs``: the catalogue's block lengths stand, whatever τ says. ``lead``: a plan is
        obeyed so many blocks after the present one, at once if 0. ``patient``: a block is waited
        for however long it takes, as on a simulated clock; else until its deadline. ``baseline``:
        what it covers need not be learned, and the audit says what it does not.
        """
        self.fleet = fleet
        self._ways = Ways(shortest, horizon, q, fixed_rungs, lead, patient)
        self._planner = Planner(
            fleet, shortest=shortest, horizon=horizon, fixed_rungs=fixed_rungs, baseline=baseline
        )
        self._parts = self._planner.parts()
        self._evidence = EvidenceTable(fleet)
        self._judge = Judge(fleet, q)
        self._blocks = Blocks(fleet, horizon)
        self._blocks.adopt(self._planner)
        self._expected = frozenset(self._blocks.senders)
        self._up1, self._up2 = GatherUp1(fleet), GatherUp2()
        self._news = list(self._planner.change.cold)  # node and text, for the next step's audit
        self._audit: list[Audit] = []
        self._histories = Histories()
        self._freezes = Freezes(fleet)
        self._plan_changed = True
        self._undecided = False
        self._at = 0.0  # seconds of the last step

    @property
    def _root(self) -> str:
        """Return the node that is compared with its own past, "" where there is none."""
        row = self._blocks.temporal.row
        return self.fleet.rows[row] if row >= 0 else ""

    @property
    def open(self) -> tuple[str, ...]:
        """Return the ids of the nodes with an open verdict, sorted."""
        return self._judge.verdicts.open

    @property
    def open_verdicts(self) -> tuple[Transition, ...]:
        """Return the last transition of every open verdict, in order of opening."""
        return self._judge.verdicts.open_verdicts

    @property
    def planner(self) -> Planner:
        """Return the plan's keeper, for those who ask why."""
        return self._planner

    @property
    def complete(self) -> bool:
        """Say whether a block, or its evidence, has come from all: a step will have work to do."""
        blocks, evidence = self._ready(None)
        return bool(blocks or evidence)

    def log_m(self) -> npt.NDArray[np.float64]:
        """Return ln M (3, M, R) of every part as last heard."""
        return self._evidence.log_m()

    def abstained(self) -> tuple[Abstention, ...]:
        """Return who makes no claim on which channel, and why."""
        own = (Abstention(self._root, "temporal", why) for why in self._blocks.temporal.abstained())
        return tuple(
            sorted((*abstentions(self.fleet, self._planner, self._evidence.learned), *own))
        )

    def standing(self) -> Standing:
        """Return how every row stands, for a screen; to be asked once after a step."""
        stands = standing(self.fleet, self._planner, self._parts, self._evidence)
        return stands.frozen(self._freezes.until(self._at), self._freezes.in_force(self._at))

    def explain(self, node: str) -> Explained:
        """Return all that is known of ``node``, and why; raise ``KeyError`` for an unknown one."""
        found = self._judge.explain(node, self._planner, self._parts, self._evidence)
        of_root = self._blocks.temporal.words() if node == self._root else ()
        return found.between(self._freezes.words(node, self._at), of_root)

    def carried(self, fleet: Fleet, baseline: Baseline | None = None) -> "Pipeline":
        """Return the pipeline of ``fleet``, which goes on where this one stands; this one ends.

        What is the same in both keeps its evidence, plan, streams and verdicts; an open verdict on
        a node that is gone stays open. Rows that are new, or whose group, SKU, job, role or
        metrics are others, begin an epoch, and the audit of the next step says why. New pools
        start from the ``baseline``.
        """
        made = Pipeline(fleet, **asdict(self._ways), baseline=baseline)
        made.inherit(self, Move.of(self.fleet, fleet))
        made.expect(self._expected | (fleet.hosts.keys() - self.fleet.hosts.keys()))
        return made

    def inherit(self, former: "Pipeline", move: Move) -> None:
        """Take over what ``former`` holds; :meth:`carried` is what others call."""
        for part in _CARRIED:
            getattr(self, part).inherit(getattr(former, part), move)
        self._parts = self._planner.parts()
        before = np.full_like(self._parts.epochs, -1)
        move.parts(former.planner.parts().epochs, before)
        begun = self._parts.epochs != before
        self._evidence.forget(begun, begun)
        self._blocks.adopt(self._planner)
        left = [(name, "left the fleet") for name in move.left()]
        cold = self._planner.change.cold
        self._news = [*former._news, *left, *cold]  # noqa: SLF001 - of this class
        self._histories = former._histories  # noqa: SLF001 - as above
        self._undecided = True  # N may be another one

    def recall(self, told: Sequence[Transition], opened: int) -> None:
        """Let the verdicts that others were ``told`` be open, and only them, under their ids.

        One whose evidence is lost keeps what it had at its opening; new ones are numbered after
        ``opened``. What this changes is in the audit of the next step.
        """
        self._news.extend(self._judge.recall(told, opened))

    def close(self, verdict: str, actor: str, reason: str) -> None:
        """Let ``actor`` close an open verdict in the next step; raise ``KeyError`` for no such."""
        self._judge.close(verdict, actor, reason)
        self._undecided = True

    def effects(self) -> Mapping[str, Effect]:
        """Return how large the effects of open verdicts are by now, by verdict."""
        return self._judge.effects()

    def expect(self, hosts: Collection[str]) -> None:
        """Wait for ``hosts`` from now on, which are alive; what others still send is taken."""
        self._expected = frozenset(hosts).intersection(self._blocks.senders)

    @property
    def freezes(self) -> tuple[Freeze, ...]:
        """Return the freezes that a host is to know: those to come, in force, or just over."""
        return self._freezes.known()

    def covered(self, freeze: Freeze) -> frozenset[str]:
        """Return the shards that a freeze is about."""
        return self._freezes.covered(freeze)

    def freeze(self, freeze: Freeze) -> None:
        """Let nothing move of some rows in the blocks that ``freeze`` covers and are not closed.

        Their M and N stay as they are, they stand in no summary, and when it is over they learn
        anew. Raises ``ValueError`` with one line for one that is not to be had, see
        :meth:`Freezes.add`.
        """
        self._freezes.add(freeze, self._up1.newest_closed())

    def thaw(self, name: str, at: float, reason: str) -> None:
        """End a freeze at ``at`` (seconds); raise ``ValueError`` for one that is not in force."""
        self._freezes.thaw(name, max(at, self._up1.newest_closed()), reason)

    def begin(self, now: float) -> None:
        """Serve no block that began before ``now`` (seconds) and tell the plan again.

        After a start of the aggregator, whose agents may have gone on without it.
        """
        self._up1.begin(now)
        self._up2.begin(now)
        self._plan_changed = True

    def lost(self, host: str, reason: str) -> None:
        """Begin new epochs for the shards of ``host``, which has lost what its streams learned."""
        rows = self.fleet.hosts[host]
        self._up2.forget(host)
        self._planner.begin_anew(f"host={host}", rows, reason)
        self._replan(rows)

    def overtake(self, host: str, plan: int, epoch: int) -> None:
        """Give numbers above those of ``host``, which has come back, if it has later ones.

        Its first evidence must not be older than what was heard before it went: that is another
        agent's, or an older state, and not to be mixed with the one that is known.
        """
        self._histories.came_back(host)
        if self._planner.overtake(plan, epoch):
            self._histories.followed(host, plan)
            self.lost(host, f"its agent has plan {plan} and epoch {epoch}: ours were lost")

    def take(self, inbox: Iterable[Up1 | Up2]) -> None:
        """Take messages in; nothing follows from them before the next :meth:`step`."""
        for message in inbox:
            if isinstance(message, Up1):
                self._up1.take(message)
                continue
            if why := self._histories.differs(message, self._planner, self._up2):
                self.lost(message.host, why)
            if (late := self._up2.take(message)) is not None:
                self._hear_hosts(late.rung, [late])

    def step(self, now: float, inbox: Iterable[Up1 | Up2]) -> StepResult:
        """Take what has arrived by ``now`` (seconds) and return what follows from it.

        A block's summaries are made once, when all expected hosts have sent it. New evidence is
        merged, selected and attributed unless summaries went out, whose evidence is still to come.
        """
        self.take(inbox)
        self._at = now
        blocks, evidence = self._ready(None if self._ways.patient else now)
        for block in evidence:
            self._hear_hosts(block[0], list(self._up2.close(block).values()))
        downs: dict[str, list[Down]] = {}
        for block in blocks:
            held = self._up1.close(block)
            if held is not None:
                self._close(block, held, downs, now)
        transitions = self._decide(now) if self._undecided and not downs else ()
        self._end_freezes(now)
        if self._ways.lead and self._planner.renew(now):  # a recording is one epoch
            self._replan()
        plan = self._new_plan(now)
        self._audit.extend(of_epoch(now, begun) for begun in self._planner.epochs.drain())
        self._audit.extend(of_fallen(now, f) for f in self._planner.change.drain_fallen())
        self._audit.extend(Audit(now, "fleet", node, text) for node, text in self._news)
        called = self._freezes.drain()
        self._audit.extend(of_freeze(now, freeze, text) for freeze, text in called)
        audit, self._audit, self._news = tuple(self._audit), [], []
        told = {host: tuple(of_host) for host, of_host in downs.items()}
        return StepResult(told, plan, transitions, audit, tuple(freeze for freeze, _ in called))

    def _ready(self, now: float | None) -> tuple[list[Block], list[Block]]:
        return self._up1.ready(self._expected, now), self._up2.ready(self._expected, now)

    def _close(self, at: Block, held: Gathered, downs: dict[str, list[Down]], now: float) -> None:
        """Make the summaries of a gathered block, for every host and for the inner nodes."""
        held.freeze(self._freezes.shards(*at))
        closed = self._blocks.close(at[0], held)
        born = self._planner.born()
        if self._planner.hear_counts(excused(closed.found, self.fleet, held, closed.frozen, born)):
            self._replan()
        open_rows, said = self._judge.verdicts.open_rows(), self._evidence.log_m
        if self._planner.counts.hear(at[0], held.x, held.eligible, open_rows, said):
            self._parts = self._planner.parts()
        for host in sorted(held.hosts):
            mine = self._blocks.downs(host, at, closed, held, self._planner.id)
            downs.setdefault(host, []).extend(mine)
        self._up2.ask(at, held.hosts, now)
        if self.fleet.nodes:
            self._blocks.temporal.step(*at, held.x, closed.frozen)
            outcome = self._blocks.nodes(at, closed, self._planner.members.needed())
            self._hear(at[0], [(self.fleet.hosts[NODES_HOST], outcome)])

    def _end_freezes(self, now: float) -> None:
        """Let rows whose freeze is over begin to learn anew, under a new epoch."""
        for ended in self._freezes.ended(now):
            freeze, rows = ended.freeze, ended.rows
            if len(rows):
                why = f"frozen until now: {freeze.reason}"
                self._planner.relearn(f"freeze={freeze.id}", rows, why)
                self._replan(rows)

    def _hear_hosts(self, rung: int, news: Sequence[Up2]) -> None:
        placed = [(up2, self.fleet.place(up2.host)) for up2 in news]
        if placed:
            self._hear(rung, [(place.rows, heard(up2, place)) for up2, place in placed])

    def _hear(self, rung: int, news: Sequence[tuple[Ints, Outcome]]) -> None:
        """Take the evidence of one block into the table, then what it teaches the plan."""
        for rows, outcome in news:
            self._evidence.hear(rung, rows, outcome, self._parts)
            self._judge.hear(rung, rows, outcome.held)
        self._undecided = True
        if self._planner.hear(rung, news, self._judge.verdicts.open_rows()):
            self._replan()

    def _replan(self, anew: Sequence[int] | Ints = ()) -> None:
        """Take the parts as the plan has them now; what has a new epoch is worth nothing yet.

        Rows that begin ``anew``, and parts at another rung, have also learned nothing.
        """
        before = self._parts
        self._parts = self._planner.parts()
        learns = self._parts.rungs != before.rungs
        learns[:, :, np.asarray(anew, dtype=np.int64)] = True
        self._evidence.forget(self._parts.epochs != before.epochs, learns)
        self._plan_changed = True

    def _decide(self, now: float) -> tuple[Transition, ...]:
        self._undecided = False
        lived, said = self._judge.live(now, self._planner, self._parts, self._evidence)
        if lived:
            self._heed()  # what was closed is not selected again with the evidence that it had
            if any((step.channel, step.state) == ("temporal", "closed") for step in lived):
                self._blocks.temporal.restart()
        if self._evidence.highest() >= HIGH:
            change, open_rows = self._planner.change, self._judge.verdicts.open_rows()
            if change.hear_crossings(self._evidence.log_m(), open_rows):
                self._parts = self._planner.parts()
        moved = self._blocks.temporal.moved()
        made, audit = self._judge.decide(now, self._planner, self._parts, self._evidence, moved)
        self._audit.extend((*said, *audit))
        self._heed()
        return (*lived, *made)

    def _heed(self) -> None:
        """Let the plan hold the rows of what is open, and no others."""
        if self._planner.hold(self._judge.held(self._parts)):
            self._replan()

    def _new_plan(self, now: float) -> Plan | None:
        if not self._plan_changed:
            return None
        self._plan_changed = False
        self._parts = self._planner.parts()
        self._blocks.adopt(self._planner)
        lead = self._ways.lead
        rungs = self._planner.rungs() if lead else ()
        plan = self._planner.plan({rung: floor(now / rung) + lead for rung in rungs})
        self._audit.append(of_plan(now, plan))
        return plan
