"""Set up structured logs: one event a line on the given stream, as text or JSON.

Apart, because all programs log in one shape, and standard output belongs to their results.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from io import BufferedWriter, TextIOWrapper
from threading import Lock
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .clock import Clock

Layout = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Sink:
    """Where lines of log go; ``lost`` counts those that could not be written.

    A disk that is full, or a reader that went away, ends no program that only wants to say so.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Take the stream, None = nowhere."""
        self.lost = 0
        self._stream = stream
        self._lock = Lock()

    def msg(self, line: str) -> None:
        """Write ``line`` at once, or count it."""
        with self._lock:
            try:
                self._write(line + "\n")
            except (OSError, ValueError):  # the latter from a stream that was closed
                self.lost += 1

    debug = info = warning = error = critical = exception = msg

    def _write(self, text: str) -> None:
        stream = self._stream
        if stream is None:
            self.lost += 1
        elif isinstance(stream, TextIOWrapper) and isinstance(stream.buffer, BufferedWriter):
            # Past the buffer: what it could not write would fail again when the process exits.
            rest = text.encode(stream.encoding, "backslashreplace")
            while rest:
                rest = rest[stream.buffer.raw.write(rest) or 0 :]
        else:
            stream.write(text)
            stream.flush()


def start_logs(
    stream: TextIO | None, clock: Clock, *, layout: Layout = "text", level: Level = "info"
) -> Sink:
    """Send the whole process's ``structlog`` events of at least ``level`` to ``stream``.

    Returns where they go, which never fails. A process that was started without a standard error
    has no ``stream``.
    Every event carries ``at``, RFC 3339 in UTC by ``clock``, and ``level``. Raise ``ValueError``
    for another layout or level. Programs pass ``sys.stderr``.
    """
    if level not in LEVELS:
        message = f"log level '{level}' is not one of {', '.join(LEVELS)}"
        raise ValueError(message)
    sink = Sink(stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp(clock),
            *_rendering(layout, colours=stream is not None and stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_names: sink,
        cache_logger_on_first_use=False,  # so that a second start, as in tests, takes effect
    )
    return sink


def stamp(clock: Clock) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """Return a processor that adds ``at`` by ``clock``, to the microsecond."""

    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["at"] = rfc3339(clock.now())
        return event

    return add


def rfc3339(seconds: float) -> str:
    """Write Unix ``seconds`` as RFC 3339 in UTC: ``2026-11-23T15:57:00.000000Z``."""
    at = datetime.fromtimestamp(seconds, tz=UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _rendering(layout: Layout, *, colours: bool) -> tuple[Processor, ...]:
    """Return the processors that turn an event into one line."""
    if layout == "json":
        return (
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        )
    if layout == "text":
        return (
            structlog.dev.ConsoleRenderer(
                colors=colours,
                timestamp_key="at",
                # Where rich is installed, structlog would print the values of local variables too.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        )
    message = f"log layout '{layout}' is not one of text, json"
    raise ValueError(message)
