"""Draw what was measured: who alarms falsely where, and what its calm costs in delay.

Apart, as the only file that imports matplotlib, which a development environment need not have.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .measure import Row
from .rival import LEVEL
from .streams import OURS

LEAST = 3e-4  # share at which "none" is drawn on a scale of logarithms
COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677")  # Tol's bright scheme
MARKS = ("o", "s", "^", "D", "X")
SHARES = {LEAST: "none", 0.001: "0.1 %", 0.01: "1 %", 0.1: "10 %", 1.0: "100 %"}
# Text stays text, and the same numbers make the same bytes.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "tessera", "font.size": 9.0}


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Write both plots of ``rows`` into ``folder``."""
    with mpl.rc_context(STYLE):
        for name, figure in (("alarms", _alarms(rows)), ("delay", _delay(rows))):
            figure.savefig(folder / f"comparison-{name}.svg", metadata={"Date": None})


def _alarms(rows: Sequence[Row]) -> Figure:
    figure, axes = _sheet(8.0, 0.28 * len(rows) + 1.2)
    for number, cell in enumerate(rows[0].false):
        shares = [max(LEAST, row.false[cell].value) for row in rows]
        places = [at + 0.12 * (number - 2) for at in range(len(rows))]
        axes.scatter(shares, places, s=26, c=COLOURS[number], marker=MARKS[number], label=cell)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks(list(SHARES), list(SHARES.values()))
    axes.axvline(LEVEL, color="black", linewidth=0.8)
    axes.set_xlabel("healthy streams that ever alarm in 1,000 blocks")
    axes.grid(visible=True, axis="y", linewidth=0.3)
    figure.legend(loc="outside upper center", ncols=len(rows[0].false), frameon=False)
    return figure


def _delay(rows: Sequence[Row]) -> Figure:
    figure, axes = _sheet(8.0, 5.0)
    for row in rows:
        if row.delay.value == float("inf"):
            continue
        x, y = row.delay.value, max(LEAST, row.worst)
        axes.plot([row.delay.low, row.delay.high], [y, y], color="#bbbbbb", linewidth=2.0)
        axes.scatter([x], [y], c=COLOURS[4] if row.rival.name == OURS else COLOURS[0], zorder=3)
        axes.annotate(_name(row), (x, y), (4.0, 4.0), textcoords="offset points")
    axes.set_yscale("log")
    axes.set_yticks(list(SHARES), list(SHARES.values()))
    axes.axhline(LEVEL, color="black", linewidth=0.8)
    axes.set_xlabel("median blocks to find a shift by one sd, iid")
    axes.set_ylabel("false alarms in its worst cell")
    return figure


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _name(row: Row) -> str:
    told = row.rival.rule in ("tuned", "as it is") or row.rival.name.startswith("ours")
    return row.rival.name if told else f"{row.rival.name}, {row.rival.rule.split(',')[0]}"
