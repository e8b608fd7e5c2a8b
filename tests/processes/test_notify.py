"""Both programs as a service manager sees them."""

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .programs import PATIENCE

AGENT = ("agent", "--source", "synthetic", "--aggregator", "127.0.0.1:1")
AGGREGATOR = ("aggregator", "--listen", "127.0.0.1:0")


def states(listening: socket.socket, until: str) -> list[str]:
    """Return the first lines of what is told, up to one that is ``until``."""
    told: list[str] = []
    while not told or told[-1] != until:
        told.append(listening.recv(4096).decode().split("\n")[0])
    return told


@pytest.mark.parametrize("words", [AGENT, AGGREGATOR], ids=["agent", "aggregator"])
def test_a_program_says_that_it_is_ready_alive_and_stopping(
    words: Sequence[str], tmp_path: Path
) -> None:
    path = tmp_path / "notify"
    environ = {
        "HOME": str(tmp_path),
        "NOTIFY_SOCKET": str(path),
        "WATCHDOG_USEC": "300000",
        "TESSERA_STATE_DIR": str(tmp_path / "state"),
        "TESSERA_AGENT_HTTP": "127.0.0.1:0",
        "PYTHONPATH": ":".join(sys.path),
    }
    module, *options = words
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(PATIENCE)
        with subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-m", f"tessera.{module}", *options],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert states(listening, "READY=1") == ["READY=1"]
                assert states(listening, "WATCHDOG=1") == ["WATCHDOG=1"]
                process.send_signal(signal.SIGTERM)
                ending = states(listening, "STOPPING=1")
                assert set(ending) <= {"WATCHDOG=1", "STOPPING=1"}
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
