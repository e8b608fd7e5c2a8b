import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.linux import kmsg
from tessera.adapters.linux.kmsg import KernelLog, Record, parse


def opened(path: Path) -> KernelLog:
    log = KernelLog(path)
    assert log.open()
    return log


def texts(log: KernelLog) -> list[str]:
    return [line for record in log.poll() for line in record.lines]


def test_a_record_has_its_time_and_its_text() -> None:
    assert parse(b"6,339,5140900,-;NET: Registered protocol") == Record(
        5.1409, ("NET: Registered protocol",)
    )


def test_a_record_may_have_more_fields_than_are_known() -> None:
    assert parse(b"6,339,5140900,-,caller=T12;text") == Record(5.1409, ("text",))


def test_lines_of_one_record_are_told_apart() -> None:
    found = parse(rb"4,1,0,-;first\x0asecond \xc3\xa4 \x5cx0a")
    assert found == Record(0.0, ("first", "second ä \\x0a"))


@pytest.mark.parametrize("priority", [8, 12, 30, 4095])
def test_what_a_program_wrote_is_no_record_of_the_kernel(priority: int) -> None:
    text = "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus"
    assert parse(f"4,1,0,-;{text}".encode()) is not None
    assert parse(f"{priority},1,0,-;{text}".encode()) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_record_or_none(raw: bytes) -> None:
    found = parse(raw)
    assert found is None or found.seconds >= 0


def test_what_was_logged_before_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"4,1,0,-;before\n")
    log = opened(path)
    with path.open("ab") as file:
        file.write(b"4,2,0,-;after\n SUBSYSTEM=pci\n DEVICE=+pci:0000:44:00.0\n4,3,0,-;later\n")
    assert texts(log) == ["after", "later"]
    assert texts(log) == []
    assert log.skipped == 0


def test_the_past_can_be_asked_for_apart(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"4,1,0,-;before\n4,2,0,-;too\n")
    log = KernelLog(path)
    assert log.past() == []
    log.open()
    assert [record.lines for record in log.past()] == [("before",), ("too",)]
    assert texts(log) == []


def test_only_the_beginning_of_a_long_past_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kmsg, "PAST", 2)
    path = tmp_path / "kmsg"
    path.write_bytes(b"4,1,0,-;one\n4,2,0,-;two\n4,3,0,-;three\n")
    assert [record.lines for record in opened(path).past()] == [("one",), ("two",)]


def test_a_record_that_comes_in_two_parts_is_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    log = opened(path)
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, b"4,1,0,-;NVRM: a li")
    assert log.past() == []  # a pipe has none
    assert texts(log) == []
    os.write(writer, b"ne\nnoise\n")
    assert texts(log) == ["NVRM: a line"]
    assert log.skipped == 1
    os.close(writer)
    assert texts(log) == []
    log.close()


def test_a_pipe_full_of_garbage_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    log = opened(path)
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    for _ in range(40):
        os.write(writer, b"x" * 4096)
        assert texts(log) == []
    assert log.skipped >= 1
    os.write(writer, b"\n4,1,0,-;sound again\n")
    assert texts(log) == ["sound again"]
    os.close(writer)
    log.close()


def test_an_overrun_is_counted_and_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes | OSError] = [
        b"4,1,0,-;before\n",
        BrokenPipeError(32, "Broken pipe"),
        OSError(22, "Invalid argument"),
        b"4,9,0,-;after\n",
        BlockingIOError(11, "Resource temporarily unavailable"),
    ]

    def read(file: int, size: int) -> bytes:
        assert size >= 8192
        assert file >= 0
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    path = tmp_path / "kmsg"
    path.touch()
    log = opened(path)
    monkeypatch.setattr(os, "read", read)
    assert texts(log) == ["before", "after"]
    assert (log.overruns, log.skipped) == (1, 1)
    assert log.is_open


def test_a_log_that_fails_is_closed_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: int, size: int) -> bytes:
        del file, size
        raise OSError(5, "Input/output error")

    path = tmp_path / "kmsg"
    path.touch()
    log = opened(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "read", read)
        assert texts(log) == []
    assert not log.is_open
    assert "input/output error" in log.reason
    assert texts(log) == []


def test_a_log_that_may_not_be_read_is_no_fault_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        assert flags & os.O_NONBLOCK
        assert not flags & (os.O_WRONLY | os.O_RDWR)
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "open", refuse)
    log = KernelLog(tmp_path / "kmsg")
    assert not log.open()
    assert "CAP_SYSLOG" in log.reason
    assert log.poll() == []


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    log = KernelLog(tmp_path / "kmsg")
    assert not log.open()
    assert "no such file" in log.reason


def test_one_poll_is_bounded_and_the_rest_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kmsg, "AT_ONCE", 3)
    read, write = os.pipe()  # one record to a read, as of the device
    os.set_blocking(read, False)
    path = tmp_path / "kmsg"
    path.touch()
    log = opened(path)
    monkeypatch.setattr(os, "read", lambda _, size: _one_line(read, size))
    for number in range(5):
        os.write(write, f"4,{number},0,-;{number}\n".encode())
    assert texts(log) == ["0", "1", "2"]
    assert texts(log) == ["3", "4"]
    os.close(write)
    os.close(read)


_read = os.read


def _one_line(file: int, size: int) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < size:
        one = _read(file, 1)
        if not one:
            break
        found += one
    return found


def test_closing_twice_is_harmless_and_it_may_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.touch()
    log = opened(path)
    log.close()
    log.close()
    assert "closed" in log.reason
    assert log.open()
    assert log.reason == ""
    log.close()
