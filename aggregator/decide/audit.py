"""What the audit trail keeps: one record for each verdict's step, plan, epoch and host.

Apart from what made them, because the trail is read by people long after, and only grows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...proto.messages import Plan
from ..plan.epochs import NewEpoch
from .family import Selection
from .verdicts import Transition


@dataclass(frozen=True, slots=True)
class Audit:
    """One record: ``at`` seconds, ``kind`` of thing, ``node`` or scope, a line, and its numbers."""

    at: float
    kind: str
    node: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


def of_transition(made: Transition, selection: Selection, plan: int) -> Audit:
    """Return the record of a verdict's step: everything that it was decided from."""
    facts = {
        "verdict": made.id,
        "transition": made.transition,
        "level": made.level,
        "channel": made.channel,
        "guarantee": made.guarantee,
        "validity_class": made.validity_class,
        "log_e": made.log_e,
        "threshold": selection.threshold,
        "n": selection.controlled.n,
        "q": selection.controlled.q,
        "metrics": list(made.metrics),
        "since": made.since,
        "plan": plan,
    }
    return Audit(made.at, "verdict", made.node, f"{made.transition}: {made.reason}", facts)


def of_epoch(at: float, begun: NewEpoch) -> Audit:
    """Return the record of a new epoch and its reason."""
    text = f"epoch {begun.number}: {begun.reason}"
    return Audit(at, "epoch", begun.scope, text, {"epoch": begun.number})


def of_plan(at: float, plan: Plan) -> Audit:
    """Return the record of a new plan."""
    text = f"plan {plan.id}: {len(plan.change)} change cells, {len(plan.level)} level cells"
    return Audit(at, "plan", "", text, {"plan": plan.id})
