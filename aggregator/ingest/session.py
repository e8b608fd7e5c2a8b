"""One agent's stream, as the aggregator sees it: who it is, and what waits to be sent to it.

Apart from the service that reads and writes, because the runtime sends through it without
knowing of gRPC, and a slow reader must cost no more than its own queue.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from ...proto.messages import Inventory  # noqa: TC001 - as everywhere here
from ...proto.schema import ingest
from .bucket import Bucket

MOST_WAITING = 256  # messages to one agent; summaries that nobody reads are stale anyway


class Session:
    """One instance of one host. Everything here runs in the event loop.

    ``sent`` counts messages put on their way, ``received`` messages of which nothing is left to
    do, the Hello and those dropped by the limit included: a stream is at rest when both ends agree.
    ``dropped`` counts incoming messages beyond the limit, ``unread`` summaries that the agent was
    too slow for, ``refused`` messages that made no sense.
    """

    def __init__(
        self, host: str, instance: int, bucket: Bucket, on_change: Callable[[], None]
    ) -> None:
        """Begin with nothing to say; ``on_change`` is called whenever a counter moves."""
        self.host = host
        self.instance = instance
        self.verified = ""  # whom its certificate names, "" without one
        self.bucket = bucket
        self.inventory: Inventory | None = None  # that its messages follow
        self.announced: Inventory | None = None  # that they will follow once there is a plan for it
        self.plan = 0  # the newest that was sent
        self.asked_inventory: int | None = None  # a version that messages follow, unknown here
        self.sent = self.received = self.dropped = self.unread = self.refused = 0
        self._on_change = on_change
        self._waiting: deque[ingest.FromAggregator] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._ticks: tuple[int, asyncio.Future[ingest.RawTicks]] | None = None
        self._requests = 0

    @property
    def ended(self) -> bool:
        """Say whether nothing more will be sent."""
        return self._ended

    def send(self, message: ingest.FromAggregator) -> None:
        """Queue ``message``; of too many the oldest DOWN is dropped, and without one the stream."""
        if self._ended:
            return
        if len(self._waiting) >= MOST_WAITING and not self._drop_down():
            self.end()
            return
        self._waiting.append(message)
        self.sent += 1
        self._changed()

    def end(self, last: ingest.FromAggregator | None = None) -> None:
        """Send what waits, then ``last``, then nothing more."""
        if not self._ended and last is not None:
            self._waiting.append(last)
            self.sent += 1
        self._ended = True
        if self._ticks is not None and not self._ticks[1].done():
            self._ticks[1].cancel()
        self._changed()

    async def next(self) -> ingest.FromAggregator | None:
        """Return the next message to write, None when the stream is to be closed."""
        while not self._waiting:
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def took(self) -> None:
        """Note that one incoming message needs nothing more."""
        self.received += 1
        self._changed()

    def ask_ticks(self, shard: str, from_ns: int) -> "asyncio.Future[ingest.RawTicks] | None":
        """Ask the agent for raw readings; None while an earlier request is under way."""
        if self._ticks is not None and not self._ticks[1].done():
            return None
        self._requests += 1
        answer: asyncio.Future[ingest.RawTicks] = asyncio.get_running_loop().create_future()
        self._ticks = (self._requests, answer)
        asked = ingest.RawTicksRequest(id=self._requests, shard=shard, from_ns=from_ns)
        self.send(ingest.FromAggregator(raw_ticks_request=asked))
        return answer

    def answer_ticks(self, ticks: ingest.RawTicks) -> None:
        """Hand raw readings to who asked for them; an answer to nobody is let go."""
        if self._ticks is not None and self._ticks[0] == ticks.id and not self._ticks[1].done():
            self._ticks[1].set_result(ticks)

    def _drop_down(self) -> bool:
        for i, message in enumerate(self._waiting):
            if message.HasField("down"):
                del self._waiting[i]
                self.sent -= 1
                self.unread += 1
                return True
        return False

    def _changed(self) -> None:
        self._news.set()
        self._on_change()
