"""Hand the newest view to everybody who watches; who is slow skips, and nobody is waited for.

Apart from the console service, because views come from the runtime at its own pace, whether
somebody looks or not.
"""

import asyncio
from collections.abc import AsyncIterator

from .view import Encoded


class Hub:
    """The newest view, and a way to wait for a newer one."""

    def __init__(self) -> None:
        """Start without a view."""
        self._newest: Encoded | None = None
        self._news = asyncio.Event()
        self._closed = False
        self.readers = 0

    @property
    def newest(self) -> Encoded | None:
        """Return the newest view, None before the first."""
        return self._newest

    def publish(self, view: Encoded) -> None:
        """Let ``view`` be the newest."""
        self._newest = view
        self._wake()

    def close(self) -> None:
        """End all watching."""
        self._closed = True
        self._wake()

    async def watch(self, every: float = 0.0, layout_version: int = 0) -> AsyncIterator[bytes]:
        """Yield the newest view, and again when there is a newer, at most each ``every`` seconds.

        ``layout_version`` is what the reader has; the layout comes along when it is another.
        """
        shown: Encoded | None = None
        self.readers += 1
        try:
            while not self._closed:
                news, view = self._news, self._newest
                if view is None or view is shown:
                    await news.wait()
                    continue
                yield view.for_reader(layout_version)
                shown, layout_version = view, view.layout_version
                if every > 0:
                    await asyncio.sleep(every)
        finally:
            self.readers -= 1

    def _wake(self) -> None:
        """Wake who waits, and let those who come later wait for the next time."""
        news, self._news = self._news, asyncio.Event()
        news.set()
