"""Put an agent's parts together: who it is, what it has, what it knew, whom it speaks to.

Apart from the runtime, which says when each part is called: this happens once, at the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

import structlog

from .. import __version__
from ..adapters.base import CounterSource
from ..adapters.catalogue import Catalogue, default_catalogue
from ..adapters.metric import JOINT, Metric
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
from .intake import Intake
from .inventory import (
    INVENTORY,
    Named,
    Placed,
    catalogue_of,
    columns_of,
    interval_of,
    intervals_of,
    judged_metrics,
    pushed_of,
    survey,
    with_jobs,
    with_version,
    yielded,
)
from .ledger import Ledger, open_ledger
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
    inventory: Inventory
    ledger: Ledger
    intake: Intake
    ring: Ring
    exchange: Exchange
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
    for source in sources:
        if isinstance(source, Placed):
            source.place(there)
    shards = with_jobs(there, sources)  # after: who knows jobs may know them by a device's number
    interval = interval_of(sources, settings.tick_seconds)
    shipped = replace(default_catalogue(), scores=settings.scores)
    first = await sampler.ask(clock.now())
    read = _metrics(sources, first, catalogue_of(sources, shipped))
    metrics = columns_of(read, interval, jointly=JOINT in settings.scores)
    said = Named(settings.job, settings.role, settings.sku)
    try:
        found = survey(identity, shards, metrics, said, interval)
    except ValueError as bad:
        raise BadStart(str(bad)) from None
    inventory, ledger = _take_up(found, folder, clock.now(), _warm(settings.baseline, found))
    ids = tuple(shard.id for shard in inventory.shards)
    intake = Intake(ids, metrics, interval, intervals_of(metrics, interval, pushed_of(sources)))
    ring = Ring(ids, intake.read)
    spool = Spool(folder.path, settings.spool_bytes, clock.monotonic)
    try:
        spool.load(clock.now(), facts, events)
    except OSError as fault:
        raise unwritable(folder.path, fault) from None
    desk = Desk(ledger, intake, ring, facts, events, spool)
    exchange = Exchange(identity, inventory, desk, clock, __version__)
    exchange.follow()
    return Parts(identity, inventory, ledger, intake, ring, exchange, spool, first)


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


def _metrics(
    sources: Sequence[CounterSource], sample: Sample, catalogue: Catalogue
) -> tuple[Metric, ...]:
    """Return what the sources yield that can be judged, by what they said first."""
    names = yielded(sample.readings, sources)
    metrics = judged_metrics(names, catalogue)
    if not metrics:
        who = ", ".join(source.name for source in sources) or "no source"
        message = f"{who}: nothing that can be judged now; see tessera-agent check"
        raise BadStart(message)
    return metrics


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
    """Return the inventory with its version, and the evidence that belongs to it."""
    try:
        inventory = with_version(found, folder.path / INVENTORY)
        ledger = open_ledger(Checkpoints(folder.path), inventory, now, warm)
        ledger.begin()
    except OSError as fault:
        raise unwritable(folder.path, fault) from None
    if warm is not None and ledger.resumed:
        structlog.get_logger("agent").info("evidence goes on; the baseline is not asked")
    return inventory, ledger
