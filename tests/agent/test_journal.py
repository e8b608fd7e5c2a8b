from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.journal import HEAD, Journal, read_journal

RECORDS = [b"first", b"\0\0\0\0", b"x" * 300, b"last"]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    with Journal(tmp_path / "journal-1") as journal:
        for record in RECORDS:
            journal.append(record)
    return tmp_path / "journal-1"


def ends() -> list[int]:
    """Return the size of the file after each number of records, from none on."""
    sizes = [0]
    for record in RECORDS:
        sizes.append(sizes[-1] + HEAD.size + len(record))
    return sizes


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8))
def test_records_come_back_in_their_order(records: list[bytes]) -> None:
    path = Path("/dev/shm/journal-of-a-test")  # noqa: S108  as good as any, and quick
    with Journal(path) as journal:
        for record in records:
            journal.append(record)
    assert list(read_journal(path)) == records
    path.unlink()


def test_a_record_is_in_the_file_before_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal-1")
    journal.begin()
    journal.append(b"now")
    assert list(read_journal(journal.path)) == [b"now"]
    journal.close()
    journal.close()


def test_a_file_cut_at_any_byte_gives_the_records_that_were_whole(written: Path) -> None:
    data = written.read_bytes()
    for size in range(len(data) + 1):
        written.write_bytes(data[:size])
        whole = max(n for n, end in enumerate(ends()) if end <= size)
        assert list(read_journal(written)) == RECORDS[:whole]


def test_zeros_that_a_crash_left_at_the_end_are_no_record(written: Path) -> None:
    written.write_bytes(written.read_bytes() + bytes(500))
    assert list(read_journal(written)) == RECORDS


@pytest.mark.parametrize("place", [0, 3, 6, 9, HEAD.size, ends()[1], ends()[2] + 3, ends()[2] + 40])
def test_damage_before_other_records_is_refused_in_one_line(written: Path, place: int) -> None:
    data = bytearray(written.read_bytes())
    data[place] ^= 0xFF
    written.write_bytes(data)
    with pytest.raises(ValueError, match="journal-1 is damaged at byte") as caught:
        list(read_journal(written))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_journal(tmp_path / "none"))
