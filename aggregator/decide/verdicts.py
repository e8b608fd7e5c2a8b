"""The life of a verdict: opened, promoted, closed; one transition each, nothing in between.

Apart from selection, because a verdict is state: once open it stays what it was at its opening,
whatever the evidence does afterwards (statistics.md G5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..plan.parts import FAST, LEVEL
from ..state.evidence import Lead, Leading
from ..state.fleet import Fleet
from ..state.move import Move
from .explain import Passed, reason_by_hand, reason_closed, reason_opened
from .family import Selection
from .lives import UNWATCHED, Effect, Lives, TurnWord
from .transition import (
    ACTOR,
    STATES,
    Guarantee,
    Transition,
    TransitionWord,
    closed,
    differences,
    level_word,
    number,
)

Bools = npt.NDArray[np.bool_]


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
        self._asked: list[tuple[str, str, str]] = []  # verdicts to close, by whom and why
        self.lives = Lives()

    @property
    def open(self) -> tuple[str, ...]:
        """Return the ids of the nodes with an open verdict, sorted."""
        return tuple(sorted(v.node for v in self.open_verdicts))

    @property
    def open_verdicts(self) -> tuple[Transition, ...]:
        """Return the last transition of every open verdict, in order of opening."""
        every = [*self._open.values(), *self._gone.values()]
        return tuple(sorted(every, key=number)) if self._gone else tuple(every)

    def inherit(self, former: "Verdicts", move: Move) -> None:
        """Take over all open verdicts; one on a node that is gone stays as it is."""
        row = {name: i for i, name in enumerate(move.after.rows)}
        self._opened = former._opened  # noqa: SLF001 - of this class
        self._asked = former._asked  # noqa: SLF001 - as above
        self.lives.inherit(former.lives, move)
        for verdict in former.open_verdicts:
            if verdict.node in row:
                self._open[row[verdict.node]] = verdict
            else:
                self._gone[verdict.node] = verdict
        self._recall_lives()

    def recall(self, told: Sequence[Transition], opened: int) -> tuple[tuple[str, str], ...]:
        """Let what others were ``told`` be open, and nothing else; return what that changed.

        As (node, text) for the audit. The next number follows ``opened`` and all that were given.
        """
        held = {verdict.id: verdict for verdict in self.open_verdicts}
        changes = tuple(differences(held, told))
        self._opened = max(self._opened, opened)
        row = {name: i for i, name in enumerate(self._fleet.rows)}
        self._open, self._gone = {}, {}
        for verdict in sorted(told, key=number):
            before = held.get(verdict.id, verdict)
            known = (before.guarantee, before.state) == (verdict.guarantee, verdict.state)
            last = before if known else verdict
            if verdict.node in row:
                self._open[row[verdict.node]] = last
            else:
                self._gone[verdict.node] = last
        self._recall_lives()
        return changes

    def _recall_lives(self) -> None:
        """Hold the rows of what is open and of nothing else; a lead that is lost is guessed."""
        names = [metric.name for metric in self._fleet.metrics]
        for row in {life.keeper for _, life in self.lives.held()} - self._open.keys():
            self.lives.end(row)
        for row, made in self._open.items():
            if row in self.lives.by_row or made.channel not in {"change", "level"}:
                continue
            known = [names.index(m) for m in made.metrics[:1] if m in names]
            part = LEVEL if made.channel == "level" else FAST
            part, column = (part, known[0]) if known else (UNWATCHED, UNWATCHED)
            lead = Lead("level", made.metrics, made.validity_class, made.since, part, column)
            self.lives.begin(row, number(made), made.at, lead, epoch=-1)

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
        """Return which rows (R,) have an open verdict or stand beneath one: none is called well.

        The root against its own past says nothing of those beneath it: they moved together.
        """
        out = np.zeros(len(self._fleet.rows), dtype=np.bool_)
        for row, made in self._open.items():
            if made.channel != "temporal":
                out[[row, *self._beneath(row)]] = True
        return out

    def close(self, verdict: str, actor: str, reason: str) -> None:
        """Let ``actor`` close an open verdict in the next step; raise ``KeyError`` for no such."""
        if verdict not in {made.id for made in self.open_verdicts}:
            raise KeyError(verdict)
        self._asked.append((verdict, actor, reason))

    def live(self, at: float) -> list[Transition]:
        """Take the steps that follow from what was heard and asked since the last time."""
        done = [step for asked in self._asked if (step := self._close(at, *asked)) is not None]
        self._asked = []
        for row, held in list(self._open.items()):
            turn = self.lives.turned(row, recovering=held.state == "recovering")
            if turn is not None:
                done.append(self._turn(row, turn, at))
        return done

    def relabel(self, row: int, at: float, validity: str, reason: str) -> Transition:
        """Make the controlled verdict of ``row`` a ranked one, which stays open (G4)."""
        made = replace(
            self._open[row],
            transition="relabelled",
            guarantee="ranked",
            validity_class=validity,
            at=at,
            reason=reason,
            actor=ACTOR,
        )
        self._open[row] = made
        return made

    def claimed(self) -> dict[int, Transition]:
        """Return the open verdicts that are controlled, by row."""
        return {row: made for row, made in self._open.items() if made.guarantee == "controlled"}

    def effect(self, made: Transition) -> Effect | None:
        """Return how large the effect of an open verdict is by now, None where nobody knows."""
        row = next((row for row, held in self._open.items() if held.id == made.id), None)
        return made.effect if row is None else self.lives.effect(row, self._fleet.metrics)

    def _turn(self, row: int, turn: tuple[TurnWord, str], at: float) -> Transition:
        word, reason = turn
        effect = self.lives.effect(row, self._fleet.metrics)
        made = replace(
            self._open[row],
            transition=word,
            at=at,
            reason=reason,
            state=STATES[word],
            turned=at,
            effect=effect,
            actor=ACTOR,
        )
        self._open[row] = made
        if word == "closed":
            del self._open[row]
            self.lives.end(row)
        return made

    def _close(self, at: float, verdict: str, actor: str, reason: str) -> Transition | None:
        """Close a verdict for ``actor``; None if it has been closed meanwhile."""
        said = reason_by_hand(actor, reason)
        for row, held in self._open.items():
            if held.id == verdict:
                return replace(self._turn(row, ("closed", said), at), actor=actor)
        gone = next((made for made in self._gone.values() if made.id == verdict), None)
        if gone is None:
            return None
        del self._gone[gone.node]
        return replace(closed(gone, at, said), actor=actor)

    def update(self, at: float, selection: Selection, leading: Leading) -> list[Transition]:
        """Open, promote and fold verdicts after one selection at time ``at``."""
        listed = {int(row) for row in selection.controlled.members}
        moment = _Moment(at, selection, leading)
        done: list[Transition] = []
        for row in (int(r) for r in selection.reported):
            held = self._open.get(row)
            guarantee: Guarantee = "controlled" if row in listed else "ranked"
            over = held is None and self._recovers_above(row)
            if held is None and not over and self._explained(row, selection) is None:
                done.append(self._make("opened", row, guarantee, moment))
            elif held is not None and held.guarantee == "ranked" and guarantee == "controlled":
                done.append(self._make("promoted", row, guarantee, moment))
        done.extend(self._fold(at, selection))
        self._hold_beneath(moment)
        return done

    def _recovers_above(self, row: int) -> bool:
        """Say whether ``row`` is held for another's verdict whose fault seems to be over.

        Then its own evidence is of that fault, and what is left of it will be found anew.
        """
        life = self.lives.by_row.get(row)
        keeper = None if life is None else self._open.get(life.keeper)
        return keeper is not None and keeper.state == "recovering"

    def _hold_beneath(self, moment: "_Moment") -> None:
        """Hold the selected rows that an open verdict explains as long as that one is open."""
        explained_by = moment.selection.explained_by
        for row in np.flatnonzero(explained_by >= 0).tolist():
            above = self._explained(row, moment.selection)
            if above is not None and row not in self.lives.by_row:
                lead = moment.leading.of(row, controlled=False)
                self.lives.begin(row, number(self._open[above]), moment.at, lead, epoch=-1)
                self.lives.fold(row, above)

    def _make(
        self, word: TransitionWord, row: int, guarantee: Guarantee, moment: "_Moment"
    ) -> Transition:
        selection = moment.selection
        lead = moment.leading.of(row, controlled=guarantee == "controlled")
        held = self._open.get(row)
        self._opened += held is None
        made = Transition(
            transition=word,
            state="open" if held is None else held.state,
            turned=moment.at if held is None else held.turned,
            effect=self.lives.effect(row, self._fleet.metrics),
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
        if lead.part >= 0:  # the root's own past is no part: no stream of it can be held
            epoch = int(moment.leading.parts.epochs[lead.part, lead.column, row])
            self.lives.begin(row, number(made), moment.at, lead, epoch)
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
                self.lives.fold(row, above)
                reason = reason_closed(self._fleet.rows[above])
                done.append(closed(held, at, reason))
        return done
