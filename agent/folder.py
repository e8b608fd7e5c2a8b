"""The agent's folder: made, checked, and held by one process at a time.

Apart from the files in it, because a second agent on a host must find out before it reads them.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
INVENTORY: Final = "inventory"


class BadFolder(Exception):  # noqa: N818 - named for what it says
    """A folder that cannot be used; its text is one line: folder, what, what to do."""


class Folder:
    """One process's hold on a folder; the kernel lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        """Keep where it is; nothing is touched before :meth:`hold`."""
        self.path = path
        self._lock = -1

    @property
    def inventory(self) -> Path:
        """Return where the last inventory stands."""
        return self.path / INVENTORY

    def hold(self) -> None:
        """Make the folder if it is missing and hold it; raise ``BadFolder``."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o750)
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as fault:
            raise unwritable(self.path, fault) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(lock)
            if not isinstance(fault, BlockingIOError):
                raise unwritable(self.path, fault) from None
            message = f"{self.path}: another agent uses it; stop that one or name another state_dir"
            raise BadFolder(message) from None
        self._lock = lock

    def release(self) -> None:
        """Let go of the folder; the file of the lock stays, so that nobody holds a removed one."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def unwritable(path: Path, fault: OSError) -> BadFolder:
    """Return the refusal of a folder that gave ``fault``."""
    what = (fault.strerror or "cannot be written").lower()
    return BadFolder(f"{path}: {what}; make room, make it writable, or name another state_dir")
