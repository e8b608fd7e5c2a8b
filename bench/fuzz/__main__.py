"""`make fuzz`: every parser for SECONDS, by random changes and, where it installs, by coverage.

Apart from the engines, which know one parser at a time.
"""

import subprocess
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from traceback import print_exception

BENCH = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCH))

from fuzz import mutated  # noqa: E402 - the folder above is on no path before
from fuzz.targets import Target, targets  # noqa: E402 - as above

GRACE = 60.0  # seconds that an engine may need beyond its time


def main() -> int:
    """Return 0 if no parser raised anything but its own error, else 1."""
    asked = ArgumentParser(prog="make fuzz", description=__doc__)
    asked.add_argument("names", nargs="*", help="parsers; none: all")
    asked.add_argument("--seconds", type=float, default=60.0, help="for each parser")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--findings", type=Path, default=BENCH.parent / "build" / "fuzz")
    said = asked.parse_args()
    known = targets()
    for strange in set(said.names) - known.keys():
        asked.error(f"no parser is called {strange!r}; there are: {', '.join(known)}")
    guided = find_spec("atheris") is not None
    if not guided:
        print("atheris is not installed: random changes only")
    share = said.seconds / 2 if guided else said.seconds
    failed = 0
    for name in said.names or known:
        failed += not _changes(known[name], share, said.seed)
        if guided:
            failed += not _coverage(name, share, said.findings)
    return 1 if failed else 0


def _changes(target: Target, seconds: float, seed: int) -> bool:
    try:
        fed = mutated.run(target, seconds, seed)
    except Exception as fault:  # noqa: BLE001  whatever it is, it is what was looked for
        print(f"{target.name}: a fault that is not its own error")
        print_exception(fault)
        return False
    print(f"{target.name}: {fed} changed samples, nothing but its own error", flush=True)
    return True


def _coverage(name: str, seconds: float, findings: Path) -> bool:
    findings.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fuzz.guided", name, str(round(seconds)), str(findings)]
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=BENCH, capture_output=True, text=True, timeout=seconds + GRACE, check=False
    )
    if done.returncode:
        print(f"{name}: a fault that is not its own error; its input is in {findings}")
        print(done.stdout[-4000:], done.stderr[-4000:])
        return False
    print(f"{name}: guided by coverage, nothing but its own error", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
