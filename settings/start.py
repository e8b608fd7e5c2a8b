"""Start one of the programs, or say in one line which extra of the installation it lacks.

Apart from the programs, because every installation has all their commands, and most have only
what one of them imports.
"""

import sys
from importlib import import_module
from typing import Protocol, cast

STATUS = 2  # exit status of bad input, here as everywhere


class Program(Protocol):
    """The `__main__` of a program's folder."""

    def main(self) -> None:
        """Read the command line and do what it says."""
        ...


def agent() -> None:
    """Start `tessera-agent`."""
    _start("tessera-agent", "agent")


def aggregator() -> None:
    """Start `tessera-aggregator`."""
    _start("tessera-aggregator", "aggregator")


def tui() -> None:
    """Start `tessera-tui`."""
    _start("tessera-tui", "tui")


def lab() -> None:
    """Start `tessera`."""
    _start("tessera", "lab")


def _start(program: str, extra: str) -> None:
    """Run ``main`` of the folder that is called like the extra that brings what it imports."""
    try:
        module = import_module(f"...{extra}.__main__", __name__)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("tessera"):
            raise
        line = f"{program}: this installation lacks {missing.name}; install tessera[{extra}]"
        print(line, file=sys.stderr)  # noqa: T201 - what else prints may be what is missing
        sys.exit(STATUS)
    cast("Program", module).main()
