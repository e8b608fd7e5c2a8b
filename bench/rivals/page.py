"""Write what was measured as the page docs/comparison.md.

Apart from measuring, because what was not compared on equal footing must be said beside the table.
"""

from collections.abc import Sequence

from tessera.lab.cells.count import Count, text_of

from .measure import Row
from .streams import OURS

INTRODUCTION = """# Comparison with other detectors

Written by `make compare`. Every detector sees the same {fleets} fleets of 64 shards in each cell:
1,000 healthy blocks to learn from, then 1,000 that are watched. All fleets share a harsh common
mode (the one of [calibration.md](calibration.md)). What has to be tuned is tuned to false alarms
on 1 % of healthy iid streams, on {fleets} other fleets; seeds are hashed from
`{prefix}-tuning`, `{prefix}-null-CELL` and `{prefix}-power`. Intervals of 95 % are clustered by
fleet. A false alarm is a healthy stream that ever alarms. The delay is the median over streams, in
blocks, after a shift by one sd of own noise in iid streams, each shard shifted as if it alone were;
an alarm before the shift counts as never found.
"""

FOOTING = """
## What was equal and what was not

- All but the rows *without peers* and *on our scores* read the same number: a shard's value less
  the exact median of its 63 peers, in units of its own baseline. None is made to read raw
  telemetry.
- Blocks are of 30 ticks wherever the noise has memory, one length for all: about 3 τ at AR .9,
  which a chart can bear, and a third of τ at AR .99. We would choose longer blocks there, and so
  should anyone who runs a chart.
- Ours and the betting e-process are not tuned: they alarm at M ≥ 100, which promises 1 % before
  any stream is seen. Ours keeps below its level, and pays for that in delay; where its interval is
  wide, many streams of a few fleets alarm together.
- In *ours*, d = 0.1 is the product's change channel with all its calibration; d = 0 makes the same
  bets without the deadband. A stream counts whatever its validity class; *while believed* counts it
  only while calibration leaves it a class by which the product may open a verdict. *Without peers*
  is the same machine told that its peers stand at 0; what it "finds" is mostly what it also alarms
  on in health.
- *On our scores* is the fair fight: the charts get the recursive residuals, pooled φ, κ and ranks
  on which our own bets are made, and bars tuned on such scores.
- *similarity* is our simplification of one idea, distance to the peers in four windows in a row.
  The published system (Minder) learns its distance with a neural network from many metrics; it was
  not run, and this row says nothing about it.
- *betting* has the mean and deviation of 1,000 blocks plugged in, as its formula has it, and its
  whitening a lag coefficient that each stream estimates alone.
- CUSUM's slack is set for a shift by exactly one sd, the one that comes; nobody else is told.
- River's detectors run in Python, stream by stream, and see 8 shards of each fleet (KSWIN one);
  their intervals show it. ADWIN and PageHinkley were tuned on a grid of settings. KSWIN was not, at
  a third of a second a stream; α = 1e-4 is a guess at what is calm.
- Synthetic noise only, and one kind of fault. A detector that is not here may do better.
"""

JUDGEMENT = """
What keeps the peace is the preparation: peers at the same instant, recursive residuals, pooled
memory, κ_i, ranks. On the plain contrast no detector here is calm; on our scores the tuned charts
nearly are, in every cell, and they are faster than our own evidence by a third. Whoever watches
few streams, has healthy ones like them to tune on and asks for no more should run that CUSUM.
What the e-process adds, and what a third of the delay pays for, is a statement: a bar that needs no
healthy streams, that holds whenever one looks, and evidence that may be averaged over metrics and
listed over thousands of shards under one false discovery rate.
"""


def page(rows: Sequence[Row], fleets: int, prefix: str) -> str:
    """Return the page of ``rows`` in Markdown."""
    text = INTRODUCTION.format(fleets=fleets, prefix=prefix)
    text += f"\n{table(rows)}\n"
    text += (
        "\n![Share of healthy streams alarmed on, by detector](comparison-alarms.svg)\n"
        "\n![Median delay of a shift by one sd, by detector](comparison-delay.svg)\n"
    )
    return text + FOOTING + conclusion(rows)


def table(rows: Sequence[Row]) -> str:
    """Return ``rows`` as a table in Markdown, with intervals."""
    cells = list(rows[0].false)
    head = ["detector", "bar", *cells, "delay", "found"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        numbers = [*(row.false[cell] for cell in cells), row.delay, row.found]
        lines.append(_line([row.rival.name, row.rival.rule, *map(_words, numbers)]))
    return "\n".join(lines)


def conclusion(rows: Sequence[Row]) -> str:
    """Return what follows from ``rows``, as far as the numbers themselves say it.

    Raises ``ValueError`` if our own row is missing.
    """
    mine = next((row for row in rows if row.rival.name == OURS), None)
    if mine is None:
        message = f"there is no row of {OURS!r}: nothing can be compared with it"
        raise ValueError(message)
    iid = next(iter(mine.false))
    before = [r for r in rows if r.delay.value < mine.delay.value and iid not in r.loud]
    found = "".join(f"  - {_named(r)}: {_plain(r.delay)} blocks, {_temper(r)}\n" for r in before)
    return (
        f"\n## What to conclude\n\n- {OURS}: {_plain(mine.delay)} blocks, {_temper(mine)}\n"
        f"- faster, of all with at most 2 % false alarms in {iid}:\n"
        f"{found or '  - none'}{JUDGEMENT}"
    )


def _temper(row: Row) -> str:
    """Return in words where ``row`` alarms on more than 2 % of healthy streams."""
    cells = [f"{_percent(share)} in {cell}" for cell, share in row.loud.items()]
    return f"not calm: {', '.join(cells)}" if cells else "calm in every cell (at most 2 %)"


def _named(row: Row) -> str:
    return f"{row.rival.name} ({row.rival.rule})"


def _words(count: Count) -> str:
    low, high = (_value(v, share=count.share) for v in (count.low, count.high))
    return f"{_value(count.value, share=count.share)} ({low}–{high})"


def _value(value: float, *, share: bool) -> str:
    return text_of(round(value, 4 if share else 1), share=share).replace(" %", "%")


def _plain(count: Count) -> str:
    return text_of(count.value, share=False)


def _percent(share: float) -> str:
    return text_of(round(share, 4), share=True)


def _line(words: Sequence[str]) -> str:
    return "| " + " | ".join(words) + " |"
