import asyncio
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .agents import Agent

PROGRAM = (sys.executable, "-m", "tessera.aggregator")
FREE = ("--listen", "127.0.0.1:0")
SERVING = re.compile(r"tessera-aggregator: serving on (127\.0\.0\.1:\d+), state in (\S+)\n")


def ran(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(  # noqa: S603 - ours
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"HOME": "/nowhere", **environ},
    )


def refused(done: subprocess.CompletedProcess[str], *about: str) -> None:
    """Check that a program refused in one line that says all of ``about``."""
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("tessera-aggregator: ")
    for words in about:
        assert words in line


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Lend a running program and its address; it is killed if it has not ended by then."""
    command = [*PROGRAM, *FREE, "--state-dir", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        found = SERVING.fullmatch(process.stdout.readline())
        try:
            assert found is not None, process.stderr and process.stderr.read()
            yield process, found[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_leaves_nothing_to_be_written(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running(tmp_path) as (process, _):
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    names = {path.name for path in (tmp_path / "aggregator").iterdir()}
    assert names == {"tessera.db", "lock"}  # closed in order: nothing is left to be written
    with sqlite3.connect(tmp_path / "aggregator" / "tessera.db") as connection:
        texts = [text for (text,) in connection.execute("SELECT text FROM audit ORDER BY id")]
    connection.close()
    assert texts == ["started", "stopped"]


async def test_a_signal_ends_it_beneath_agents_that_are_connected(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address):
        async with Agent(address, "h0") as first, Agent(address, "h1") as second:
            for agent in (first, second):
                await agent.report()
            process.terminate()
            for agent in (first, second):
                await asyncio.wait_for(agent.ended.wait(), 30)
        assert await asyncio.to_thread(process.wait, 30) == 0
    names = {path.name for path in (tmp_path / "aggregator").iterdir()}
    assert names == {"tessera.db", "lock"}


def test_a_damaged_baseline_is_refused_when_settings_are_checked(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"not one")
    done = ran("--check-config", "--baseline", str(tmp_path / "b"))
    refused(done, f"{tmp_path / 'b'}: is not a baseline of this version")


@pytest.mark.parametrize("options", [(), ("--check-config",)])
def test_tls_files_that_cannot_be_used_are_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    state = ("--state-dir", str(tmp_path), *options)
    refused(ran(*FREE, *state, "--tls-key", "a.key"), "tls_key", "without tls_cert", "set both")
    pair = ("--tls-cert", "gone.pem", "--tls-key", "gone.key")
    refused(ran(*FREE, *state, *pair), "tls_cert: gone.pem cannot be read", "PEM")


def test_a_second_one_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        second = ran(*FREE, "--state-dir", str(tmp_path))
        refused(second, "held by another aggregator", str(process.pid), "state_dir")


def test_after_a_kill_it_starts_again_in_the_same_folder(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        process.kill()
        process.wait()
    with running(tmp_path) as (again, _):
        again.terminate()
        assert again.wait(30) == 0


def test_a_backup_is_made_while_it_runs(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with running(tmp_path):
        done = ran("--state-dir", str(tmp_path), "--backup", str(copy))
        assert (done.returncode, done.stderr) == (0, "")
        refused(ran("--state-dir", str(tmp_path), "--backup", str(copy)), "is there already")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT text FROM audit").fetchall() == [("started",)]
    connection.close()


def test_an_address_that_is_taken_is_refused_and_the_folder_let_go(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = ran("--listen", address, "--state-dir", str(tmp_path))
    refused(done, address, "is in use", "`listen`")
    assert (tmp_path / "aggregator" / "lock").read_bytes() == b""


def test_a_state_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(
        ran(*FREE, "--state-dir", str(tmp_path / "file")),
        "not a directory; make it writable",
        "state_dir",
    )


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "aggregator"
    folder.mkdir()
    (folder / "tessera.db").write_text("a letter to a friend\n" * 100)
    refused(ran(*FREE, "--state-dir", str(tmp_path)), "tessera.db", "not a database", "backup")
    assert (folder / "tessera.db").read_text().startswith("a letter")


def test_a_database_of_a_later_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "aggregator"
    folder.mkdir()
    with sqlite3.connect(folder / "tessera.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    refused(ran(*FREE, "--state-dir", str(tmp_path)), "version 99", "start the newer program")


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (["--q", "7"], ["--q", "less than 1"]),
        (["--q", "much"], ["--q", "--help"]),
        (["--listen", "9460"], ["--listen", "HOST:PORT"]),
        (["--lissen", "x"], ["--lissen", "--help"]),
        (["surplus"], ["surplus", "--help"]),
        (["--config", "/no/such.toml"], ["/no/such.toml", "name a readable TOML file"]),
        (["--topology", "/nope"], ["/nope: is missing; correct `topology`, or leave it out"]),
        (["--metrics", "/nope"], ["/nope: is missing; correct `metrics`, or leave it out"]),
        (["--backup", "/no/copy.db", "--state-dir", "/no"], ["nothing to copy"]),
    ],
)
def test_a_bad_command_line_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], about: list[str]
) -> None:
    refused(ran("--state-dir", str(tmp_path), *arguments), *about)
    assert not (tmp_path / "aggregator" / "tessera.db").exists()


def test_checking_the_configuration_prints_what_is_in_force_and_writes_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.toml").write_text(
        'cluster = "alpha"\nq = 0.2\nhttp_token = "0123456789abcdef"\n'
    )
    state = tmp_path / "state"
    done = ran(
        *("--check-config", "--config", str(tmp_path / "a.toml"), "--q", "0.05"),
        TESSERA_STATE_DIR=str(state),
        TESSERA_CLUSTER="beta",
        TESSERA_HOST="an agent's",
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert {'cluster = "beta"', "q = 0.05", "# http_token is set, and not shown"} <= set(lines)
    assert lines[-1] == f"# writes in {state / 'aggregator'}"
    assert not state.exists()


def test_checking_the_configuration_reads_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{")
    refused(ran("--check-config", "--topology", str(tmp_path / "t.json")), "t.json", "is not JSON")


def test_a_variable_that_nobody_knows_is_told_and_ignored() -> None:
    done = ran("--check-config", TESSERA_LISTN="127.0.0.1:1")
    assert done.returncode == 0
    assert done.stderr == (
        "tessera-aggregator: TESSERA_LISTN: no program of Tessera knows it; "
        "did you mean TESSERA_LISTEN?\n"
    )


def test_help_says_what_is_not_served_yet() -> None:
    done = ran("--help")
    assert done.returncode == 0
    assert "not served yet" in done.stdout
