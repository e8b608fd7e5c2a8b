"""What the audit trail keeps: one record for each verdict's step, plan, epoch and host.

Apart from what made them, because the trail is read by people long after, and only grows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from ...engine.evalue import Validity
from ...proto.messages import Freeze, Plan
from ..plan.change import Fallen
from ..plan.epochs import NewEpoch
from .explained import CHANNELS, Books
from .transition import Transition


@dataclass(frozen=True, slots=True)
class Audit:
    """One record: ``at`` seconds, ``kind`` of thing, ``node`` or scope, a line, and its numbers."""

    at: float
    kind: str
    node: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


def of_transition(made: Transition, q: float, books: Books) -> Audit:
    """Return the record of a verdict's step: everything that it was decided from."""
    known = made.node in books.fleet.rows  # a person may close the verdict of a node that is gone
    parts = list(_parts(books, books.fleet.rows.index(made.node))) if known else []
    before, after = _step(made)
    facts = {
        "verdict": made.id,
        "transition": made.transition,
        "from": before,
        "to": after,
        "level": made.level,
        "channel": made.channel,
        "family": made.family,
        "guarantee": made.guarantee,
        "validity_class": made.validity_class,
        "log_e": made.log_e,
        "threshold": books.bar,
        "n": len(books.fleet.rows),
        "q": q,
        "metrics": list(made.metrics),
        "since": made.since,
        "plan": books.planner.id,
        "epochs": sorted({epoch for _, epoch in parts}),
        "parts": [part for part, _ in parts],
        "effect": None if made.effect is None else asdict(made.effect),
        "actor": made.actor,
    }
    return Audit(made.at, "verdict", made.node, f"{made.transition}: {made.reason}", facts)


def _step(made: Transition) -> tuple[str, str]:
    """Return what the verdict was before this step, and what it is after."""
    match made.transition:
        case "opened":
            return "none", made.guarantee
        case "promoted":
            return "ranked", made.guarantee
        case "relabelled":
            return "controlled", made.guarantee
        case "reopened":
            return "recovering", made.guarantee
        case "recovering" | "closed":
            return made.guarantee, made.transition


def _parts(books: Books, row: int) -> Iterator[tuple[Mapping[str, object], int]]:
    """Yield the parts that a row is merged of, each with its epoch."""
    parts, (log_m, _) = books.parts, books.table.of(row)
    for part, column in np.argwhere(parts.weights[:, :, row] > 0).tolist():
        at = (part, column, row)
        record = {
            "channel": CHANNELS[part],
            "metric": books.fleet.metrics[column].name,
            "family": books.fleet.metrics[column].family,
            "rung": int(parts.rungs[at]),
            "log_m": float(log_m[part, column]),
            "weight": float(parts.weights[at]),
            "class": Validity(int(parts.validity[at])).word,
        }
        yield record, int(parts.epochs[at])


def of_epoch(at: float, begun: NewEpoch) -> Audit:
    """Return the record of a new epoch and its reason."""
    text = f"epoch {begun.number}: {begun.reason}"
    return Audit(at, "epoch", begun.scope, text, {"epoch": begun.number})


def of_fallen(at: float, fallen: Fallen) -> Audit:
    """Return the record of a class that was lost inside an epoch, with the reasons as data."""
    now = fallen.calibration
    text = f"class {now.validity.word} until the next epoch: {', '.join(now.words)}"
    reasons = [
        {"code": r.code.name.lower(), "numbers": list(r.numbers), "windows": list(r.windows)}
        for r in now.reasons
    ]
    facts = {"class": now.validity.word, "kappa": now.kappa, "reasons": reasons}
    return Audit(at, "calibration", fallen.scope, text, facts)


def of_freeze(at: float, freeze: Freeze, text: str) -> Audit:
    """Return the record of a freeze that was called for, changed, or is over."""
    facts = {
        "freeze": freeze.id,
        "nodes": list(freeze.nodes),
        "start": freeze.start,
        "until": freeze.until,
        "exogenous": freeze.exogenous,
    }
    return Audit(at, "freeze", freeze.nodes[0], text, facts)


def of_plan(at: float, plan: Plan) -> Audit:
    """Return the record of a new plan."""
    text = f"plan {plan.id}: {len(plan.change)} change cells, {len(plan.level)} level cells"
    return Audit(at, "plan", "", text, {"plan": plan.id})
