"""Log one line not more than once a minute, however often there is cause.

Apart from the runtime, because what goes wrong each second must not fill a disk.
"""

from typing import Final

import structlog

from ..settings.clock import Clock

QUIET: Final = 60.0  # seconds between two lines about one thing


class Seldom:
    """Remembers for a minute what it has said."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock that tells when a minute is over."""
        self._clock = clock
        self._said: dict[str, float] = {}  # monotonic seconds by what was logged
        self._log = structlog.get_logger("agent")

    def say(self, what: str, *, failed: bool = False) -> None:
        """Log ``what`` as a warning; with the error under way if one ``failed``."""
        now = self._clock.monotonic()
        self._said = {text: at for text, at in self._said.items() if now - at < QUIET}
        if what not in self._said:
            self._said[what] = now
            self._log.warning(what, exc_info=failed)
