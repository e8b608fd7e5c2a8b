"""Write what was counted: a page for people, and the same numbers as a table for programs.

Apart from counting, because a target that was missed must stand out here, and nowhere be hidden.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from math import isnan

from .count import Count, text_of

FAMILIES = {
    "change": """The change channel alone, 64 shards a fleet unless K says otherwise. Each stream
learns for 200 blocks, bets in a first epoch until 400 scores tell κ and κ_i, and then in a second
one of H = 500 blocks unless H says otherwise, all of it watched. *power*: every shard in turn
shifted by 4 of its own sd while all others stay healthy, watched for 400 blocks. The random walk
must not be believed; a fleet of 64 has few windows to see it by, a pool of 1,024 has enough.""",
    "level": """The level channel and its plan: reviews, widening, longer blocks, abstention; margin
5 %, K = 64, 4,500 ticks. *power*: one shard of each group stands from tick 2,500 on two sd of a
tick beyond the margin.""",
    "siblings": "Seven healthy shards beside an ill one.",
    "freeze": "The onset mixture with d = 0 on fair scores, 500 blocks: freezing by schedule is"
    " harmless, dropping blocks after a look at them must break the guarantee.",
    "lists": """1,024 shards, 1–5 % of them ill by 2 sd, 10 % healthy with evidence that grows by
half a nat a block and is not controlled; lists on A(max M), q = 0.1, printed every five blocks for
300; the change part alone, at weight 1, class construction given.""",
    "oracle": """One stream in white noise against the two-sided CUSUM that knows shift, sign and
common mode, tuned to 1 % false alarms in H; ours crosses M ≥ 100.
The multiples are of medians interpolated within their block.""",
    "speed": """Both rungs (5 and 30 ticks) after 3,000 blocks of their own, every shard shifted in
turn at any place in a slow block, watched for 5,400 ticks. *alone*: M ≥ 640, H = 2,000 and 4,500
ticks. *shipped*: channel ½, rung ½, metric 1/12, H = 7 days, N/q = 114,000. Never found = ∞.
Targets: of the shipped weights those of the issue, of the others 1.25 × of statistics.md G7, which
was measured without unequal loadings.""",
    "system": """Agents and aggregator in lock step: 64 shards with one metric, AR(0.9), loadings
±40 %, static spread 3 %, eight shared steps and fifteen shocks in each 2,500 ticks, blocks and
weights as shipped, H the run's length. *null*: healthy for 2,500 ticks; a stream is shard × metric
× rung. *power*: 6,500 ticks, one shard shifted by +4 marginal sd from tick 5,000; *exactly* means
that nothing else opened at any time.""",
}

COLUMNS = (
    *("family", "cell", "kind", "fleets", "counted", "unit"),
    *("value", "low", "high", "sign", "target", "met"),
)

INTRODUCTION = """# Calibration

Written by `make calibrate`; the numbers are also in [calibration.csv](calibration.csv). The grid of
{cells} cells was fixed before the first fleet was played; seeds are hashed from
`{prefix}-FAMILY-CELL-KIND-PART`. Intervals of 95 % are clustered by fleet. Own noise AR(1) at
ticks, exact in its block means, in units of a tick's marginal sd, under a common mode of a random
walk (0.15 a block), eight steps (sd 5) and fifteen shocks (sd 10) in a thousand blocks, and a wave
of amplitude 2. Every null has its power: the same fleets with something to find.

{reduced}{targets} numbers have a target: {met} meet it.{missed}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one cell of a family, from so many ``fleets``."""

    family: str
    cell: str
    kind: str
    fleets: int
    count: Count


def page(rows: Sequence[Row], prefix: str, reduced: Sequence[str] = ()) -> str:
    """Return the page of ``rows`` in Markdown, family by family.

    ``reduced`` are the families of which fewer fleets were played than planned.
    """
    asked = [row for row in rows if row.count.target is not None]
    missed = [row for row in asked if not row.count.met]
    cells = len({(r.family, r.cell, r.kind) for r in rows})
    text = INTRODUCTION.format(
        cells=cells,
        prefix=prefix,
        reduced=_reduced(reduced),
        targets=len(asked),
        met=len(asked) - len(missed),
        missed=_missed(missed),
    )
    for family, words in FAMILIES.items():
        mine = [row for row in rows if row.family == family]
        if mine:
            text += f"\n## {family}\n\n{words}\n\n{table(mine)}\n"
    return text


def table(rows: Sequence[Row]) -> str:
    """Return ``rows`` as a table in Markdown."""
    lines = [
        "| cell | kind | fleets | counted | value | 95 % | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        count = row.count
        numbers = (count.value, count.low, count.high, count.target)
        value, low, high, target = (text_of(v, share=count.share) for v in numbers)
        asked = f"{'≤' if count.at_most else '≥'} {target}" if count.target is not None else "–"
        words = (row.cell, row.kind, row.fleets, count.what, value)
        line = (*words, f"{low} to {high}", asked, _verdict(count))
        lines.append("| " + " | ".join(map(str, line)) + " |")
    return "\n".join(lines)


def as_csv(rows: Sequence[Row]) -> str:
    """Return ``rows`` as comma-separated values, shares in [0, 1], six digits."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        count = row.count
        numbers = [f"{v:.6g}" for v in (count.value, count.low, count.high)]
        unit = "share" if count.share else "number"
        names = [row.family, row.cell, row.kind, row.fleets, count.what, unit]
        writer.writerow([*names, *numbers, *_against(count)])
    return out.getvalue()


def from_csv(text: str) -> list[Row]:
    """Return the rows that `as_csv` wrote; raise ``ValueError`` for another table."""
    lines = csv.reader(StringIO(text))
    if tuple(next(lines, ())) != COLUMNS:
        message = "no table of calibration: its columns are other ones"
        raise ValueError(message)
    rows = []
    for family, cell, kind, fleets, what, unit, value, low, high, sign, target, _met in lines:
        limit = float(target) if target else None
        numbers = float(value), float(low), float(high), limit
        count = Count(what, *numbers, at_most=sign != ">=", share=unit == "share")
        rows.append(Row(family, cell, kind, int(fleets), count))
    return rows


def _against(count: Count) -> list[str]:
    """Return sign, target and whether it is met, or nothing thrice."""
    if count.target is None:
        return ["", "", ""]
    return ["<=" if count.at_most else ">=", f"{count.target:.6g}", str(count.met).lower()]


def _verdict(count: Count) -> str:
    if count.target is None:
        return ""
    return "met" if count.met and not isnan(count.value) else "**missed**"


def _reduced(families: Sequence[str]) -> str:
    if not families:
        return ""
    return f"**A reduced run:** fewer fleets than planned in {', '.join(families)}.\n\n"


def _missed(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = [f"- {r.family}, {r.cell}: {r.count.what}" for r in rows]
    return " Missed:\n\n" + "\n".join(lines)
