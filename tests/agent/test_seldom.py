from structlog.testing import capture_logs

from tessera.agent.seldom import Seldom
from tessera.settings.clock import ManualClock


def test_one_line_is_logged_once_a_minute_and_another_at_once() -> None:
    clock = ManualClock()
    seldom = Seldom(clock)
    with capture_logs() as logs:
        for _ in range(61):
            seldom.say("the disk is full")
            clock.advance(1.0)
        seldom.say("the link failed")
    told = [entry["event"] for entry in logs]
    assert told == ["the disk is full", "the disk is full", "the link failed"]


def test_an_error_under_way_is_logged_with_the_line() -> None:
    with capture_logs() as logs:
        Seldom(ManualClock()).say("a tick failed", failed=True)
    assert logs[0]["exc_info"]
