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
from .decode_plan import plan
from .messages import (
    Bits,
    Down,
    Float32s,
    Freeze,
    Inventory,
    LevelNotes,
    PathNode,
    RawTicks,
    ShardRow,
    Up1,
    Up2,
)
from .pack import BadMessage, Where, unpack
from .schema import ingest

__all__ = ["downs", "freeze", "inventory", "plan", "raw_ticks", "up1", "up2"]

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
    schemas = tuple(refuse.text(row.schema, ("Inventory", "schema")) for row in streams)
    seldom = ("Inventory", "refresh_seconds")
    refreshes = tuple(refuse.number(row.refresh_seconds, seldom, 0.0) for row in streams)
    found = Inventory(
        host=refuse.name(message.host, ("Inventory", "host")),
        version=message.version,
        shards=tuple(_shard(row) for row in shards),
        metrics=tuple(map(_column, streams)),
        units=units if any(units) else (),
        boot_id=refuse.text(message.boot_id, ("Inventory", "boot_id")),
        interval=refuse.number(message.interval_seconds, ("Inventory", "interval_seconds"), 0.0)
        or 1.0,
        schemas=schemas if any(schemas) else (),
        refreshes=refreshes if any(refreshes) else (),
    )
    refuse.each_once((row.id for row in found.shards), ("Inventory", "shards"))
    refuse.each_once(found.metrics, ("Inventory", "streams"))
    return found


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
