"""The first screen: the fleet as a map, and its open verdicts beside it.

Apart from what it is made of: it only says what stands where.
"""

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from ..headline import waiting
from ..looks import Looks
from ..view import Picture
from ..widgets.heat_map import HeatMap
from ..widgets.verdict_list import VerdictPane, VerdictTable
from .framed import Framed


class FleetScreen(Framed):
    """Map and list; a sentence in their place until the fleet is formed."""

    AUTO_FOCUS = "VerdictTable"

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__(looks)
        self._formed = False

    def body(self) -> Iterable[Widget]:
        """Return both panes and what stands for them before there is a fleet."""
        yield Static(id="waiting", markup=False)
        yield Container(HeatMap(self.looks), VerdictPane(self.looks), id="panes")

    def on_mount(self) -> None:
        """Hide the panes: there is no fleet yet."""
        self.query_one("#panes").display = False

    def show(self, picture: Picture) -> None:
        """Show ``picture``."""
        super().show(picture)
        view = picture.view
        if view is None:
            return
        self._formed = view.layout.shards > 0
        self.query_one("#waiting", Static).update(self.looks.say(waiting(view)))
        self.query_one("#waiting").display = not self._formed
        self.query_one("#panes").display = self._formed
        self.query_one(HeatMap).show(view)
        self.query_one(VerdictPane).show(view)
        if self.focused is None or not self.focused.display:
            self._focus_what_there_is(any_open=bool(view.open))

    def _focus_what_there_is(self, *, any_open: bool) -> None:
        """Give the keys to the list if it has rows, else to the map."""
        self.query_one(VerdictTable if any_open else HeatMap).focus(scroll_visible=False)
