"""Everything that is known of one node, for whoever asks why there is a verdict, or why none.

Apart from the verdict's own sentence, because most questions are about nodes that have none.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

from ...adapters.catalogue import COUNTS
from ...engine.change import LEARNING_BLOCKS
from ...engine.evalue import Validity
from ...engine.merging import subtree
from ...engine.moments import Tier
from ...engine.peers import FEWEST
from ..plan.parts import LEVEL, Parts
from ..plan.planner import Planner
from ..state.evidence import EvidenceTable
from ..state.fleet import Fleet
from ..state.standing import counting
from .explain import in_words
from .transition import Transition

Bools = npt.NDArray[np.bool_]

CHANNELS: Final = ("fast change", "slow change", "level")
NAMED = 2  # metrics called by name in a sentence


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a node's evidence: ``log_m`` nats, ``rung`` seconds, ``since`` seconds or NaN.

    ``reason`` is what keeps it from a better class, "" where nothing does.
    """

    channel: str
    metric: str
    rung: int
    log_m: float
    weight: float
    validity_class: str
    since: float
    reason: str
    family: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One node with its peers or siblings (``members`` of ``group``, itself included) and parts.

    ``parts`` what carries most first; ``log_e`` is the merged ranked value, ``bar`` what a list of
    one needs, both nats; ``why`` are sentences; ``verdict`` the last transition of an open one.
    """

    node: str
    kind: str
    group: str
    members: int
    parts: tuple[Part, ...]
    log_e: float
    bar: float
    why: tuple[str, ...]
    verdict: Transition | None

    def between(self, first: Iterable[str], last: Iterable[str]) -> "Explained":
        """Return the same with sentences before and behind all others."""
        return replace(self, why=(*first, *self.why, *last))


@dataclass(frozen=True, slots=True)
class Books:
    """Where what is known stands; ``bar`` ln(N/q)."""

    fleet: Fleet
    planner: Planner
    parts: Parts
    table: EvidenceTable
    bar: float


def explained(books: Books, row: int, verdict: Transition | None, above: str) -> Explained:
    """Return what is known of ``row``; ``above`` is the open node that explains it, "" if none."""
    fleet = books.fleet
    group = int(fleet.group[row])
    members = int(fleet.group_sizes()[group])
    log_e = float(books.table.values(books.parts)[1].log_e[row])
    counts, learns = (
        c[:, :, row] for c in counting(fleet, books.planner, books.parts, books.table)
    )
    stands = _Stands(log_e, counts, learns)
    return Explained(
        node=fleet.rows[row],
        kind=fleet.kinds[row],
        group=fleet.groups[group],
        members=members,
        parts=tuple(sorted(_parts(books, row, learns), key=_carried, reverse=True)),
        log_e=log_e,
        bar=books.bar,
        why=tuple(_why(books, row, verdict, above, stands)),
        verdict=verdict,
    )


def of_gone(verdict: Transition, bar: float) -> Explained:
    """Return what is known of a node that has left the fleet with an open ``verdict``."""
    return Explained(
        node=verdict.node,
        kind=verdict.level,
        group="",
        members=0,
        parts=(),
        log_e=verdict.log_e,
        bar=bar,
        why=(verdict.reason, "it has left the fleet: nothing has been heard of it since"),
        verdict=verdict,
    )


@dataclass(frozen=True, slots=True)
class _Stands:
    """How one row stands: merged ln e, and which of its parts (3, M) count and which learn."""

    log_e: float
    counts: Bools
    learns: Bools


def _carried(part: Part) -> float:
    return part.log_m + log(part.weight)


def _parts(books: Books, row: int, learns: Bools) -> Iterator[Part]:
    parts, (log_m, since) = books.parts, books.table.of(row)
    for part, column in np.argwhere(parts.weights[:, :, row] > 0).tolist():
        at = (part, column, row)
        yield Part(
            channel=_channel(books.fleet, part, column),
            metric=books.fleet.metrics[column].name,
            rung=int(parts.rungs[at]),
            log_m=float(log_m[part, column]),
            weight=float(parts.weights[at]),
            validity_class=Validity(int(parts.validity[at])).word,
            since=float(since[part, column]),
            reason=_short(books, row, part, column, learning=bool(learns[part, column])),
            family=books.fleet.metrics[column].family,
        )


def _short(books: Books, row: int, part: int, column: int, *, learning: bool) -> str:
    """Return in a few words what keeps a part from a better class, or how far it has learned."""
    if learning and part != LEVEL:
        blocks = _blocks(books, part, row, [column])
        return f"learning ({blocks} of {LEARNING_BLOCKS}), baseline {Tier.of(blocks).word}"
    return books.planner.why_ranked(row, part, column)


def _why(
    books: Books, row: int, verdict: Transition | None, above: str, stands: _Stands
) -> Iterator[str]:
    """Yield why there is a verdict, or why there is none, the strongest reason first."""
    if verdict is not None:
        yield verdict.reason
        if stands.log_e < min(verdict.log_e, books.bar):
            yield from _kept(verdict, stands.log_e)
            yield from _learning(books, row, stands.learns)
        return
    if above:
        yield f"explained by {above}, which is open"
    fleet = books.fleet
    members = int(fleet.group_sizes()[fleet.group[row]])
    if members < FEWEST:
        what = "peers" if row < fleet.shard_count else "siblings"
        yield f"no claim is made: fewer than three {what}, {members} in the group, itself included"
        return
    if stands.counts.any():
        yield _evidence(stands.log_e, books.bar)
    if row >= fleet.shard_count:
        yield f"at or below it, taken together, e = {in_words(_at_or_below(books, row))}"
    yield from _learning(books, row, stands.learns)
    silent = (books.parts.weights[:, :, row] > 0) & ~stands.counts & ~stands.learns
    yield from _abstained(books, row, silent)


def _at_or_below(books: Books, row: int) -> float:
    """Return ln e against "nothing is wrong at or below ``row``": told, and never selected by.

    Selection goes by each node's own contrast; this says whether it is worth to look deeper. A
    node that makes no claim of its own counts as the constant 1.
    """
    fleet, ranked = books.fleet, books.table.values(books.parts)[1].log_e
    known = {name: i for i, name in enumerate(fleet.rows)}

    def below(r: int) -> float:
        own = np.array([0.0 if np.isneginf(ranked[r]) else ranked[r]])
        if r < fleet.shard_count:
            return float(own[0])
        children = [
            np.array([below(known[c])]) for c in fleet.nodes[r - fleet.shard_count].children
        ]
        return float(subtree(own, children)[0])

    return below(row)


def _kept(verdict: Transition, log_e: float) -> Iterator[str]:
    yield (
        f"it was opened with e = {in_words(verdict.log_e)} and keeps that while it is open; "
        f"the evidence since its last new epoch is e = {in_words(log_e)}"
    )


def _evidence(log_e: float, bar: float) -> str:
    found, needed = in_words(log_e), in_words(bar)
    if log_e <= 0.0:
        return f"e = {found}: nothing speaks against it; alone it would need {needed}"
    if log_e < bar:
        return f"e = {found} is below the bar: alone it needs {needed}"
    return f"e = {found} is beyond the {needed} that it needs alone"


def _learning(books: Books, row: int, learns: Bools) -> Iterator[str]:
    for part, channel in enumerate(CHANNELS):
        columns = np.flatnonzero(learns[part])
        if len(columns) == 0:
            continue
        what = f"{channel} of {_metrics(books.fleet, columns.tolist())} is learning"
        if part == LEVEL:
            group = int(books.fleet.group[row])
            yield f"{what}: {books.planner.why_no_level(group, int(columns[0]))}"
            continue
        least = _blocks(books, part, row, columns.tolist())
        rest = "" if least < LEARNING_BLOCKS else ", and waits for the others of its pool"
        yield f"{what}: {least} of {LEARNING_BLOCKS} blocks{rest}"


def _blocks(books: Books, part: int, row: int, columns: Sequence[int]) -> int:
    """Return the blocks that the last of these change streams has learned."""
    return max(0, int(books.table.learned[part, row, columns].min()))


def _abstained(books: Books, row: int, none: Bools) -> Iterator[str]:
    reasons: dict[tuple[str, str], list[int]] = {}
    for part, column in np.argwhere(none).tolist():
        reason = books.planner.why_ranked(row, part, column) or "its own past has too much memory"
        channel = _channel(books.fleet, part, column)
        reasons.setdefault((channel, reason), []).append(column)
    for (channel, reason), columns in reasons.items():
        yield f"{channel} of {_metrics(books.fleet, columns)} makes no claim: {reason}"


def _channel(fleet: Fleet, part: int, column: int) -> str:
    return COUNTS if fleet.metrics[column].counted else CHANNELS[part]


def _metrics(fleet: Fleet, columns: list[int]) -> str:
    names = [fleet.metrics[j].name for j in columns[:NAMED]]
    more = len(columns) - NAMED
    return f"{', '.join(names)} and {more} more" if more > 0 else " and ".join(names)
