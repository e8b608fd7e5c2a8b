"""The aggregator as one running thing: what is wired to what, when it steps, how it ends.

Apart from its parts, none of which starts anything: only here are a server, a disk and a
timer.
"""

import asyncio
import contextlib
from dataclasses import replace
from random import Random

import grpc.aio
import structlog

from ..adapters.catalogue import Catalogue
from ..adapters.topology.model import Topology
from ..proto.secure import server_credentials
from ..settings.clock import Clock
from ..settings.folder import Folder
from .config import AggregatorSettings
from .health import HealthService
from .hosts import Hosts
from .ingest.inbox import Inbox
from .ingest.liveness import Liveness
from .ingest.past import Past
from .ingest.service import IngestService
from .ingest.session import Session
from .ingest.sessions import Sessions
from .inputs import tls_of
from .ledger import Ledger
from .mind import Mind, Minds
from .pipeline import StepResult
from .pipelines import Pipelines
from .publish.answers import Answering
from .publish.console import ConsoleService
from .publish.hub import Hub
from .publish.view import Moment, Shown, Views
from .rounds import Rounds
from .server import AddressTaken, bind, make_server
from .state.assembly import Assembly
from .state.standing import Standing
from .state.store import DATABASE, Store
from .state.writer import Writer

EVERY = 0.25  # seconds between steps
SOON = 0.02  # seconds in which messages that come together are taken together
HEARTBEAT = 5.0  # seconds between an agent's heartbeats
CHECKPOINT = 60.0  # seconds between checkpoints
HOUR = 3600.0  # seconds
FRESH = 1.0  # seconds after which a view is made again though nothing happened: ages grow
OFTEN = 0.2  # seconds between views at least, in real time
GRACE = 1.0  # seconds for calls that are under way when the server stops


class Aggregator:
    """One aggregator. ``paced``: real time, with deadlines; else a driver calls ``step``.

    For a driver the clock stands still during a step, a block is waited for however long it
    takes, and a step ends when all that it leads to is on disk and on its way.
    """

    def __init__(  # noqa: PLR0913 - what one program differs in from another, or from a test
        self,
        settings: AggregatorSettings,
        folder: Folder,
        clock: Clock,
        random: Random,
        *,
        catalogue: Catalogue,
        topology: Topology,
        paced: bool = True,
        minds: Minds | None = None,
    ) -> None:
        """Lay out the parts; nothing is opened before ``start``. ``folder`` must be held by then.

        ``minds`` makes pipelines, by default the real ones.
        """
        self._settings, self._paced = settings, paced
        self.clock = clock
        self._minds: Minds = minds or Pipelines(settings, clock, patient=not paced)
        store = Store(folder.path / DATABASE)
        self._writer = Writer(store, self._disk_said)
        self._ledger = Ledger(self._writer, clock)
        self.sessions, self._inbox = Sessions(clock), Inbox(self._arrived if paced else None)
        self._liveness = Liveness(clock, settings.silent_after)
        self._past = Past(clock, self.sessions, self._ledger, settings.history_hours * HOUR)
        self._assembly = Assembly(settings.expect_hosts, settings.gather_seconds)
        self._hosts = Hosts(
            self._assembly,
            self._liveness,
            self._ledger,
            clock,
            self.sessions,
            served=self._serve,
        )
        self._rounds = self._make_rounds(catalogue, topology)
        self.health, self.hub = HealthService(), Hub()
        self._answers = Answering(store, settings.q, lambda: self._rounds.shown)
        self._views = Views(settings.cluster, "live" if paced else "simulated", settings.q)
        self._instance = random.getrandbits(64)
        self._notice = ""
        self._viewed = self._saved = clock.monotonic()
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()
        self._absorbing = self._packing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log = structlog.get_logger()
        self._server: grpc.aio.Server | None = None
        self.address = ""

    def _make_rounds(self, catalogue: Catalogue, topology: Topology) -> Rounds:
        return Rounds(
            self._settings,
            self.clock,
            self._minds,
            catalogue=replace(catalogue, scores=self._settings.scores),
            topology=topology,
            hosts=self._hosts,
            assembly=self._assembly,
            sessions=self.sessions,
            inbox=self._inbox,
            ledger=self._ledger,
            formed=self._formed,
        )

    @property
    def mind(self) -> Mind | None:
        """Return the pipeline, None until the fleet is formed."""
        return self._rounds.mind

    @property
    def status(self) -> str:
        """Return in one line what a person wants to know first."""
        return self._notice or f"serving {len(self.sessions)} agents on {self.address}"

    async def start(self) -> None:
        """Open the disk, take up what is there, and serve.

        Raises ``BadTls``, ``BadStore`` or ``AddressTaken``, with nothing left running.
        """
        self._loop = asyncio.get_running_loop()
        tls = tls_of(self._settings, self.clock)
        remembered = await self._writer.start()
        server = make_server()
        try:
            secured = None if tls is None else server_credentials(tls.newest)
            self.address = bind(server, self._settings.listen, secured)
        except AddressTaken:
            await self._writer.stop()
            raise
        self._rounds.remember(remembered)
        self._ledger.commit()
        self._add_services(server)
        self._show()
        self._server = server
        await server.start()
        self.health.set(serving=True)

    async def step(self) -> StepResult | None:
        """Do one round; return what the pipeline said, None before there is a fleet."""
        result = self._rounds.step()
        await self._commit()
        self._ledger.flush(self._hosts.heard)
        self._past.flush()
        if not self._paced:
            await self._ledger.settled()
        self._show()
        return result

    async def run(self) -> None:
        """Step in time until ``ask_to_stop``, then stop."""
        try:
            while not self._stopping.is_set():
                try:
                    await self.step()
                except Exception:  # noqa: BLE001 - whatever it is, agents must go on being heard
                    self._log.exception("step failed; the next one is taken all the same")
                await self._pause()
        finally:
            await self.stop()

    def ask_to_stop(self) -> None:
        """End ``run`` soon, also one that has not begun; a signal may call it."""
        self._stopping.set()
        self._wake.set()

    async def stop(self) -> None:
        """Close every stream, write down what there is, and leave nothing running."""
        self.health.close()
        self.hub.close()
        for session in self.sessions:
            session.end()
        if self._server is not None:
            await self._server.stop(GRACE)
        self._ledger.audit("aggregator", "", "stopped")
        await self._commit(last=True)
        self._past.flush(last=True)
        await self._ledger.close()
        await self._writer.stop(0.0)

    async def settled(self) -> None:
        """Wait until all that was decided is on disk and on its way."""
        await self._ledger.settled()

    async def _pause(self) -> None:
        """Wait for the next step: a while, or until a block is complete."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), EVERY)
        self._wake.clear()

    def _add_services(self, server: grpc.aio.Server) -> None:
        service = IngestService(
            self.sessions,
            self._inbox,
            self._liveness,
            self._hosts,
            self.clock,
            past=self._past,
            instance=self._instance,
            heartbeat_seconds=HEARTBEAT,
        )
        service.add_to(server)
        ConsoleService(self.hub, self._answers, self.sessions).add_to(server)
        self.health.add_to(server)

    def _serve(self, session: Session) -> None:
        self._rounds.serve(session)

    def _arrived(self) -> None:
        """Look soon at what has come in, and at what else comes in by then."""
        if not self._absorbing and self._loop is not None:
            self._absorbing = True
            self._loop.call_later(SOON, self._absorb)

    def _absorb(self) -> None:
        self._absorbing = False
        try:
            if self._packing:
                self._wake.set()  # the next step takes them in
            elif self._rounds.absorb():
                self._wake.set()
        except Exception:  # noqa: BLE001 - as above
            self._log.exception("messages lost: they could not be taken in")

    def _formed(self, mind: Mind, topology: Topology) -> None:
        """Let views and answers be of the new fleet."""
        self._views.lay_out(mind.fleet, topology)
        self._answers.know(mind, topology)

    def _show(self) -> None:
        """Make a view if it would differ from the last, or if that is old."""
        now, rounds = self.clock.monotonic(), self._rounds
        age = now - self._viewed
        first = self.hub.newest is None
        if not (first or age >= FRESH or (rounds.dirty and (age >= OFTEN or not self._paced))):
            return
        self._viewed, rounds.dirty = now, False
        standing = None if rounds.mind is None else rounds.mind.standing()
        if standing is not None:
            self._answers.past.record(self.clock.now(), standing.log_e)
        self.hub.publish(self._views.make(self._moment(standing)))

    def _moment(self, standing: Standing | None) -> Moment:
        rounds = self._rounds
        shown = sorted(rounds.shown.values(), key=_opened)
        return Moment(
            at=self.clock.now(),
            standing=standing,
            open=shown,
            effects={} if rounds.mind is None else rounds.mind.effects(),
            hosts=self._hosts.notes(),
            gone=rounds.gone(),
            plan=rounds.plan_id,
            decided=rounds.decided,
            waiting_hosts=self._assembly.waiting(),
            notice=self._notice,
        )

    async def _commit(self, *, last: bool = False) -> None:
        """Send what was decided to the disk, with a checkpoint where one belongs or is due."""
        now = self.clock.monotonic()
        due = now - self._saved >= CHECKPOINT and not self._writer.waiting
        state = None
        if last or due or self._ledger.weighty:
            self._saved = now
            state = await self._packed()
        self._ledger.commit(state)

    async def _packed(self) -> bytes | None:
        """Return a checkpoint, packed beside the event loop while no step is taken."""
        self._packing = True
        pack = self._minds.saved
        try:
            return await asyncio.to_thread(pack) if self._paced else pack()
        except Exception:  # noqa: BLE001 - what was decided is published without it all the same
            self._log.exception("no checkpoint: the one before stands")
            return None
        finally:
            self._packing = False

    def _disk_said(self, trouble: str) -> None:
        """Take word from the writer's thread that the disk fails, or "" that it works again."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._heed_disk, trouble)

    def _heed_disk(self, trouble: str) -> None:
        self._notice = trouble
        self._rounds.dirty = True
        self.health.set(serving=not trouble)
        if trouble:
            self._log.error("the disk fails; nothing new is published", fault=trouble)
        else:
            self._log.info("the disk works again")


def _opened(shown: Shown) -> tuple[float, str]:
    return shown.opened, shown.last.id
