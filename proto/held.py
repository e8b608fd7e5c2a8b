"""Open verdicts on the wire, both ways: which rows are held, and how their verdicts go on.

Apart from encoding and decoding, because one small list in the plan has its answer in another one
in UP2, and both are told by row. What comes in is checked here; it raises ``BadMessage``.
"""

from collections.abc import Collection, Iterable, Mapping
from math import isinf, isnan, nan
from typing import Final, Literal

import numpy as np

from . import refuse
from .messages import Held, HeldNote
from .pack import BadMessage, floored
from .schema import ingest

MOST_TURNS: Final = 1_000_000  # of a verdict: more is no evidence
LONGEST: Final = 1e9  # seconds


def held(rows: Mapping[str, Held], shards: Collection[str]) -> list[ingest.Held]:
    """Return those of the held ``rows`` that are ``shards`` of the receiver, as they travel."""
    return [
        ingest.Held(
            shard=shard,
            verdict=rows[shard].verdict,
            since_seconds=rows[shard].since,
            channel=rows[shard].channel,
            metric=rows[shard].metric,
            rung=rows[shard].rung,
            opened=rows[shard].opened,
        )
        for shard in shards
        if shard in rows
    ]


def notes(found: Iterable[HeldNote]) -> list[ingest.HeldNote]:
    """Return how verdicts go on, as it travels; evidence is rounded down."""
    return [
        ingest.HeldNote(
            row=note.row,
            verdict=note.verdict,
            turns=note.turns,
            lasted_seconds=note.lasted,
            log_m=note.log_m,
            low=note.low,
            middle=note.middle,
            high=note.high,
        )
        for note in found
    ]


def held_rows(message: ingest.Plan) -> dict[str, Held]:
    """Return the rows that a plan holds, by shard; each is one of the plan's own."""
    known = {row.shard for row in message.shards}
    refuse.each_once((row.shard for row in message.held), ("Plan", "held"))
    for row in message.held:
        if row.shard not in known:
            raise BadMessage(("Held", "shard"), f"{row.shard!r:.60} is not of the plan")
    return {row.shard: _held(row) for row in message.held}


def told(message: ingest.Up2, shards: int) -> tuple[HeldNote, ...]:
    """Return how the verdicts of a host's ``shards`` go on, each told once."""
    refuse.each_once((note.row for note in message.held), ("Up2", "held"))
    return tuple(_note(note, shards) for note in message.held)


def rounded_down(log_m: float) -> float:
    """Return ``log_m`` as float32 holds it, never more."""
    return float(floored(np.array([log_m]), np.float32)[0])


def _held(row: ingest.Held) -> Held:
    rung = refuse.rung(row.rung, ("Held", "rung"))
    since = refuse.number(
        row.since_seconds, ("Held", "since_seconds"), -LONGEST, refuse.LAST_SECOND, unknown=True
    )
    return Held(
        verdict=refuse.whole(row.verdict, ("Held", "verdict")),
        since=nan if isnan(since) else since,
        channel=_channel(row.channel),
        metric=refuse.text(row.metric, ("Held", "metric")),
        rung=rung,
        opened=refuse.block(row.opened, rung, ("Held", "opened")),
    )


def _refuse_no_band(low: float, middle: float, high: float) -> None:
    """Raise ``BadMessage`` unless the three are in order, the middle finite, or all are NaN."""
    in_order = low <= middle <= high and not isinf(middle)
    if not in_order and not (isnan(low) and isnan(middle) and isnan(high)):
        raise BadMessage(("HeldNote", "middle"), f"({low:g}, {middle:g}, {high:g}) is no band")


def _channel(word: str) -> Literal["change", "level"]:
    if word not in {"change", "level"}:
        raise BadMessage(("Held", "channel"), f"{word!r:.40} is neither change nor level")
    return "level" if word == "level" else "change"


def _note(note: ingest.HeldNote, shards: int) -> HeldNote:
    where = ("HeldNote", "row")
    if note.row >= shards:
        raise BadMessage(where, f"{note.row} is none of {shards} shards")
    if note.turns > MOST_TURNS:
        raise BadMessage(("HeldNote", "turns"), f"is {note.turns}")
    _refuse_no_band(note.low, note.middle, note.high)
    return HeldNote(
        row=note.row,
        verdict=refuse.whole(note.verdict, ("HeldNote", "verdict")),
        turns=note.turns,
        lasted=refuse.number(note.lasted_seconds, ("HeldNote", "lasted_seconds"), 0.0, LONGEST),
        log_m=refuse.number(note.log_m, ("HeldNote", "log_m"), -float("inf"), refuse.MOST_EVIDENCE),
        low=note.low,
        middle=note.middle,
        high=note.high,
    )
