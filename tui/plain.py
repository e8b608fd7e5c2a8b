"""The picture as plain text, as one JSON object, and as an exit status.

Apart from the screens, because it needs no terminal: it is for pipes, checks and pagers.
"""

import json
from datetime import UTC, datetime, tzinfo
from math import isfinite

from .format import FIRST_DATE, age, counted, evidence, full_moment, joined, moment, number, percent
from .headline import waiting
from .marks import OF_KIND, glyph, worst_first
from .story import aligned
from .view import LEARNS_BLOCKS, Host, Verdict, View, count

QUIET, SUSPECT, FAULTY, UNKNOWN = 0, 1, 2, 3
LONGEST_LIST = 20  # silent hosts that are named


def summary(view: View, now: float, zone: tzinfo | None) -> str:
    """Return the summary for a person; ``now`` is Unix seconds by this machine's clock."""
    lines = [_first(view, now, zone)]
    if not view.layout.shards:
        lines.append(waiting(view))
    else:
        lines += _counts(view)
        lines += _verdicts(view, zone)
        lines += _silent(view)
    if view.notice:
        lines.append(view.notice)
    if view.open and view.q > 0:
        lines.append(
            f"controlled: FDR ≤ {percent(view.q)} this epoch over {number(view.hypotheses)} "
            "hypotheses; ranked: without that guarantee; all correlational, not causal"
        )
    return "\n".join(lines)


def as_json(view: View, now: float, *, ascii_only: bool = False) -> str:
    """Return one JSON object; times are RFC 3339 in UTC, seconds where a clock starts at zero."""
    counts = count(view)
    told = {
        "cluster": view.cluster,
        "clock": view.clock,
        "at": _time(view.at),
        "age_seconds": _number(_age(view, now)),
        "plan": view.plan,
        "q": view.q,
        "hypotheses": view.hypotheses,
        "decided": _time(view.decided),
        "waiting_hosts": view.waiting_hosts,
        "notice": view.notice,
        "shards": counts.shards,
        "controlled": counts.controlled,
        "ranked": counts.ranked,
        "facts": counts.facts,
        "learning": counts.learning,
        "learned_blocks": counts.least_learned,
        "abstained": counts.abstained,
        "silent": counts.silent,
        "frozen": counts.frozen,
        "gone": counts.gone,
        "open": [_verdict_json(verdict) for verdict in worst_first(view)],
        "silent_hosts": [
            {"host": host.name, "heard_seconds": _number(host.heard_seconds)}
            for host in view.hosts
            if host.silent
        ],
    }
    return json.dumps(told, ensure_ascii=ascii_only)


def status(view: View) -> int:
    """Return 0 for quiet, 1 for suspects only, 2 for a fault; 3 when there is no fleet to judge."""
    counts = count(view)
    if counts.controlled or counts.facts:
        return FAULTY
    if counts.ranked:
        return SUSPECT
    return QUIET if counts.shards else UNKNOWN


def _first(view: View, now: float, zone: tzinfo | None) -> str:
    """Return cluster, clock and time; only a live view has an age by this machine's clock."""
    name = view.cluster or "fleet"
    at = full_moment(view.at, zone)
    if view.clock == "live":
        return f"{name}  {at}, {age(_age(view, now))} ago"
    return f"{name}  {at} ({view.clock} clock)"


def _counts(view: View) -> list[str]:
    counts = count(view)
    learning = f"{number(counts.learning)} learning"
    if counts.learning:
        learning += f" ({counts.least_learned} of {LEARNS_BLOCKS})"
    facts = counted(counts.facts, "fact")
    others = (
        f"{number(counts.abstained)} abstained, {number(counts.silent)} silent, "
        f"{number(counts.frozen)} frozen, {number(counts.gone)} gone"
    )
    return [
        f"open    {counts.controlled} controlled, {counts.ranked} ranked, {facts}",
        f"shards  {number(counts.shards)}: {learning}, {others}",
    ]


def _verdicts(view: View, zone: tzinfo | None) -> list[str]:
    rows = []
    for verdict in worst_first(view):
        fact = verdict.kind == "fact"
        rows.append(
            (
                f"{glyph(OF_KIND[verdict.kind])} {verdict.level} {verdict.node}",
                verdict.channel,
                "" if fact else verdict.guarantee,
                "" if fact else evidence(verdict.log_e),
                f"since {moment(verdict.since, view.at, zone)} ({age(view.at - verdict.since)})",
                verdict.state + (f" @{verdict.owner}" if verdict.owner else ""),
                verdict.reason,
            )
        )
    return aligned(rows) if rows else []


def _silent(view: View) -> list[str]:
    silent = [host for host in view.hosts if host.silent]
    if not silent:
        return []
    named = [f"{host.name} ({_heard(host)})" for host in silent]
    return [f"silent  {joined(named, LONGEST_LIST)}"]


def _heard(host: Host) -> str:
    return age(host.heard_seconds) if isfinite(host.heard_seconds) else "never heard"


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    return {
        "id": verdict.id,
        "node": verdict.node,
        "level": verdict.level,
        "channel": verdict.channel,
        "family": verdict.family,
        "kind": verdict.kind,
        "guarantee": verdict.guarantee,
        "validity_class": verdict.validity_class,
        "log_e": _number(verdict.log_e),
        "opened": _time(verdict.opened),
        "since": _time(verdict.since),
        "metrics": list(verdict.metrics),
        "reason": verdict.reason,
        "state": verdict.state,
        "owner": verdict.owner,
        "correlational_not_causal": verdict.correlational_not_causal,
    }


def _age(view: View, now: float) -> float:
    """Return seconds since ``at``; NaN where that clock is not this machine's."""
    return max(0.0, now - view.at) if view.clock == "live" else float("nan")


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if isfinite(value) else None


def _time(at: float) -> str | float | None:
    if not isfinite(at):
        return None
    if at < FIRST_DATE:
        return at
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
