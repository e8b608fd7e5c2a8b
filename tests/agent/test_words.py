"""What was said outlives the process, and no id comes again with another meaning."""

import shutil
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

import pytest

from tessera.agent.journal import Journal
from tessera.agent.words import Words

FIRST = 1_000

Step = Callable[[], object]


def opened(folder: Path, first: int = FIRST, most: int = 1 << 20) -> Words:
    words = Words(folder, most)
    words.load(first)
    words.begin()
    return words


def killed(folder: Path, name: str) -> Path:
    """Return an image of ``folder`` as a kill would leave it."""
    return Path(shutil.copytree(folder, folder.with_name(name)))


def state(words: Words) -> object:
    return (
        {kind: (of.last, list(of.waiting.items())) for kind, of in words.said.items()},
        words.standing,
    )


def test_a_kill_at_any_place_loses_nothing_that_was_said(tmp_path: Path) -> None:
    words = opened(tmp_path / "a")
    steps: tuple[Step, ...] = (
        lambda: words.say("fact", b"one"),
        lambda: words.stand("gpu-0", "xid_79", stands=True),
        lambda: words.say("event", b"two"),
        lambda: words.say("fact", b"three"),
        lambda: words.stored("fact", [FIRST + 1, 5]),
        lambda: words.stand("gpu-0", "xid_79", stands=False),
        lambda: words.say("gap", b"four"),
        lambda: words.say("gap", b"more than four", FIRST + 1),
    )
    for number, step in enumerate(steps):
        step()
        again = Words(killed(tmp_path / "a", f"killed-{number}"), 1 << 20)
        again.load(FIRST)
        assert state(again) == state(words)
    assert words.said["fact"].waiting == {FIRST + 2: b"three"}
    assert words.said["gap"].waiting == {FIRST + 1: b"more than four"}


def test_ids_go_on_after_a_restart_though_all_was_stored(tmp_path: Path) -> None:
    words = opened(tmp_path)
    number = words.say("fact", b"one")
    words.stored("fact", [number])
    words.close()
    assert opened(tmp_path, first=1).say("fact", b"two") == number + 1


def test_ids_begin_above_all_that_were_given_where_nothing_is_left(tmp_path: Path) -> None:
    number = opened(tmp_path / "a", first=5_000).say("fact", b"one")
    assert opened(tmp_path / "b", first=9_000).say("fact", b"another") > number


def test_the_file_is_written_anew_before_it_grows_without_end(tmp_path: Path) -> None:
    words = opened(tmp_path, most=10_000)
    for _ in range(400):
        words.stored("fact", [words.say("fact", bytes(1000))])
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 80_000
    assert path.name != "words-0000000001"
    assert opened(tmp_path).say("fact", b"") == FIRST + 401


def test_a_damaged_record_costs_itself_and_is_told(tmp_path: Path) -> None:
    words = opened(tmp_path)
    for word in (b"one", b"two", b"three"):
        words.say("event", word)
    words.close()
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"two", b"tWo"))
    again = opened(tmp_path, first=7_000)
    assert list(again.said["event"].waiting.values()) == [b"one", b"three"]
    assert path.name in again.damaged
    assert again.say("event", b"four") > 7_000  # ids of what was lost may have been higher


def test_a_full_disk_is_counted_and_all_is_written_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = opened(tmp_path)
    words.say("fact", b"before")

    def full(journal: Journal, record: bytes) -> None:
        raise OSError(ENOSPC, "No space left on device", str(journal.path), record[:0])

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        words.say("fact", b"during")
        words.say("fact", b"during too")
    assert words.unwritten == 2
    words.say("fact", b"after")
    again = Words(tmp_path, 1 << 20)
    again.load(1)
    assert list(again.said["fact"].waiting.values()) == [
        *(b"before", b"during", b"during too", b"after"),
    ]
