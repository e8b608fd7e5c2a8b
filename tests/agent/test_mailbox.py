"""Who is heard by the agent's socket, and what becomes of the file."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tessera.agent.datagram import LARGEST, Push
from tessera.agent.mailbox import MOST_WAITING, Mailbox, opened, socket_path

PATIENCE = 10.0  # seconds after which what should have been read was not


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    made = Mailbox(tmp_path / "box" / "agent.sock")
    made.open()
    yield made
    made.close()


def send(box: Mailbox, *datagrams: bytes) -> None:
    """Send ``datagrams`` and wait until all were looked at."""
    until = sum(box.counts.values()) + len(datagrams)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        for datagram in datagrams:
            sending.sendto(datagram, str(box.path))
    since = monotonic()
    while sum(box.counts.values()) < until:
        assert monotonic() < since + PATIENCE, box.counts
        sleep(0.001)


def test_what_is_pushed_waits_until_it_is_taken(box: Mailbox) -> None:
    send(box, b"a:1|g", b"b:2|g")
    assert box.take() == [Push("a", 1.0), Push("b", 2.0)]
    assert box.take() == []


def test_bad_lines_are_counted_and_the_others_are_taken(box: Mailbox) -> None:
    send(box, b"nonsense", b"\xff", b"x" * (LARGEST + 100), b"a:1|g")
    assert box.take() == [Push("a", 1.0)]
    assert (box.counts["bad"], box.counts["taken"]) == (3, 1)
    assert "more than 8192 bytes" in box.last_bad


def test_anybody_pushes_but_who_declares_jobs_and_events_is_asked(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.path.stat().st_mode & 0o777 == 0o666
    send(box, b'{"job": "x", "state": "start"}')
    assert len(box.take()) == 1
    monkeypatch.setattr("tessera.agent.mailbox._ROOT", -2)
    monkeypatch.setattr(os, "geteuid", lambda: -3)  # so that who sends is somebody else
    send(box, b'{"job": "x", "state": "start"}', b'{"event": "env_change"}', b"a:1|g")
    assert box.take() == [Push("a", 1.0)]
    assert box.counts["forbidden"] == 2


def test_what_nobody_takes_is_bounded_and_the_rest_counted(box: Mailbox) -> None:
    full = b"a:1|g\n" * 100
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        for _ in range(MOST_WAITING // 100 + 3):
            sending.sendto(full, str(box.path))
    since = monotonic()
    while box.counts["dropped"] < 300:
        assert monotonic() < since + PATIENCE
        sleep(0.001)
    assert len(box.take()) == MOST_WAITING


def test_long_lines_that_nobody_takes_are_bounded_by_their_text(
    box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b'{"metric": "a", "value": 1, "among": [' + b'"123456", ' * 60 + b'"7"]}'
    monkeypatch.setattr("tessera.agent.mailbox.MOST_TEXT", 3 * len(line))
    send(box, *[line] * 5)
    assert (len(box.take()), box.counts["dropped"]) == (3, 2)
    send(box, line)
    assert len(box.take()) == 1


def test_a_socket_that_nobody_listens_at_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as died:
        died.bind(str(path))
    box = Mailbox(path)
    box.open()
    send(box, b"a:1|g")
    box.close()
    assert not path.exists()


def test_a_socket_at_which_another_listens_and_any_other_file_are_left_alone(
    box: Mailbox, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="in use"):
        Mailbox(box.path).open()
    send(box, b"a:1|g")
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert not opened(Mailbox(file))
    assert file.read_text(encoding="utf-8") == "mine"
    assert not opened(Mailbox(tmp_path / ("x" * 120)))


def test_a_socket_whose_file_was_removed_is_made_again(box: Mailbox) -> None:
    box.tend()
    send(box, b"a:1|g")
    box.path.unlink()
    box.tend()
    send(box, b"b:1|g")
    assert [note.metric for note in box.take() if isinstance(note, Push)] == ["a", "b"]


def test_closing_leaves_nothing_and_may_be_done_twice(tmp_path: Path) -> None:
    box = Mailbox(tmp_path / "box" / "agent.sock")
    box.close()
    box.open()
    box.close()
    box.close()
    assert list(tmp_path.iterdir()) == []


def test_an_agent_listens_where_its_settings_say_or_beside_what_it_writes(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    assert socket_path("/x/y", None, folder, {}) == Path("/x/y")
    assert socket_path("", None, folder, {}) is None
    assert socket_path(None, tmp_path, folder, {}) == folder / "agent.sock"
