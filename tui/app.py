"""The terminal itself: follow one aggregator, and hand each view to the screens.

Apart from the command line, so that tests and the picture for the README make the same program.
"""

from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter, Monochrome

from ..settings.clock import Clock
from .answers import Aggregator
from .looks import Looks
from .messages import NodeChosen, Told
from .screens.fleet import FleetScreen
from .screens.framed import Framed
from .screens.help import HelpScreen, Section
from .screens.verdict import VerdictScreen
from .view import LinkLost, Picture
from .widgets.heat_map import HeatMap

AGE_SECONDS = 1.0  # between two writings of the view's age
PANES = Binding("tab,shift+tab", "pane", "next pane")


class TesseraApp(App[None]):
    """Shows what ``aggregator`` tells until a person quits."""

    TITLE = "tessera-tui"
    CSS_PATH = Path(__file__).with_name("tessera.tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012  as Textual types it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, aggregator: Aggregator, looks: Looks) -> None:
        """Keep whom to follow and how to write; nothing is opened before it runs."""
        super().__init__()
        self._aggregator = aggregator
        self._looks = looks
        self.picture = Picture(address=aggregator.address)

    def get_default_screen(self) -> FleetScreen:
        """Return the first screen."""
        return FleetScreen(self._looks)

    def on_mount(self) -> None:
        """Follow the aggregator, and let the age of what it said be seen."""
        self.set_class(self._looks.ascii_only, "-ascii")
        self.run_worker(self._follow())
        self.set_interval(AGE_SECONDS, self.show)
        self.call_after_refresh(self.show)

    def get_line_filters(self) -> list[LineFilter]:
        """Return Textual's filters, and one that takes colours away where none are wanted."""
        filters = list(super().get_line_filters())
        done = self._looks.colour or self.no_color
        return filters if done else [*filters, Monochrome()]

    def on_told(self, message: Told) -> None:
        """Take a view, or the loss of the link: the view before it stays, as an old one."""
        news = message.news
        if isinstance(news, LinkLost):
            self.picture = Picture(self._aggregator.address, self.picture.view, news)
        else:
            self.picture = Picture(self._aggregator.address, news)
        self.show()

    def on_node_chosen(self, message: NodeChosen) -> None:
        """Open the screen of a node."""
        if isinstance(self.screen, VerdictScreen):
            return
        view = self.picture.view
        rows = view.layout.rows[: view.layout.shards] if view else ()
        shard = any(row.id == message.node for row in rows)
        self.push_screen(
            VerdictScreen(self._looks, self._aggregator, self.picture, message.node, shard=shard)
        )

    def action_help(self) -> None:
        """Show keys and glyphs, unless they are shown."""
        if isinstance(self.screen, HelpScreen):
            return
        self.push_screen(HelpScreen(self._looks, SECTIONS))

    def show(self) -> None:
        """Let every screen show the picture: one below another must not be old when it is back."""
        for screen in self.screen_stack:
            if isinstance(screen, Framed) and screen.complete:
                with suppress(NoMatches):  # one that is being closed has lost parts already
                    screen.show(self.picture)

    async def _follow(self) -> None:
        async for news in self._aggregator.watch():
            self.post_message(Told(news))


SECTIONS: tuple[Section, ...] = (
    ("Everywhere", [*TesseraApp.BINDINGS, PANES]),
    ("Map", HeatMap.BINDINGS),
    ("A node", VerdictScreen.BINDINGS),
)


def make_app(
    aggregator: Aggregator,
    clock: Clock,
    *,
    zone: tzinfo | None = None,
    ascii_only: bool = False,
    colour: bool = True,
) -> TesseraApp:
    """Return the terminal on ``aggregator``; ``zone`` None is the machine's."""
    return TesseraApp(aggregator, Looks(clock, zone, ascii_only, colour))
