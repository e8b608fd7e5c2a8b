"""Logs are one line an event, stamped in UTC by the clock that was given."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from tessera.settings.clock import ManualClock
from tessera.settings.logs import rfc3339, start_logs

AT = 1_795_449_420.25


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()


def test_json_is_one_object_a_line_with_time_level_and_facts(stream: io.StringIO) -> None:
    start_logs(stream, ManualClock(AT), layout="json")
    structlog.get_logger().info("sealed", block=7)
    structlog.get_logger().error("lost", host="h1")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first == {"at": rfc3339(AT), "level": "info", "event": "sealed", "block": 7}
    assert (second["level"], second["host"]) == ("error", "h1")


def test_text_is_one_line_without_colour_codes_off_a_terminal(stream: io.StringIO) -> None:
    start_logs(stream, ManualClock(AT), layout="text")
    structlog.get_logger().warning("sealed", block=7)
    line = stream.getvalue()
    assert line.startswith(rfc3339(AT))
    assert "warning" in line
    assert "block=7" in line
    assert "\x1b" not in line
    assert line.count("\n") == 1


def test_events_below_the_level_are_dropped(stream: io.StringIO) -> None:
    start_logs(stream, ManualClock(AT), level="warning")
    structlog.get_logger().info("sealed")
    assert not stream.getvalue()


def test_an_exception_stays_on_its_json_line(stream: io.StringIO) -> None:
    start_logs(stream, ManualClock(AT), layout="json")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_the_stamp_is_rfc_3339_in_utc() -> None:
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(AT) == "2026-11-23T15:57:00.250000Z"


def test_an_unknown_layout_or_level_is_refused(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="layout 'xml'"):
        start_logs(stream, ManualClock(), layout="xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault under test
    with pytest.raises(ValueError, match="level 'loud'"):
        start_logs(stream, ManualClock(), level="loud")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault under test
