"""The first line of every screen, and the line of news below it.

Apart, because these two are never dropped, however small the terminal.
"""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from ..headline import APART, banner, headline
from ..looks import Looks
from ..view import Picture


class Summary(Widget):
    """Counts and the age of the view, written anew for each width."""

    COMPONENT_CLASSES = {  # noqa: RUF012  Textual declares it without ClassVar
        *("summary--name", "summary--silent", "summary--controlled", "summary--ranked"),
        *("summary--fact", "summary--learning", "summary--bad", "summary--plain"),
        "summary--faint",
    }

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__()
        self._looks = looks
        self._picture: Picture | None = None

    def show(self, picture: Picture) -> None:
        """Show ``picture``, and its age by now."""
        self._picture = picture
        self.refresh()

    def render(self) -> Text:
        """Return the words that fit."""
        if self._picture is None:
            return Text()
        words = headline(self._picture, self._looks.clock.monotonic(), self.size.width - 2)
        line = Text(no_wrap=True, overflow="crop").append(" ")
        for index, word in enumerate(words):
            style = self.get_component_rich_style(f"summary--{word.tone}", partial=True)
            line.append(APART if index else "").append(self._looks.say(word.text), style)
        return line


class Heading(Vertical):
    """The summary, and below it whatever a person must know about the picture."""

    def __init__(self, looks: Looks) -> None:
        """Show nothing yet."""
        super().__init__()
        self._looks = looks

    def compose(self) -> ComposeResult:
        """Yield the two lines."""
        yield Summary(self._looks)
        yield Static(id="banner", markup=False)

    def show(self, picture: Picture) -> None:
        """Show ``picture``; the second line is there only when it says something."""
        self.query_one(Summary).show(picture)
        text, tone = banner(picture, self._looks.clock.monotonic())
        line = self.query_one("#banner", Static)
        line.update(" " + self._looks.say(text))
        line.set_class(tone == "bad", "-bad")
        line.display = bool(text)
