"""The programs as processes, on loopback and on the machine's own clock.

Apart, because tests of the live path start, kill and look at them in the same way.
"""

import os
import signal
import subprocess
import sys
from asyncio import sleep as pause
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import grpc.aio

from tessera.proto.schema import console, console_stub

PATIENCE = 30.0  # seconds of real time for what takes one or two


@dataclass(frozen=True)
class Program:
    """One process and the file that its standard error goes to."""

    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def terminate(self) -> int:
        """End it as an operator does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def program(module: str, log: Path, *options: str) -> Iterator[Program]:
    """Run `python -m tessera.MODULE OPTIONS`; kill what is left of it afterwards."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TESSERA_")}
    words = [sys.executable, "-m", f"tessera.{module}", *options]
    with (
        log.open("a") as told,
        subprocess.Popen(  # noqa: S603 - our own words
            words, stdout=subprocess.PIPE, stderr=told, text=True, env=environ
        ) as process,
    ):
        try:
            yield Program(process, log)
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def aggregator(state: Path, listen: str, *options: str) -> Iterator[tuple[Program, str]]:
    """Run an aggregator; yield it and the address it serves on."""
    words = ("--listen", listen, "--state-dir", str(state), *options)
    with program("aggregator", state.parent / "aggregator.log", *words) as running:
        assert running.process.stdout is not None
        line = running.process.stdout.readline()
        assert "serving on " in line, running.log.read_text()
        yield running, line.split("serving on ")[1].split(",")[0]


@contextmanager
def agent(host: str, recording: Path, state: Path, address: str) -> Iterator[Program]:
    """Run an agent that plays the shards of ``host`` in a recording."""
    words = [
        *("--source", "recording", "--recording", str(recording), "--beneath", host),
        *("--host", host, "--state-dir", str(state), "--aggregator", address),
        *("--agent-http", "127.0.0.1:0"),
    ]
    with program("agent", state.parent / f"{host}.log", *words) as running:
        yield running


async def view(address: str) -> console.View:
    """Return the newest view of the aggregator at ``address``."""
    async with grpc.aio.insecure_channel(address) as channel:
        async for found in console_stub(channel).Watch(console.WatchRequest()):
            return found
    message = f"{address} has no view"
    raise AssertionError(message)


async def look_until(
    address: str, met: Callable[[console.View], bool], within: float = PATIENCE
) -> console.View:
    """Return the first view for which ``met`` is true; fail after ``within`` seconds."""
    until = monotonic() + within
    while not met(seen := await view(address)):
        assert monotonic() < until, f"still not so after {within:g} s:\n{seen}"
        await pause(0.5)
    return seen


def wait_until(said: Path, text: str) -> None:
    """Wait until the log ``said`` holds ``text``."""
    until = monotonic() + PATIENCE
    while text not in said.read_text():
        assert monotonic() < until, f"{text!r} is not in\n{said.read_text()}"
        sleep(0.1)
