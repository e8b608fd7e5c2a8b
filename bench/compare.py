"""Compare other detectors with ours on the same streams; rewrite docs/comparison.md and its plots.

Apart from the rivals, which neither read arguments nor write files.
Run as ``python bench/compare.py``; river and matplotlib come with the group `compare`.
"""

import sys
from pathlib import Path

import click
from rivals.draw import draw
from rivals.field import classical, on_our_scores, ours
from rivals.measure import measured
from rivals.page import page
from rivals.stock import from_river

FLEETS = 60  # of each cell, and of the tuning


@click.command()
@click.option("--fleets", type=click.IntRange(min=2), default=FLEETS, show_default=True)
@click.option("--seed-prefix", default="compare", show_default=True, help="hashed into each seed")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("docs"),
    show_default=True,
    help="folder of comparison.md and its plots",
)
def compare(*, fleets: int, seed_prefix: str, out: Path) -> None:
    """Tune, watch, and write OUT/comparison.md with its plots."""
    rivals = [*ours(), *on_our_scores(), *classical(), *from_river()]
    rows = measured(rivals, fleets, seed_prefix, lambda line: print(line, file=sys.stderr))
    text = page(rows, fleets, seed_prefix)
    (out / "comparison.md").write_text(text, encoding="utf-8")
    draw(rows, out)
    print(text)


if __name__ == "__main__":
    compare()
