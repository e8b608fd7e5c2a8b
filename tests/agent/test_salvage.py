"""What is sound is read, whatever became of the rest."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tessera.agent.journal import HEAD, Journal
from tessera.agent.salvage import salvaged

RECORDS = [bytes([n]) * (20 + n) for n in range(1, 9)]


def file_of(folder: Path, records: list[bytes]) -> bytes:
    with Journal(folder / "journal") as journal:
        for record in records:
            journal.append(record)
    return (folder / "journal").read_bytes()


def test_a_sound_file_is_read_whole(tmp_path: Path) -> None:
    assert list(salvaged(file_of(tmp_path, RECORDS))) == RECORDS
    assert list(salvaged(b"")) == []


def test_zeros_and_a_record_that_was_not_finished_are_no_holes(tmp_path: Path) -> None:
    data = file_of(tmp_path, RECORDS)
    assert list(salvaged(data + bytes(500))) == RECORDS
    assert list(salvaged(data[:-3])) == RECORDS[:-1]


def test_a_flipped_byte_costs_its_record_and_no_other(tmp_path: Path) -> None:
    data = file_of(tmp_path, RECORDS)
    start = sum(len(record) + HEAD.size for record in RECORDS[:3])
    for at in (start, start + 5, start + 9, start + HEAD.size, start + HEAD.size + 10):
        bad = bytearray(data)
        bad[at] ^= 0x40
        assert list(salvaged(bytes(bad))) == [*RECORDS[:3], None, *RECORDS[4:]]


def test_garbage_between_records_is_one_hole(tmp_path: Path) -> None:
    data = file_of(tmp_path, RECORDS[:2])
    assert list(salvaged(data + b"garbage" * 9 + data)) == [*RECORDS[:2], None, *RECORDS[:2]]


@given(st.binary(max_size=200))
def test_garbage_yields_no_record(data: bytes) -> None:
    assert all(record is None for record in salvaged(data))
