"""Let an agent run for half an hour beside an aggregator, and see whether its memory grows.

Apart from the tests, which do the same on a clock that is driven: here time, threads, sockets and
the disk are real. Run as ``python bench/soak.py``; ``--source nvml`` on a host with a GPU.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tessera.agent.usage import Usage, usage

EVERY = 5.0  # seconds between two looks
WARM = 1 / 3  # of the time that does not count: rings and baselines fill
MOST = 1.0  # MB an hour
DEVIATIONS = 4.0  # that a slope must be above nothing, to be one
MB = 1e6


@dataclass(frozen=True)
class Slope:
    """A line through points: its rise per unit, and the standard error of that."""

    rise: float
    error: float


def slope(times: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the least-squares line through ``values`` at ``times``, of at least three points.

    The residuals of memory hang together, so the error is taken as if only each tenth were new.
    """
    t, v = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    centred = t - t.mean()
    rise = float(centred @ (v - v.mean()) / (centred @ centred))
    rest = v - v.mean() - rise * centred
    spread = float(rest @ rest) / max(1.0, len(t) / 10.0 - 2.0)
    return Slope(rise, float(np.sqrt(spread / (centred @ centred))))


def watched(process: int, seconds: float) -> list[tuple[float, Usage]]:
    """Return time and usage of ``process`` each few seconds, as long as it lives."""
    began, seen = time.monotonic(), list[tuple[float, Usage]]()
    while (now := time.monotonic() - began) < seconds:
        found = usage(Path(f"/proc/{process}"))
        if np.isnan(found.resident):
            break
        seen.append((now, found))
        time.sleep(EVERY)
    return seen


def soak(seconds: float, source: str, folder: Path) -> list[tuple[float, Usage]]:
    """Run both programs for ``seconds``; return what the agent cost, by time."""
    python = (sys.executable, "-m")
    state = ("--state-dir", str(folder), "--log-level", "error")
    with subprocess.Popen(  # noqa: S603  our own program
        [*python, "tessera.aggregator", "--listen", "127.0.0.1:0", "--expect-hosts", "1", *state],
        stdout=subprocess.PIPE,
        text=True,
    ) as aggregator:
        assert aggregator.stdout is not None  # noqa: S101  it is a pipe
        address = aggregator.stdout.readline().split("serving on ")[1].split(",")[0]
        words = ["--source", source, "--aggregator", address, "--agent-http", "127.0.0.1:0", *state]
        if source == "synthetic":
            words += ["--beneath", "host-00", "--host", "host-00"]  # eight shards of its 128
        with subprocess.Popen([*python, "tessera.agent", *words]) as agent:  # noqa: S603  our own program
            try:
                return watched(agent.pid, seconds)
            finally:
                agent.terminate()
                aggregator.terminate()


def report(seen: Sequence[tuple[float, Usage]]) -> bool:
    """Print what was seen; return whether memory stood still."""
    counted = [(at, found) for at, found in seen if at >= WARM * seen[-1][0]]
    line = slope([at / 3600 for at, _ in counted], [found.resident / MB for _, found in counted])
    first, last = counted[0], counted[-1]
    cpu = (last[1].cpu - first[1].cpu) / (last[0] - first[0])
    still = line.rise <= MOST or line.rise <= DEVIATIONS * line.error
    print(f"ran            {seen[-1][0] / 60:.1f} min, the first third not counted")
    print(f"resident       {last[1].resident / MB:.1f} MB")
    print(f"slope          {line.rise:+.2f} ± {line.error:.2f} MB/h, at most {MOST:g}: {still}")
    print(f"processor      {100 * cpu:.2f} % of one core")
    print(f"open files     {last[1].files:.0f}")
    return still


def main() -> None:
    """Run as the command line says; exit status 1 if memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--source", default="synthetic")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = soak(60 * said.minutes, said.source, Path(folder))
    if len(seen) < 30:  # noqa: PLR2004  points, for a line
        sys.exit("the agent ended early, or the time was too short")
    sys.exit(0 if report(seen) else 1)


if __name__ == "__main__":
    main()
