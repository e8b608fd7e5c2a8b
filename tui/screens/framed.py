"""What all full screens share: the first line, the news below it, the keys at the bottom.

Apart, so that no screen can forget to say that the link is lost.
"""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from ..looks import Looks
from ..view import Picture
from ..widgets.summary import Heading

DEAD = "-dead"  # the class under which the style sheet paints everything grey


class Framed(Screen[None]):
    """A screen that shows a picture; a dead one is grey."""

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__()
        self.looks = looks
        self.complete = False  # all parts are there, theirs too

    def compose(self) -> ComposeResult:
        """Yield the frame around ``body``."""
        yield Heading(self.looks)
        yield from self.body()
        yield Footer(show_command_palette=False)

    def body(self) -> Iterable[Widget]:
        """Return what stands between heading and keys."""
        return ()

    def on_mount(self) -> None:
        """Note that nothing is missing: Textual mounts what is inside first."""
        self.complete = True

    def show(self, picture: Picture) -> None:
        """Show ``picture``; called for each view and each second."""
        self.set_class(picture.dead(self.looks.clock.monotonic()), DEAD)
        self.query_one(Heading).show(picture)
