"""What the aggregator keeps on disk, as rows that are handed to the writer and read at a start.

Apart from the database, because the runtime speaks of these and only the store knows SQL.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Change = Literal["opened", "promoted", "relabelled", "recovering", "reopened", "closed"]


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """One transition of a verdict, or (when read) a verdict that is open; times in Unix seconds.

    ``at`` is the time of the transition; of a verdict that was read, of its opening. ``since``
    is the likely onset, NaN = unknown; ``log_e`` nats; ``turned`` when it became what it is, open
    or recovering.
    """

    id: str
    change: Change
    node: str
    level: str
    channel: str
    guarantee: str
    validity_class: str
    log_e: float
    at: float
    since: float
    metrics: tuple[str, ...]
    reason: str
    family: str = ""
    turned: float = 0.0


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the audit trail: what happened to ``node`` ("" = the fleet), and its facts."""

    at: float
    kind: str
    node: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)

    def facts_json(self) -> str:
        """Return the facts as JSON; numbers of numpy become plain ones."""
        return json.dumps(dict(self.facts), ensure_ascii=False, default=_plain)


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A whole plan, as it travels."""

    id: int
    at: float
    message: bytes


@dataclass(frozen=True, slots=True)
class Up2Record:
    """The newest evidence of a host at a rung, as it travelled, under the inventory it names."""

    host: str
    rung: int
    block: int
    message: bytes


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A host: the ``instance`` of its agent, its inventory, and when it was heard of (Unix s)."""

    host: str
    instance: int
    heard: float
    inventory: bytes


@dataclass(frozen=True, slots=True)
class FactRecord:
    """A fact or an event as it travelled; (host, word, id, at) is kept once, however often sent."""

    host: str
    word: Literal["fact", "event"]
    id: int
    at: float
    message: bytes


@dataclass(frozen=True, slots=True)
class PastRecord:
    """Values of blocks of one host and rung, as history: ``values`` f32 bytes by block.

    ``inventory`` is the message that rows and columns follow; ``columns`` u16 bytes, None = all.
    """

    host: str
    rung: int
    inventory: bytes
    rows: int
    columns: bytes | None
    values: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class GapRecord:
    """Blocks ``first`` … ``last`` of a host that will not be history; rung 0: of any, by second."""

    host: str
    rung: int
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """History that is stored at ``at`` (Unix s); what was stored before ``since`` is let go."""

    at: float
    since: float
    records: tuple[PastRecord, ...] = ()
    gaps: tuple[GapRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction, all or nothing.

    ``durable``: waits for the disk itself, so that it outlives a power failure and not only the
    process; for what somebody else will take as done (a published verdict, a plan, an Ack).
    ``heard``: when hosts were last heard of (Unix s); ``forgotten``: hosts that are no more.
    """

    verdicts: tuple[VerdictRecord, ...] = ()
    audit: tuple[AuditRecord, ...] = ()
    plans: tuple[PlanRecord, ...] = ()
    up2: tuple[Up2Record, ...] = ()
    hosts: tuple[HostRecord, ...] = ()
    heard: tuple[tuple[str, float], ...] = ()
    forgotten: tuple[str, ...] = ()
    facts: tuple[FactRecord, ...] = ()
    checkpoint: tuple[float, bytes] | None = None
    past: Past | None = None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a former run left behind, for a restart.

    ``next_verdict`` is a number that no verdict ever had; ``checkpoint`` (Unix seconds, bytes)
    the newest; ``plan`` the newest.
    """

    open: tuple[VerdictRecord, ...] = ()
    next_verdict: int = 1
    plan: PlanRecord | None = None
    up2: tuple[Up2Record, ...] = ()
    hosts: tuple[HostRecord, ...] = ()
    checkpoint: tuple[float, bytes] | None = None


def _plain(value: object) -> object:
    """Return what JSON can hold for a value that it cannot."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
