"""Logs are one line an event, stamped in UTC by the clock that was given."""

import io
import json
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path

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


def test_an_exception_in_text_is_a_traceback_without_the_values_of_variables(
    stream: io.StringIO,
) -> None:
    start_logs(stream, ManualClock(AT), layout="text")
    token = "s3" + "cret"
    try:
        _ = 1 / len(token[9:])
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    text = stream.getvalue()
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError" in text
    assert "s3cret" not in text


class Closed(io.StringIO):
    """A stream whose disk is full until there is ``room``."""

    room = False

    def write(self, text: str, /) -> int:
        if not self.room:
            raise OSError(ENOSPC, "No space left on device")
        return super().write(text)


def test_a_stream_that_cannot_be_written_loses_lines_and_counts_them() -> None:
    full = Closed()
    sink = start_logs(full, ManualClock(AT), layout="json")
    structlog.get_logger().info("first")
    structlog.get_logger().error("second")
    assert sink.lost == 2
    full.room = True
    structlog.get_logger().info("third")
    assert json.loads(full.getvalue())["event"] == "third"
    full.close()
    structlog.get_logger().info("fourth")
    assert sink.lost == 3
    structlog.reset_defaults()


def test_a_process_without_a_standard_error_loses_its_lines() -> None:
    sink = start_logs(None, ManualClock(AT))
    structlog.get_logger().info("first")
    assert sink.lost == 1
    structlog.reset_defaults()


def test_a_file_that_cannot_be_written_leaves_nothing_that_fails_when_it_is_closed() -> None:
    with Path("/dev/full").open("a", encoding="utf-8") as full:
        sink = start_logs(full, ManualClock(AT))
        structlog.get_logger().info("first")
        assert sink.lost == 1
    structlog.reset_defaults()


def test_the_stamp_is_rfc_3339_in_utc() -> None:
    assert rfc3339(0.0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(AT) == "2026-11-23T15:57:00.250000Z"


def test_an_unknown_layout_or_level_is_refused(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="layout 'xml'"):
        start_logs(stream, ManualClock(), layout="xml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault under test
    with pytest.raises(ValueError, match="level 'loud'"):
        start_logs(stream, ManualClock(), level="loud")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the fault under test
