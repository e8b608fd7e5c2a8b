"""What the terminal knows of a fleet at one moment, in decoded form.

Apart from the wire and from the widgets, because it is all that either knows of the other.
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from math import inf, log
from typing import Literal

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

LEARNS_BLOCKS = 200  # until a shard has learned
STALE_SECONDS = 15.0  # a live view that has not moved for so long is no picture of now

Kind = Literal["controlled", "ranked", "fact"]


class State(IntEnum):
    """What a row does in this block; the numbers are the wire's."""

    QUIET = 0
    LEARNING = 1
    ABSTAINED = 2
    ALONE = 3
    SILENT = 4
    FROZEN = 5
    GONE = 6


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the fleet; ``parent`` is the row that contains it, −1 = none."""

    id: str
    kind: str
    parent: int
    host: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows R of a fleet, its ``shards`` first; version 0 = no fleet is formed yet."""

    version: int
    shards: int
    rows: tuple[Row, ...]


NO_LAYOUT = Layout(version=0, shards=0, rows=())


@dataclass(frozen=True, slots=True)
class Effect:
    """How far ``metric`` is off since the opening, in ``unit``; infinite where unbounded."""

    low: float
    middle: float
    high: float
    unit: str
    metric: str
    validity_class: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An open verdict. ``log_e`` in nats, times in seconds of the view's clock, NaN = none."""

    id: str
    node: str
    level: str
    channel: str
    guarantee: str
    validity_class: str
    log_e: float
    opened: float
    since: float
    metrics: tuple[str, ...]
    reason: str
    state: str
    owner: str
    correlational_not_causal: bool
    family: str = ""
    turned: float = float("nan")  # when it took the state that it has
    effect: Effect | None = None

    @property
    def kind(self) -> Kind:
        """Return whether it is a fact, or controlled or only ranked evidence."""
        if self.channel == "fact":
            return "fact"
        return "controlled" if self.guarantee == "controlled" else "ranked"


@dataclass(frozen=True, slots=True)
class Host:
    """A host and for how many seconds it has not been heard of, NaN = it never was."""

    name: str
    heard_seconds: float
    silent: bool
    shards: int


@dataclass(frozen=True, slots=True)
class View:
    """The whole fleet at ``at`` seconds of its ``clock`` ("live", "simulated" or "replay").

    ``state`` u8 (R,), ``log_e`` f32 (R,) in nats, ``learned`` u8 (S,) blocks of 200. ``received``
    is when ``at`` last moved, on the terminal's own monotonic scale.
    """

    at: float
    received: float
    sequence: int
    cluster: str
    clock: str
    layout: Layout
    state: Bytes
    log_e: Float32s
    learned: Bytes
    open: tuple[Verdict, ...]
    hosts: tuple[Host, ...]
    q: float
    hypotheses: int
    plan: int
    decided: float
    waiting_hosts: int
    notice: str

    @property
    def bar(self) -> float:
        """Return ln(N/q), the evidence that a list of one needs; infinite without hypotheses."""
        return log(self.hypotheses / self.q) if self.hypotheses and self.q > 0 else inf


@dataclass(frozen=True, slots=True)
class LinkLost:
    """Nobody answers at ``address`` since ``since`` (monotonic seconds), and why, in one line."""

    address: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What a screen shows: the last view, if there was one, and whether the link still stands."""

    address: str
    view: View | None = None
    lost: LinkLost | None = None

    def age(self, monotonic: float) -> float:
        """Return for how many seconds the view has not moved, NaN without a view."""
        return float("nan") if self.view is None else max(0.0, monotonic - self.view.received)

    def dead(self, monotonic: float) -> bool:
        """Return whether this must not be taken for the fleet as it is now."""
        if self.view is None or self.lost is not None:
            return True
        return self.view.clock == "live" and self.age(monotonic) > STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Counts:
    """How many verdicts are open and how many shards do what; ``least_learned`` blocks of 200."""

    controlled: int
    ranked: int
    facts: int
    shards: int
    learning: int
    least_learned: int
    abstained: int
    silent: int
    frozen: int
    gone: int


def count(view: View) -> Counts:
    """Count what is open in ``view``, and its shards by state."""
    kinds = Counter(verdict.kind for verdict in view.open)
    states = view.state[: view.layout.shards]
    learning = states == State.LEARNING
    return Counts(
        controlled=kinds["controlled"],
        ranked=kinds["ranked"],
        facts=kinds["fact"],
        shards=view.layout.shards,
        learning=int(learning.sum()),
        least_learned=int(view.learned[learning].min()) if learning.any() else LEARNS_BLOCKS,
        abstained=int(np.isin(states, (State.ABSTAINED, State.ALONE)).sum()),
        silent=int((states == State.SILENT).sum()),
        frozen=int((states == State.FROZEN).sum()),
        gone=int((states == State.GONE).sum()),
    )
