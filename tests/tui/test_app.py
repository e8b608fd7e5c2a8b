import asyncio
from collections.abc import Callable

from textual.pilot import Pilot

from tessera.proto.schema import console
from tessera.settings.clock import ManualClock
from tessera.tui.app import TesseraApp, make_app
from tessera.tui.client import Client
from tessera.tui.messages import Told
from tessera.tui.screens.fleet import FleetScreen
from tessera.tui.screens.help import HelpScreen
from tessera.tui.screens.verdict import VerdictScreen
from tessera.tui.view import LinkLost, View
from tessera.tui.widgets.heat_map import HeatMap
from tessera.tui.widgets.verdict_list import VerdictTable

from .console import scripted, serving
from .scene import AT, layout, verdict, view
from .scripted import ADDRESS, ScriptedAggregator, decoded

FLEET = layout(racks=2, hosts=2, gpus=4)
TWO = [verdict("r00-h0-gpu1"), verdict("r01", "rack", guarantee="ranked")]


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    """Wait for what messages bring about; the test's own time limit ends a vain wait."""
    while not true():
        await pilot.pause()
        await asyncio.sleep(0.01)


def app_on(
    *news: View | LinkLost | float, explanation: console.Explanation | None = None
) -> TesseraApp:
    clock = ManualClock(AT)
    return make_app(ScriptedAggregator(clock, news, explanation), clock)


async def test_a_view_goes_over_a_real_socket_to_the_screen_and_a_lost_link_greys_it() -> None:
    clock = ManualClock(AT)
    script = scripted([view(FLEET, verdicts=TWO)])
    async with serving(script) as address:
        client = Client(address, clock=clock, draw=lambda: 0.5, waits=(0.01, 0.02))
        app = make_app(client, clock)
        async with app.run_test() as pilot:
            await until(pilot, lambda: _listed(app) == len(TWO))
            was_dead = app.screen.has_class("-dead")
            script.views = []
            script.hang_up()
            await until(pilot, lambda: app.screen.has_class("-dead"))
            await client.close()
    assert not was_dead
    assert app.picture.lost is not None


async def test_a_view_after_a_lost_link_has_its_colours_again() -> None:
    lost = LinkLost(ADDRESS, "no aggregator answers", 0.0)
    app = app_on(decoded(view(FLEET)), lost, decoded(view(FLEET, sequence=2)))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.picture.view is not None and app.picture.lost is None)
        await pilot.pause()
        assert not app.screen.has_class("-dead")


async def test_enter_opens_the_verdict_and_escape_goes_back() -> None:
    told = console.Explanation(node="r00-h0-gpu1", why=["Its peers did not move."])
    app = app_on(decoded(view(FLEET, verdicts=TWO)), explanation=told)
    async with app.run_test() as pilot:
        await until(pilot, lambda: _listed(app) == len(TWO))
        await pilot.press("enter")
        await until(pilot, lambda: "peers did not move" in str(_text(app, "#why")))
        assert isinstance(app.screen, VerdictScreen)
        assert "! r00-h0-gpu1" in _text(app, "#header")
        await pilot.press("escape")
        assert isinstance(app.screen, FleetScreen)


async def test_any_shard_of_the_map_can_be_asked_about() -> None:
    told = console.Explanation(node="r00-h0-gpu2", why=["Nothing stands out."])
    app = app_on(decoded(view(FLEET)), explanation=told)
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.focused, HeatMap))
        await pilot.press("l", "l", "enter")
        await until(pilot, lambda: isinstance(app.screen, VerdictScreen))
        await until(pilot, lambda: "Nothing stands out." in _text(app, "#why"))
        assert "r00-h0-gpu2   no open verdict   quiet" in _text(app, "#header")


async def test_the_cursor_stays_on_its_verdict_when_another_opens() -> None:
    later = [*TWO, verdict("r01-h1-gpu0", channel="fact")]
    app = app_on(decoded(view(FLEET, verdicts=TWO)))
    async with app.run_test() as pilot:
        await until(pilot, lambda: _listed(app) == len(TWO))
        await pilot.press("j")
        table = app.screen.query_one(VerdictTable)
        await until(pilot, lambda: table.cursor_row == 1)
        app.post_message(Told(decoded(view(FLEET, verdicts=later, sequence=2))))
        await until(pilot, lambda: _listed(app) == len(later))
        await until(pilot, lambda: table.cursor_row == 2)
        assert table.get_row_at(table.cursor_row)[1].plain == "r01"


async def test_g_goes_to_the_first_verdict_and_shift_g_to_the_last() -> None:
    many = [verdict(f"r00-h{h}-gpu{g}") for h in range(2) for g in range(4)]
    app = app_on(decoded(view(FLEET, verdicts=many)))
    async with app.run_test() as pilot:
        await until(pilot, lambda: _listed(app) == len(many))
        table = app.screen.query_one(VerdictTable)
        await pilot.press("G")
        await until(pilot, lambda: table.cursor_row == 7)
        await pilot.press("g")
        await until(pilot, lambda: table.cursor_row == 0)


async def test_help_opens_once_and_closes() -> None:
    app = app_on(decoded(view(FLEET)))
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("question_mark")
        assert isinstance(app.screen, FleetScreen)


async def test_names_with_brackets_are_no_markup() -> None:
    odd = verdict("rack[bold]/gpu[0]", reason="[red]power[/] fell")
    app = app_on(decoded(view(FLEET, verdicts=[odd])))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: _listed(app) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, VerdictScreen))
        assert "rack[bold]/gpu[0]" in _text(app, "#header")
        assert "[red]power[/] fell" in _text(app, "#header")


def _listed(app: TesseraApp) -> int:
    """Return how many verdicts the list has, once it has the keys."""
    return app.focused.row_count if isinstance(app.focused, VerdictTable) else 0


def _text(app: TesseraApp, where: str) -> str:
    """Return what a piece of text on the screen says, nothing where there is none."""
    found = app.screen.query(where)
    return str(found.first().render()) if found else ""
