"""The aggregator's folder: made, checked, and held by one process at a time.

Apart from the database in it, because a second aggregator must find out before it opens that.
"""

import fcntl
import os
from pathlib import Path

LOCK = "lock"
DATABASE = "tessera.db"


class BadFolder(Exception):  # noqa: N818  named for what it says
    """A folder that cannot be used; its text is one line: folder, what, what to do."""


class Folder:
    """One process's hold on a folder; the kernel lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        """Keep where it is; nothing is touched before ``hold``."""
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """Return where the database stands."""
        return self.path / DATABASE

    def hold(self) -> None:
        """Make the folder if it is missing and hold it; raise ``BadFolder``."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o750)
            while self._lock is None:
                self._lock = self._attempt()
        except BlockingIOError:
            holder = self._holder()
            what = f"is held by another aggregator{holder}; stop that one or name another state_dir"
            message = f"{self.path}: {what}"
            raise BadFolder(message) from None
        except OSError as fault:
            what = f"cannot be written ({fault.strerror})"
            message = f"{self.path}: {what}; make it writable or name another state_dir"
            raise BadFolder(message) from None

    def release(self) -> None:
        """Let go of the folder and leave no lock behind."""
        if self._lock is not None:
            (self.path / LOCK).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _attempt(self) -> int | None:
        """Return the lock, None if it was removed by its last holder while we waited for it."""
        path = self.path / LOCK
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or path.stat().st_ino != os.fstat(lock).st_ino:
                os.close(lock)
                return None
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode())
        except OSError:
            os.close(lock)
            raise
        return lock

    def _holder(self) -> str:
        """Return who holds the folder, as far as the lock tells."""
        try:
            number = (self.path / LOCK).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return f" (process {number})" if number.isdigit() else ""
