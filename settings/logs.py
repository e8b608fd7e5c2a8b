"""Set up structured logs: one event a line on the given stream, as text or JSON.

Apart, because all programs log in one shape, and standard output belongs to their results.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .clock import Clock

Layout = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def start_logs(
    stream: TextIO, clock: Clock, *, layout: Layout = "text", level: Level = "info"
) -> None:
    """Send the whole process's ``structlog`` events of at least ``level`` to ``stream``.

    Every event carries ``at``, RFC 3339 in UTC by ``clock``, and ``level``. Raise ``ValueError``
    for another layout or level. Programs pass ``sys.stderr``.
    """
    if level not in LEVELS:
        message = f"log level '{level}' is not one of {', '.join(LEVELS)}"
        raise ValueError(message)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp(clock),
            *_rendering(layout, colours=stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,  # so that a second start, as in tests, takes effect
    )


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
        return (structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at"),)
    message = f"log layout '{layout}' is not one of text, json"
    raise ValueError(message)
