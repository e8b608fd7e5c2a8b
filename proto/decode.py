"""From the messages that travel to those that agent and aggregator hold, or a refusal.

Apart, because this is where what another machine says is not believed yet: everything behind it
may rely on shapes, domains and bounds. Every function raises ``BadMessage`` and nothing else.
Arrays may be views that cannot be written.
"""

from dataclasses import replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from . import held as open_rows
from . import refuse
from .columns import Laid, joined
from .messages import (
    Bits,
    ChangePlan,
    CountsPlan,
    Down,
    Float32s,
    Freeze,
    Inventory,
    LevelNotes,
    LevelPlan,
    PathNode,
    Plan,
    RawTicks,
    ShardRow,
    Up1,
    Up2,
)
from .pack import BadMessage, Where, unpack
from .schema import ingest

Ints = npt.NDArray[np.int64]
Shape = tuple[int, int]  # shards and metrics of the inventory that a message follows

NS: Final = 1_000_000_000
LAGS, BASELINE = 3, 100  # numbers of a stream in ``lags`` and ``baseline``
MOST_WINDOWS = 16  # lengths in one message
MOST_RUNS = 16  # lengths of runs in a level report
DEEPEST = 64  # nodes of a path


def inventory(message: ingest.Inventory) -> Inventory:
    """Return the inventory; ``units`` are empty where no metric has one."""
    shards, streams = message.shards, message.streams
    if len(shards) > refuse.MOST_SHARDS:
        raise BadMessage(("Inventory", "shards"), f"has {len(shards)} of {refuse.MOST_SHARDS}")
    if len(streams) > refuse.MOST_METRICS:
        raise BadMessage(("Inventory", "streams"), f"has {len(streams)} of {refuse.MOST_METRICS}")
    units = tuple(refuse.text(row.unit, ("Inventory", "unit")) for row in streams)
    found = Inventory(
        host=refuse.name(message.host, ("Inventory", "host")),
        version=message.version,
        shards=tuple(_shard(row) for row in shards),
        metrics=tuple(map(_column, streams)),
        units=units if any(units) else (),
        boot_id=refuse.text(message.boot_id, ("Inventory", "boot_id")),
        interval=refuse.number(message.interval_seconds, ("Inventory", "interval_seconds"), 0.0)
        or 1.0,
    )
    refuse.each_once((row.id for row in found.shards), ("Inventory", "shards"))
    refuse.each_once(found.metrics, ("Inventory", "streams"))
    return found


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
        from_block={_rung(r, "Plan"): _block(b, r, "Plan") for r, b in message.from_block.items()},
        epochs={r.shard: refuse.whole(r.epoch, ("Plan", "epoch")) for r in rows if r.epoch},
        direction={_name(m, "direction"): side for m, side in message.direction.items()},
        counts=tuple(_counts_plan(cell) for cell in message.counts),
        held=open_rows.held_rows(message),
        born={r.shard: refuse.whole(r.born, ("Plan", "born")) for r in rows if r.born},
    )


def up1(message: ingest.Up1, host: str, shape: Shape) -> Up1:
    """Return block values of ``host``, whose inventory has ``shape`` (S, M)."""
    rung = _rung(message.rung, "Up1")
    laid, shape = _laid(message, shape, "Up1")
    found = Up1(
        host=host,
        rung=rung,
        block=_block(message.block, rung, "Up1"),
        x=_finite(message.x, shape, ("Up1", "x")),
        offset=_finite(message.offset, shape, ("Up1", "offset")),
        eligible=unpack(message.eligible, np.bool_, shape[:1], ("Up1", "eligible")),
        plan=refuse.whole(message.plan, ("Up1", "plan")),
        inventory=message.inventory,
        frozen=_frozen(message, shape, "Up1"),
    )
    return laid.whole(found)


def downs(message: ingest.Down, shape: Shape) -> tuple[Down, ...]:
    """Return one summary for each group; ``shape`` (S, M) is that of the receiver's inventory."""
    if not message.summaries:
        raise BadMessage(("Down", "summaries"), "is empty")
    refuse.each_once((s.group for s in message.summaries), ("Down", "summaries"))
    rung = _rung(message.rung, "Down")
    block = _block(message.block, rung, "Down")
    order = refuse.whole(message.plan, ("Down", "plan"))
    laid, shape = _laid(message, shape, "Down")
    frozen = _frozen(message, shape, "Down")
    found = (_down(summary, rung, block, order, shape) for summary in message.summaries)
    return tuple(replace(laid.whole(down), frozen=frozen) for down in found)


def freeze(message: ingest.Freeze) -> Freeze:
    """Return a freeze of some shards of this host, or the end of one."""
    refuse.each_once(message.shards, ("Freeze", "shards"))
    return Freeze(
        id=refuse.name(message.id, ("Freeze", "id")),
        nodes=tuple(refuse.name(shard, ("Freeze", "shards")) for shard in message.shards),
        start=refuse.whole(message.from_ns, ("Freeze", "from_ns")) / NS,
        until=refuse.whole(message.until_ns, ("Freeze", "until_ns")) / NS,
        reason=refuse.text(message.reason, ("Freeze", "reason")),
        exogenous=message.exogenous,
    )


def up2(message: ingest.Up2, host: str, shape: Shape) -> Up2:
    """Return evidence of ``host``, whose inventory has ``shape`` (S, M)."""
    rung = _rung(message.rung, "Up2")
    block = _block(message.block, rung, "Up2")
    if message.HasField("long_run") != message.HasField("long_run_scores"):
        raise BadMessage(("Up2", "long_run"), "must come with long_run_scores")
    laid, shape = _laid(message, shape, "Up2")
    found = Up2(
        host=host,
        rung=rung,
        block=block,
        change=_evidence(message.change, shape, ("Up2", "change")),
        level=_evidence(message.level, shape, ("Up2", "level")),
        change_epoch=_small(message.change_epoch, shape, ("Up2", "change_epoch")),
        level_epoch=_small(message.level_epoch, shape, ("Up2", "level_epoch")),
        change_onset=_onsets(message, "change_onset", shape),
        level_onset=_onsets(message, "level_onset", shape),
        learned=_small(message.learned, shape, ("Up2", "learned")),
        lags=_finite(message.lags, (*shape, LAGS), ("Up2", "lags"))
        if message.HasField("lags")
        else None,
        baseline=_finite(message.baseline, (*shape, BASELINE), ("Up2", "baseline"))
        if message.HasField("baseline")
        else None,
        windows=_windows(message, shape),
        long_run=_finite(message.long_run, shape, ("Up2", "long_run"))
        if message.HasField("long_run")
        else None,
        long_run_scores=_small(message.long_run_scores, shape, ("Up2", "long_run_scores"))
        if message.HasField("long_run_scores")
        else None,
        review=_review(message.review, shape) if message.HasField("review") else None,
        plan=refuse.whole(message.plan, ("Up2", "plan")),
        inventory=message.inventory,
        held=open_rows.told(message, shape[0]),
    )
    return laid.whole(found)


def raw_ticks(message: ingest.RawTicks) -> RawTicks:
    """Return raw readings; a message that says why it was ``refused`` holds none."""
    if len(message.metrics) > refuse.MOST_METRICS:
        what = f"has {len(message.metrics)} of {refuse.MOST_METRICS}"
        raise BadMessage(("RawTicks", "metrics"), what)
    refuse.each_once(message.metrics, ("RawTicks", "metrics"))
    at = unpack(message.at, np.float64, (None,), ("RawTicks", "at"))
    if not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise BadMessage(("RawTicks", "at"), "is not a row of growing times")
    return RawTicks(
        shard=refuse.name(message.shard, ("RawTicks", "shard")),
        metrics=tuple(refuse.name(metric, ("RawTicks", "metrics")) for metric in message.metrics),
        at=at,
        values=_finite(message.values, (len(at), len(message.metrics)), ("RawTicks", "values")),
    )


def _column(row: ingest.StreamRow) -> str:
    metric = refuse.name(row.metric, ("Inventory", "metric"))
    return joined(metric, row.score, ("Inventory", "streams"))


def _laid(
    message: ingest.Up1 | ingest.Down | ingest.Up2, shape: Shape, name: str
) -> tuple[Laid, Shape]:
    """Return which columns a message has, and the shape of its arrays then."""
    sent = message.columns if message.HasField("columns") else None
    laid = Laid(sent, shape[1], (name, "columns"))
    return laid, (shape[0], laid.count)


def _shard(row: ingest.Shard) -> ShardRow:
    if len(row.path) > DEEPEST:
        raise BadMessage(("Shard", "path"), f"of {row.id!r:.60} has {len(row.path)} of {DEEPEST}")
    return ShardRow(
        id=refuse.name(row.id, ("Shard", "id")),
        kind=refuse.text(row.kind, ("Shard", "kind")),
        sku=refuse.text(row.sku, ("Shard", "sku")),
        job=refuse.text(row.job, ("Shard", "job")),
        role=refuse.text(row.role, ("Shard", "role")),
        path=tuple(
            PathNode(
                id=refuse.name(node.id, ("Shard", "path")),
                kind=refuse.text(node.kind, ("Shard", "path")),
            )
            for node in row.path
        ),
    )


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


def _total(summary: ingest.Summary, columns: int) -> Float32s | None:
    if not summary.HasField("total"):
        return None
    values = _finite(summary.total, (columns,), ("Summary", "total"))
    if (values < 0).any():
        raise BadMessage(("Summary", "total"), "is below 0")
    return values


def _down(summary: ingest.Summary, rung: int, block: int, order: int, shape: Shape) -> Down:
    rows, columns = shape
    return Down(
        group=refuse.name(summary.group, ("Summary", "group")),
        rung=rung,
        block=block,
        count_raw=_counts(summary.count_raw, columns, ("Summary", "count_raw")),
        s3_raw=_finite(summary.s3_raw, (columns, 3), ("Summary", "s3_raw")),
        count_demeaned=_counts(summary.count_demeaned, columns, ("Summary", "count_demeaned")),
        s3_demeaned=_finite(summary.s3_demeaned, (columns, 3), ("Summary", "s3_demeaned")),
        included=_included(summary.included, rows),
        total=_total(summary, columns),
        plan=order,
    )


def _windows(message: ingest.Up2, shape: Shape) -> dict[int, Float32s]:
    where = ("Up2", "windows")
    if len(message.windows) > MOST_WINDOWS:
        raise BadMessage(where, f"has {len(message.windows)} of {MOST_WINDOWS}")
    refuse.each_once((window.length for window in message.windows), where)
    if any(window.length == 0 for window in message.windows):
        raise BadMessage(where, "has a window of no blocks")
    return {window.length: _finite(window.sums, shape, where) for window in message.windows}


def _review(report: ingest.LevelReport, shape: Shape) -> LevelNotes:
    runs = _small(report.runs, (*shape, None), ("LevelReport", "runs"))
    if runs.shape[2] > MOST_RUNS:
        raise BadMessage(("LevelReport", "runs"), f"has {runs.shape[2]} of {MOST_RUNS} lengths")
    return LevelNotes(
        observed=_small(report.observed, shape, ("LevelReport", "observed")),
        median=_finite(report.median, shape, ("LevelReport", "median")),
        noise_ratio=_finite(report.noise_ratio, shape, ("LevelReport", "noise_ratio")),
        lag_one=_finite(report.lag_one, shape, ("LevelReport", "lag_one")),
        runs=runs,
        plusses=_small(report.plusses, runs.shape, ("LevelReport", "plusses")),
    )


def _name(value: str, field: str) -> str:
    return refuse.name(value, ("Plan", field))


def _rung(value: int, message: str) -> int:
    return refuse.rung(value, (message, "rung"))


def _block(value: int, rung: int, message: str) -> int:
    return refuse.block(value, rung, (message, "block"))


def _finite(array: ingest.Array, shape: tuple[int, ...], where: Where) -> Float32s:
    values = unpack(array, np.float32, shape, where)
    refuse.infinite(values, where)
    return values


def _evidence(array: ingest.Array, shape: Shape, where: Where) -> Float32s:
    values = unpack(array, np.float32, shape, where)
    refuse.evidence(values, where)
    return values


def _onsets(
    message: ingest.Up2, field: Literal["change_onset", "level_onset"], shape: Shape
) -> Ints:
    """Return onsets; absent is none at all. None lies after the message's own block."""
    if not message.HasField(field):
        return np.full(shape, -1, dtype=np.int64)
    values = unpack(getattr(message, field), np.int64, shape, ("Up2", field))
    refuse.outside(values, message.block, ("Up2", field))
    return values


def _small(array: ingest.Array, shape: tuple[int | None, ...], where: Where) -> Ints:
    values = unpack(array, np.int32, shape, where)
    refuse.outside(values, refuse.LARGEST, where)
    return values.astype(np.int64)


def _counts(array: ingest.Array, columns: int, where: Where) -> Ints:
    return unpack(array, np.uint16, (columns,), where).astype(np.int64)


def _included(array: ingest.Array, rows: int) -> Bits:
    return unpack(array, np.bool_, (rows,), ("Summary", "included"))


def _frozen(message: ingest.Up1 | ingest.Down, shape: Shape, where: str) -> Bits | None:
    if not message.HasField("frozen"):
        return None
    return unpack(message.frozen, np.bool_, shape[:1], (where, "frozen"))
