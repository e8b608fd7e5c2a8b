"""Draw what was measured: who alarms falsely where, and what its calm costs in delay.

Apart, as the only file that imports matplotlib, which a development environment need not have.
"""

# matplotlib is not installed where the code is checked; mypy is told so in pyproject.toml.
# pyright: reportMissingImports=false

from collections.abc import Sequence
from math import inf
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measure import Row
from .rival import LEVEL

LEAST = 3e-4  # share at which "none" is drawn on a scale of logarithms
# Tol's bright scheme, and a mark for each, for those who see no colours
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#aa3377", "#ee6677")
MARKS = ("o", "s", "^", "D", "v", "X")
SHARES = {LEAST: "none", 0.001: "0.1 %", 0.01: "1 %", 0.1: "10 %", 1.0: "100 %"}


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Write both plots of ``rows`` into ``folder``."""
    # Text stays text, and the same numbers make the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tessera", "font.size": 9.0}):
        for name, figure in (("alarms", _alarms(rows)), ("delay", _delay(rows))):
            figure.savefig(folder / f"comparison-{name}.svg", metadata={"Date": None})


def _alarms(rows: Sequence[Row]) -> Figure:
    """Draw the share of healthy streams that each detector alarms on, cell by cell."""
    figure, axes = _sheet(rows)
    for number, cell in enumerate(rows[0].false):
        shares = [max(LEAST, row.false[cell].value) for row in rows]
        places = [at + 0.12 * (number - 2.5) for at in range(len(rows))]
        axes.scatter(
            shares, places, s=22, c=COLOURS[number], marker=MARKS[number], label=cell, zorder=3
        )
    axes.set_xscale("log")
    axes.set_xticks(list(SHARES), list(SHARES.values()))
    axes.axvline(LEVEL, color="black", linewidth=0.8)
    axes.set_xlabel("healthy streams that ever alarm in 1,000 blocks; the line is 1 %")
    figure.legend(loc="outside upper center", ncols=len(rows[0].false), frameon=False)
    return figure


def _delay(rows: Sequence[Row]) -> Figure:
    """Draw the median delay and its interval; hollow = alarms falsely on over 2 % somewhere."""
    figure, axes = _sheet(rows)
    for at, row in enumerate(rows):
        if row.delay.value == inf:
            axes.text(1.0, at, "fewer than half are found", verticalalignment="center")
            continue
        axes.plot([row.delay.low, row.delay.high], [at, at], color="#999999", linewidth=2.5)
        face = COLOURS[0] if row.calm else "white"
        axes.scatter([row.delay.value], [at], c=face, edgecolors=COLOURS[0], zorder=3)
    axes.set_xlim(left=0.0)
    axes.set_xlabel(
        "median blocks to find a shift by one sd in iid noise\n"
        "filled: at most 2 % false alarms in every cell"
    )
    return figure


def _sheet(rows: Sequence[Row]) -> tuple[Figure, Axes]:
    """Return an empty sheet with a line for each of the ``rows``, the first on top."""
    figure = Figure(figsize=(8.0, 0.3 * len(rows) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=True, axis="y", linewidth=0.3)
    return figure, axes


def _name(row: Row) -> str:
    plain = row.rival.name.startswith("ours")
    return row.rival.name if plain else f"{row.rival.name}, {row.rival.rule.split(',')[0]}"
