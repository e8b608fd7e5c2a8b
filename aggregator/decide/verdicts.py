"""The life of a verdict: opened, promoted, closed; one transition each, nothing in between.

Apart from selection, because a verdict is state: once open it stays what it was at its opening,
whatever the evidence does afterwards (statistics.md G5).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..state.evidence import Lead, Leading
from ..state.fleet import Fleet
from ..state.move import Move
from .explain import Passed, reason_closed, reason_opened
from .family import Selection

Bools = npt.NDArray[np.bool_]

TransitionWord = Literal["opened", "promoted", "recovering", "closed"]
Guarantee = Literal["controlled", "ranked"]
Channel = Literal["change", "level", "fact", "temporal"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in a verdict's life. Times are seconds of the recording or of Unix time.

    ``id`` names the verdict through all its steps and is never used again.
    ``log_e`` is the log e-value by which the node was selected, in nats: of a controlled verdict
    the adjusted running maximum, of a ranked one the merged value. ``metrics`` are those that
    carried it, strongest first; ``since`` the likely onset. ``family`` is the score of what carried
    most, "" where none did.
    """

    transition: TransitionWord
    node: str
    level: str
    channel: Channel
    guarantee: Guarantee
    validity_class: str
    log_e: float
    at: float
    since: float
    metrics: tuple[str, ...]
    reason: str
    id: str = ""
    family: str = ""


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is known when verdicts are looked at."""

    at: float
    selection: Selection
    leading: Leading


class Verdicts:
    """All open verdicts of a fleet, by row."""

    def __init__(self, fleet: Fleet) -> None:
        """Start with none open."""
        self._fleet = fleet
        self._open: dict[int, Transition] = {}
        self._gone: dict[str, Transition] = {}  # open on nodes that the fleet has no more
        self._opened = 0
        self._below: dict[int, set[int]] = {}

    @property
    def open(self) -> tuple[str, ...]:
        """Return the ids of the nodes with an open verdict, sorted."""
        return tuple(sorted(v.node for v in self.open_verdicts))

    @property
    def open_verdicts(self) -> tuple[Transition, ...]:
        """Return the last transition of every open verdict, in order of opening."""
        every = [*self._open.values(), *self._gone.values()]
        return tuple(sorted(every, key=_number)) if self._gone else tuple(every)

    def inherit(self, former: "Verdicts", move: Move) -> None:
        """Take over all open verdicts; one on a node that is gone stays as it is."""
        row = {name: i for i, name in enumerate(move.after.rows)}
        self._opened = former._opened  # noqa: SLF001 - of this class
        for verdict in former.open_verdicts:
            if verdict.node in row:
                self._open[row[verdict.node]] = verdict
            else:
                self._gone[verdict.node] = verdict

    def recall(self, told: Sequence[Transition], opened: int) -> tuple[tuple[str, str], ...]:
        """Let what others were ``told`` be open, and nothing else; return what that changed.

        As (node, text) for the audit. The next number follows ``opened`` and all that were given.
        """
        held = {verdict.id: verdict for verdict in self.open_verdicts}
        changes = tuple(_changes(held, told))
        self._opened = max(self._opened, opened)
        row = {name: i for i, name in enumerate(self._fleet.rows)}
        self._open, self._gone = {}, {}
        for verdict in sorted(told, key=_number):
            before = held.get(verdict.id, verdict)
            last = before if before.guarantee == verdict.guarantee else verdict
            if verdict.node in row:
                self._open[row[verdict.node]] = last
            else:
                self._gone[verdict.node] = last
        return changes

    def of(self, row: int) -> Transition | None:
        """Return the last transition of the verdict that is open on ``row``, None if none is."""
        return self._open.get(row)

    def of_gone(self, node: str) -> Transition | None:
        """Return the same of a ``node`` that the fleet has no more."""
        return self._gone.get(node)

    def above(self, row: int) -> str:
        """Return the smallest open node that ``row`` lies beneath, "" if there is none."""
        over = [(len(below), r) for r in self._open if row in (below := self._beneath(r))]
        return self._fleet.rows[min(over)[1]] if over else ""

    def open_rows(self) -> Bools:
        """Return which rows (R,) have an open verdict or stand beneath one: none is called well."""
        out = np.zeros(len(self._fleet.rows), dtype=np.bool_)
        for row in self._open:
            out[[row, *self._beneath(row)]] = True
        return out

    def update(self, at: float, selection: Selection, leading: Leading) -> list[Transition]:
        """Open, promote and fold verdicts after one selection at time ``at``."""
        listed = {int(row) for row in selection.controlled.members}
        moment = _Moment(at, selection, leading)
        done: list[Transition] = []
        for row in (int(r) for r in selection.reported):
            held = self._open.get(row)
            guarantee: Guarantee = "controlled" if row in listed else "ranked"
            if held is None and self._explained(row, selection) is None:
                done.append(self._make("opened", row, guarantee, moment))
            elif held is not None and held.guarantee == "ranked" and guarantee == "controlled":
                done.append(self._make("promoted", row, guarantee, moment))
        done.extend(self._fold(at, selection))
        return done

    def _make(
        self, word: TransitionWord, row: int, guarantee: Guarantee, moment: "_Moment"
    ) -> Transition:
        selection = moment.selection
        lead = moment.leading.of(row, controlled=guarantee == "controlled")
        held = self._open.get(row)
        self._opened += held is None
        made = Transition(
            transition=word,
            node=self._fleet.rows[row],
            level=level_word(self._fleet, row),
            channel=lead.channel,
            guarantee=guarantee,
            validity_class=lead.validity,
            log_e=float(selection.log_e[row]),
            at=moment.at,
            since=lead.since,
            metrics=lead.metrics,
            reason=self._reason(row, guarantee, lead, selection),
            id=f"v{self._opened}" if held is None else held.id,
            family=lead.family,
        )
        self._open[row] = made
        return made

    def _reason(self, row: int, guarantee: Guarantee, lead: Lead, selection: Selection) -> str:
        listed, log_e = int(selection.listed[row]), float(selection.log_e[row])
        return reason_opened(
            lead,
            Passed(guarantee, log_e, selection.threshold, listed),
            others=int(self._fleet.group_sizes()[self._fleet.group[row]]) - 1,
            inner=row >= self._fleet.shard_count,
            heterogeneous=bool(selection.heterogeneous[row]),
        )

    def _explained(self, row: int, selection: Selection) -> int | None:
        """Return the open node above that explains this row now; one that did once does not."""
        above = int(selection.explained_by[row])
        return above if above in self._open and above != row else None

    def _beneath(self, row: int) -> set[int]:
        """Return the rows whose shards are some of ``row``'s, found once for each."""
        if row < self._fleet.shard_count:
            return set()
        if row not in self._below:
            node = self._fleet.nodes[row - self._fleet.shard_count]
            names = set(node.members)
            inner = {
                self._fleet.shard_count + i
                for i, other in enumerate(self._fleet.nodes)
                if other.id != node.id and set(other.members) < names
            }
            first = self._fleet.shards_beneath[row - self._fleet.shard_count]
            self._below[row] = inner | {int(r) for r in first}
        return self._below[row]

    def _fold(self, at: float, selection: Selection) -> list[Transition]:
        """Close verdicts that an open node above now explains."""
        done: list[Transition] = []
        for row, held in list(self._open.items()):
            above = self._explained(row, selection)
            if above is not None:
                del self._open[row]
                reason = reason_closed(self._fleet.rows[above])
                done.append(_closed(held, at, reason))
        return done


def _closed(held: Transition, at: float, reason: str) -> Transition:
    return replace(held, transition="closed", at=at, reason=reason)


def _changes(
    held: Mapping[str, Transition], told: Sequence[Transition]
) -> Iterator[tuple[str, str]]:
    """Yield in what ``held`` (by id) and ``told`` differ, as (node, text)."""
    for verdict in told:
        if verdict.id not in held:
            yield verdict.node, f"{verdict.id} stays open with the evidence of its opening"
    known = {verdict.id for verdict in told}
    for verdict in held.values():
        if verdict.id not in known:
            yield verdict.node, f"{verdict.id} is not open: nobody was told of it, or it was closed"


def _number(verdict: Transition) -> int:
    return int(verdict.id[1:])


def level_word(fleet: Fleet, row: int) -> str:
    """Return "shard" for a shard, else the kind of the inner node."""
    return "shard" if row < fleet.shard_count else fleet.kinds[row]
