"""What the terminal asks about one node, what it is told, and who answers.

Apart from the view, because these are asked for and may be refused, while views come by themselves.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from .view import Float32s, Floats, LinkLost, Verdict, View


class Unanswered(Exception):  # noqa: N818  the name says it: a question without an answer
    """A question that was not answered; its text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stream's share in a node's evidence: log M in nats, its weight and class."""

    channel: str
    metric: str
    rung: int
    log_m: float
    weight: float
    validity_class: str
    since: float
    reason: str
    family: str = ""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One record about a node, at seconds of the view's clock."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a node has a verdict, or why it has none; ``path`` leads from the root to its parent."""

    node: str
    kind: str
    path: tuple[str, ...]
    group: str
    members: int
    parts: tuple[Part, ...]
    why: tuple[str, ...]
    audit: tuple[AuditLine, ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class History:
    """Merged evidence of a node: ``at`` (T,) seconds, ``log_e`` (T,) nats, NaN = not kept."""

    node: str
    at: Floats
    log_e: Float32s
    threshold: float


@dataclass(frozen=True, slots=True)
class RawTicks:
    """Readings of one shard: ``at`` (T,) seconds, ``values`` (T, M) of ``metrics``, NaN = none."""

    shard: str
    metrics: tuple[str, ...]
    at: Floats
    values: Float32s


class Aggregator(Protocol):
    """Who tells the terminal what it shows; each question may raise ``Unanswered``."""

    @property
    def address(self) -> str:
        """Return where it is asked, for a person to read."""
        ...

    def watch(self) -> AsyncIterator[View | LinkLost]:
        """Yield the latest view whenever there is one, and a loss of the link; never end."""
        ...

    async def explain(self, node: str) -> Explanation:
        """Return why ``node`` has a verdict or has none."""
        ...

    async def history(self, node: str) -> History:
        """Return what is kept of ``node``'s evidence."""
        ...

    async def raw_ticks(self, shard: str) -> RawTicks:
        """Return the last readings of ``shard``, which its host keeps."""
        ...
