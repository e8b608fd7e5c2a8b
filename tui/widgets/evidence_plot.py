"""A node's evidence over time, with the bar that opens a verdict.

Apart, because it is the one place that knows the plotting library.
"""

from math import ceil, isfinite, log

import numpy as np
from rich.text import Text
from textual_plotext import PlotextPlot

from ..answers import History
from ..format import moment
from ..looks import Looks

LINE, BAR = "cyan", "red"
TICKS = 4  # on the axis of time
POWERS, ROWS = 5, 8  # named on the other, and how many names it has room for
_FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


class EvidencePlot(PlotextPlot):
    """Powers of ten over local time; gaps are where nothing was kept."""

    def __init__(self, looks: Looks) -> None:
        """Show an empty frame."""
        super().__init__()
        self._looks = looks
        self.border_title = "Evidence"

    def show(self, history: History) -> None:
        """Draw ``history``; values without an end are left out."""
        plot, looks = self.plt, self._looks
        plot.clear_figure()
        at, values = history.at, history.log_e.astype(np.float64) / log(10)
        bar = history.threshold / log(10)
        known = np.isfinite(values)
        for run in _runs(known):
            marker = "*" if looks.ascii_only else "hd"
            plot.plot(at[run].tolist(), values[run].tolist(), color=LINE, marker=marker)
        if isfinite(bar):
            plot.hline(bar, color=BAR)
        if known.any():
            top = max(float(values[known].max()), bar if isfinite(bar) else 0.0, 0.0)
            low, high = min(0.0, float(values[known].min())), 1.1 * top + 0.1
            plot.ylim(low, high)
            marked = _marked(low, high, bar)
            plot.yticks(marked, [f"{value:g}" for value in marked])
            ticks = np.linspace(at[0], at[-1], TICKS)
            names = [moment(float(tick), float(at[-1]), looks.zone) for tick in ticks]
            plot.xticks(ticks.tolist(), names)
        threshold = f" · the bar is 10^{bar:.1f}" if isfinite(bar) else ""
        empty = "" if known.any() else " · none kept yet"
        self.border_title = looks.say(f"Evidence (log10 e){threshold}{empty}")
        self.refresh()

    def render(self) -> Text:
        """Return the drawing in characters that the terminal has; without colours if it is old."""
        drawn = super().render()
        assert isinstance(drawn, Text)  # noqa: S101  that is how it draws
        if self._looks.ascii_only:
            drawn.plain = self._looks.say(drawn.plain.translate(_FRAME))
        return Text(drawn.plain) if self.screen.has_class("-dead") else drawn


def _marked(low: float, high: float, bar: float) -> list[float]:
    """Return the values that the axis names: whole powers of ten, and the bar in their midst."""
    step = max(1, ceil((high - low) / POWERS))
    near = (high - low) / ROWS
    whole = [float(power) for power in range(0, ceil(high), step)]
    if not isfinite(bar):
        return whole
    return sorted([*(power for power in whole if abs(power - bar) > near), round(bar, 1)])


def _runs(known: np.ndarray) -> list[slice]:
    """Return the stretches of ``known`` values without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
