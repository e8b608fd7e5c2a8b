"""Agents and one aggregator over a wire that loses, delays, repeats and reorders.

Apart from the hosts of other tests, which pass whole blocks by hand: here time is simulated in
tenths of a second, and every message has a fate of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import numpy as np
import numpy.typing as npt

from tessera.adapters.catalogue import Metric, apply_transform
from tessera.adapters.synthetic.fleet import SyntheticFleet
from tessera.agent.evidence import Evidence
from tessera.agent.fold import Block, Fold
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.pipeline import Pipeline, StepResult
from tessera.aggregator.state.fleet import build_fleet
from tessera.proto.messages import Down, Inventory, Plan, ShardRow, Up1, Up2

Floats = npt.NDArray[np.float64]

Way = Literal["up1", "down", "up2", "plan"]
Fate = Callable[[Way, Random], Sequence[int]]  # delays of each copy in tenths of a second

TENTHS = 10


def prompt(_way: Way, _random: Random) -> Sequence[int]:
    """Let every message arrive once and at once."""
    return (0,)


def delayed(way: Way, random: Random) -> Sequence[int]:
    """Let every message come within its time, some of them twice or three times."""
    if way == "plan":
        return (0,)
    return [random.randint(0, 2) for _ in range(random.choice((1, 1, 2, 3)))]


def lossy(way: Way, random: Random) -> Sequence[int]:
    """Lose one in twenty-five of everything but plans, and let as much come late."""
    if way == "plan":
        return (0,)
    what = random.random()
    if what < 0.04:
        return ()
    if what < 0.08:
        return (random.randint(6, 40),)
    return [random.randint(0, 2) for _ in range(random.choice((1, 2)))]


def far(way: Way, random: Random) -> Sequence[int]:
    """As lossy; plans arrive up to a second late, as they may when they begin two blocks later."""
    return (random.randint(0, 10),) if way == "plan" else lossy(way, random)


@dataclass(slots=True)
class Agent:
    """One host's evidence, and a journal of what moved it."""

    evidence: Evidence
    fold: Fold
    rows: slice
    journal: list[Plan | tuple[Block, tuple[Down, ...]]] = field(default_factory=list)
    offered: dict[tuple[int, int], Block] = field(default_factory=dict)
    told: list[Up2] = field(default_factory=list)
    plans: list[tuple[int, int, int]] = field(default_factory=list)  # rung, block, plan obeyed

    def reference(self) -> dict[int, Up2]:
        """Return the last evidence by rung of an agent that saw only the blocks with a DOWN."""
        other = Evidence(self.evidence.inventory)
        last: dict[int, Up2] = {}
        for entry in self.journal:
            if isinstance(entry, Plan):
                other.adopt(entry)
                continue
            block, downs = entry
            other.offer(block)
            answer = other.answer(downs)
            assert answer is not None
            last[block.rung] = answer
        return last


class Wire:
    """A synthetic fleet dealt to hosts, its aggregator, and the messages between them."""

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a play depends on
        self,
        made: SyntheticFleet,
        metrics: Sequence[Metric],
        *,
        hosts: int,
        fate: Fate = prompt,
        seed: int = 0,
        lead: int = 0,
        watch: Callable[["Wire"], None] | None = None,
    ) -> None:
        """Take what happens to messages; ``watch`` is called after every step."""
        names = tuple(m.name for m in metrics)
        runs = np.array_split(np.arange(len(made.names)), hosts)
        inventories = [
            Inventory(f"h{i}", 1, tuple(_row(made, made.names[r]) for r in run), names)
            for i, run in enumerate(runs)
        ]
        fleet = build_fleet(inventories, made.topology, metrics)
        self.pipeline = Pipeline(fleet, shortest=1, horizon=2000.0, lead=lead, patient=False)
        self.agents = {
            inventory.host: Agent(
                Evidence(inventory),
                Fold((len(run), len(metrics))),
                slice(int(run[0]), int(run[-1]) + 1),
            )
            for inventory, run in zip(inventories, runs, strict=True)
        }
        self.transitions = list[Transition]()
        self.tape: list[tuple[float, list[Up1 | Up2], StepResult]] = []
        self._metrics, self._fate, self._watch = metrics, fate, watch
        self._random = Random(seed)  # noqa: S311 - a test's dice, not a secret
        self._on_way: list[tuple[int, str, Plan | tuple[Down, ...] | Up1 | Up2]] = []
        self._tenth = 0
        self._step([])

    def play(self, readings: Floats, first: int = 0) -> None:
        """Play raw ``readings`` (T, S, M), one a second from second ``first``."""
        for at, tick in enumerate(readings, start=first):
            self._seal(at, tick)
            for tenth in range(TENTHS):
                self._tenth = at * TENTHS + tenth
                self._run()

    def now(self) -> float:
        """Return the simulated second."""
        return self._tenth / TENTHS

    def _seal(self, at: int, tick: Floats) -> None:
        self._tenth = at * TENTHS
        scaled = np.stack(
            [apply_transform(m, tick[:, j]) for j, m in enumerate(self._metrics)], axis=1
        )
        for host, agent in self.agents.items():
            for block in agent.fold.push(float(at), scaled[agent.rows]):
                if agent.evidence.asks_for(block.rung, block.index):
                    up1 = agent.evidence.offer(block)
                    agent.offered[block.rung, block.index] = block
                    agent.plans.append((block.rung, block.index, up1.plan))
                    self._send("up1", host, up1)

    def _run(self) -> None:
        """Let all that is due now arrive, and what comes of it, until nothing more is due."""
        inbox: list[Up1 | Up2] = []
        while due := [entry for entry in self._on_way if entry[0] <= self._tenth]:
            self._on_way = [entry for entry in self._on_way if entry[0] > self._tenth]
            self._random.shuffle(due)
            inbox = [m for _, _, m in due if isinstance(m, Up1 | Up2)]
            for _, host, message in sorted(due, key=_plans_first):
                if not isinstance(message, Up1 | Up2):
                    self._arrive(host, message)
            self._step(inbox)
        self._step([])

    def _arrive(self, host: str, message: Plan | tuple[Down, ...]) -> None:
        agent = self.agents[host]
        if isinstance(message, Plan):
            agent.evidence.adopt(message)
            agent.journal.append(message)
            agent.fold.watch(agent.evidence.columns())
            return
        up2 = agent.evidence.answer(message)
        if up2 is not None:
            agent.journal.append((agent.offered[up2.rung, up2.block], message))
            agent.told.append(up2)
            self._send("up2", host, up2)

    def _step(self, inbox: list[Up1 | Up2]) -> None:
        result = self.pipeline.step(self.now(), inbox)
        self.tape.append((self.now(), inbox, result))
        self.transitions += result.transitions
        for host in self.agents:
            if result.plan is not None:
                self._send("plan", host, result.plan)
            blocks: dict[tuple[int, int], list[Down]] = {}
            for down in result.downs.get(host, ()):
                blocks.setdefault((down.rung, down.block), []).append(down)
            for downs in blocks.values():
                self._send("down", host, tuple(downs))
        if self._watch is not None:
            self._watch(self)

    def _send(self, way: Way, host: str, message: Plan | tuple[Down, ...] | Up1 | Up2) -> None:
        for delay in self._fate(way, self._random):
            self._on_way.append((self._tenth + delay, host, message))


def _plans_first(entry: tuple[int, str, Plan | tuple[Down, ...] | Up1 | Up2]) -> int:
    """Sort plans by number before all else: one stream keeps their order."""
    message = entry[2]
    return message.id if isinstance(message, Plan) else 1 << 62


def _row(made: SyntheticFleet, name: str) -> ShardRow:
    about = made.topology.node(name).metadata
    return ShardRow(name, "gpu_shard", about["sku"], about["job"], about["role"])
