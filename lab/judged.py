"""Choose which metrics of a recording are judged, and with what overrides of the command line.

Apart from playing, because calibration and the live demo choose in the same way.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log1p

import numpy as np

from ..adapters.catalogue import LADDER, Metric, apply_transform
from ..adapters.recording import Floats, Recording
from ..agent.intake import LARGEST
from ..aggregator.plan.abstain import Abstention
from ..aggregator.state.metrics import with_rungs_from

__all__ = ["judged_metrics", "not_judged", "refuse_unplayable", "shortest_rung", "with_rungs_from"]

ROLES_TO_EQUALS = 2.0  # the margin between roles is twice that among equals, as by default
SLOW_TO_FAST = 5  # the slow rung is the next of the ladder at least so many times the fast one


def judged_metrics(
    recording: Recording, block: int | None = None, margin: float | None = None
) -> tuple[tuple[int, ...], tuple[Metric, ...]]:
    """Return the recording's columns that are judged, and their rows of the catalogue.

    ``block`` (seconds) replaces every metric's fast block, ``margin`` (a share) every margin
    that exists. Raises ``ValueError`` with one line for a block that the ladder does not have,
    a margin outside (0, 1), or a recording with nothing to judge.
    """
    columns = tuple(
        j for j, name in enumerate(recording.metrics) if recording.catalogue.of(name).judged
    )
    if not columns:
        message = (
            f"{recording.path}: none of its metrics ({', '.join(recording.metrics)}) is a gauge, "
            "a counter or counted; record one, or say so in metrics.json"
        )
        raise ValueError(message)
    rows = [recording.catalogue.of(recording.metrics[j]) for j in columns]
    if block is not None:
        rows = [_with_block(row, block) for row in rows]
    if margin is not None:
        rows = [_with_margin(row, margin) for row in rows]
    return columns, tuple(rows)


def not_judged(recording: Recording) -> tuple[Abstention, ...]:
    """Return an abstention for each metric of a kind that has no engine yet."""
    rows = (recording.catalogue.of(name) for name in recording.metrics)
    return tuple(
        Abstention(row.name, "change", f"{row.name} is of kind {row.kind}: not judged yet")
        for row in rows
        if not row.judged
    )


def shortest_rung(interval: float, of: str = "its readings") -> int:
    """Return the shortest block that holds a value each ``interval`` seconds.

    Raises ``ValueError`` with one line where there is none; ``of`` says whose values they are.
    """
    for rung in LADDER:
        if rung >= interval:
            return rung
    message = (
        f"{of} are {interval:g} s apart, and the longest block is {LADDER[-1]} s; "
        "record at least that often"
    )
    raise ValueError(message)


def refuse_unplayable(
    recording: Recording, columns: Sequence[int], metrics: Sequence[Metric]
) -> None:
    """Raise ``ValueError`` with one line for a value that is too large for a block.

    ``metrics`` are the rows of ``columns``. A running total is looked at as it stands.
    """
    for j, metric in zip(columns, metrics, strict=True):
        values = recording.values[:, :, j]
        known = np.where(np.isfinite(values), values, 0.0)
        for cell in (int(known.argmax()), int(known.argmin())):  # transforms are monotone
            value = known.flat[cell]
            if _too_large(metric, np.array([value])):
                tick, shard = np.unravel_index(cell, known.shape)
                message = (
                    f"{recording.path}: {metric.name} of {recording.shards[shard]!r} at "
                    f"t = {recording.times[tick]:g} is {value:g}, beyond what a block can hold; "
                    "leave that value empty"
                )
                raise ValueError(message)


def _too_large(metric: Metric, value: Floats) -> bool:
    if metric.kind in {"counter", "counts"}:
        return bool(np.abs(value) > LARGEST)
    with np.errstate(over="ignore"):  # infinite is too large
        return bool(np.abs(apply_transform(metric, value)) > LARGEST)


def _with_block(metric: Metric, block: int) -> Metric:
    if block not in LADDER:
        message = f"--block {block}: no such block length; use one of {_words(LADDER)}"
        raise ValueError(message)
    longer = [rung for rung in LADDER if rung >= SLOW_TO_FAST * block]
    slow = longer[0] if longer else LADDER[-1]
    return replace(metric, fast=block, slow=slow, level=block if metric.level else None)


def _with_margin(metric: Metric, share: float) -> Metric:
    if not 0.0 < share < 1.0:
        message = f"--margin {share:g}: not a share in (0, 1); write 0.05 for 5 %"
        raise ValueError(message)
    if metric.margin is None:
        return metric
    wide = ROLES_TO_EQUALS * share
    if metric.transform == "log":
        return replace(metric, margin=log1p(share), role_margin=log1p(wide))
    return replace(metric, margin=share, role_margin=wide)


def _words(numbers: Sequence[int]) -> str:
    return ", ".join(str(n) for n in numbers)
