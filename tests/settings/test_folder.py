import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.settings.folder import BadFolder, Folder, state_folder, unwritable

HOLD = """
import sys
from pathlib import Path
from tessera.settings.folder import Folder
Folder(Path(sys.argv[1]), "agent").hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_it_is_made_and_held_and_let_go(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "agent", "agent")
    folder.hold()
    assert folder.path.is_dir()
    folder.release()
    folder.release()
    folder.hold()
    folder.release()


def test_the_file_of_the_lock_stays_so_that_nobody_waits_for_a_removed_one(tmp_path: Path) -> None:
    folder, lock = Folder(tmp_path, "agent"), tmp_path / "lock"
    folder.hold()
    with lock.open() as opened_before:
        folder.release()
        folder.hold()
        with pytest.raises(BlockingIOError):
            fcntl.flock(opened_before, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder.release()
    assert lock.read_bytes() == b""  # nobody is named who holds nothing


def test_a_second_holder_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    first, second = Folder(tmp_path, "agent"), Folder(tmp_path, "agent")
    first.hold()
    with pytest.raises(BadFolder, match=rf"held by another agent \(process {os.getpid()}\)"):
        second.hold()
    first.release()
    second.hold()
    second.release()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BadFolder):
            Folder(tmp_path, "agent").hold()
        process.kill()
        process.wait()
    folder = Folder(tmp_path, "agent")
    folder.hold()
    folder.release()


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        BadFolder, match="not a directory; make it writable, or name another state_dir"
    ):
        Folder(tmp_path / "file" / "agent", "agent").hold()


def test_each_program_writes_in_its_own_folder_beneath_the_shared_one(tmp_path: Path) -> None:
    assert state_folder("agent", tmp_path, {}, tmp_path) == tmp_path / "agent"
    assert state_folder("aggregator", tmp_path, {}, tmp_path) == tmp_path / "aggregator"


def test_without_a_state_dir_the_systems_folder_is_taken_and_else_the_users(tmp_path: Path) -> None:
    system = tmp_path / "system"
    own = tmp_path / ".local" / "state" / "tessera" / "agent"
    assert state_folder("agent", None, {}, tmp_path, system) == own
    said = {"XDG_STATE_HOME": str(tmp_path / "x")}
    elsewhere = tmp_path / "x" / "tessera" / "agent"
    assert state_folder("agent", None, said, tmp_path, system) == elsewhere
    system.mkdir()
    assert state_folder("agent", None, said, tmp_path, system) == system / "agent"


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EACCES, False)])
def test_a_full_disk_is_told_from_a_folder_that_a_person_has_to_mend(
    number: int, *, full: bool
) -> None:
    assert unwritable(Path("x"), OSError(number, os.strerror(number))).full == full
