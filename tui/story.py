"""What is told about one node, as lines of text.

Apart from the screen, because the words beside a verdict matter more than where they stand.
"""

from collections.abc import Sequence
from datetime import tzinfo

import numpy as np

from .answers import AuditLine, Explanation, Part, RawTicks
from .format import age, bound, evidence, full_moment, moment, number, sparkline
from .marks import OF_KIND, glyph
from .view import LEARNS_BLOCKS, Effect, State, Verdict, View

USUAL = "A mean"  # family of scores
CORRELATION = "Correlational, not causal: this says where and since when, not why."


def header(
    node: str, view: View | None, told: Explanation | None, zone: tzinfo | None
) -> list[str]:
    """Return who this is, what is open about it and where it stands."""
    verdict = _verdict(node, view, told)
    first = f" {node}" + (f"   {told.kind}" if told and told.kind else "")
    if verdict is None:
        lines = [first + f"   no open verdict{_state(node, view)}"]
    else:
        now = view.at if view else float("nan")
        lines = [f" {glyph(OF_KIND[verdict.kind])}{first}   {standing(verdict)}"]
        owner = f"   owner {verdict.owner}" if verdict.owner else ""
        lines.append(f" {times(verdict, now, zone)}{owner}")
        lines += [f" {line}" for line in goes_on(verdict, now, zone)]
        lines.append(f" {verdict.reason}")
    if told is not None:
        lines.append(f" {' > '.join((*told.path, told.node))}{_group(told)}")
    return lines


def standing(verdict: Verdict) -> str:
    """Return what may be relied on: ``change · controlled · construction · 10^5.1 · open``.

    The family of scores stands behind the channel unless it is the usual one.
    """
    if verdict.kind == "fact":
        return f"fact · {verdict.state}"
    family = "" if verdict.family == USUAL else verdict.family
    parts = (verdict.channel, family, verdict.guarantee, verdict.validity_class)
    return " · ".join((*(p for p in parts if p), evidence(verdict.log_e), verdict.state))


def times(verdict: Verdict, now: float, zone: tzinfo | None) -> str:
    """Return the likely onset, and since when it is open."""
    since = full_moment(verdict.since, zone)
    return (
        f"since {since} ({age(now - verdict.since)})   "
        f"opened {moment(verdict.opened, now, zone)} ({age(now - verdict.opened)} ago)"
    )


def goes_on(verdict: Verdict, now: float, zone: tzinfo | None) -> list[str]:
    """Return how much it is, and since when it recovers: one line, or none of both is known."""
    parts = [] if verdict.effect is None else [effect(verdict.effect)]
    if verdict.state == "recovering":
        since = moment(verdict.turned, now, zone)
        parts.append(f"recovering since {since} ({age(now - verdict.turned)})")
    return ["   ".join(parts)] if parts else []


def effect(found: Effect) -> str:
    """Return ``step_time_seconds +10.1 % (+9.74 to +10.4 %), 95 % band, construction``."""
    low, high = bound(found.low, "no lower bound"), bound(found.high, "no upper bound")
    return (
        f"{found.metric} {found.middle:+.3g} {found.unit} ({low} to {high}), "
        f"95 % band, {found.validity_class}"
    )


def why_lines(told: Explanation) -> list[str]:
    """Return the sentences, and what none of them claims."""
    sentences = list(told.why) or ["The aggregator gives no reason."]
    return [*sentences, "", CORRELATION] if told.verdict is not None else sentences


def parts_table(parts: Sequence[Part], now: float, zone: tzinfo | None) -> list[str]:
    """Return a line for each part, strongest first, its columns one below the other."""
    strongest = sorted(parts, key=lambda part: -part.log_m if part.log_m == part.log_m else 0.0)
    rows = [
        (
            part.metric,
            part.channel,
            evidence(part.log_m),
            f"{part.rung} s",
            f"{part.weight:.2f}",
            moment(part.since, now, zone),
            part.validity_class + (f": {part.reason}" if part.reason else ""),
        )
        for part in strongest
    ]
    titles = ("metric", "channel", "evidence", "block", "weight", "since", "class")
    return aligned([titles, *rows]) if rows else []


def audit_lines(audit: Sequence[AuditLine], zone: tzinfo | None) -> list[str]:
    """Return a line for each record."""
    return [f"{full_moment(line.at, zone)}  {line.kind}  {line.text}" for line in audit]


def raw_lines(ticks: RawTicks, width: int) -> list[str]:
    """Return a row of blocks for each metric, between its least and its largest reading."""
    if not ticks.at.size or not ticks.metrics:
        return ["its host keeps none"]
    lines = []
    for index, metric in enumerate(ticks.metrics):
        values = ticks.values[:, index]
        known = values[np.isfinite(values)]
        span = f"{known.min():.4g} to {known.max():.4g}" if known.size else "none read"
        lines.append((metric, span, sparkline(values, width)))
    span = age(float(ticks.at[-1] - ticks.at[0]))
    return [*aligned(lines), f"{number(ticks.at.size)} ticks over {span}"]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose cells begin one below the other."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _verdict(node: str, view: View | None, told: Explanation | None) -> Verdict | None:
    """Return the open verdict of ``node``: the view is newer than the answer."""
    if view is not None:
        return next((v for v in view.open if v.node == node), None)
    return told.verdict if told is not None else None


def _state(node: str, view: View | None) -> str:
    """Return what the shard does, when that is why nothing is open."""
    rows = view.layout.rows if view is not None else ()
    row = next((i for i, r in enumerate(rows) if r.id == node), None)
    if view is None or row is None or row >= view.layout.shards:
        return ""
    state = int(view.state[row])
    if state == State.LEARNING:
        return f"   learning ({view.learned[row]} of {LEARNS_BLOCKS})"
    words = {State.ALONE: "alone: fewer than three peers"}
    return f"   {words.get(State(state), State(state).name.lower())}" if state in set(State) else ""


def _group(told: Explanation) -> str:
    return f"   group {told.group}, {number(told.members)} members" if told.group else ""
