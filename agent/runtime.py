"""The agent as it runs: sources, intake, evidence, link, files and health, put together.

Apart, because this alone knows when each of them is called; it is the one place where an error
nobody foresaw is caught, logged, and survived.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path
from random import Random
from typing import Final

import structlog

from ..adapters.base import CounterSource
from ..engine.ranks import stream_key
from ..proto import encode
from ..proto.messages import Inventory, Up1
from ..proto.schema import ingest
from ..settings.clock import Clock
from ..settings.folder import Folder
from ..settings.logs import rfc3339
from .assembly import Parts, assemble, link, numbered
from .config import AgentSettings
from .evidence import Evidence
from .facts import Facts
from .fold import Block
from .grid import Grid
from .guarded import Guarded
from .health import Health
from .inventory import interval_of
from .keeper import Keeper
from .reexec import AGAIN, may_begin, stale
from .sampler import Sample, Sampler
from .seldom import Seldom
from .telling import Telling
from .uplink import Uplink
from .vitals import LATEST, Vitals, evidence_age

LINK_AGAIN: Final = 5.0  # seconds
LONG_BACK: Final = 600.0  # seconds of discarded ticks, from which on a person is told the way out
SPREAD: Final = 10  # the hosts' UP1 are spread over this part of a block,
LONGEST_SPREAD: Final = 2.0  # but over no more seconds: a DOWN waits no longer than 5 s for them
SHARE: Final = 0.8  # of a tick that sources may take
SUPERSEDED: Final = 4  # exit status
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)  # that end a live agent in good order


class Agent:
    """One host's agent. ``inventory``, ``uplink`` and ``evidence`` are there after :meth:`start`.

    ``paced`` False is for a driver that moves the clock and calls :meth:`tick`: sources are asked
    in this thread, block values are sent at once, and nothing happens by itself but the link.
    """

    uplink: Uplink
    _parts: Parts

    def __init__(  # noqa: PLR0913 - one parameter for each thing that is not the agent's own
        self,
        settings: AgentSettings,
        sources: Sequence[CounterSource],
        clock: Clock,
        random: Random,
        *,
        folder: Path,
        paced: bool = True,
    ) -> None:
        """Take what the agent reads, when, and the ``folder`` it writes in; nothing is opened."""
        self._settings, self._clock, self._random = settings, clock, random
        self._sources, self._paced = tuple(sources), paced
        self._grid = Grid(interval_of(sources, settings.tick_seconds))
        budget = min(settings.budget, SHARE * self._grid.interval)
        self._sampler = Sampler(sources, budget if paced else None)
        self._folder = Folder(folder, "agent")
        self._health = Health(settings.agent_http, self.vitals)
        self._counts: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._keeper: Keeper | None = None
        self._number: int | None = None  # of the last tick, on the grid of the wall clock
        self._came = self._ticked = nan  # monotonic seconds: to a tick, and of one that was taken
        self._spread = 0.0  # share of the spread that is this host's
        self._say = Seldom(clock).say
        self._telling = Telling(self._sources, clock, self._say)
        self._ending = asyncio.Event()
        self._renewing = False
        self._log = structlog.get_logger("agent")

    @property
    def evidence(self) -> Evidence:
        """Return the host's evidence, to be read."""
        return self._parts.ledger.evidence

    @property
    def facts(self) -> Facts:
        """Return what this host has said and nobody has stored, to be read."""
        return self._telling.facts

    @property
    def inventory(self) -> Inventory:
        """Return what the host has."""
        return self._parts.exchange.inventory

    async def start(self) -> None:
        """Find out who we are and what we have, take up evidence, and begin to connect.

        Raises ``BadFolder``, ``BadStart`` and ``SourceUnavailable``, each one line.
        """
        if self._paced:
            for number in SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._ending.set)
        self._folder.hold()
        self._telling.begin(self._folder.path)
        parts = self._parts = await assemble(
            self._settings,
            sources=self._sources,
            sampler=self._sampler,
            folder=self._folder,
            facts=self._telling.facts,
            events=self._telling.events,
            clock=self._clock,
            random=self._random,
        )
        speaker = Guarded(parts.exchange, self._say)
        self.uplink = link(self._settings, speaker, self._clock, self._random, paced=self._paced)
        parts.exchange.send = self._telling.send = self.uplink.send
        self._keeper = Keeper(parts.ledger, self._clock, aside=self._paced)
        await self._telling.inherit(self._sampler, parts.resurvey.here)
        self._telling.note(self._clock.now(), parts.first)
        self._log.info(
            "agent started",
            host=parts.identity.host,
            shards=len(self.inventory.shards),
            metrics=len(self.inventory.metrics),
            inventory=self.inventory.version,
            evidence="resumed" if parts.ledger.resumed else parts.ledger.lost or "new",
        )
        self._tasks.append(asyncio.create_task(self._keep_linked()))
        if self._paced:
            self._spread = stream_key(parts.identity.host) / 2.0**64
            self._serve_health()

    async def tick(self) -> int:
        """Take one tick at the clock's time; return how many blocks were sent up.

        A tick whose place on the wall clock was taken before, because the clock was set back, is
        discarded.
        """
        at, self._came = self._clock.now(), self._clock.monotonic()
        number = self._grid.number(at)
        if self._number is not None and number <= self._number:
            self._counts["ticks_discarded"] += 1
            self._say_back(at)
            return 0
        self._number = number
        sample = await self._sampler.ask(at)
        self._telling.note(at, sample)
        if self._telling.look(at, sample, tuple(shard.id for shard in self.inventory.shards)):
            self._parts.resurvey.soon()  # a job, a driver: it may be another host by now
        exchange = self._parts.exchange
        values, absences = exchange.intake.matrix(sample.readings)
        self._counts.update(unsupported=absences.unsupported, impossible=absences.impossible)
        self._counts.update(failed=sum((absences.failed or {}).values()), ticks=1)
        exchange.ring.push(at, values)
        sent = self._send(exchange.intake.push(at, values))
        self._ticked = self._clock.monotonic()
        await self._look_again(sample)
        if not self._paced:
            self._beat()
        if self.uplink.up:
            self._parts.exchange.send_past()
        self._force()
        if self._keeper is not None:
            await self._keeper.if_due()
        self._renew_if_stale(at)
        return sent

    async def run(self) -> int:
        """Tick each second of the wall clock until a signal comes; return the exit status."""
        self._tasks.append(asyncio.create_task(self._keep_beating()))
        try:
            while await self._grid.next_tick(self._clock, self._ending):
                try:
                    await self.tick()
                except Exception:  # noqa: BLE001  whatever it is, the next tick may do
                    self._say("a tick failed", failed=True)
        finally:
            await self.stop()
        if self.uplink.superseded:
            self._log.error("another agent of this host has taken over; this one ends")
            return SUPERSEDED
        return AGAIN if self._renewing else 0

    async def stop(self) -> None:
        """Write a last checkpoint and close everything; calling it twice is harmless."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._keeper is not None:
            await self._keeper.finish()
            self._keeper = None
            self._parts.spool.close()
            self._telling.finish()
        if self._paced:
            for number in SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
        self._health.stop()
        self._sampler.stop()
        self._folder.release()

    def vitals(self) -> Vitals:
        """Return how the agent is now; called from other threads."""
        telling = self._telling
        counters = {**self._counts, **telling.counters()}
        host, state, offset, age = "", "starting", nan, nan
        keeper = self._keeper
        if keeper is not None:
            parts, link_, age = self._parts, self.uplink, keeper.age
            host, state, offset = parts.identity.host, link_.state, parts.exchange.offset.offset
            counters |= {f"{kind}_dropped": n for kind, n in link_.dropped.items()}
            counters |= {"links": link_.links, "bad_messages": parts.exchange.refused}
            counters |= {"records_unwritten": parts.ledger.unwritten}
            counters |= parts.spool.counters()
        vitals = Vitals(
            host=host,
            link=state,
            tick_age=self._clock.monotonic() - self._ticked,
            loop_age=self._clock.monotonic() - self._came,
            checkpoint_age=age,
            clock_offset=offset,
            late=max(LATEST, 3 * self._grid.interval),
            sources=telling.states(),
            hung=dict(telling.sample.silent),
            took=dict(telling.sample.took),
            rejected=telling.rejected(),
            facts=telling.facts.standing,
            counters=counters,
            sample_ages=telling.fresh.ages(self._clock.monotonic()),
        )
        if keeper is None:
            return vitals
        parts = self._parts
        return replace(
            vitals,
            evidence_age=evidence_age(parts.ledger.last, self._clock.now()),
            certificate_ends=self.uplink.certificate_ends,
            shards=parts.exchange.inventory.shards,
            gauges=parts.spool.gauges(),
        )

    def _serve_health(self) -> None:
        try:
            self._health.start()
        except OSError as fault:
            address = self._settings.agent_http
            self._log.warning("no health page", address=address, reason=fault.strerror)

    def _renew_if_stale(self, at: float) -> None:
        """End in good order, to be begun anew, where a source needs a new process."""
        why = stale(self._sources) if self._paced else ""
        if why and may_begin(os.environ, at):
            self._log.warning("beginning anew", reason=why)
            self._renewing = True
            self._ending.set()

    async def _look_again(self, sample: Sample) -> None:
        """Take note of what the readings are of; now and then, announce what has changed."""
        resurvey = self._parts.resurvey
        resurvey.note(sample.readings)
        if not resurvey.due:
            return
        try:
            found = resurvey.look(await self._sampler.shards())
            if found is not None:
                exchange = self._parts.exchange
                exchange.announce(numbered(found, self._folder.path, exchange.version))
                resurvey.believe(found)
        except (ValueError, OSError) as bad:
            self._say(f"what this host has by now is not followed: {bad}")

    def _send(self, blocks: Sequence[Block]) -> int:
        """Offer ``blocks``; those that complete while the link is down become history, unbet."""
        up = self.uplink.up
        for block in blocks:
            if self.evidence.asks_for(block.rung, block.index):
                self._parts.spool.seal(block, live=up)
        if not up:
            self._counts["blocks_without_link"] += len(blocks)
            return 0
        loop = asyncio.get_running_loop()
        sent = list(self._parts.exchange.offer(blocks))
        for up1 in sent:
            wait = self._spread * min(up1.rung / SPREAD, LONGEST_SPREAD)
            if wait > 0:
                loop.call_later(wait, self._send_up1, up1)
            else:
                self._send_up1(up1)
        return len(sent)

    def _send_up1(self, up1: Up1) -> None:
        self.uplink.send(ingest.FromAgent(up1=encode.up1(up1)))

    def _force(self) -> None:
        """Let the disk take for good what the spool has written, without waiting for it."""
        spool = self._parts.spool
        paths = spool.unforced()
        if not paths:
            return
        if self._paced:
            asyncio.get_running_loop().run_in_executor(None, spool.force, paths)
        else:
            spool.force(paths)

    async def _keep_linked(self) -> None:
        while not self.uplink.superseded:
            try:
                await self.uplink.run()
            except Exception:  # noqa: BLE001  an error of ours must not cost the link
                self._say("the link failed", failed=True)
                await asyncio.sleep(LINK_AGAIN)
        self._ending.set()

    async def _keep_beating(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(1.0)

    def _say_back(self, now: float) -> None:
        """Log until when ticks are discarded, and how not to wait for it if that is long."""
        until = ((self._number or 0) + 1) * self._grid.interval
        way_out = "; a restart begins anew" if until - now > LONG_BACK else ""
        self._say(f"time went back: ticks are discarded until {rfc3339(until)}{way_out}")

    def _beat(self) -> None:
        if self.uplink.up:
            self._parts.exchange.beat()
