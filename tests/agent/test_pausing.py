"""`tessera-agent pause-profiling` and `resume-profiling`, as processes, and who hears them."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from structlog.testing import capture_logs

from tessera.agent.datagram import PauseNote
from tessera.agent.mailbox import Mailbox
from tessera.agent.pauses import Pauses
from tessera.agent.workload import Workload

from .test_program import PATIENCE, run


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    listening = Mailbox(tmp_path / "agent.sock")
    listening.open()
    yield listening
    listening.close()


def until_taken(mailbox: Mailbox) -> None:
    """Wait until the mailbox's thread has taken a line."""
    end = monotonic() + PATIENCE
    while not mailbox.counts["taken"]:
        assert monotonic() < end, mailbox.counts
        sleep(0.01)


@pytest.mark.parametrize(
    ("words", "seconds", "said"),
    [
        (("pause-profiling",), 900.0, "profiling counters pause for 15 min"),
        (("pause-profiling", "--for", "2h"), 7200.0, "profiling counters pause for 2 h"),
        (("resume-profiling",), 0.0, "profiling counters are read again"),
    ],
)
def test_a_pause_reaches_the_agent_of_this_host(
    mailbox: Mailbox, tmp_path: Path, words: tuple[str, ...], seconds: float, said: str
) -> None:
    done = run(tmp_path, *words, "--socket", str(mailbox.path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(said)
    until_taken(mailbox)
    (note,) = mailbox.take()
    assert note == PauseNote(seconds)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--for", "soon"), "--for: 'soon' is no duration; write it like 90s, 15m or 2h"),
        (("--for", "2d"), "is no pause; write 0 to 86400 seconds"),
        (("--socket", "nowhere.sock"), "no agent listens at nowhere.sock"),
    ],
)
def test_a_pause_that_cannot_be_is_one_line_and_status_2(
    mailbox: Mailbox, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, "pause-profiling", "--socket", str(mailbox.path), *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert mailbox.take() == []


def test_beginning_and_end_of_a_pause_are_logged(mailbox: Mailbox, tmp_path: Path) -> None:
    workload = Workload(mailbox)
    pauses = Pauses([workload])
    with capture_logs() as logs:
        pauses.tick(0.0)
        assert run(tmp_path, "pause-profiling", "--socket", str(mailbox.path)).returncode == 0
        until_taken(mailbox)
        workload.read(1.8e9)  # as a tick does
        pauses.tick(1.0)
        pauses.tick(899.0)
        assert len(logs) == 1
        pauses.tick(901.0)
    assert [line["event"] for line in logs] == [
        "profiling counters pause",
        "profiling counters are read again",
    ]
