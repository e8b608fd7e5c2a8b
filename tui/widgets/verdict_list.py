"""Open verdicts, worst first: what, how sure, since when, and who has it.

Apart from the map, because a person goes through it from the top.
"""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from ..format import evidence, moment, number, offset
from ..looks import Looks
from ..marks import OF_KIND, glyph, worst_first
from ..messages import NodeChosen
from ..view import Verdict, View, count


class VerdictTable(DataTable[Text]):
    """A row for each verdict; enter asks about its node."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "open", key_display="enter"),
        Binding("k", "cursor_up", "up", show=False),
        Binding("j", "cursor_down", "down", show=False),
        Binding("g", "scroll_top", "first", show=False),
        Binding("G", "scroll_bottom", "last", show=False),
    ]

    COMPONENT_CLASSES = {  # noqa: RUF012  Textual declares it without ClassVar
        *("verdict-table--fact", "verdict-table--controlled", "verdict-table--ranked"),
    }

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__(cursor_type="row", cursor_foreground_priority="renderable")
        self._looks = looks
        self._node_of: dict[str, str] = {}
        self._written: list[tuple[str, list[tuple[str, str]]]] = []

    def show(self, view: View) -> None:
        """Show the open verdicts; the cursor stays on the one that it was on."""
        verdicts = worst_first(view)
        rows = [(verdict.id, self._cells(verdict, view)) for verdict in verdicts]
        written = [(key, [(cell.plain, str(cell.style)) for cell in cells]) for key, cells in rows]
        if written == self._written:
            return  # a view a second must not take the scroll bar out of a person's hand
        held = self._key_at_cursor()
        self._written = written
        self._node_of = {verdict.id: verdict.node for verdict in verdicts}
        self.clear(columns=True)
        for title in (" ", "node", "channel", "guarantee", "evidence", "since", "state"):
            self.add_column(title)
        for key, cells in rows:
            self.add_row(*cells, key=key)
        if held in self._node_of:
            self.move_cursor(row=self.get_row_index(held), animate=False, scroll=True)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Ask for the verdict's node."""
        event.stop()
        node = self._node_of.get(event.row_key.value or "")
        if node is not None:
            self.post_message(NodeChosen(node))

    def _key_at_cursor(self) -> str:
        if not self.row_count:
            return ""
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value or ""

    def _cells(self, verdict: Verdict, view: View) -> list[Text]:
        """Return a row's cells; a fact has no evidence to weigh and no guarantee to give."""
        fact = verdict.kind == "fact"
        mark = glyph(OF_KIND[verdict.kind], ascii_only=self._looks.ascii_only)
        owner = f" @{verdict.owner}" if verdict.owner else ""
        words = (
            verdict.node,
            verdict.channel,
            "" if fact else verdict.guarantee,
            "" if fact else evidence(verdict.log_e),
            moment(verdict.since, view.at, self._looks.zone),
            verdict.state + owner,
        )
        style = self.get_component_rich_style(f"verdict-table--{verdict.kind}", partial=True)
        return [Text(mark, style), *(Text(self._looks.say(word)) for word in words)]


class VerdictPane(Vertical):
    """The list, or a sentence in its place when nothing is open."""

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__()
        self._looks = looks
        self._shown: tuple[View, bool] | None = None

    def compose(self) -> ComposeResult:
        """Yield list and sentence."""
        yield VerdictTable(self._looks)
        yield Static(id="nothing", markup=False)

    def show(self, view: View) -> None:
        """Show ``view`` unless it is shown already in these colours."""
        shown = (view, self.screen.has_class("-dead"))
        if self._shown is not None and shown[0] is self._shown[0] and shown[1] == self._shown[1]:
            return
        self._shown = shown
        table, nothing = self.query_one(VerdictTable), self.query_one("#nothing", Static)
        table.show(view)
        table.display, nothing.display = bool(view.open), not view.open
        nothing.update(self._looks.say(_nothing_open(view)))
        zone = offset(view.at, self._looks.zone)
        times = f" · times {zone}" if zone else ""
        self.border_title = self._looks.say(
            f"Verdicts · {len(view.open)} open · worst first{times}"
        )


def _nothing_open(view: View) -> str:
    """Say that no verdict is open, and of how many shards that says little."""
    counts = count(view)
    lines = ["No verdict is open."]
    if counts.learning:
        lines.append(
            f"{number(counts.learning)} of {number(counts.shards)} shards are still learning: "
            "until they have, only facts and the level channel can name them."
        )
    if counts.silent:
        lines.append(f"Nothing is known of {number(counts.silent)} silent shards.")
    return "\n\n".join(lines)
