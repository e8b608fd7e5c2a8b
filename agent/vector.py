"""The identity vector: what this host runs on, element by element, and what of it has changed.

Apart from who reads the elements, because what is a change must not depend on it: whatever pushes a
driver, caps a device or starts a job is seen here, also where nobody said so.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from typing import Final

from ..adapters.base import Event, EventKind

QUIET: Final = 300.0  # seconds after a change of an element until the next one is told
MOST_ELEMENTS: Final = 20_000
LONGEST_VALUE: Final = 120  # characters
LONGEST_DETAIL: Final = 480  # characters
MOST_SCOPED: Final = 64  # shards; an event of more is one of the host
APART: Final = ":"  # a source and its element

# What an element is about, by the words of its name; everything else is the environment.
_KINDS: Final[Mapping[EventKind, frozenset[str]]] = {
    "model_redeploy": frozenset({"job"}),
    "config_change": frozenset({"power", "cap", "clock", "clocks", "mig", "ecc", "limit"}),
    "firmware_push": frozenset(
        {"driver", "vbios", "inforom", "gsp", "firmware", "runtime", "libtpu", "ami", "module"}
    ),
}


@dataclass(frozen=True, slots=True)
class Change:
    """The element ``name`` was ``old`` and is ``new``."""

    name: str
    old: str
    new: str


@dataclass(slots=True)
class _Element:
    now: str
    told: str  # what the aggregator believes
    at: float = -inf  # Unix seconds of the last change that was told


@dataclass(slots=True)
class Vector:
    """The elements as last seen. ``held`` counts changes that were too soon after another."""

    held: int = 0
    digest: str = ""
    _elements: dict[str, _Element] = field(default_factory=dict)
    _restless: bool = False  # whether a change is held that may yet have to be told

    @property
    def told(self) -> Mapping[str, str]:
        """The elements as far as their changes have been told."""
        return {name: element.told for name, element in self._elements.items()}

    def remember(self, told: Mapping[str, str]) -> None:
        """Take up what was told before a restart: what differs from it now is a change."""
        for name, value in list(told.items())[:MOST_ELEMENTS]:
            self._elements[name] = _Element(value, value)

    def see(self, at: float, elements: Mapping[str, str]) -> list[Change]:
        """Return what of ``elements``, read at ``at`` Unix seconds, is to be told as changed.

        What is not there could not be read, which is no change, and neither is the first sight of
        an element. One that changes again within five minutes is told then, if it still differs.
        """
        digest = digest_of(elements)
        if digest == self.digest and not self._restless:
            return []
        self.digest, self._restless = digest, False
        return [c for name, value in elements.items() for c in self._seen(at, name, value)]

    def _seen(self, at: float, name: str, value: str) -> Iterator[Change]:
        value = value[:LONGEST_VALUE]
        known = self._elements.get(name)
        if known is None:
            if len(self._elements) < MOST_ELEMENTS:
                self._elements[name] = _Element(value, value)
            return
        early = known.at <= at < known.at + QUIET
        self.held += early and value != known.now
        known.now = value
        if value == known.told:
            return
        if early:
            self._restless = True
            return
        yield Change(name, known.told, value)
        known.told, known.at = value, at


def digest_of(elements: Mapping[str, str]) -> str:
    """Return the SHA-256 of ``elements`` in their canonical form, as hexadecimal digits."""
    canonical = json.dumps(elements, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()


def kind_of(name: str) -> EventKind:
    """Return the kind of event that a change of the element ``name`` is."""
    words = set(_leaf(name).split("_"))
    for kind, known in _KINDS.items():
        if words & known:
            return kind
    return "env_change"


def events_of(changes: Iterable[Change], shards: Sequence[str], at: float) -> list[Event]:
    """Return ``changes`` as events at ``at``: one for each kind, of the host and of its shards."""
    apart: dict[tuple[EventKind, bool], list[Change]] = {}
    for change in changes:
        own = bool(_shards(change.name, shards))
        apart.setdefault((kind_of(change.name), own), []).append(change)
    found = []
    for (kind, own), several in apart.items():
        scope = tuple(dict.fromkeys(s for c in several for s in _shards(c.name, shards)))
        whole = not own or len(scope) == len(shards) or len(scope) > MOST_SCOPED
        found.append(Event(kind, at, _detail(several), () if whole else scope))
    return found


def _detail(changes: Sequence[Change]) -> str:
    """Return one line that says what changed, each thing once however many shards it changed on."""
    counts: dict[str, int] = {}
    for change in changes:
        line = f"{_leaf(change.name)}: {change.old or 'none'} → {change.new or 'none'}"
        counts[line] = counts.get(line, 0) + 1
    lines = [f"{line} ({count} shards)" if count > 1 else line for line, count in counts.items()]
    detail = "".join(c if c.isprintable() else "?" for c in "; ".join(lines))
    return detail if len(detail) <= LONGEST_DETAIL else detail[: LONGEST_DETAIL - 1] + "…"


def _leaf(name: str) -> str:
    """Return what an element is called by its device: ``vbios`` of ``nvml:GPU-1/vbios``."""
    return name.partition(APART)[2].rpartition("/")[2]


def _shards(name: str, shards: Sequence[str]) -> list[str]:
    """Return those of ``shards`` that an element belongs to: its device, or the slices of it."""
    device = name.partition(APART)[2].rpartition("/")[0]
    return [shard for shard in shards if device and shard.startswith(device)]
