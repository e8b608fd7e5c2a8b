"""Which metrics of the hosts' inventories are judged, and from which block length on.

Apart from the fleet's table, which takes its columns as given: replay chooses others.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ...adapters.catalogue import LADDER, Catalogue, Metric
from ...engine.calibration import rungs
from ...proto.messages import Inventory

VALUES: Final = 3  # of a slow source that a block holds


def judged(
    inventories: Iterable[Inventory], catalogue: Catalogue, shortest: int
) -> tuple[Metric, ...]:
    """Return the catalogue's rows of all columns that some host has and that are judged, by name.

    None has a block shorter than ``shortest`` seconds, a rung of the ladder, or than three values
    of its slowest source need: hosts whose sources are new at other times would have no peers.
    """
    slowest: dict[str, float] = {}
    seldom: dict[str, float] = {}
    for inventory in inventories:
        refreshes = inventory.refreshes or (0.0,) * len(inventory.metrics)
        for name, refresh in zip(inventory.metrics, refreshes, strict=True):
            slowest[name] = max(slowest.get(name, 0.0), inventory.interval, refresh)
            seldom[name] = max(seldom.get(name, 0.0), refresh)
    names = filter(catalogue.judges, sorted(slowest))
    rows = (catalogue.of(name, slowest[name]) for name in names)
    return tuple(with_rungs_from(row, max(shortest, _holding(seldom[row.name]))) for row in rows)


def _holding(refresh: float) -> int:
    """Return the shortest block that holds three values which come each ``refresh`` seconds."""
    least = VALUES * refresh
    return next((rung for rung in LADDER if rung >= least), LADDER[-1])


def with_rungs_from(metric: Metric, shortest: int) -> Metric:
    """Return ``metric`` with no block shorter than ``shortest`` seconds, a rung of the ladder.

    Its slow block stays where it is as long as the fast one does, and follows it where not. Its
    refresh says so too, because the plan may move blocks later.
    """
    metric = replace(metric, refresh=max(metric.refresh, float(shortest)))
    level = None if metric.level is None else max(metric.level, shortest)
    if metric.fast >= shortest:
        return replace(metric, level=level)
    if metric.counted:
        return replace(metric, fast=shortest, slow=shortest, level=level)
    slow = LADDER[-1] if shortest >= LADDER[-1] else rungs(2.0 * shortest, shortest=shortest)[1]
    return replace(metric, fast=shortest, slow=max(metric.slow, slow), level=level)
