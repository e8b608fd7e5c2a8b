"""An exchange whose errors end neither the link nor the agent.

Apart from the exchange, whose own errors are about messages: this is for those nobody foresaw.
"""

from collections.abc import Callable, Iterable

from ..proto.schema import ingest
from .exchange import Exchange


class Guarded:
    """Speaks for ``exchange`` over a link, and survives what it raises."""

    def __init__(self, exchange: Exchange, say: Callable[..., None]) -> None:
        """Take the exchange, and who logs a line seldom."""
        self._exchange = exchange
        self._say = say

    def hello(self) -> ingest.Hello:
        """Return who speaks."""
        return self._exchange.hello()

    def greeting(self, welcome: ingest.Welcome) -> Iterable[ingest.FromAgent]:
        """Return what is said first."""
        return self._exchange.greeting(welcome)

    def take(self, message: ingest.FromAggregator) -> None:
        """Do what a message asks for; an error is logged and counted."""
        try:
            self._exchange.take(message)
        except Exception:  # noqa: BLE001  one message must not end the stream
            self._exchange.refused += 1
            self._say(f"a {message.WhichOneof('body')} of the aggregator failed", failed=True)
