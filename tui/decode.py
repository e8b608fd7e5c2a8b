"""From the console's messages to what the terminal holds, checked on the way.

Apart from the client, because translation needs no connection.
"""

from dataclasses import replace
from math import isfinite

import numpy as np

from ..proto.schema import console
from .answers import AuditLine, Explanation, History, Part, RawTicks
from .view import (
    NO_LAYOUT,
    Bytes,
    Effect,
    Float32s,
    Host,
    Ints,
    Layout,
    Row,
    State,
    Verdict,
    View,
)

NANOSECONDS = 1e9
DEEPEST = 32  # levels of a fleet
# A control character would move the cursor of whoever prints it.
_UNTELLABLE = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), "�")


class BadAnswer(ValueError):  # noqa: N818  the name says it: an answer that cannot be shown
    """A message that contradicts itself: the field, and what is wrong with it."""

    def __init__(self, *, field: str, what: str) -> None:
        """Keep both as one line."""
        super().__init__(f"{field}: {what}")


def view(message: console.View, known: Layout, received: float) -> View:
    """Return a view; ``known`` is the layout that the reader has, ``received`` monotonic seconds.

    Raise ``BadAnswer`` where lengths do not fit the layout or the layout is not known.
    """
    rows = layout(message.layout) if message.HasField("layout") else known
    if message.layout_version != rows.version:
        raise BadAnswer(
            field="layout", what=f"{message.layout_version} was not sent, {rows.version} is known"
        )
    state, log_e, learned = _standing(message, rows)
    return View(
        at=_seconds(message.at_ns),
        received=received,
        sequence=message.sequence,
        cluster=_line(message.cluster),
        clock=_line(message.clock),
        layout=rows,
        state=state,
        log_e=log_e,
        learned=learned,
        open=tuple(verdict(each) for each in message.open),
        hosts=tuple(
            Host(_line(h.name), h.heard_seconds, h.silent, h.shards) for h in message.hosts
        ),
        q=message.q,
        hypotheses=message.hypotheses,
        plan=message.plan,
        decided=_seconds(message.decided_ns),
        waiting_hosts=message.waiting_hosts,
        notice=_line(message.notice),
    )


def _standing(message: console.View, rows: Layout) -> tuple[Bytes, Float32s, Bytes]:
    """Return what rows and shards do; before anything is known of a fleet all of it learns."""
    count = len(rows.rows)
    if not (message.state or message.log_e or message.learned):
        states = np.full(count, State.LEARNING, dtype=np.uint8)
        return states, np.full(count, np.nan, np.float32), np.zeros(rows.shards, np.uint8)
    return (
        np.frombuffer(_sized(message.state, count, "state"), np.uint8),
        np.frombuffer(_sized(message.log_e, 2 * count, "log_e"), "<f2").astype(np.float32),
        np.frombuffer(_sized(message.learned, rows.shards, "learned"), np.uint8),
    )


def layout(message: console.Layout) -> Layout:
    """Return the rows of a fleet; raise ``BadAnswer`` if they do not form trees."""
    count = len(message.rows)
    if message.shards > count:
        raise BadAnswer(field="layout.shards", what=f"{message.shards} of {count} rows")
    parents = np.array([row.parent for row in message.rows], dtype=np.int64) - 1
    if np.any(parents >= count):
        raise BadAnswer(field="layout.rows.parent", what="points behind the last row")
    _refuse_circles(parents)
    rows = tuple(
        Row(_line(row.id), _line(row.kind), int(parent), _line(row.host))
        for row, parent in zip(message.rows, parents, strict=True)
    )
    return replace(NO_LAYOUT, version=message.version, shards=message.shards, rows=rows)


def verdict(message: console.Verdict) -> Verdict:
    """Return an open verdict."""
    return Verdict(
        id=_line(message.id),
        node=_line(message.node),
        level=_line(message.level),
        channel=_line(message.channel),
        guarantee=_line(message.guarantee),
        validity_class=_line(message.validity_class),
        log_e=message.log_e,
        opened=_seconds(message.opened_ns),
        since=_seconds(message.since_ns),
        metrics=tuple(_line(metric) for metric in message.metrics),
        reason=_line(message.reason),
        state=_line(message.state),
        owner=_line(message.owner),
        correlational_not_causal=message.correlational_not_causal,
        family=_line(message.family),
        turned=_seconds(message.state_since_ns),
        effect=_effect(message.effect) if message.HasField("effect") else None,
    )


def _effect(message: console.Effect) -> Effect | None:
    """Return an effect, None where nothing was seen yet."""
    if not isfinite(message.middle):
        return None
    return Effect(
        low=message.low,
        middle=message.middle,
        high=message.high,
        unit=_line(message.unit),
        metric=_line(message.metric),
        validity_class=_line(message.validity_class),
    )


def explanation(message: console.Explanation) -> Explanation:
    """Return why a node has a verdict or has none."""
    return Explanation(
        node=_line(message.node),
        kind=_line(message.kind),
        path=tuple(_line(node) for node in message.path),
        group=_line(message.group),
        members=message.members,
        parts=tuple(
            Part(
                channel=_line(part.channel),
                metric=_line(part.metric),
                rung=part.rung,
                log_m=part.log_m,
                weight=part.weight,
                validity_class=_line(part.validity_class),
                since=_seconds(part.since_ns),
                reason=_line(part.reason),
                family=_line(part.family),
            )
            for part in message.parts
        ),
        why=tuple(_line(sentence) for sentence in message.why),
        audit=tuple(
            AuditLine(_seconds(line.at_ns), _line(line.kind), _line(line.text))
            for line in message.audit
        ),
        verdict=verdict(message.verdict) if message.HasField("verdict") else None,
    )


def history(message: console.HistoryReply) -> History:
    """Return a node's evidence over time; raise ``BadAnswer`` if the two axes differ."""
    at = np.array(message.at, dtype=np.float64)
    log_e = np.array(message.log_e, dtype=np.float32)
    if at.shape != log_e.shape:
        raise BadAnswer(field="history", what=f"{len(at)} times of {len(log_e)} values")
    return History(_line(message.node), at, log_e, message.threshold)


def raw_ticks(message: console.RawTicksReply) -> RawTicks:
    """Return a shard's readings; raise ``BadAnswer`` if their number does not fit."""
    metrics = tuple(_line(metric) for metric in message.metrics)
    at = np.array(message.at, dtype=np.float64)
    values = np.array(message.values, dtype=np.float32)
    if values.size != at.size * len(metrics):
        raise BadAnswer(
            field="raw ticks", what=f"{values.size} values of {at.size} x {len(metrics)}"
        )
    return RawTicks(_line(message.shard), metrics, at, values.reshape(at.size, len(metrics)))


def _line(text: str) -> str:
    """Return ``text`` without what would move a terminal's cursor."""
    return text.translate(_UNTELLABLE)


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / NANOSECONDS if nanoseconds else float("nan")


def _sized(data: bytes, length: int, field: str) -> bytes:
    if len(data) != length:
        raise BadAnswer(field=field, what=f"{len(data)} bytes for {length}")
    return data


def _refuse_circles(parents: Ints) -> None:
    """Raise ``BadAnswer`` unless each row reaches a root within ``DEEPEST`` steps."""
    here = parents
    for _ in range(DEEPEST):
        here = here[here >= 0]
        if not here.size:
            return
        here = parents[here]
    raise BadAnswer(field="layout.rows.parent", what="goes in a circle")
