"""One step of the aggregator: messages in, summaries and verdicts out, no input or output.

Apart from any server, because replay and the live system must be the same: same inputs in the
same order give the same result (DESIGN.md section 4.4).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..engine.outcome import Outcome
from ..engine.peers import FEWEST
from ..proto.messages import Down, Plan, Up1
from .combine.contrasts import Contrasts, NodeValues
from .combine.loadings import Loadings
from .combine.peers import Summaries, Summariser
from .combine.rollup import Rollup
from .decide.family import Selector
from .decide.verdicts import Transition, Verdicts
from .plan.abstain import Abstention, abstentions
from .plan.cell import HIGH
from .plan.planner import Planner
from .state.evidence import EvidenceTable, Leading
from .state.fleet import NODES_HOST, Fleet

Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Up2:
    """What ``host`` made of a block at ``rung``: its evidence, decoded."""

    host: str
    rung: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step asks the runtime to send and to publish.

    ``downs`` by host, one per peer group of its shards; ``plan`` when it changed.
    """

    downs: Mapping[str, tuple[Down, ...]]
    plan: Plan | None
    transitions: tuple[Transition, ...]


@dataclass(slots=True)
class _Gathering:
    """A block on its way in: the values of every shard so far, and who has sent them."""

    x: Float32s
    offset: Float32s
    eligible: npt.NDArray[np.bool_]
    hosts: set[str] = field(default_factory=set)


class Pipeline:
    """The aggregator's mind: peers, plan, evidence, selection and verdicts of one fleet."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        shortest: int,
        horizon: float,
        q: float = 0.1,
        fixed_rungs: bool = False,
    ) -> None:
        """Take the shortest rung (s), the seconds of an epoch and the level q of e-BH.

        ``fixed_rungs``: the catalogue's block lengths stand, whatever τ says.
        """
        self._fleet = fleet
        self._planner = Planner(fleet, shortest=shortest, horizon=horizon, fixed_rungs=fixed_rungs)
        self._parts = self._planner.parts()
        self._evidence = EvidenceTable(fleet)
        self._selector = Selector(fleet, q)
        self._verdicts = Verdicts(fleet)
        in_company = fleet.group_sizes()[fleet.group] >= FEWEST
        self._rollup = Rollup(
            fleet.shards_beneath, fleet.shard_count, in_company[fleet.shard_count :]
        )
        like = [f"{s.sku},{s.job},{s.role}" for s in fleet.shards]
        self._loadings = Loadings(like, len(fleet.metrics))
        self._contrasts = Contrasts(fleet, horizon)
        self._contrasts.adopt(self._planner)
        members = [np.flatnonzero(fleet.group == g) for g in range(len(fleet.groups))]
        self._summariser = Summariser(members, len(fleet.rows))
        self._senders = {
            host: tuple(int(g) for g in np.unique(fleet.group[rows]))
            for host, rows in fleet.hosts.items()
            if host != NODES_HOST
        }
        self._gathering: dict[tuple[int, int], _Gathering] = {}
        self._closed: dict[int, int] = {}  # the last block of each rung whose summaries were made
        self._plan_changed = True
        self._undecided = False

    @property
    def open(self) -> tuple[str, ...]:
        """Return the ids of the nodes with an open verdict, sorted."""
        return self._verdicts.open

    @property
    def planner(self) -> Planner:
        """Return the plan's keeper, for those who ask why."""
        return self._planner

    def log_m(self) -> npt.NDArray[np.float64]:
        """Return ln M (3, M, R) of every part as last heard."""
        return self._evidence.log_m()

    def abstained(self) -> tuple[Abstention, ...]:
        """Return who makes no claim on which channel, and why."""
        return abstentions(self._fleet, self._planner, self._evidence.learned)

    def step(self, now: float, inbox: Sequence[Up1 | Up2]) -> StepResult:
        """Take what has arrived by ``now`` (seconds) and return what follows from it.

        A block's summaries are made once, when all hosts have sent it. New evidence is merged,
        selected and attributed unless summaries went out, whose evidence is still to come.
        """
        heard: dict[tuple[int, int], list[tuple[Ints, Outcome]]] = {}
        for up2 in (m for m in inbox if isinstance(m, Up2)):
            about = heard.setdefault((up2.rung, up2.outcome.block), [])
            about.append((self._fleet.hosts[up2.host], up2.outcome))
        for (rung, _), outcomes in heard.items():
            self._hear(rung, outcomes)
        downs: dict[str, list[Down]] = {}
        for up1 in (m for m in inbox if isinstance(m, Up1)):
            if self._gather(up1):
                self._close(up1.rung, up1.block, downs)
        transitions = self._decide(now) if self._undecided and not downs else ()
        return StepResult({h: tuple(d) for h, d in downs.items()}, self._new_plan(), transitions)

    def _gather(self, up1: Up1) -> bool:
        """Write a host's block into the fleet's; say whether it was the last one expected.

        A block that comes after a later one was closed is dropped: evidence comes in order.
        """
        if up1.block <= self._closed.get(up1.rung, -1):
            return False  # repeated, or too late: its summaries are made once
        held = self._gathering.get((up1.rung, up1.block))
        if held is None:
            shape = (self._fleet.shard_count, len(self._fleet.metrics))
            nothing = np.full((2, *shape), np.nan, dtype=np.float32)
            held = _Gathering(nothing[0], nothing[1], np.zeros(shape[0], dtype=np.bool_))
            self._gathering[up1.rung, up1.block] = held
        rows = self._fleet.hosts[up1.host]
        held.x[rows], held.offset[rows], held.eligible[rows] = up1.x, up1.offset, up1.eligible
        held.hosts.add(up1.host)
        return len(held.hosts) == len(self._senders)

    def _close(self, rung: int, block: int, downs: dict[str, list[Down]]) -> None:
        """Make the summaries of a gathered block, for every host and for the inner nodes."""
        held = self._gathering.pop((rung, block))
        self._closed[rung] = block
        for older in [at for at in self._gathering if at[0] == rung and at[1] < block]:
            del self._gathering[older]
        columns = np.flatnonzero(np.isfinite(held.x).any(axis=0))
        demeaned = held.x - held.offset
        apart = self._loadings.residuals(rung, held.x, held.offset, columns)
        m = held.x.shape[1]  # both values of the nodes in one go: the raw and the residual
        medians, behind = self._rollup.medians(
            np.hstack([held.x, apart]), np.concatenate([columns, columns + m])
        )
        raw, change = medians[:, :m], self._contrasts.steady(rung, medians[:, m:], behind[:, m:])
        eligible = np.concatenate([held.eligible, np.ones(len(self._fleet.nodes), dtype=np.bool_)])
        found = self._summariser.summarise(
            np.vstack([held.x, raw]),
            np.vstack([demeaned, self._contrasts.demeaned(rung, change)]),
            eligible,
            columns,
        )
        self._plan_changed |= self._planner.hear_counts(found)
        for host in held.hosts:
            downs.setdefault(host, []).extend(self._downs(host, rung, block, found, held))
        if self._fleet.nodes:
            rows = self._fleet.hosts[NODES_HOST]
            needed = self._planner.members.needed()
            outcome = self._contrasts.step(rung, block, NodeValues(raw, change), found, needed)
            self._hear(rung, [(rows, outcome)])

    def _downs(
        self, host: str, rung: int, block: int, found: Summaries, held: _Gathering
    ) -> Iterable[Down]:
        rows = self._fleet.hosts[host]
        for g in self._senders[host]:
            yield Down(
                group=self._fleet.groups[g],
                rung=rung,
                block=block,
                count_raw=found.count_raw[g],
                s3_raw=found.s3_raw[g],
                count_demeaned=found.count_demeaned[g],
                s3_demeaned=found.s3_demeaned[g],
                included=held.eligible[rows],
            )

    def _hear(self, rung: int, heard: Sequence[tuple[Ints, Outcome]]) -> None:
        """Take the evidence of one block into the table, then what it teaches the plan."""
        for rows, outcome in heard:
            self._evidence.hear(rung, rows, outcome, self._parts)
        self._undecided = True
        changed = self._planner.hear(rung, heard, self._verdicts.open_rows())
        self._plan_changed |= changed
        if changed:
            before = self._parts
            self._parts = self._planner.parts()
            self._evidence.forget(self._parts.epochs != before.epochs)

    def _decide(self, now: float) -> tuple[Transition, ...]:
        self._undecided = False
        highest = self._evidence.highest()
        if highest >= HIGH:
            change, open_rows = self._planner.change, self._verdicts.open_rows()
            if change.hear_crossings(self._evidence.log_m(), open_rows):
                self._parts = self._planner.parts()
        if self._selector.quiet and highest < self._selector.least:
            return ()
        controlled, ranked, anew = self._evidence.merged(self._parts)
        selection = self._selector.select(controlled, ranked, anew)
        leading = Leading(self._evidence, self._parts, self._planner)
        return tuple(self._verdicts.update(now, selection, leading))

    def _new_plan(self) -> Plan | None:
        if not self._plan_changed:
            return None
        self._plan_changed = False
        self._parts = self._planner.parts()
        self._contrasts.adopt(self._planner)
        return self._planner.plan()
