"""An aggregator without a wire, for pictures that must not depend on when a message arrives."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from tessera.proto.schema import console
from tessera.settings.clock import ManualClock
from tessera.tui import decode
from tessera.tui.answers import Explanation, History, RawTicks, Unanswered
from tessera.tui.view import NO_LAYOUT, LinkLost, View

AGE = 0.4  # seconds of each view when it is shown
ADDRESS = "127.0.0.1:9460"


class ScriptedAggregator:
    """Tells ``news`` and then nothing more; answers from what it was given."""

    address = ADDRESS

    def __init__(
        self,
        clock: ManualClock,
        news: Sequence[View | LinkLost | float],
        explanation: console.Explanation | None = None,
        history: console.HistoryReply | None = None,
        readings: console.RawTicksReply | None = None,
    ) -> None:
        """Take ``news``; a number among them lets so many seconds pass."""
        self._clock = clock
        self._news = news
        self._explanation = explanation
        self._history = history
        self._readings = readings
        self.told = False

    async def watch(self) -> AsyncIterator[View | LinkLost]:
        for item in self._news:
            if isinstance(item, (float, int)):
                self._clock.advance(item)
            else:
                yield item
        self.told = True
        await asyncio.Event().wait()

    async def explain(self, node: str) -> Explanation:
        if self._explanation is None:
            raise Unanswered(f"no node '{node}'")  # noqa: EM102, TRY003  as the client says it
        return decode.explanation(self._explanation)

    async def history(self, node: str) -> History:
        if self._history is None:
            raise Unanswered(f"no node '{node}'")  # noqa: EM102, TRY003  as the client says it
        return decode.history(self._history)

    async def raw_ticks(self, shard: str) -> RawTicks:
        if self._readings is None:
            raise Unanswered(f"not of '{shard}'")  # noqa: EM102, TRY003  as the client says it
        return decode.raw_ticks(self._readings)


def decoded(message: console.View, received: float = 0.0) -> View:
    """Return what the client would make of ``message``."""
    return decode.view(message, NO_LAYOUT, received)
