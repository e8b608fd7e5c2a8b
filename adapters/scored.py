"""The columns made of one metric's ticks: beside their mean a spread, an oscillation, a spike.

Apart from the row, which describes what is read: here is which blocks a score needs, and what of
the row it keeps. Agents, aggregator and replay lay out their columns by these lines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from .metric import JOINT, LADDER, MARK, Direction, Metric, Score, split

READINGS: Final = 30  # of a block that a score is made of: fewer say little of a spread
_SIDES: dict[Score, Direction] = {"spread": 0, "oscillation": 1, "spike": 1}
_ENOUGH: Final = 2  # columns that can be judged together


def with_scores(
    metrics: Iterable[Metric], interval: float = 0.0, *, jointly: bool = True
) -> tuple[Metric, ...]:
    """Return ``metrics``, and behind each the columns of the scores that its row asks for.

    ``interval`` seconds lie between two readings. A score whose block would be longer than the
    longest is left out. If ``jointly``, and there are two means to judge so, a column does last.
    """
    found: list[Metric] = []
    for metric in metrics:
        found.append(metric)
        if (
            metric.paired
            and metric.judged
            and READINGS * max(metric.refresh, interval) <= LADDER[-1]
        ):
            found.extend(scored(metric, score, interval) for score in metric.scores)
    if jointly and sum(metric.paired and metric.judged for metric in found) >= _ENOUGH:
        found.append(judged_together())
    return tuple(found)


def judged_together() -> Metric:
    """Return the column that judges others together; the plan gives it a rung of theirs."""
    shortest = LADDER[0]
    return Metric(
        JOINT, "1", direction=1, tau=0.0, fast=shortest, slow=shortest, refresh=0.0, score=JOINT
    )


def together(names: Sequence[str]) -> tuple[int, tuple[int, ...]]:
    """Return the place of the column among ``names`` that judges others jointly, and of those.

    −1 and none where nothing does. A column that is counted is listed too: it shows nothing.
    """
    if JOINT not in names:
        return -1, ()
    means = tuple(j for j, name in enumerate(names) if split(name)[1] == "mean")
    return names.index(JOINT), means


def scored(metric: Metric, score: Score, interval: float = 0.0) -> Metric:
    """Return the column of one ``score`` of ``metric``, which is not a score itself.

    It has one block length: the first of the ladder that is no shorter than the fast block and
    holds 30 readings. Collapse and growth of the spread both count; of the others, growth does.
    """
    if metric.score != "mean":
        message = f"{metric.name} is a score already"
        raise ValueError(message)
    rung = block_of(metric, interval)
    return replace(
        metric,
        name=f"{metric.name}{MARK}{score}",
        unit="1",
        kind="gauge",
        transform="identity",
        direction=_SIDES[score],
        margin=None,
        role_margin=None,
        tau=0.0,
        fast=rung,
        slow=rung,
        level=None,
        scale=1.0,
        scores=(),
        score=score,
    )


def block_of(metric: Metric, interval: float) -> int:
    """Return the block length (s) of the scores of ``metric``, the longest where none is enough.

    Readings lie no nearer than its source changes, and than the first of the ladder that is no
    shorter than ``interval``.
    """
    every = next((length for length in LADDER if length >= interval), LADDER[-1])
    apart = max(metric.refresh, every if interval > LADDER[0] else 0.0)
    least = max(READINGS * apart, metric.fast)
    return next((length for length in LADDER if length >= least), LADDER[-1])
