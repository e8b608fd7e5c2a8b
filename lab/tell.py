"""Tell what a replay found, as JSON lines for programs and as plain lines for people.

Apart from playing, because these shapes are a promise to whoever reads them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from math import isfinite, isnan

from ..aggregator.decide.lives import Effect
from ..aggregator.decide.transition import Transition
from ..aggregator.plan.abstain import Abstention
from .score import Score

MARKS = {"controlled": "!", "ranked": "?"}


def transition_json(transition: Transition) -> str:
    """Return one line of JSON for a transition; numbers have at most six digits."""
    return _line(
        type="verdict",
        transition=transition.transition,
        node=transition.node,
        level=transition.level,
        channel=transition.channel,
        family=transition.family,
        guarantee=transition.guarantee,
        validity_class=transition.validity_class,
        log_e=_number(transition.log_e),
        tick=_number(transition.at),
        since_tick=_number(transition.since),
        metrics=list(transition.metrics),
        reason=transition.reason,
        **_effect(transition.effect),
        correlational_not_causal=True,
    )


def _effect(effect: Effect | None) -> dict[str, object]:
    """Return the effect of a verdict under its name, nothing where none is known."""
    if effect is None:
        return {}
    low, middle, high = (_number(v) for v in (effect.low, effect.middle, effect.high))
    about = {"unit": effect.unit, "metric": effect.metric, "class": effect.validity_class}
    return {"effect": {"low": low, "middle": middle, "high": high, **about}}


def score_json(score: Score) -> str:
    """Return one line of JSON for a score."""
    delays = {node: _number(delay) for node, delay in score.found.items()}
    return _line(type="score", found=delays, missed=list(score.missed), false=list(score.false))


def summary_json(
    still_open: Sequence[str],
    abstained: Sequence[Abstention],
    *,
    shards: int,
    ticks: int,
    seconds: float,
) -> str:
    """Return the last line of JSON: who is open, who abstained and why, how much was played."""
    silent = [{"scope": a.scope, "channel": a.channel, "reason": a.reason} for a in abstained]
    return _line(
        type="summary",
        open=list(still_open),
        abstained=silent,
        shards=shards,
        ticks=ticks,
        seconds=_number(seconds),
    )


def transition_text(transition: Transition) -> str:
    """Return one line for a person."""
    since = "" if isnan(transition.since) else f" (since {transition.since:g})"
    return (
        f"{transition.at:>9g}{since}  {MARKS[transition.guarantee]} {transition.transition} "
        f"{transition.level} {transition.node}: {transition.reason}{_how_much(transition.effect)}"
    )


def _how_much(effect: Effect | None) -> str:
    """Return the effect in words, "" while it has no bounds."""
    if effect is None or not (isfinite(effect.low) and isfinite(effect.high)):
        return ""
    band = f"{effect.low:+.3g} to {effect.high:+.3g} {effect.unit}"
    return f"; {effect.metric} {effect.middle:+.3g} {effect.unit} (95 % band {band})"


def score_text(score: Score) -> str:
    """Return lines for a person."""
    found = ", ".join(f"{node} after {delay:g} s" for node, delay in score.found.items())
    return "\n".join(
        [
            f"found   {found or 'nobody'}",
            f"missed  {', '.join(score.missed) or 'nobody'}",
            f"false   {', '.join(score.false) or 'nobody'}",
        ]
    )


def summary_text(
    still_open: Sequence[str],
    abstained: Sequence[Abstention],
    *,
    shards: int,
    ticks: int,
    seconds: float,
) -> str:
    """Return lines for a person: the same as the summary in JSON, abstentions counted."""
    lines = [f"played  {seconds:g} s, {ticks} ticks of {shards} shards"]
    for (channel, reason), count in Counter((a.channel, a.reason) for a in abstained).items():
        lines.append(f"silent  {channel}: {reason}" + (f" ({count} groups)" if count > 1 else ""))
    lines.append(f"open    {', '.join(still_open) or 'nobody'}")
    return "\n".join(lines)


def _line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False)


def _number(value: float) -> float | int | None:
    """Return ``value`` with six digits, whole numbers as integers, what is none as null."""
    if not isfinite(value):
        return None
    short = float(f"{value:.6g}") if abs(value) < 1e6 else round(value, 3)  # noqa: PLR2004 - times
    return int(short) if short.is_integer() else short
