"""Come by a pipeline: from a checkpoint, afresh, or carried over to a fleet that has changed.

Apart from the runtime, because what survives a restart is decided here, and nothing here runs
while blocks come in.
"""

import json

from ..proto.baseline_file import Baseline
from ..proto.schema import ingest
from ..settings.clock import Clock
from .config import AggregatorSettings
from .decide.recalled import recalled
from .pipeline import Pipeline
from .state import checkpoint
from .state.fleet import Fleet
from .state.records import Remembered

EARLIEST = 1_700_000_000  # Unix seconds, of which numbers of plans are counted on
LEAD = 2  # blocks between a plan and the first that obeys it (DESIGN.md section 5)


class Pipelines:
    """Pipelines of one program's settings; ``patient`` ones wait for blocks without a deadline."""

    def __init__(
        self,
        settings: AggregatorSettings,
        clock: Clock,
        *,
        patient: bool,
        baseline: Baseline | None = None,
    ) -> None:
        """Keep them all; nothing is made yet. What is new starts from the ``baseline``."""
        self._settings = settings
        self._clock = clock
        self._patient = patient
        self._baseline = baseline
        self._now: Pipeline | None = None  # the one that serves

    def fresh(self, fleet: Fleet, remembered: Remembered) -> tuple[Pipeline, str]:
        """Return the first pipeline of this run, and "" or why it goes on from no checkpoint.

        Its numbers go on where those of the last run ended in either case, and what that run has
        told to be open stays open. With nothing remembered they are later than those of any life
        before, should agents still follow a plan of one.
        """
        made, why = None, "the last run left no checkpoint" if remembered.plan else ""
        if remembered.checkpoint is not None:
            made, why = self._restored(remembered.checkpoint[1], fleet)
        self._now = made = made or self._made(fleet)
        told = [recalled(record) for record in remembered.open]
        made.recall(told, remembered.next_verdict - 1)
        if remembered.plan is not None:
            made.planner.overtake(*_highest(remembered.plan.message))
        elif remembered.checkpoint is None:
            first = self._first()
            made.planner.overtake(first, first)
        return made, why

    def regrouped(self, fleet: Fleet) -> Pipeline:
        """Return the pipeline of ``fleet``, which goes on where the one before stands."""
        self._now = (
            self._made(fleet) if self._now is None else self._now.carried(fleet, self._baseline)
        )
        return self._now

    def saved(self) -> bytes | None:
        """Return a checkpoint of the pipeline that serves, None while there is none."""
        return None if self._now is None else self._ways() + checkpoint.pack(self._now)

    def _first(self) -> int:
        """Return a number that no plan or epoch of an earlier life of this aggregator has had.

        It grows by one a second, and no fleet makes a plan or an epoch for each second.
        """
        return max(0, int(self._clock.now()) - EARLIEST)

    def _restored(self, state: bytes, fleet: Fleet) -> tuple[Pipeline | None, str]:
        ways, line, packed = state.partition(b"\n")
        if ways + line != self._ways():
            return None, "the checkpoint is of other settings (q, shortest, horizon or pacing)"
        try:
            return checkpoint.unpack(packed).carried(fleet, self._baseline), ""
        except ValueError as bad:
            return None, f"the checkpoint {bad}"

    def _ways(self) -> bytes:
        """Return one line of the settings that a pipeline is run by, which it keeps for life."""
        settings = self._settings
        ways = [settings.shortest, settings.horizon, settings.q, LEAD, self._patient]
        return json.dumps(ways).encode() + b"\n"

    def _made(self, fleet: Fleet) -> Pipeline:
        settings = self._settings
        return Pipeline(
            fleet,
            shortest=settings.shortest,
            horizon=settings.horizon,
            q=settings.q,
            lead=0 if self._patient else LEAD,  # a simulated clock waits for the plan too
            patient=self._patient,
            baseline=self._baseline,
        )


def _highest(message: bytes) -> tuple[int, int]:
    """Return the number of a plan and the highest epoch in it."""
    plan = ingest.Plan.FromString(message)
    epochs = [row.epoch for row in plan.shards]
    epochs += [cell.epoch for cell in plan.change]
    epochs += [cell.epoch for cell in plan.level]
    epochs += [cell.epoch for cell in plan.counts]
    epochs += [epoch for row in plan.shards for epoch in row.metric_epochs.values()]
    return plan.id, max(epochs, default=0)
