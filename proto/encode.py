"""From the messages that agent and aggregator hold to those that travel.

Apart from decoding, because what we say is ours and needs no checks, and what we hear does.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from . import held as open_rows
from .columns import split, thinned
from .messages import (
    ChangePlan,
    CountsPlan,
    Down,
    Freeze,
    Inventory,
    LevelNotes,
    LevelPlan,
    Plan,
    RawTicks,
    ShardRow,
    Up1,
    Up2,
)
from .pack import pack
from .schema import ingest

Cell = TypeVar("Cell", ChangePlan, LevelPlan, CountsPlan)

NS = 1_000_000_000
MOST_COUNTED = np.iinfo(np.uint16).max  # a group of more members is of so many


def inventory(message: Inventory, *, former: bool = False) -> ingest.Inventory:
    """Return an inventory as it travels; ``units`` are one for each metric, or none at all.

    A ``former`` one is followed only until a plan for the next.
    """
    units = message.units or ("",) * len(message.metrics)
    schemas = message.schemas or ("",) * len(message.metrics)
    refreshes = message.refreshes or (0.0,) * len(message.metrics)
    return ingest.Inventory(
        host=message.host,
        version=message.version,
        shards=[_shard(row) for row in message.shards],
        streams=[
            ingest.StreamRow(
                metric=metric, score=score, unit=unit, schema=schema, refresh_seconds=refresh
            )
            for (metric, score), unit, schema, refresh in zip(
                map(split, message.metrics), units, schemas, refreshes, strict=True
            )
        ],
        boot_id=message.boot_id,
        interval_seconds=message.interval,
        former=former,
    )


def plan(message: Plan, shards: Collection[str], inventory: int = 0) -> ingest.Plan:
    """Return what of a plan concerns the host of ``shards``; shards that it leaves out stay out.

    ``inventory`` is the version in which that host has them.

    Cells of other pools and groups are left out, except one for each metric and rung that none of
    the host's own has: its values are wanted there, by those above it.
    """
    known = [shard for shard in shards if shard in message.groups]
    groups = {message.groups[shard]: None for shard in known}
    pools = {message.pools[shard] for shard in known}
    change = [cell for cell in message.change if cell.pool in pools]
    level = [cell for cell in message.level if cell.group in groups]
    counts = [cell for cell in message.counts if cell.group in groups]
    told = {(c.metric, c.rung) for c in change} | {(v.metric, v.rung) for v in level}
    told |= {(c.metric, c.rung) for c in counts}
    change += _first_of_each(message.change, told)
    level += _first_of_each(message.level, told)
    return ingest.Plan(
        id=message.id,
        from_block=message.from_block,
        shards=[
            ingest.ShardPlan(
                shard=shard,
                group=message.groups[shard],
                pool=message.pools[shard],
                epoch=message.epochs.get(shard, 0),
                born=message.born.get(shard, 0),
                metric_epochs=message.metric_epochs.get(shard, {}),
            )
            for shard in known
        ],
        needed={name: _needed(*message.needed[name]) for name in groups},
        change=[_change(cell, shards) for cell in change],
        level=[_level(cell) for cell in level],
        direction=message.direction,
        horizon_seconds=message.horizon,
        counts=[_counts(cell) for cell in counts],
        held=open_rows.held(message.held, known),
        inventory=inventory,
    )


def up1(message: Up1) -> ingest.Up1:
    """Return block values as they travel."""
    (message,), columns = thinned([message])
    return ingest.Up1(
        plan=message.plan,
        inventory=message.inventory,
        rung=message.rung,
        block=message.block,
        x=pack(message.x, np.float32),
        offset=pack(message.offset, np.float32),
        eligible=pack(message.eligible, np.bool_),
        columns=_listed(columns),
        frozen=_maybe(message.frozen, np.bool_),
    )


def downs(messages: Sequence[Down]) -> ingest.Down:
    """Return the summaries of one block, of one host's groups, as they travel together.

    Raises ``ValueError`` unless there is one at least and all are of the same plan and block.
    """
    if len({(down.plan, down.rung, down.block) for down in messages}) != 1:
        text = f"{len(messages)} summaries of different blocks or plans cannot go together"
        raise ValueError(text)
    messages, columns = thinned(messages)
    first = messages[0]
    return ingest.Down(
        plan=first.plan,
        rung=first.rung,
        block=first.block,
        summaries=[_summary(down) for down in messages],
        columns=_listed(columns),
        frozen=_maybe(first.frozen, np.bool_),
    )


def freeze(message: Freeze, shards: Sequence[str]) -> ingest.Freeze:
    """Return a freeze as it travels to the host of ``shards``, those that it covers."""
    return ingest.Freeze(
        id=message.id,
        shards=shards,
        from_ns=round(message.start * NS),
        until_ns=round(message.until * NS),
        reason=message.reason,
        exogenous=message.exogenous,
    )


def up2(message: Up2) -> ingest.Up2:
    """Return evidence as it travels; log M must be rounded down already (``pack.floored``)."""
    (message,), columns = thinned([message])
    return ingest.Up2(
        plan=message.plan,
        inventory=message.inventory,
        rung=message.rung,
        block=message.block,
        change=pack(message.change, np.float32),
        level=pack(message.level, np.float32),
        change_epoch=pack(message.change_epoch, np.int32),
        level_epoch=pack(message.level_epoch, np.int32),
        change_onset=_dated(message.change_onset),
        level_onset=_dated(message.level_onset),
        learned=pack(message.learned, np.int32),
        lags=_maybe(message.lags, np.float32),
        baseline=_maybe(message.baseline, np.float32),
        windows=[
            ingest.Window(length=length, sums=pack(sums, np.float32))
            for length, sums in message.windows.items()
        ],
        long_run=_maybe(message.long_run, np.float32),
        long_run_scores=_maybe(message.long_run_scores, np.int32),
        review=None if message.review is None else _review(message.review),
        columns=_listed(columns),
        held=open_rows.notes(message.held),
    )


def raw_ticks(message: RawTicks, request: int) -> ingest.RawTicks:
    """Return raw readings as they travel, in answer to ``request``."""
    return ingest.RawTicks(
        id=request,
        shard=message.shard,
        metrics=message.metrics,
        at=pack(message.at, np.float64),
        values=pack(message.values, np.float32),
    )


def _shard(row: ShardRow) -> ingest.Shard:
    return ingest.Shard(
        id=row.id,
        kind=row.kind,
        sku=row.sku,
        job=row.job,
        role=row.role,
        path=[ingest.PathNode(id=node.id, kind=node.kind) for node in row.path],
    )


def _first_of_each(cells: Iterable[Cell], told: set[tuple[str, int]]) -> Iterator[Cell]:
    """Yield the first cell of each metric and rung that is not ``told``, and note it there."""
    for cell in cells:
        if (cell.metric, cell.rung) not in told:
            told.add((cell.metric, cell.rung))
            yield cell


def _change(cell: ChangePlan, shards: Collection[str]) -> ingest.ChangePlan:
    own = cell.stream_kappa
    return ingest.ChangePlan(
        metric=cell.metric,
        pool=cell.pool,
        rung=cell.rung,
        phi=cell.phi,
        kappa=cell.kappa,
        epoch=cell.epoch,
        stream_kappa={shard: own[shard] for shard in shards if shard in own},
    )


def _level(cell: LevelPlan) -> ingest.LevelPlan:
    return ingest.LevelPlan(
        metric=cell.metric,
        group=cell.group,
        rung=cell.rung,
        margin=cell.margin,
        largest_lambda=cell.largest_lambda,
        epoch=cell.epoch,
    )


def _counts(cell: CountsPlan) -> ingest.CountsPlan:
    return ingest.CountsPlan(
        metric=cell.metric,
        group=cell.group,
        rung=cell.rung,
        odds=cell.odds,
        epoch=cell.epoch,
    )


def _needed(change: int, level: int) -> ingest.Needed:
    return ingest.Needed(change=change, level=level)


def _summary(down: Down) -> ingest.Summary:
    return ingest.Summary(
        group=down.group,
        count_raw=pack(np.minimum(down.count_raw, MOST_COUNTED), np.uint16),
        s3_raw=pack(down.s3_raw, np.float32),
        count_demeaned=pack(np.minimum(down.count_demeaned, MOST_COUNTED), np.uint16),
        s3_demeaned=pack(down.s3_demeaned, np.float32),
        included=pack(down.included, np.bool_),
        total=_maybe(down.total, np.float32),
    )


def _review(notes: LevelNotes) -> ingest.LevelReport:
    return ingest.LevelReport(
        observed=pack(notes.observed, np.int32),
        median=pack(notes.median, np.float32),
        noise_ratio=pack(notes.noise_ratio, np.float32),
        lag_one=pack(notes.lag_one, np.float32),
        runs=pack(notes.runs, np.int32),
        plusses=pack(notes.plusses, np.int32),
    )


def _listed(columns: npt.NDArray[np.int64] | None) -> ingest.Array | None:
    """Return which columns a message has, or nothing where it has them all."""
    return None if columns is None else pack(columns, np.uint16)


def _dated(onset: npt.NDArray[np.int64]) -> ingest.Array | None:
    """Return onsets, or nothing where none is dated, as almost always."""
    return pack(onset, np.int64) if (onset >= 0).any() else None


def _maybe(values: npt.NDArray[np.generic] | None, kind: type[np.generic]) -> ingest.Array | None:
    return None if values is None else pack(values, kind)
