import asyncio
from collections.abc import AsyncIterator

from tessera.aggregator.publish.hub import Hub
from tessera.aggregator.publish.view import Encoded


def view(number: int, version: int = 1) -> Encoded:
    return Encoded(b"v%d" % number, b"+layout%d" % version, version)


async def soon(views: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(views), 20)


async def test_a_reader_gets_the_newest_view_at_once_and_then_every_newer_one() -> None:
    hub = Hub()
    hub.publish(view(1))
    hub.publish(view(2))
    views = hub.watch(layout_version=1)
    assert await soon(views) == b"v2"
    hub.publish(view(3))
    assert await soon(views) == b"v3"


async def test_a_reader_who_comes_first_waits_for_the_first_view() -> None:
    hub = Hub()
    waiting = asyncio.create_task(soon(hub.watch()))
    await asyncio.sleep(0)
    hub.publish(view(1))
    assert await waiting == b"v1+layout1"


async def test_a_slow_reader_skips_to_the_latest() -> None:
    hub = Hub()
    hub.publish(view(1))
    slow, quick = hub.watch(layout_version=1), hub.watch(layout_version=1)
    assert await soon(slow) == b"v1"
    seen = [await soon(quick)]
    for number in range(2, 6):
        hub.publish(view(number))
        seen.append(await soon(quick))
    assert seen == [b"v1", b"v2", b"v3", b"v4", b"v5"]
    assert await soon(slow) == b"v5"


async def test_the_layout_comes_with_the_first_view_and_when_it_has_changed() -> None:
    hub = Hub()
    views = hub.watch()
    for number, version in ((1, 1), (2, 1), (3, 2), (4, 2)):
        hub.publish(view(number, version))
        expected = view(number, version)
        whole = number in {1, 3}
        assert await soon(views) == expected.view + (expected.layout if whole else b"")


async def test_nothing_is_shown_twice() -> None:
    hub = Hub()
    hub.publish(view(1))
    views = hub.watch(layout_version=1)
    await soon(views)
    again = asyncio.create_task(soon(views))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not again.done()
    hub.publish(view(2))
    assert await again == b"v2"


async def test_closing_ends_all_watching() -> None:
    hub = Hub()
    hub.publish(view(1))

    async def watch() -> list[bytes]:
        return [shown async for shown in hub.watch(layout_version=1)]

    readers = [asyncio.create_task(watch()) for _ in range(3)]
    while hub.readers < 3:  # noqa: ASYNC110 - they only need their turn
        await asyncio.sleep(0)
    hub.close()
    assert await asyncio.gather(*readers) == [[b"v1"]] * 3
    assert hub.readers == 0
