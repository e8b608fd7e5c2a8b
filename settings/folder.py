"""A program's own folder: where it is, made, checked, and held by one process at a time.

Apart from the files in it, because a second process must find out before it reads them.
"""

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
SYSTEM: Final = Path("/var/lib/tessera")


class BadFolder(Exception):  # noqa: N818 - named for what it says
    """A folder that cannot be used; its text is one line: folder, what, what to do.

    ``full``: its disk is, which may end by itself.
    """

    def __init__(self, message: str, *, full: bool = False) -> None:
        """Keep the line."""
        super().__init__(message)
        self.full = full


class Folder:
    """One process's hold on a folder; the kernel lets go of it however the process ends."""

    def __init__(self, path: Path, holder: str) -> None:
        """Keep where it is and which program holds it; nothing is touched before ``hold``."""
        self.path = path
        self._holder = holder
        self._lock: int | None = None

    def hold(self) -> None:
        """Make the folder if it is missing and hold it; raise ``BadFolder``."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._lock = self._locked()
        except BlockingIOError:
            what = f"is held by another {self._holder}{self._who()}"
            message = f"{self.path}: {what}; stop that one or name another state_dir"
            raise BadFolder(message) from None
        except OSError as fault:
            raise unwritable(self.path, fault) from None

    def release(self) -> None:
        """Let go of the folder; it may not be held."""
        # The lock's file stays. Were it removed, a process that had opened it a moment before could
        # lock a file that no later one finds, and two would hold the folder; and where a person
        # had removed it first, this would remove the lock of the next holder.
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def _locked(self) -> int:
        """Return the lock, with this process's number in it."""
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        except OSError:
            os.close(lock)
            raise
        return lock

    def _who(self) -> str:
        """Return who holds the folder, as far as the lock tells."""
        try:
            number = (self.path / LOCK).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return f" (process {number})" if number.isdecimal() else ""


def unwritable(path: Path, fault: OSError) -> BadFolder:
    """Return the refusal of a folder that gave ``fault``."""
    what = (fault.strerror or "cannot be written").lower()
    full = fault.errno in {errno.ENOSPC, errno.EDQUOT}
    todo = "make room" if full else "make it writable"
    return BadFolder(f"{path}: {what}; {todo}, or name another state_dir", full=full)


def state_folder(
    program: str,
    state_dir: Path | None,
    environ: Mapping[str, str],
    home: Path,
    system: Path = SYSTEM,
) -> Path:
    """Return where ``program`` writes: a folder of its own in ``state_dir`` or the usual place.

    That is ``system`` where it can be written, else the user's own state folder.
    """
    if state_dir is not None:
        return state_dir / program
    if os.access(system, os.W_OK):
        return system / program
    own = environ.get("XDG_STATE_HOME", "")
    base = Path(own) if own else home / ".local" / "state"
    return base / "tessera" / program
