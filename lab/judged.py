"""Choose which metrics of a recording are judged, and with what overrides of the command line.

Apart from playing, because calibration and the live demo choose in the same way.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log1p

from ..adapters.catalogue import LADDER, Metric
from ..adapters.recording import Recording

JUDGED_KINDS = frozenset({"gauge", "counter"})  # counts, events and states have other engines
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
        j
        for j, name in enumerate(recording.metrics)
        if recording.catalogue.of(name).kind in JUDGED_KINDS
    )
    if not columns:
        message = (
            f"{recording.path}: none of its metrics ({', '.join(recording.metrics)}) is a gauge "
            "or a counter; record one, or say so in metrics.json"
        )
        raise ValueError(message)
    rows = [recording.catalogue.of(recording.metrics[j]) for j in columns]
    if block is not None:
        rows = [_with_block(row, block) for row in rows]
    if margin is not None:
        rows = [_with_margin(row, margin) for row in rows]
    return columns, tuple(rows)


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
