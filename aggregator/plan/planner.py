"""Keep the plan: hear what agents report, decide parameters, and say what they are.

Apart from the books it keeps, because agents obey one plan and merging needs one table of
parts: which stream at which rung counts, with which weight and class.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...engine.evalue import Validity
from ...engine.outcome import Outcome
from ...proto.baseline_file import Baseline
from ...proto.messages import Held, Plan
from ..combine.peers import Summaries
from ..state.fleet import Fleet
from ..state.move import GONE, Move
from .change import ChangeBook
from .counts import CountsBook
from .epochs import Epochs
from .level import LevelBook
from .measures import remeasured
from .members import Members
from .parts import LEVEL, SLOW, Parts, weights
from .renewal import Renewal
from .reports import Reports

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.int8]

ROUNDING = 1e-12  # of a weight: sums of the same shares in another order
HALF = 0.5  # share of the shards beneath a node that moves its median


class Planner:
    """The plan of one fleet, from catalogue defaults to what the fleet shows."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        shortest: int,
        horizon: float,
        fixed_rungs: bool = False,
        baseline: Baseline | None = None,
    ) -> None:
        """Take the shortest rung that readings allow and the seconds of an epoch.

        ``fixed_rungs``: the catalogue's block lengths stand, whatever τ says. The change channel
        starts from a ``baseline`` where that covers it.
        """
        self._fleet = fleet
        self._horizon = horizon
        self._id = 0
        self._spans: list[tuple[int, int]] = []  # first and last of the numbers given in a row
        self.epochs = Epochs()
        self.change = ChangeBook(
            fleet,
            self.epochs,
            shortest=shortest,
            horizon=horizon,
            fixed_rungs=fixed_rungs,
            baseline=baseline,
        )
        self.level = LevelBook(fleet, self.epochs, shortest)
        self.counts = CountsBook(fleet, shortest)
        self.members = Members(fleet)
        paired = np.array([metric.paired for metric in fleet.metrics], dtype=np.bool_)
        self._weights = weights(self._rungs(), paired)
        self._own_epochs = np.zeros(len(fleet.rows), dtype=np.int64)
        self._born = np.zeros(len(fleet.rows), dtype=np.int64)
        self._column_epochs = np.zeros((len(fleet.rows), len(fleet.metrics)), dtype=np.int64)
        self._reports = Reports(len(fleet.rows), len(fleet.metrics))
        self.held: dict[int, Held] = {}  # rows of open verdicts, and of those folded into one
        self._renewal = Renewal(len(fleet.metrics), horizon)

    @property
    def id(self) -> int:
        """Return the number of the newest plan."""
        return self._id

    def plan(self, from_block: Mapping[int, int] | None = None) -> Plan:
        """Return the plan as it stands, under a new id.

        It is to be obeyed by each rung from its ``from_block`` on, at once where that is none.
        """
        self._id += 1
        in_a_row = bool(self._spans) and self._spans[-1][1] == self._id - 1
        first = self._spans.pop()[0] if in_a_row else self._id
        self._spans.append((first, self._id))
        fleet, needed = self._fleet, self.members.needed()
        return Plan(
            id=self._id,
            groups={name: fleet.groups[g] for name, g in zip(fleet.rows, fleet.group, strict=True)},
            pools={name: fleet.pools[p] for name, p in zip(fleet.rows, fleet.pool, strict=True)},
            needed={
                name: (int(needed[0, g]), int(needed[1, g])) for g, name in enumerate(fleet.groups)
            },
            change=tuple(self.change.plans()),
            level=tuple(self.level.plans()),
            counts=tuple(self.counts.plans()),
            horizon=self._horizon,
            from_block=from_block or {},
            epochs={
                s.id: int(e) for s, e in zip(fleet.shards, self._own_epochs, strict=False) if e
            },
            direction={m.name: m.direction for m in fleet.metrics},
            held={fleet.rows[row]: held for row, held in sorted(self.held.items())},
            born={s.id: int(e) for s, e in zip(fleet.shards, self._born, strict=False) if e},
            metric_epochs={
                fleet.rows[row]: self._epochs_of_columns(int(row))
                for row in np.flatnonzero(self._column_epochs.any(axis=1))
            },
        )

    def _epochs_of_columns(self, row: int) -> dict[str, int]:
        own = self._column_epochs[row]
        return {self._fleet.metrics[j].name: int(own[j]) for j in np.flatnonzero(own)}

    def hold(self, held: Mapping[int, Held]) -> bool:
        """Hold the rows of ``held`` and no others; say whether the plan changed.

        A row that is let go begins an epoch, M = 1, with the baseline of before its fault (G5).
        """
        gone = [row for row in self.held if row not in held]
        new = [row for row in held if row not in self.held]
        self.held = {row: self.held.get(row, found) for row, found in held.items()}
        for row in gone:
            name = self._fleet.rows[row]
            self._own_epochs[row] = self.epochs.begin(name, "the verdict that held it is closed")
        return bool(gone or new)

    def own_epochs(self) -> Ints:
        """Return each row's own epoch (R,); a stream's is the later of that and its cell's."""
        return self._own_epochs.copy()

    def born(self) -> Ints:
        """Return the epoch (R,) with which each row last was told to learn anew, 0 = never."""
        return self._born.copy()

    def relearn(self, scope: str, rows: Ints, reason: str) -> None:
        """Begin a new epoch of all streams of ``rows``, which are to forget what they learned."""
        self.begin_anew(scope, rows, reason)
        self._born[rows] = self._own_epochs[rows]

    def renew(self, now: float) -> bool:
        """Begin the epochs that are due by the clock at ``now`` (s); say whether there are any.

        M = 1 and classes are judged anew; what streams have learned goes on.
        """
        due = self._renewal.due(now)
        for column in due.tolist():
            self.change.renew(column, self._reports)
            self.level.renew(column)
            self.counts.renew(column, self.epochs)
        return len(due) > 0

    def begin_anew(self, scope: str, rows: Ints, reason: str) -> None:
        """Begin a new epoch of all streams of ``rows``, which have lost what they had learned."""
        self._own_epochs[rows] = self.epochs.begin(scope, reason)
        self.change.forget(rows)
        self.level.forget(rows)

    def inherit(self, former: "Planner", move: Move) -> None:
        """Take over what ``former`` knows of rows, groups, pools and metrics that are still there.

        Rows whose group, SKU, job, role or weights changed, and rows that are new, begin an epoch.
        """
        self._id, self._spans = former._id, former._spans  # noqa: SLF001 - of this class
        self.epochs.inherit(former.epochs)
        self.members.inherit(former.members, move)
        self.change.inherit(former.change, move)
        self.level.inherit(former.level, move)
        self.counts.inherit(former.counts, move)
        self._own_epochs[move.rows[1]] = former._own_epochs[move.rows[0]]  # noqa: SLF001 - of this class
        self._born[move.rows[1]] = former._born[move.rows[0]]  # noqa: SLF001 - of this class
        move.table(former._column_epochs, self._column_epochs)  # noqa: SLF001 - of this class
        self._reports.inherit(former._reports, move)  # noqa: SLF001 - of this class
        to = move.to_row()
        self.held = {int(to[row]): held for row, held in former.held.items() if to[row] != GONE}
        self._renewal.inherit(former._renewal, move)  # noqa: SLF001 - of this class
        self._begin_changed(former, move)
        self._begin_remeasured(move)

    def _begin_remeasured(self, move: Move) -> None:
        """Begin epochs of the columns that a host reads otherwise now: another measure.

        A node above learns anew where half of its shards are measured otherwise than before: its
        median is another one then.
        """
        again = np.zeros(len(self._fleet.rows), dtype=np.bool_)
        for host, columns in remeasured(move).items():
            rows = self._fleet.hosts[host]
            why = "; ".join(words for _, words in columns if words) or "its scores are others"
            places = np.array([j for j, _ in columns], dtype=np.int64)
            self._column_epochs[np.ix_(rows, places)] = self.epochs.begin(f"host={host}", why)
            self.change.forget(rows, places)
            again[rows] = True
        for i, beneath in enumerate(self._fleet.shards_beneath):
            row = self._fleet.shard_count + i
            if again[beneath].mean() >= HALF:
                reason = "half of its shards are measured otherwise"
                self.relearn(self._fleet.rows[row], np.array([row], dtype=np.int64), reason)

    def _begin_changed(self, former: "Planner", move: Move) -> None:
        """Begin epochs of all rows for which a change of the fleet was a change of their null."""
        begun = np.zeros(len(self._fleet.rows), dtype=np.bool_)
        weights = np.zeros_like(self._weights)
        move.parts(former._weights, weights)  # noqa: SLF001 - of this class
        same = np.isclose(weights, self._weights, rtol=ROUNDING, atol=0.0).all(axis=(0, 1))
        self._weights[:, :, same] = weights[:, :, same]  # to the last bit
        other = np.flatnonzero(~same)
        reasons = {**move.changed(), "it joined": move.joined(), "its metrics are others": other}
        for reason, rows in reasons.items():
            left = rows[~begun[rows]]
            begun[left] = True
            for scope, mine in self._by_host(left).items():
                self.begin_anew(scope, mine, reason)

    def _by_host(self, rows: Ints) -> Mapping[str, Ints]:
        """Return ``rows`` by the scope that the audit names: their host, or the node itself."""
        shared = {f"host={h}": np.intersect1d(r, rows) for h, r in self._fleet.hosts.items() if h}
        inner = rows[rows >= self._fleet.shard_count].tolist()
        nodes = {self._fleet.rows[r]: np.array([r], dtype=np.int64) for r in inner}
        return {scope: mine for scope, mine in {**shared, **nodes}.items() if len(mine)}

    def overtake(self, plan: int, epoch: int) -> bool:
        """Give numbers above those that an agent has; say whether it has later ones."""
        ahead = plan > self._id or epoch > self.epochs.last
        self._id = max(self._id, plan)
        self.epochs.overtake(epoch)
        return ahead

    def issued(self, plan: int) -> bool:
        """Say whether a plan of that number was made here, or where this planner went on from."""
        return any(first <= plan <= last for first, last in self._spans)

    def rungs(self) -> tuple[int, ...]:
        """Return every rung at which some stream counts, ascending."""
        return tuple(int(r) for r in np.unique(self._rungs()) if r > 0)

    def parts(self) -> Parts:
        """Return the parts of every row as the plan stands; weights never change."""
        group = self._fleet.group
        by_members = self.members.classes()[:, group]  # (2, R)
        known = np.maximum(self.level.validity(), self.counts.validity())
        validity = np.stack(
            [
                np.minimum(self.change.validity(slow=False), by_members[0][:, None]),
                np.minimum(self.change.validity(slow=True), by_members[0][:, None]),
                np.minimum(known, by_members[1][:, None]),
            ]
        )
        epochs = [
            self.change.epochs(slow=False),
            self.change.epochs(slow=True),
            np.maximum(self.level.epochs(), self.counts.epochs()),
        ]
        own = np.maximum(np.stack(epochs).transpose(0, 2, 1), self._own_epochs)
        own = np.maximum(own, self._column_epochs.T)
        return Parts(
            weights=self._weights,
            validity=validity.transpose(0, 2, 1),
            rungs=self._rungs(),
            epochs=own,
        )

    def why_ranked(self, row: int, part: int, column: int) -> str:
        """Return what keeps a part of ``row`` from being controlled, or "" if nothing does.

        ``part`` 0 fast change, 1 slow change, 2 level, of the metric in ``column``.
        """
        group, channel = int(self._fleet.group[row]), int(part == LEVEL)
        if self.members.classes()[channel, group] < Validity.CONSTRUCTION:
            return f"only {self.members.reliable()[channel, group]} members"
        if part == LEVEL:
            return self.why_no_level(group, column)
        return self.change.reason(int(self._fleet.pool[row]), column, slow=part == SLOW)

    def why_no_level(self, group: int, column: int) -> str:
        """Return what is held against a group's level part, or its counts; "" if nothing is."""
        counted = self._fleet.metrics[column].counted
        return (self.counts if counted else self.level).reason(group, column)

    def abstaining(self) -> Bools:
        """Return which level parts and counts (R, M) are of a group that abstains."""
        return self.level.abstaining() | self.counts.abstaining()

    def hear_counts(self, summaries: Summaries) -> bool:
        """Take the members of each group in one block; say whether the plan changed."""
        changed = self.members.hear(summaries.count_demeaned, summaries.count_raw)
        for g in dict.fromkeys(self.members.drain_risen()):
            rows = np.flatnonzero(self._fleet.group == g)
            reason = f"{self.members.reliable()[:, g].max()} members: a better class is possible"
            self._own_epochs[rows] = self.epochs.begin(self._fleet.groups[g], reason)
        return changed

    def hear(self, rung: int, heard: Sequence[tuple[Ints, Outcome]], open_rows: Bools) -> bool:
        """Take what hosts report of one block, as (rows (S,), outcome); say if the plan changed.

        They are taken together, so that nothing hangs on how shards are dealt to hosts.
        ``open_rows`` (R,) have an open verdict: they are not part of "healthy".
        """
        block = heard[0][1].block
        lags = [(rows, o.lags) for rows, o in heard if o.lags is not None]
        baseline = [(rows, o.baseline) for rows, o in heard if o.baseline is not None]
        changed = False
        if lags:
            self.change.hear_lags(rung, *_joined(lags))
        if baseline:
            changed |= self.change.hear_baseline(rung, *_joined(baseline))
        learned = np.concatenate([o.learned for _, o in heard])
        rows = np.concatenate([r for r, _ in heard])
        changed |= self.change.hear_learned(rung, block, rows, learned)
        if any(o.windows for _, o in heard):
            changed |= self.change.hear_windows(rung, block, *_windows(heard))
        long_run = [self._reports.hear_long_run(rung, rows, o) for rows, o in heard]
        if any(long_run):
            changed |= self.change.hear_long_run(rung, *self._reports.long_run(rung))
        notes = [self._reports.hear_notes(rung, rows, o) for rows, o in heard]
        if any(notes):
            changed |= self.level.review(rung, self._reports.notes(rung), open_rows)
        return changed

    def _rungs(self) -> Ints:
        """Return the rung (3, M, R) of every part, 0 where a row does not have the metric."""
        rungs = [
            self.change.rungs(slow=False),
            self.change.rungs(slow=True),
            np.maximum(self.level.rungs(), self.counts.rungs()),
        ]
        return np.where(self._fleet.has, np.stack(rungs), 0).transpose(0, 2, 1)


def _joined(parts: Sequence[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([v for _, v in parts])


def _windows(heard: Sequence[tuple[Ints, Outcome]]) -> tuple[Ints, dict[int, Floats]]:
    """Return all rows and their window sums by length, NaN where a host completed none."""
    lengths = sorted({m for _, o in heard for m in o.windows})
    sums = {
        m: np.concatenate([o.windows.get(m, np.full_like(o.change, np.nan)) for _, o in heard])
        for m in lengths
    }
    return np.concatenate([rows for rows, _ in heard]), sums
