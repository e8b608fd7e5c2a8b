"""What this process itself costs: memory, processor time, open files.

Apart from the metrics that tell it, because it is read from the kernel's files.
"""

import os
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident bytes, seconds of processor time since the start, open files; NaN = not known."""

    resident: float = nan
    cpu: float = nan
    files: float = nan


def usage(proc: Path = PROC) -> Usage:
    """Return the usage of the process whose folder is ``proc``; what cannot be read is NaN."""
    return Usage(_resident(proc), _cpu(proc), _files(proc))


def _resident(proc: Path) -> float:
    """Read the second number of ``statm``, pages."""
    try:
        return float((proc / "statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, ValueError, IndexError):
        return nan


def _cpu(proc: Path) -> float:
    """Read fields 14 and 15 of ``stat``, in clock ticks; the name before them may hold spaces."""
    try:
        fields = (proc / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return (float(fields[11]) + float(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return nan


def _files(proc: Path) -> float:
    try:
        return float(len(list((proc / "fd").iterdir())))
    except OSError:
        return nan
