import os
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.aggregator.state.folder import BadFolder, Folder

HOLD = """
import sys
from pathlib import Path
from tessera.aggregator.state.folder import Folder
Folder(Path(sys.argv[1])).hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_it_is_made_and_held_and_let_go_without_a_trace(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "aggregator")
    folder.hold()
    assert folder.path.is_dir()
    folder.release()
    assert list(folder.path.iterdir()) == []
    folder.hold()
    folder.release()


def test_a_second_holder_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.hold()
    with pytest.raises(BadFolder, match=rf"held by another aggregator \(process {os.getpid()}\)"):
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
            Folder(tmp_path).hold()
        process.kill()
        process.wait()
    folder = Folder(tmp_path)
    folder.hold()
    folder.release()


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFolder, match=r"cannot be written .*; make it writable or name another"):
        Folder(tmp_path / "file" / "aggregator").hold()
