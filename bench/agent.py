"""Weigh what reading eight NVIDIA devices each second costs a host, beside a plain poller.

Apart, because a host's owner asks for it, and because a figure of ours means nothing without that
of twenty lines that read the same in the same run. Run as ``python bench/agent.py``; where there
is a C compiler, a library of C stands in for the vendor's as well: its calls cost next to nothing,
so what is left is Python's. Each row is a process of its own.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pynvml  # type: ignore[import-untyped]  # it ships no types; the poller is plain

DEVICES, LINKS = 8, 18
POLLS, WARM = 300, 20  # of which the second number is not counted
LIVE = 20  # seconds
FIELDS = (82, 83, 74, 76, 269, 270, 271, 197, 198, (138, 0xFFFFFFFF), (139, 0xFFFFFFFF))
STUB = Path(__file__).resolve().parents[1] / "tests" / "adapters" / "nvidia" / "stub.c"
HERE = Path(__file__).resolve()
PERCENT, MOST_MB, RATIO = 1.0, 80.0, 3.0  # of a core; what we promise


def poller() -> Callable[[float], object]:
    """Return a poll of the fast counters, one call at a time."""
    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    calls = (
        lambda h: pynvml.nvmlDeviceGetTemperature(h, pynvml.NVML_TEMPERATURE_GPU),
        pynvml.nvmlDeviceGetPowerUsage,
        lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM),
        lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_MEM),
        lambda h: pynvml.nvmlDeviceGetUtilizationRates(h).gpu,
        lambda h: pynvml.nvmlDeviceGetMemoryInfo(h, version=pynvml.nvmlMemory_v2).used,
        pynvml.nvmlDeviceGetCurrentClocksEventReasons,
        *(lambda h, f=f: pynvml.nvmlDeviceGetFieldValues(h, [f])[0].value.ullVal for f in FIELDS),
    )
    return lambda _: [call(handle) for handle in handles for call in calls]


def ours() -> Callable[[float], object]:
    """Return a tick of our source, its slow counters, identity and facts in their turn."""
    from tessera.adapters.nvidia.devices import NvmlSource  # noqa: PLC0415 - the poller has none

    source = NvmlSource()
    source.shards()
    source.pause(paused=True)  # the poller does not read the performance monitor

    def tick(at: float) -> object:
        return source.read(at), source.facts(at), source.identity()

    return tick


def resident() -> float:
    """Return the megabytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def polled(poll: Callable[[float], object]) -> tuple[float, float]:
    """Return milliseconds of processor time for a poll, and megabytes."""
    took = 0.0
    for at in range(POLLS):
        began = time.process_time()
        poll(float(at))
        took += (time.process_time() - began) * (at >= WARM)
    return 1e3 * took / (POLLS - WARM), resident()


def live() -> tuple[float, float]:
    """Return the milliseconds of processor time that a second of the whole agent takes, and MB.

    It has no aggregator. A host with ``tessera[agent]`` alone has no rich, which the log's library
    takes up where it finds it: it is hidden here.
    """
    sys.modules["rich"] = None  # type: ignore[assignment]  # makes its import fail
    from tessera.adapters.nvidia.devices import NvmlSource  # noqa: PLC0415 - the poller has none
    from tessera.agent.config import AgentSettings  # noqa: PLC0415 - the same
    from tessera.agent.runtime import Agent  # noqa: PLC0415 - the same
    from tessera.settings.clock import SystemClock  # noqa: PLC0415 - the same
    from tessera.settings.logs import start_logs  # noqa: PLC0415 - the same

    start_logs(sys.stderr, SystemClock(), layout="text", level="error")

    async def run(folder: Path) -> float:
        said = AgentSettings(aggregator="127.0.0.1:1", agent_http="127.0.0.1:0", host="bench")
        source, chance = NvmlSource(), Random(1)  # noqa: S311 - chance, not secrets
        agent = Agent(said, [source], SystemClock(), chance, folder=folder)
        await agent.start()
        running = asyncio.create_task(agent.run())
        await asyncio.sleep(5.0)
        began = time.process_time()
        await asyncio.sleep(LIVE)
        took = time.process_time() - began
        running.cancel()
        return 1e3 * took / LIVE

    with TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder))), resident()


@contextmanager
def fake_library() -> Iterator[None]:
    """Put scripted devices where the binding looks for its library."""
    from tessera.adapters.nvidia.fake_device import FakeDevice  # noqa: PLC0415 - of the fake alone
    from tessera.adapters.nvidia.fake_library import FakeLibrary, installed  # noqa: PLC0415 - same

    with installed(FakeLibrary([FakeDevice(f"GPU-{n}") for n in range(DEVICES)])):
        yield


def one(what: str, *, faked: bool) -> None:
    """Print the figures of one row, in a process of its own."""
    with ExitStack() as stack:
        if faked:
            stack.enter_context(fake_library())
        cost, memory = live() if what == "agent" else polled(ours() if what == "ours" else poller())
    print(cost, memory)


def measured(what: str, library: Path | None) -> tuple[float, float]:
    """Return the figures of one row: with the C ``library``, or with scripted devices."""
    env = dict(os.environ, NVML_STUB_DEVICES=str(DEVICES), NVML_STUB_LINKS=str(LINKS))
    env |= {} if library is None else {"LD_LIBRARY_PATH": str(library)}
    words = [sys.executable, str(HERE), "--one", what, *(["--faked"] if library is None else [])]
    done = subprocess.run(words, env=env, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - ourselves
    cost, memory = done.stdout.split()
    return float(cost), float(memory)


def compiled(folder: Path) -> Path | None:
    """Return ``folder`` with the library of C in it, None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(folder / "libnvidia-ml.so.1")]
    subprocess.run([*command, str(STUB)], check=True)  # noqa: S603 - our own source
    return folder


def main() -> None:
    """Print the table."""
    print(f"{DEVICES} devices, {len(FIELDS) + 7} fast counters each, {POLLS} polls\n")
    print(f"{'library':<10}{'who':<24}{'ms a poll':>10}{'of a core':>11}{'MB':>7}{'ratio':>8}")
    with TemporaryDirectory() as folder:
        stub = compiled(Path(folder))
        for name, library in (("scripted", None), ("C", stub)):
            if name == "C" and stub is None:
                print("C         there is no compiler here")
                continue
            plain, _ = _row(name, "poller", "one call at a time", library, None)
            _row(name, "ours", "our source", library, plain)
        cost, memory = _row("C" if stub else "scripted", "agent", "the agent, live", stub, None)
    met = cost <= 10 * PERCENT and memory <= MOST_MB
    print(f"\nat most {PERCENT:g} % of a core and {MOST_MB:g} MB: {'met' if met else 'NOT MET'}")


def _row(
    name: str, what: str, who: str, library: Path | None, plain: float | None
) -> tuple[float, float]:
    cost, memory = measured(what, library)
    ratio = "" if plain is None else f"{cost / plain:.2f}"
    print(f"{name:<10}{who:<24}{cost:>10.3f}{cost / 10:>9.3f} %{memory:>7.1f}{ratio:>8}")
    return cost, memory


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--one", choices=("poller", "ours", "agent"))
    words.add_argument("--faked", action="store_true")
    asked = words.parse_args()
    if asked.one:
        one(asked.one, faked=asked.faked)
    else:
        main()
