from pathlib import Path

import pytest

from tessera.agent.checkpoint import Checkpoints, Found


def good(state: bytes) -> None:
    """Take any state."""
    del state


def run(folder: Path, *generations: tuple[bytes, list[bytes]]) -> None:
    """Write each state as a checkpoint with the records that came after it."""
    files = Checkpoints(folder)
    files.load(good)
    for state, records in generations:
        files.write(files.turn(), state)
        assert files.journal is not None
        for record in records:
            files.journal.append(record)
    files.close()


def load(folder: Path) -> Found:
    return Checkpoints(folder).load(good)


def names(folder: Path) -> list[str]:
    return sorted(path.name.replace("0" * 9, "") for path in folder.iterdir())


def test_an_empty_folder_holds_nothing_and_nothing_was_lost(tmp_path: Path) -> None:
    assert load(tmp_path) == Found(None)


def test_the_newest_checkpoint_comes_back_with_what_happened_since(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1", b"2"]), (b"b", [b"3"]))
    assert load(tmp_path) == Found(b"b", (b"3",))


def test_two_generations_are_kept_and_no_draft(tmp_path: Path) -> None:
    run(tmp_path, *((bytes([65 + i]), [b"r"]) for i in range(5)))
    assert names(tmp_path) == ["checkpoint-4", "checkpoint-5", "journal-4", "journal-5"]


def test_a_damaged_newest_checkpoint_falls_back_on_the_one_before_and_both_journals(
    tmp_path: Path,
) -> None:
    run(tmp_path, (b"a", [b"1", b"2"]), (b"b", [b"3"]))
    newest = tmp_path / "checkpoint-0000000002"
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    assert load(tmp_path) == Found(b"a", (b"1", b"2", b"3"))


def test_a_kill_between_journal_and_checkpoint_loses_nothing(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1"]))
    files = Checkpoints(tmp_path)
    files.load(good)
    files.turn()
    assert files.journal is not None
    files.journal.append(b"2")
    files.close()
    assert load(tmp_path) == Found(b"a", (b"1", b"2"))


def test_numbers_go_on_and_are_never_used_again(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1"]))
    run(tmp_path, (b"b", []))
    run(tmp_path, (b"c", [b"2"]))
    assert names(tmp_path) == ["checkpoint-2", "checkpoint-3", "journal-2", "journal-3"]
    run(tmp_path, (b"d", []), (b"e", []))
    assert names(tmp_path) == ["checkpoint-4", "checkpoint-5", "journal-4", "journal-5"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:-1] + b"x", "is damaged, its checksum does not fit"),
        (lambda data: data[:30], "is damaged, its checksum does not fit"),
        (lambda _: b"", "is not a checkpoint of this version"),
        (lambda data: b"pickle" + data, "is not a checkpoint of this version"),
    ],
)
def test_two_damaged_checkpoints_are_lost_with_the_reason(
    tmp_path: Path,
    spoil: "type[bytes]",
    why: str,
) -> None:
    run(tmp_path, (b"a", [b"1"]), (b"b", [b"2"]))
    for path in tmp_path.glob("checkpoint-*"):
        path.write_bytes(spoil(path.read_bytes()))
    assert load(tmp_path) == Found(None, (), f"checkpoint-0000000002: {why}")


def test_a_state_that_is_refused_is_lost_with_the_reason(tmp_path: Path) -> None:
    run(tmp_path, (b"a", []))

    def refuse(state: bytes) -> None:
        message = f"{state!r} is about another host"
        raise ValueError(message)

    found = Checkpoints(tmp_path).load(refuse)
    assert found == Found(None, (), "checkpoint-0000000001: b'a' is about another host")


def test_nothing_is_read_past_a_hole(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1"]), (b"b", [b"2"]))
    (tmp_path / "journal-0000000002").unlink()
    found = load(tmp_path)
    assert found.state is None
    assert "journal-0000000002 is missing" in found.lost


def test_a_broken_journal_leaves_a_hole_and_the_next_checkpoint_closes_it(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1"]))
    files = Checkpoints(tmp_path)
    files.load(good)
    files.write(files.turn(), b"b")
    files.break_off()
    assert load(tmp_path).state is None
    files.write(files.turn(), b"c")
    files.close()
    assert load(tmp_path) == Found(b"c")
    assert names(tmp_path) == ["checkpoint-3", "journal-3"]


def test_a_checkpoint_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    run(tmp_path, (b"a", [b"1"]))
    files = Checkpoints(tmp_path)
    files.load(good)
    number = files.turn()
    (tmp_path / "checkpoint-0000000002.new").mkdir()  # nobody can open this for writing
    with pytest.raises(OSError, match="directory"):
        files.write(number, b"b")
    (tmp_path / "checkpoint-0000000002.new").rmdir()
    files.close()
    assert load(tmp_path) == Found(b"a", (b"1",))
