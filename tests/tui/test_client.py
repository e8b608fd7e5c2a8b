import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import numpy as np
import pytest

from tessera.proto.schema import console
from tessera.settings.clock import ManualClock
from tessera.tui.answers import Unanswered
from tessera.tui.client import Client
from tessera.tui.view import LinkLost, View

from .console import scripted, serving
from .scene import AT, layout, verdict, view

FLEET = layout(racks=1, hosts=2, gpus=4)
SHAPE = (len(FLEET.rows), FLEET.shards)
QUICK = (0.01, 0.05)  # seconds between two attempts


@asynccontextmanager
async def client(address: str, clock: ManualClock | None = None) -> AsyncIterator[Client]:
    made = Client(address, clock=clock or ManualClock(), draw=lambda: 0.5, waits=QUICK)
    try:
        yield made
    finally:
        await made.close()


async def test_a_view_arrives_decoded() -> None:
    script = scripted([view(FLEET, states={3: 1}, verdicts=[verdict("r00-h0-gpu1")])])
    async with serving(script) as address, client(address) as asked, aclosing(asked.watch()) as it:
        got = await anext(it)
    assert isinstance(got, View)
    assert got.at == AT
    assert got.state.tolist() == [0, 0, 0, 1] + [0] * (SHAPE[0] - 4)
    assert got.log_e[0] == -0.5
    assert got.open[0].node == "r00-h0-gpu1"
    assert got.layout.rows[0].parent == FLEET.shards
    assert got.layout.rows[-1].parent == -1


async def test_the_layout_is_kept_between_views() -> None:
    script = scripted([view(FLEET)])
    async with serving(script) as address, client(address) as asked, aclosing(asked.watch()) as it:
        first = await anext(it)
        script.say(view(None, shape=SHAPE, version=1, at=AT + 1, sequence=2))
        second = await anext(it)
    assert isinstance(first, View)
    assert isinstance(second, View)
    assert second.sequence == 2
    assert second.layout is first.layout


async def test_a_slow_reader_gets_the_latest_view() -> None:
    last = 50
    views = [view(FLEET, sequence=number, at=AT + number) for number in range(last + 1)]
    script = scripted(views)
    async with serving(script) as address, client(address) as asked, aclosing(asked.watch()) as it:
        got = [await anext(it)]
        await script.sent.wait()
        while not (isinstance(got[-1], View) and got[-1].sequence == last):
            got.append(await anext(it))
            await asyncio.sleep(0.02)
    assert len(got) < last


async def test_a_lost_link_is_told_and_taken_up_again() -> None:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        first = AsyncExitStack()
        address = await first.enter_async_context(serving(scripted([view(FLEET)])))
        asked = await stack.enter_async_context(client(address, clock))
        it = await stack.enter_async_context(aclosing(asked.watch()))
        assert isinstance(await anext(it), View)
        clock.advance(7.0)
        await first.aclose()
        lost = await anext(it)
        script = scripted([view(FLEET, sequence=9)])
        await stack.enter_async_context(serving(script, address))
        news = await anext(it)
        while isinstance(news, LinkLost):
            news = await anext(it)
    assert isinstance(lost, LinkLost)
    assert lost.since == 7.0
    assert news.sequence == 9
    assert script.asked[0].layout_version == 0  # another server may count layouts from one again


async def test_the_time_of_a_loss_is_that_of_the_first_failure() -> None:
    clock = ManualClock()
    async with client("127.0.0.1:1", clock) as asked, aclosing(asked.watch()) as it:
        first = await anext(it)
        clock.advance(5.0)
        second = await anext(it)
    assert isinstance(first, LinkLost)
    assert isinstance(second, LinkLost)
    assert (first.since, second.since) == (0.0, 0.0)
    assert "no aggregator answers" in first.reason


async def test_a_view_that_does_not_fit_its_layout_is_no_view() -> None:
    script = scripted([view(FLEET, shape=(3, 1))])
    async with serving(script) as address, client(address) as asked, aclosing(asked.watch()) as it:
        lost = await anext(it)
    assert isinstance(lost, LinkLost)
    assert "state: 3 bytes for 12" in lost.reason


async def test_a_layout_that_goes_in_a_circle_is_refused() -> None:
    rows = [console.Row(id="a", parent=2), console.Row(id="b", parent=1)]
    circle = console.Layout(version=1, shards=1, rows=rows)
    async with serving(scripted([view(circle)])) as address, client(address) as asked:
        with pytest.raises(Unanswered, match="goes in a circle"):
            await asked.once(5.0)


async def test_a_view_whose_time_stands_still_grows_old() -> None:
    clock = ManualClock()
    script = scripted([view(FLEET)])
    async with (
        serving(script) as address,
        client(address, clock) as asked,
        aclosing(asked.watch()) as it,
    ):
        await anext(it)
        clock.advance(20.0)
        script.say(view(FLEET, sequence=2))
        same = await anext(it)
        script.say(view(FLEET, sequence=3, at=AT + 1))
        moved = await anext(it)
    assert isinstance(same, View)
    assert isinstance(moved, View)
    assert (same.received, moved.received) == (0.0, 20.0)


async def test_once_returns_one_view() -> None:
    async with serving(scripted([view(FLEET)])) as address, client(address) as asked:
        assert (await asked.once(5.0)).layout.shards == 8


async def test_once_says_when_nobody_answers() -> None:
    async with client("127.0.0.1:1") as asked:
        with pytest.raises(Unanswered, match="no aggregator answers"):
            await asked.once(5.0)


async def test_once_says_when_no_view_comes_in_time() -> None:
    async with serving(scripted()) as address, client(address) as asked:
        with pytest.raises(Unanswered, match="no answer in time"):
            await asked.once(0.1)


async def test_answers_about_a_node_arrive_decoded() -> None:
    script = scripted()
    script.explanation = console.Explanation(node="a\x1b[2J", why=["since it is"], members=3)
    script.kept = console.HistoryReply(node="a", at=[1.0, 2.0], log_e=[0.5, 4.0], threshold=9.0)
    script.readings = console.RawTicksReply(
        shard="a", metrics=["p", "t"], at=[1.0, 2.0], values=[1, 2, 3, 4]
    )
    async with serving(script) as address, client(address) as asked:
        told, kept = await asked.explain("a"), await asked.history("a")
        ticks = await asked.raw_ticks("a")
    assert told.node == "a�[2J"
    assert told.verdict is None
    assert kept.log_e.tolist() == [0.5, 4.0]
    assert ticks.values[:, 1].tolist() == [2.0, 4.0]


async def test_a_question_that_is_refused_says_why() -> None:
    async with serving(scripted()) as address, client(address) as asked:
        with pytest.raises(Unanswered, match="not found: no node 'b'"):
            await asked.explain("b")
        with pytest.raises(Unanswered, match="does not serve it"):
            await asked.raw_ticks("b")


async def test_readings_that_do_not_fit_their_metrics_are_refused() -> None:
    script = scripted()
    script.readings = console.RawTicksReply(metrics=["p"], at=[1.0], values=[1, 2])
    async with serving(script) as address, client(address) as asked:
        with pytest.raises(Unanswered, match="2 values of 1 x 1"):
            await asked.raw_ticks("a")


async def test_a_stream_that_the_server_ends_is_a_lost_link() -> None:
    script = scripted([view(FLEET)])
    async with serving(script) as address, client(address) as asked, aclosing(asked.watch()) as it:
        await anext(it)
        script.hang_up()
        lost = await anext(it)
    assert isinstance(lost, LinkLost)
    assert lost.reason == "the aggregator closed the stream"


async def test_a_fleet_of_which_nothing_is_known_yet_learns() -> None:
    unknown = console.View(at_ns=1, layout=FLEET, layout_version=1)
    async with serving(scripted([unknown])) as address, client(address) as asked:
        got = await asked.once(5.0)
    assert got.state.tolist() == [1] * SHAPE[0]
    assert got.learned.tolist() == [0] * SHAPE[1]
    assert bool(np.isnan(got.log_e).all())
