"""The keys and the glyphs, with what they mean.

Apart, because it is made of what the other screens declare: it cannot fall behind them.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.keys import format_key
from textual.screen import ModalScreen
from textual.widgets import Static

from ..looks import Looks
from ..marks import LEGEND, Mark, glyph
from ..story import aligned

Section = tuple[str, Sequence[BindingType]]


class HelpScreen(ModalScreen[None]):
    """One page over whatever screen was there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark", "dismiss", "back"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, looks: Looks, sections: Iterable[Section]) -> None:
        """Keep whose keys are told, under which title."""
        super().__init__()
        self._looks = looks
        self._sections = tuple(sections)

    def compose(self) -> ComposeResult:
        """Yield keys and glyphs."""
        with VerticalScroll(id="help"):
            for title, bindings in self._sections:
                yield Static(title, classes="title", markup=False)
                yield Static("\n".join(key_lines(bindings)), markup=False)
            yield Static("Glyphs", classes="title", markup=False)
            yield Static(self._looks.say("\n".join(self._legend())), markup=False)

    def on_mount(self) -> None:
        """Say how to leave."""
        page = self.query_one("#help")
        page.border_title = "Help"
        page.border_subtitle = "esc back"

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)

    def _legend(self) -> list[str]:
        rows = []
        for meaning in LEGEND:
            steps = (meaning.mark, Mark.STRONGEST) if meaning.mark is Mark.EVIDENCE else ()
            shown = [glyph(mark) for mark in steps or (meaning.mark,)]
            rows.append(("…".join(shown), meaning.words))
        return aligned(rows)


def key_lines(bindings: Sequence[BindingType]) -> list[str]:
    """Return a line for each binding: its keys, and what they do."""
    rows = []
    for binding in bindings:
        made = (
            binding if isinstance(binding, Binding) else Binding(*binding[:2], "".join(binding[2:]))
        )
        shown = made.key_display
        keys = [shown] if shown else [format_key(key.strip()) for key in made.key.split(",")]
        rows.append((" ".join(keys), made.description))
    return aligned(rows)
