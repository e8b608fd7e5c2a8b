"""The fleet as a map: a glyph for each shard, or for a host or rack where there are many.

Apart from arranging and painting, which know nothing of terminals.
"""

from itertools import groupby
from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..arrange import Arrangement, arrange
from ..canvas import LABEL, Canvas, elsewhere, paint
from ..format import counted, joined
from ..looks import Looks
from ..marks import Mark, glyph, marks
from ..messages import NodeChosen
from ..view import LEARNS_BLOCKS, NO_LAYOUT, Bytes, Layout, State, View

_NAMES = {
    Mark.NONE: "gone",
    Mark.QUIET: "quiet",
    Mark.ABSTAINED: "abstained",
    Mark.LEARNING: "learning",
    Mark.FROZEN: "frozen",
    Mark.SILENT: "silent",
    Mark.RANKED: "ranked",
    Mark.CONTROLLED: "controlled",
    Mark.FACT: "fact",
    **{Mark.EVIDENCE + step: f"evidence-{step // 3}" for step in range(8)},
}


class HeatMap(ScrollView, can_focus=True):
    """A cursor goes over the glyphs; enter asks about the node below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", key_display="enter"),
        Binding("h,left", "move(-1, 0)", "left", show=False),
        Binding("l,right", "move(1, 0)", "right", show=False),
        Binding("k,up", "move(0, -1)", "up", show=False),
        Binding("j,down", "move(0, 1)", "down", show=False),
        Binding("g,home", "end(0)", "first", show=False),
        Binding("G,end", "end(-1)", "last", show=False),
    ]
    COMPONENT_CLASSES = {  # noqa: RUF012  Textual declares it without ClassVar
        *(f"heat-map--{name}" for name in _NAMES.values()),
        "heat-map--label",
    }

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__()
        self._looks = looks
        self._view: View | None = None
        self._marks: Bytes = np.zeros(0, dtype=np.uint8)
        self._layout_shown: Layout = NO_LAYOUT
        self._arranged: Arrangement | None = None
        self._canvas: Canvas | None = None
        self._cursor = 0
        self.border_title = "Fleet"

    def show(self, view: View) -> None:
        """Show ``view`` unless it is the one that is shown."""
        if view is self._view:
            return
        self._view, self._marks = view, marks(view)
        if self._arranged is None or view.layout is not self._layout_shown:
            self._arrange(view.layout)
        self._paint()

    def on_resize(self) -> None:
        """Find the zoom that fits the new size."""
        if self._view is not None:
            self._arrange(self._view.layout)
            self._paint()

    def on_focus(self) -> None:
        """Say what is under the cursor."""
        self._describe()

    def on_blur(self) -> None:
        """Say what is elsewhere."""
        self._describe()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is."""
        if self._arranged is None:
            return
        place = event.get_content_offset(self)
        if place is None:
            return
        line, column = place.y + self.scroll_offset.y, place.x + self.scroll_offset.x
        hit = np.flatnonzero((self._arranged.line == line) & (self._arranged.column == column))
        if hit.size:
            self._go(int(hit[0]))

    def action_choose(self) -> None:
        """Ask for the node under the cursor."""
        if self._view is not None and self._arranged is not None and self._arranged.row.size:
            row = int(self._arranged.row[self._cursor])
            self.post_message(NodeChosen(self._view.layout.rows[row].id))

    def action_move(self, across: int, down: int) -> None:
        """Go to the neighbour: the next glyph of the line, or the nearest of the next line."""
        arranged = self._arranged
        if arranged is None or not arranged.row.size:
            return
        line, column = int(arranged.line[self._cursor]), int(arranged.column[self._cursor])
        if down:
            there = np.flatnonzero((arranged.line - line) * down > 0)
            distance = np.abs(arranged.line[there] - line) * 10_000.0
            distance += np.abs(arranged.column[there] - column)
        else:
            there = np.flatnonzero(
                (arranged.line == line) & ((arranged.column - column) * across > 0)
            )
            distance = np.abs(arranged.column[there] - column).astype(np.float64)
        if there.size:
            self._go(int(there[np.argmin(distance)]))

    def action_end(self, index: int) -> None:
        """Go to the first or the last glyph."""
        if self._arranged is not None and self._arranged.row.size:
            self._go(index % self._arranged.row.size)

    def render_line(self, y: int) -> Strip:
        """Return one line of the visible part, its runs of one mark in one style."""
        width = self.scrollable_content_region.width
        line, left = y + self.scroll_offset.y, self.scroll_offset.x
        canvas, arranged = self._canvas, self._arranged
        if canvas is None or arranged is None or line >= canvas.marks.shape[0]:
            return Strip.blank(width, self.rich_style)
        at = self._at_cursor(line, arranged)
        segments, column = [], 0
        for code, run in groupby(canvas.marks[line].tolist()):
            length = len(list(run))
            text = "".join(canvas.characters[line, column : column + length])
            segments += _cut(text, self._style(code), at - column)
            column += length
        strip = Strip(segments).crop(left, left + width)
        return strip.extend_cell_length(width, self.rich_style)

    def _at_cursor(self, line: int, arranged: Arrangement) -> int:
        """Return the column of the cursor if it is on this line and is to be seen, else −1."""
        if not (self.has_focus and arranged.row.size and arranged.line[self._cursor] == line):
            return -1
        return int(arranged.column[self._cursor])

    def _style(self, code: int) -> Style:
        name = "label" if code == LABEL else _NAMES[code]
        return self.get_component_rich_style(f"heat-map--{name}")

    def _arrange(self, layout: Layout) -> None:
        size = self.scrollable_content_region.size if self._arranged is None else self.size
        self._layout_shown = layout
        self._arranged = arrange(layout, size.width, size.height)
        self._cursor = min(self._cursor, max(0, self._arranged.row.size - 1))
        self.virtual_size = Size(self._arranged.width, self._arranged.height)
        of = "" if self._arranged.zoom == "shard" else ", the worst of it"
        scale = f"one glyph = one {self._arranged.zoom}{of}"
        self.border_title = self._looks.say(f"Fleet · {scale} · {counted(layout.shards, 'shard')}")

    def _paint(self) -> None:
        assert self._arranged is not None  # noqa: S101  whoever paints has arranged
        self._canvas = paint(self._arranged, self._marks, ascii_only=self._looks.ascii_only)
        self._describe()
        self.refresh()

    def _go(self, index: int) -> None:
        assert self._arranged is not None  # noqa: S101  there are glyphs to go to
        self._cursor = index
        place = (int(self._arranged.column[index]), int(self._arranged.line[index]))
        self.scroll_to_region(Region(*place, 1, 1), animate=False)
        self._describe()
        self.refresh()

    def _describe(self) -> None:
        """Say below the map what is under the cursor, else what is open and not on the map."""
        view, arranged = self._view, self._arranged
        if view is None or arranged is None:
            return
        if self.has_focus and arranged.row.size:
            self.border_subtitle = self._looks.say(self._node(view, arranged))
            return
        rows = elsewhere(arranged, view.layout, self._marks)
        names = [f"{glyph(int(self._marks[r]))} {view.layout.rows[r].id}" for r in rows]
        self.border_subtitle = self._looks.say(f"also {joined(names)}" if names else "")

    def _node(self, view: View, arranged: Arrangement) -> str:
        """Return name and state of the node under the cursor."""
        row = int(arranged.row[self._cursor])
        name = view.layout.rows[row].id
        if row >= view.layout.shards:
            members = int((arranged.glyph_of[: view.layout.shards] == self._cursor).sum())
            return f"{name}: {counted(members, 'shard')}"
        state = State(int(view.state[row])) if view.state[row] in set(State) else None
        words = "unknown state" if state is None else state.name.lower()
        progress = f" ({view.learned[row]} of {LEARNS_BLOCKS})"
        return f"{name}: {words}{progress if state is State.LEARNING else ''}"


def _cut(text: str, style: Style, at: int) -> list[Segment]:
    """Return ``text`` as segments, the character ``at`` reversed if it is one of them."""
    if not 0 <= at < len(text):
        return [Segment(text, style)]
    parts = [(text[:at], style), (text[at], style + Style(reverse=True)), (text[at + 1 :], style)]
    return [Segment(part, look) for part, look in parts if part]
