"""One node: why it has a verdict or why it has none, and its evidence over time.

Apart from the fleet, because everything here is asked for, and may come late or not at all.
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from ..answers import Aggregator, Explanation, History, RawTicks, Unanswered
from ..looks import Looks
from ..story import audit_lines, header, parts_table, raw_lines, why_lines
from ..view import Picture
from ..widgets.evidence_plot import EvidencePlot
from .framed import Framed

Answer = TypeVar("Answer")

ASK_EVERY = 10.0  # seconds
RAW_WIDTH = 60  # stretches of a row of raw readings


class Panel(Static):
    """A titled piece of text, as it is: nothing in it is markup."""

    def __init__(self, title: str, name: str) -> None:
        """Say that the answer is on its way."""
        super().__init__("asking …", id=name, markup=False, classes="panel")
        self.border_title = title


class VerdictScreen(Framed):
    """What the aggregator and the shard's host say about ``node``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back"),
        Binding("r", "ask", "ask again"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
        Binding("g,home", "top", "first", show=False),
        Binding("G,end", "bottom", "last", show=False),
    ]

    def __init__(
        self, looks: Looks, aggregator: Aggregator, picture: Picture, node: str, *, shard: bool
    ) -> None:
        """Keep whom to ask about what; raw readings are asked for a ``shard`` only."""
        super().__init__(looks)
        self._aggregator = aggregator
        self._node = node
        self._shard = shard
        self._picture = picture
        self._explanation: Explanation | None = None

    def body(self) -> Iterable[Widget]:
        """Return the header and the panels."""
        yield Static(id="header", markup=False)
        with VerticalScroll(id="detail"):
            yield EvidencePlot(self.looks)
            yield Panel("Why", "why")
            yield Panel("What carried it", "parts")
            if self._shard:
                yield Panel("Raw readings, from its host", "raw")
            yield Panel("Audit, newest first", "audit")

    def on_mount(self) -> None:
        """Ask now, and again from time to time."""
        self.show(self._picture)
        self.query_one("#detail").focus()
        self.action_ask()
        self.set_interval(ASK_EVERY, self._ask_again)

    def show(self, picture: Picture) -> None:
        """Show how old the picture is; the answers come by themselves."""
        super().show(picture)
        self._picture = picture
        self._write_header()

    def action_ask(self) -> None:
        """Ask everything, each question by itself: one that hangs holds up no other."""
        self._ask("explain", self._aggregator.explain, self._take_explanation, "#why")
        self._ask("history", self._aggregator.history, self._take_history, None)
        if self._shard:
            self._ask("raw", self._aggregator.raw_ticks, self._take_raw, "#raw")

    def action_scroll(self, lines: int) -> None:
        """Scroll the panels."""
        self.query_one("#detail").scroll_relative(y=lines, animate=False)

    def action_top(self) -> None:
        """Scroll to the beginning."""
        self.query_one("#detail").scroll_home(animate=False)

    def action_bottom(self) -> None:
        """Scroll to the end."""
        self.query_one("#detail").scroll_end(animate=False)

    def _ask_again(self) -> None:
        """Ask unless nobody would answer."""
        if not self.has_class("-dead"):
            self.action_ask()

    def _ask(
        self,
        name: str,
        question: Callable[[str], Coroutine[None, None, Answer]],
        take: Callable[[Answer], None],
        panel: str | None,
    ) -> None:
        async def asked() -> None:
            try:
                answer = await question(self._node)
            except Unanswered as silence:
                if self.is_attached:  # nobody may be there any more to be told
                    self._refused(panel, str(silence))
            else:
                if self.is_attached:
                    take(answer)

        self.run_worker(asked(), group=name, exclusive=True)

    def _refused(self, panel: str | None, why: str) -> None:
        """Say in the panel that there is no answer; one that was there before stays."""
        if panel == "#why" and self._explanation is not None:
            return
        if panel is None:
            self.query_one(EvidencePlot).border_title = self.looks.say(f"Evidence · {why}")
        else:
            self._write(panel, [f"not answered: {why}"])
        if panel == "#why":
            self._write("#parts", [])
            self._write("#audit", [])

    def _take_explanation(self, told: Explanation) -> None:
        self._explanation = told
        zone = self.looks.zone
        now = self._picture.view.at if self._picture.view else float("nan")
        self._write_header()
        self._write("#why", why_lines(told))
        self._write("#parts", parts_table(told.parts, now, zone))
        self._write("#audit", audit_lines(told.audit, zone))

    def _take_history(self, history: History) -> None:
        self.query_one(EvidencePlot).show(history)

    def _take_raw(self, ticks: RawTicks) -> None:
        self._write("#raw", raw_lines(ticks, RAW_WIDTH))

    def _write(self, panel: str, lines: list[str]) -> None:
        where = self.query_one(panel, Panel)
        where.display = bool(lines)
        where.update(self.looks.say("\n".join(lines)))

    def _write_header(self) -> None:
        lines = header(self._node, self._picture.view, self._explanation, self.looks.zone)
        self.query_one("#header", Static).update(self.looks.say("\n".join(lines)))
