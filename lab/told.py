"""Tell what a learned baseline covers, as lines of a report.

Apart from the curation's own report, because a baseline is asked about long after it was made.
"""

from collections import Counter
from collections.abc import Iterator

from ..engine.evalue import Validity
from ..engine.moments import Tier
from ..proto.baseline_file import Baseline, Cell, blocks_of


def learned_lines(baseline: Baseline) -> list[str]:
    """Return a section of Markdown: its id, its cells, the tiers of its streams, who is left out.

    A stream's tier is told by the blocks in the counts of its ranks.
    """
    began, ended = baseline.window
    when = f"Learned from {baseline.source}, {began:g} to {ended:g} s"
    return [
        f"## Baseline {baseline.id}",
        "",
        f"{when}: {len(baseline.streams)} streams.",
        "",
        "| pool | metric | block s | φ | κ | K | class | tiers |",
        "|---|---|---:|---:|---:|---:|---|---|",
        *(_row(baseline, cell) for cell in baseline.cells),
        "",
        *(f"- left out: {shard}: {why}" for shard, why in baseline.left_out.items()),
        "",
    ]


def _row(baseline: Baseline, cell: Cell) -> str:
    phi = "learning" if cell.phi is None else f"{cell.phi:.3f}"
    kappa = "learning" if cell.kappa is None else f"{cell.kappa:.3f}"
    tiers = ", ".join(f"{count} {word}" for word, count in _tiers(baseline, cell)) or "none"
    word = Validity(cell.validity).word
    parts = (cell.pool, cell.metric, str(cell.rung), phi, kappa, str(cell.peers), word, tiers)
    return f"| {' | '.join(part.replace('|', '/') for part in parts)} |"


def _tiers(baseline: Baseline, cell: Cell) -> Iterator[tuple[str, int]]:
    total = blocks_of(baseline.columns)
    found = Counter(
        Tier.of(int(total[i])).word
        for i, s in enumerate(baseline.streams)
        if (s.metric, s.rung, f"sku={s.sku}") == (cell.metric, cell.rung, cell.pool)
    )
    yield from sorted(found.items())
