"""Run real agents and a real aggregator over loopback gRPC, in lock-step on a simulated clock.

Apart from what is played, because the demonstration, scenarios and tests all need the product
itself to be reproducible: time stands still until every message of a tick has been dealt with.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from ..adapters.base import CounterSource
from ..adapters.catalogue import Catalogue
from ..adapters.topology.model import Topology
from ..agent.config import AgentSettings
from ..agent.runtime import Agent
from ..aggregator.config import AggregatorSettings
from ..aggregator.decide.transition import Transition
from ..aggregator.inputs import baseline_of
from ..aggregator.pipelines import Pipelines
from ..aggregator.runtime import Aggregator
from ..settings.clock import ManualClock
from ..settings.folder import Folder

STUCK = 60.0  # seconds of real time in which nothing moves: something is broken
ROUND_EACH = 5.0  # simulated seconds after which a tick without blocks has a round too


class Live:
    """Agents, one for each host, and their aggregator; an async context manager.

    All state lies beneath ``state_dir``, so that an agent or the aggregator can be stopped or
    killed and started again. Times are seconds of the simulated clock.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing that a run depends on
        self,
        sources: Mapping[str, CounterSource],
        state_dir: Path,
        *,
        catalogue: Catalogue,
        topology: Topology,
        horizon: float,
        began: float = 0.0,
        interval: float = 1.0,
        listen: str = "127.0.0.1:0",
        cluster: str = "cluster",
        baseline: Path | None = None,
    ) -> None:
        """Take what each host reads, what is wired to what, and when the first tick is.

        Agents and aggregator start from the ``baseline`` in that file.
        """
        self.clock = ManualClock(began)
        self.agents: dict[str, Agent] = {}
        self._sources = dict(sources)
        self._state_dir = state_dir
        self._catalogue, self._topology = catalogue, topology
        self._interval = interval
        self._settings = AggregatorSettings(
            listen=listen,
            expect_hosts=len(sources),
            horizon=horizon,
            cluster=cluster,
            baseline=baseline,
        )
        self._moved = asyncio.Event()
        self._round_at = began
        self._ticked = False
        self._starts = 0
        self.aggregator: Aggregator
        self._folder: Folder

    async def __aenter__(self) -> Self:
        await self.start_aggregator()
        for host in self._sources:
            await self.start_agent(host)
        await self.come_to_rest()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for agent in self.agents.values():
            await agent.stop()
        await self.stop_aggregator()

    async def start_aggregator(self) -> None:
        """Start the aggregator, anew or again on what it left."""
        self._folder = Folder(self._state_dir / "aggregator", "aggregator")
        self._folder.hold()
        self.aggregator = Aggregator(
            self._settings,
            self._folder,
            self.clock,
            Random(0),  # noqa: S311 - a name that nobody must guess, and the same in each run
            catalogue=self._catalogue,
            topology=self._topology,
            paced=False,
            minds=self._minds(),
        )
        await self.aggregator.start()
        self.aggregator.sessions.on_change = self._moved.set
        self._settings = self._settings.model_copy(update={"listen": self.aggregator.address})

    def _minds(self) -> Pipelines:
        baseline, why = baseline_of(self._settings.baseline)
        if why:
            raise ValueError(why)
        return Pipelines(self._settings, self.clock, patient=True, baseline=baseline)

    async def stop_aggregator(self) -> None:
        """Stop the aggregator as SIGTERM does."""
        await self.aggregator.stop()
        self._folder.release()

    async def start_agent(self, host: str) -> None:
        """Start the agent of ``host``, anew or again on what it left."""
        settings = AgentSettings(
            aggregator=self.aggregator.address,
            host=host,
            tick_seconds=self._interval,
            baseline=self._settings.baseline,
        )
        folder = self._state_dir / "agents" / host
        self._starts += 1
        random = Random(f"{host} {self._starts}")  # noqa: S311 - as above, and another each time
        agent = Agent(
            settings, [self._sources[host]], self.clock, random, folder=folder, paced=False
        )
        await agent.start()
        agent.uplink.on_change = self._moved.set
        self.agents[host] = agent

    async def tick(self) -> list[Transition]:
        """Let one tick pass, and all that follows from it; return the verdicts' transitions."""
        self.clock.advance(self._interval if self._ticked else 0.0)
        self._ticked = True
        blocks = 0
        for agent in self.agents.values():
            blocks += await agent.tick()
        if not blocks and self.clock.now() < self._round_at:
            return []
        self._round_at = self.clock.now() + ROUND_EACH
        return await self.come_to_rest()

    async def come_to_rest(self) -> list[Transition]:
        """Let all follow that is under way, in no time; return the verdicts' transitions."""
        await self.settle()
        done: list[Transition] = []
        more = True
        while more:
            result = await self.aggregator.step()
            await self.settle()
            done.extend(result.transitions if result else ())
            more = result is not None and bool(result.downs)  # which agents answer
        return done

    async def settle(self) -> None:
        """Wait until every message has arrived and been dealt with."""
        while not self._at_rest():
            self._moved.clear()
            if self._at_rest():
                return
            try:
                await asyncio.wait_for(self._moved.wait(), STUCK)
            except TimeoutError:
                waiting = [host for host in self.agents if not self._is_at_rest(host)]
                message = f"nothing moved for {STUCK:g} s; at rest are all but {waiting[:5]}"
                raise RuntimeError(message) from None

    def _at_rest(self) -> bool:
        return all(map(self._is_at_rest, self.agents))

    def _is_at_rest(self, host: str) -> bool:
        uplink, session = self.agents[host].uplink, self.aggregator.sessions.of(host)
        return (
            session is not None
            and uplink.up
            and uplink.sent == session.received
            and session.sent == uplink.received
        )
