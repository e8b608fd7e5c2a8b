"""Who this agent is: its host, the host's boot, and this very start of the program.

Apart, because evidence belongs to a host for as long as its id says so, and to nothing else.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

MACHINE_ID: Final = ("etc/machine-id", "var/lib/dbus/machine-id")
BOOT_ID: Final = "proc/sys/kernel/random/boot_id"
_UNSET: Final = ("", "uninitialized")  # what stands in machine-id before the first boot is over


@dataclass(frozen=True, slots=True)
class Identity:
    """``host`` stays for the life of a machine, ``boot_id`` until it boots again ("" = unknown).

    ``instance``, 64 random bits, is of this start of the agent; it is never 0.
    """

    host: str
    boot_id: str
    instance: int


def identify(host: str, random: Random, root: Path = Path("/")) -> Identity:
    """Return who we are: ``host`` if it is named, else the machine's id, else its name.

    ``root`` is the file system that is asked.
    """
    machine = next((found for name in MACHINE_ID if (found := _line(root / name))), "")
    return Identity(
        host=host or machine or socket.gethostname(),
        boot_id=boot_id(root),
        instance=random.getrandbits(64) or 1,
    )


def boot_id(root: Path = Path("/")) -> str:
    """Return the id of this boot of the machine, "" where there is none."""
    return _line(root / BOOT_ID)


def _line(path: Path) -> str:
    """Return the one line that the file holds, "" where it does not."""
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if found in _UNSET or len(found.splitlines()) != 1 else found
