"""A recording in memory: who, what, when, the numbers and why some are absent.

Apart, because replay, tests and the play-back source share it while reader and writer differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .catalogue import Catalogue
from .document import BadDocument
from .topology.model import Topology

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]

VALUE, ABSENT, UNSUPPORTED, ERROR = 0, 1, 2, 3


class BadRecording(BadDocument):
    """Say what is wrong in a recording: ``file``, ``line`` (or None), ``what``, and ``todo``."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A hard event of a node at ``at`` seconds: raised, or cleared by its source."""

    at: float
    node: str
    code: str
    raised: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """A deployment or other planned change; ``scope`` names nodes, empty for the whole fleet.

    Times in seconds: it happened at ``at``, lasted until ``until``, was told at ``told``.
    """

    id: str
    kind: str
    at: float
    until: float | None = None
    told: float | None = None
    scope: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """What a folder of readings holds: T ticks of S shards and M metrics.

    ``shards`` are all those of the topology in graph order, ``metrics`` sorted by name, ``times``
    ascending seconds (T,). ``values`` (T, S, M) in base units, NaN where there is no number, and
    ``codes`` (T, S, M) say why: 0 value, 1 absent, 2 unsupported, 3 error. ``errors`` maps the
    index (tick, shard, metric) of an error to the vendor's code.
    """

    path: Path
    topology: Topology
    catalogue: Catalogue
    shards: tuple[str, ...]
    metrics: tuple[str, ...]
    times: Floats
    values: Floats
    codes: Codes
    errors: Mapping[tuple[int, int, int], str]
    facts: tuple[Fact, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def interval(self) -> float:
        """The median time between ticks in seconds; 1 where there is a single tick."""
        if self.times.size < 2:  # noqa: PLR2004 - one tick has no distance to another
            return 1.0
        return float(np.median(np.diff(self.times)))
