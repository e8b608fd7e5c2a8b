import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tessera.settings.clock import ManualClock
from tessera.settings.notify import Notify, keep_told

PATIENCE = 10.0  # seconds


class Manager:
    """A service manager's end of the socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self._socket.settimeout(PATIENCE)

    def heard(self) -> list[str]:
        """Return the lines of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def silent(self) -> bool:
        self._socket.setblocking(False)  # noqa: FBT003  socket's own signature
        try:
            return not self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@tessera-test-{os.getpid()}"
    made = Manager(name if request.param == "abstract" else str(tmp_path / "notify"))
    yield made
    made.close()


def test_a_start_a_life_and_an_end_are_told(manager: Manager) -> None:
    notify = Notify({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"})
    notify.ready("link: connecting")
    assert manager.heard() == ["READY=1", "STATUS=link: connecting"]
    notify.alive(0.0, "link: up")
    assert manager.heard() == ["WATCHDOG=1", "STATUS=link: up"]
    notify.stopping()
    assert manager.heard() == ["STOPPING=1"]


def test_life_is_told_three_times_in_the_time_that_the_watchdog_waits(manager: Manager) -> None:
    notify = Notify({"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"})
    assert notify.every == 10.0
    for second in range(30):
        notify.alive(float(second), "on")
    for _ in range(3):
        assert manager.heard()[0] == "WATCHDOG=1"
    assert manager.silent()


def test_a_watchdog_of_another_process_is_not_ours(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}
    assert Notify(environ, process=8).every == 20.0
    assert Notify(environ, process=7).every == 1.0


def test_a_status_is_one_line_of_bounded_length(manager: Manager) -> None:
    notify = Notify({"NOTIFY_SOCKET": manager.path})
    notify.ready("a\nREADY=0\n" + "x" * 10_000)
    ready, status = manager.heard()
    assert ready == "READY=1"
    assert status.startswith("STATUS=a READY=0 xxx")
    assert len(status) < 600


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/at/all", "@nobody-listens-here"])
def test_where_nobody_listens_nothing_happens(path: str) -> None:
    notify = Notify({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "junk"})
    notify.ready("on")
    notify.alive(0.0, "on")
    notify.stopping()
    assert notify.every == 20.0


async def test_a_program_that_does_not_get_on_is_silent(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000"}
    states: list[str | None] = ["on", None, None]
    clock = ManualClock()

    def status() -> str | None:
        clock.advance(1.0)
        return states.pop(0) if states else "on again"

    telling = asyncio.create_task(keep_told(Notify(environ), clock, status))
    try:
        first = await asyncio.to_thread(manager.heard)
        second = await asyncio.to_thread(manager.heard)
    finally:
        telling.cancel()
    assert (first[1], second[1]) == ("STATUS=on", "STATUS=on again")
