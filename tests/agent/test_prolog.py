"""Slurm's scripts, run as Slurm runs them: they tell the agent of jobs, and never fail or wait."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from tessera.agent.datagram import JobNote
from tessera.agent.mailbox import Mailbox
from tessera.agent.prolog import message

SCRIPTS = Path(__file__).resolve().parents[2] / "deploy" / "slurm"
PATIENCE = 10.0  # seconds after which a script should have ended and the agent heard
JOB = {"SLURM_JOB_ID": "1234", "SLURM_JOB_GPUS": "0,2-3", "SLURM_JOB_NAME": 'a "b" $(c)'}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder in which `python3` is the interpreter that runs the tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "python3"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return folder


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    made = Mailbox(tmp_path / "agent.sock")
    made.open()
    yield made
    made.close()


def run(name: str, programs: Path, path: Path, **more: str) -> int:
    """Run a script with the environment that slurmd gives it: no PATH."""
    ours = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    environ = {"TESSERA_BIN": str(programs), "TESSERA_SOCKET": str(path), **JOB, **ours, **more}
    done = subprocess.run(  # noqa: S603  our own script
        [SCRIPTS / name], env=environ, timeout=PATIENCE, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    return done.returncode


def heard(box: Mailbox) -> list[object]:
    since = monotonic()
    while not (found := box.take()):
        assert monotonic() < since + PATIENCE
        sleep(0.01)
    return list(found)


def test_prolog_and_epilog_tell_the_agent_of_the_job_and_its_devices(
    box: Mailbox, programs: Path
) -> None:
    assert run("prolog.sh", programs, box.path) == 0
    assert heard(box) == [JobNote("slurm-1234", ("0", "2", "3"))]
    assert run("epilog.sh", programs, box.path) == 0
    assert heard(box) == [JobNote("slurm-1234", over=True)]


@pytest.mark.parametrize("name", ["prolog.sh", "epilog.sh"])
def test_a_script_ends_well_where_no_agent_no_python_or_a_stuck_agent_is(
    name: str, programs: Path, tmp_path: Path
) -> None:
    assert run(name, programs, tmp_path / "absent.sock") == 0
    assert run(name, tmp_path, tmp_path / "absent.sock") == 0
    (programs / "python3").write_text("#!/bin/sh\nexec sleep 100\n", encoding="utf-8")
    assert run(name, programs, tmp_path / "absent.sock") == 0


def test_a_script_ends_well_where_the_socket_is_full(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "full.sock"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling,
    ):
        deaf.bind(str(path))
        filling.setblocking(False)  # noqa: FBT003  socket's own signature
        with suppress(BlockingIOError):
            for _ in range(10_000):
                filling.sendto(b"x", str(path))
        assert run("prolog.sh", programs, path) == 0


def test_a_job_without_accelerators_is_nobodys_unless_the_site_says_that_it_has_all() -> None:
    bare = {"SLURM_JOB_ID": "7"}
    assert message("start", bare) is None
    assert message("start", {"SLURM_JOB_GPUS": "0"}) is None
    whole = {**bare, "TESSERA_JOB_DEVICES": "all"}
    assert message("start", whole) == {"job": "slurm-7", "state": "start"}
    assert message("elsewhere", whole) is None
