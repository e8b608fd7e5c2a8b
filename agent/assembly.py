"""Put an agent's parts together: who it is, what it has, what it knew, whom it speaks to.

Apart from the runtime, which says when each part is called: this happens once, at the start.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import structlog

from .. import __version__
from ..adapters.base import CounterSource
from ..adapters.catalogue import default_catalogue
from ..proto.baseline_file import BadBaseline, load_baseline
from ..proto.messages import Inventory
from ..settings.address import is_loopback
from ..settings.clock import Clock
from ..settings.folder import Folder, unwritable
from ..settings.tls import BadTls, Tls, client_tls
from .backoff import Backoff
from .checkpoint import Checkpoints
from .config import AgentSettings
from .events import Events
from .exchange import Desk, Exchange
from .facts import Facts
from .identity import Identity, identify
from .inventory import (
    INVENTORY,
    Named,
    interval_of,
    judged_metrics,
    metrics_before,
    with_version,
    yielded,
)
from .ledger import Ledger, open_ledger
from .resurvey import Resurvey, Surveyed, Surveyor
from .ring import Ring
from .sampler import Sample, Sampler
from .spool import Spool
from .uplink import Speaker, Uplink
from .warm import Warm

DRIVEN_WAIT: Final = 0.02, 0.2  # seconds before the next attempt where nobody else reconnects


class BadStart(Exception):  # noqa: N818 - named for what it says
    """Why this agent cannot start, in one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A started agent's parts."""

    identity: Identity
    ledger: Ledger
    exchange: Exchange
    resurvey: Resurvey
    spool: Spool
    first: Sample  # what the sources said when they were asked for their metrics


async def assemble(  # noqa: PLR0913 - one parameter for each thing that is not the agent's own
    settings: AgentSettings,
    *,
    sources: Sequence[CounterSource],
    sampler: Sampler,
    folder: Folder,
    facts: Facts,
    events: Events,
    clock: Clock,
    random: Random,
) -> Parts:
    """Ask the sources what there is, take up what was known of it, and write both down.

    Raises ``BadFolder``, ``BadStart`` and ``SourceUnavailable``, each one line.
    """
    identity = identify(settings.host, random)
    there = [shard for source in sources for shard in source.shards()]
    interval = interval_of(sources, settings.tick_seconds)
    shipped = replace(default_catalogue(), scores=settings.scores)
    said = Named(settings.job, settings.role, settings.sku)
    surveyor = Surveyor(identity, sources, said, shipped, interval)
    surveyor.place(there)
    first = await sampler.ask(clock.now())
    names = yielded(first.readings, sources)
    _refuse_nothing(names, surveyor)
    try:
        found = surveyor.of(there, names | metrics_before(folder.path / INVENTORY, there))
    except ValueError as bad:
        raise BadStart(str(bad)) from None
    warm = _warm(settings.baseline, found.inventory)
    inventory, ledger = _take_up(found.inventory, folder, clock.now(), warm)
    spool = Spool(folder.path, settings.spool_bytes, clock.monotonic)
    try:
        spool.load(clock.now(), facts, events)
    except OSError as fault:
        raise unwritable(folder.path, fault) from None
    now = surveyor.again(ledger.evidence.inventory)
    intake = now.intake()
    ring = Ring(tuple(shard.id for shard in now.inventory.shards), intake.read)
    desk = Desk(ledger, intake, ring, facts, events, spool)
    before = ledger.evidence.inventory
    exchange = Exchange(identity, before, desk, clock, __version__)
    if inventory is not before:
        exchange.announce(replace(found, inventory=inventory))
    exchange.follow()
    return Parts(identity, ledger, exchange, Resurvey(surveyor, clock, found), spool, first)


def numbered(found: Surveyed, folder: Path, above: int) -> Surveyed:
    """Return ``found`` with its version, larger than ``above``; raise ``OSError`` where it fails.

    It is in the ``folder`` then: no version means two things, however often this is killed.
    """
    return replace(found, inventory=with_version(found.inventory, folder / INVENTORY, above))


def link(
    settings: AgentSettings, speaker: Speaker, clock: Clock, random: Random, *, paced: bool
) -> Uplink:
    """Return the link to the aggregator; ``paced`` as the runtime is. Raises ``BadStart``."""
    backoff = Backoff(random) if paced else Backoff(random, *DRIVEN_WAIT)
    try:
        tls = link_tls(settings, clock)
    except BadTls as bad:
        raise BadStart(str(bad)) from None
    if tls is None and not is_loopback(settings.aggregator):
        warning = "this link is plain text: whoever is on the way can read and forge it; set tls_ca"
        structlog.get_logger("agent").warning(warning, aggregator=settings.aggregator)
    return Uplink(settings.aggregator, speaker, clock, backoff, tls)


def link_tls(settings: AgentSettings, clock: Clock) -> Tls | None:
    """Return what the link is secured with, read and checked; raise ``BadTls``."""
    return client_tls(
        settings.tls_ca,
        settings.tls_cert,
        settings.tls_key,
        name=settings.tls_server_name,
        clock=clock,
    )


def _refuse_nothing(names: Collection[str], surveyor: Surveyor) -> None:
    """Raise ``BadStart`` where nothing that the sources yield by now can be judged."""
    if not judged_metrics(names, surveyor.catalogue):
        who = ", ".join(source.name for source in surveyor.sources) or "no source"
        message = f"{who}: nothing that can be judged now; see tessera-agent check"
        raise BadStart(message)


def _warm(path: Path | None, inventory: Inventory) -> Warm | None:
    """Return what the baseline at ``path`` offers this host; a bad one is told and not used."""
    if path is None:
        return None
    try:
        return Warm.of(load_baseline(path), inventory)
    except BadBaseline as bad:
        structlog.get_logger("agent").warning("every stream learns anew", reason=str(bad))
        return None


def _take_up(
    found: Inventory, folder: Folder, now: float, warm: Warm | None
) -> tuple[Inventory, Ledger]:
    """Return the inventory with its version, and the evidence: of it, or still of one before."""
    file = folder.path / INVENTORY
    try:
        inventory = with_version(found, file)
        ledger = open_ledger(Checkpoints(folder.path), inventory, now, warm)
        before = ledger.evidence.inventory
        if before is not inventory:
            inventory = with_version(found, file, above=before.version)
        ledger.begin()
    except OSError as fault:
        raise unwritable(folder.path, fault) from None
    if warm is not None and ledger.resumed:
        structlog.get_logger("agent").info("evidence goes on; the baseline is not asked")
    return inventory, ledger
