"""Read what the kernel logs, from now on, without ever waiting for it.

Apart, because the log is a device with ways of its own: a read that overran says so with an
error, one record comes at a time, and a line that a program wrote into it looks like any other.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from errno import EAGAIN, EINVAL, EPIPE, ESPIPE
from pathlib import Path
from typing import Final

KMSG: Final = Path("/dev/kmsg")

AT_ONCE: Final = 2000  # records of one poll; the rest waits in the kernel's own ring
PAST: Final = 20_000  # records from before that are looked at, those of the boot
_RECORD: Final = 16_384  # bytes: the kernel's longest record has 8,192 with its header
_LONGEST: Final = 65_536  # bytes of a line that does not end, as of a pipe that holds garbage
_HEAD = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),[^;]{0,200};")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Record:
    """One message of the kernel: ``seconds`` since it booted, and the ``lines`` of its text."""

    seconds: float
    lines: tuple[str, ...]


def parse(raw: bytes) -> Record | None:
    """Return the record in ``raw``, a line such as ``4,1218,12345678,-;text``; None for any other.

    None too for what a program wrote into the log: only the kernel can write as facility 0, and
    a line that anybody can write is no evidence (kernel documentation, ABI of dev-kmsg).
    """
    head = _HEAD.match(raw)
    if head is None or int(head[1]) >> 3:
        return None
    text = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), raw[head.end() :])
    lines = text.decode("utf-8", "replace").splitlines()
    return Record(int(head[3]) / 1e6, tuple(lines))


class KernelLog:
    """The kernel's log from the moment of :meth:`open`.

    ``reason`` says in one line why it is not read, "" while it is. ``overruns`` counts the times
    at which the kernel had overwritten what was not yet read, ``skipped`` what was no record of
    the kernel's.
    """

    def __init__(self, path: Path = KMSG) -> None:
        """Take where the log is; nothing is opened."""
        self.reason = f"{path} is not open"
        self.overruns = 0
        self.skipped = 0
        self._path = path
        self._file: int | None = None
        self._rest = b""
        self._is_pipe = False

    @property
    def is_open(self) -> bool:
        """Say whether it is read."""
        return self._file is not None

    def open(self, *, at_start: bool = False) -> bool:
        """Open it at its end: what was logged before is not new. Say whether it could be.

        That it may not be read is no fault, only the ``reason``. ``at_start``: at its beginning.
        """
        if self._file is not None:
            return True
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as fault:
            self.reason = _reason(self._path, fault)
            return False
        try:
            os.lseek(self._file, 0, os.SEEK_SET if at_start else os.SEEK_END)
        except OSError as fault:
            if fault.errno != ESPIPE:  # a pipe has no end to go to, and no past
                self._give_up(fault)
                return False
            self._is_pipe = True
        self.reason = ""
        return True

    def past(self) -> list[Record]:
        """Return what the kernel still holds from before :meth:`open`, the first ``PAST``.

        For what lasts and was said once, as at boot; the place of :meth:`poll` does not move.
        """
        before = KernelLog(self._path)
        if not self.is_open or self._is_pipe or not before.open(at_start=True):
            return []
        found: list[Record] = []
        while len(found) < PAST and (records := before.poll()):
            found += records
        before.close()
        return found[:PAST]

    def poll(self) -> list[Record]:
        """Return the records since the last call, about ``AT_ONCE``; none while it is not open.

        It never blocks. A log that fails is closed, with the ``reason``.
        """
        found: list[Record] = []
        for _ in range(AT_ONCE):
            raw = self._next()
            if raw is None:
                break
            found += self._records(raw)
            if len(found) >= AT_ONCE:  # of a pipe or a file one read brings many
                break
        return found

    def close(self) -> None:
        """Close it; :meth:`open` may open it again."""
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None
            self.reason = f"{self._path} is closed"
        self._rest = b""

    def _next(self) -> bytes | None:
        """Return the next bytes, b"" after an overrun, None where there is nothing to read."""
        if self._file is None:
            return None
        try:
            return os.read(self._file, _RECORD) or None
        except OSError as fault:
            if fault.errno == EPIPE:
                self.overruns += 1
            elif fault.errno == EINVAL:  # a record longer than we offer room for
                self.skipped += 1
            else:
                if fault.errno != EAGAIN:
                    self._give_up(fault)
                return None
            return b""

    def _records(self, raw: bytes) -> list[Record]:
        *whole, self._rest = (self._rest + raw).split(b"\n")
        if len(self._rest) > _LONGEST:
            self._rest = b""
            self.skipped += 1
        found = []
        for line in whole:
            if not line or line[:1] == b" ":  # " SUBSYSTEM=pci" belongs to the record above
                continue
            record = parse(line)
            if record is None:
                self.skipped += 1
            else:
                found.append(record)
        return found

    def _give_up(self, fault: OSError) -> None:
        self.close()
        self.reason = _reason(self._path, fault)


def _reason(path: Path, fault: OSError) -> str:
    what = (fault.strerror or "unknown reason").lower()
    if isinstance(fault, PermissionError):
        return f"{path} cannot be read ({what}): give the agent CAP_SYSLOG"
    return f"{path} cannot be read ({what})"
