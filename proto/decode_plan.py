"""What the aggregator orders, from the message that travels to the plan that an agent obeys.

Apart from the other messages, because nobody but an agent reads it, and it has cells of its own.
Every function raises ``BadMessage`` and nothing else.
"""

from . import held as open_rows
from . import refuse
from .messages import ChangePlan, CountsPlan, LevelPlan, Plan
from .pack import BadMessage
from .schema import ingest


def plan(message: ingest.Plan) -> Plan:
    """Return what the aggregator orders; an epoch of 0 is the same as none and left out."""
    rows, groups = message.shards, {row.group for row in message.shards}
    refuse.each_once((row.shard for row in rows), ("Plan", "shards"))
    for group in sorted(groups - message.needed.keys()):
        raise BadMessage(("Plan", "needed"), f"says nothing of group {group!r:.60}")
    for metric, side in message.direction.items():
        if side not in (-1, 0, 1):
            raise BadMessage(("Plan", "direction"), f"{metric!r:.60} has {side}, not -1, 0 or 1")
    return Plan(
        id=refuse.whole(message.id, ("Plan", "id")),
        groups={_name(r.shard, "shard"): _name(r.group, "group") for r in rows},
        pools={r.shard: _name(r.pool, "pool") for r in rows},
        needed={_name(g, "needed"): (n.change, n.level) for g, n in message.needed.items()},
        change=tuple(_change(cell) for cell in message.change),
        level=tuple(_level(cell) for cell in message.level),
        horizon=refuse.number(message.horizon_seconds, ("Plan", "horizon_seconds"), 1.0),
        from_block={
            _rung(r, "Plan"): refuse.block(b, r, ("Plan", "block"))
            for r, b in message.from_block.items()
        },
        epochs={r.shard: refuse.whole(r.epoch, ("Plan", "epoch")) for r in rows if r.epoch},
        direction={_name(m, "direction"): side for m, side in message.direction.items()},
        counts=tuple(_counts_plan(cell) for cell in message.counts),
        held=open_rows.held_rows(message),
        born={r.shard: refuse.whole(r.born, ("Plan", "born")) for r in rows if r.born},
        metric_epochs={r.shard: _metric_epochs(r) for r in rows if r.metric_epochs},
        inventory=message.inventory,
    )


def _metric_epochs(row: ingest.ShardPlan) -> dict[str, int]:
    own = ("Plan", "metric_epochs")
    return {refuse.name(m, own): refuse.whole(e, own) for m, e in row.metric_epochs.items()}


def _change(cell: ingest.ChangePlan) -> ChangePlan:
    own = ("ChangePlan", "stream_kappa")
    return ChangePlan(
        metric=refuse.name(cell.metric, ("ChangePlan", "metric")),
        pool=refuse.name(cell.pool, ("ChangePlan", "pool")),
        rung=_rung(cell.rung, "ChangePlan"),
        phi=refuse.number(cell.phi, ("ChangePlan", "phi"), 0.0, 1.0, unknown=True),
        kappa=refuse.number(cell.kappa, ("ChangePlan", "kappa"), 1.0, unknown=True),
        epoch=refuse.whole(cell.epoch, ("ChangePlan", "epoch")),
        stream_kappa={
            refuse.name(s, own): refuse.number(k, own, 1.0) for s, k in cell.stream_kappa.items()
        },
    )


def _level(cell: ingest.LevelPlan) -> LevelPlan:
    return LevelPlan(
        metric=refuse.name(cell.metric, ("LevelPlan", "metric")),
        group=refuse.name(cell.group, ("LevelPlan", "group")),
        rung=_rung(cell.rung, "LevelPlan"),
        margin=refuse.number(cell.margin, ("LevelPlan", "margin"), refuse.POSITIVE),
        largest_lambda=refuse.number(cell.largest_lambda, ("LevelPlan", "largest_lambda"), 0.0),
        epoch=refuse.whole(cell.epoch, ("LevelPlan", "epoch")),
    )


def _counts_plan(cell: ingest.CountsPlan) -> CountsPlan:
    return CountsPlan(
        metric=refuse.name(cell.metric, ("CountsPlan", "metric")),
        group=refuse.name(cell.group, ("CountsPlan", "group")),
        rung=_rung(cell.rung, "CountsPlan"),
        odds=refuse.number(cell.odds, ("CountsPlan", "odds"), 1.0),
        epoch=refuse.whole(cell.epoch, ("CountsPlan", "epoch")),
    )


def _name(value: str, field: str) -> str:
    return refuse.name(value, ("Plan", field))


def _rung(value: int, message: str) -> int:
    return refuse.rung(value, (message, "rung"))
