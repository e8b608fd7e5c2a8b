"""A file of records of which a kill in the middle loses none but the one being written.

Apart, because what a record means is nobody's business here: it is bytes that are all there or not.
"""

import os
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Final, Self
from zlib import crc32

HEAD: Final = Struct("<III")  # bytes of the record, their crc32, and that of these two numbers
HEAD_CHECKED: Final = 8  # bytes of the head that its own crc32 is about
SEED: Final = 0x7E55E7A  # else a run of zeros, as a crash may leave, would be a record


class Journal:
    """A file that grows by one record at a time.

    Records are handed to the operating system at once, so they outlive the process, however it
    ends. They are not forced to the disk one by one: after a power failure the last seconds may be
    missing, and the blocks in them count as not bet.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; :meth:`begin` makes it."""
        self.path = path
        self._file = -1

    def begin(self) -> None:
        """Make the file, empty; raise ``OSError`` where that cannot be."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file = os.open(self.path, flags, 0o640)

    def append(self, record: bytes) -> None:
        """Write ``record``; raise ``OSError`` if not all of it could be written."""
        data = _head(record) + record
        if os.write(self._file, data) < len(data):
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(self.path))

    def close(self) -> None:
        """Write no more; closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_journal(path: Path) -> Iterator[bytes]:
    """Yield the records of the file, but for one at its end that was not written to its end.

    Raises ``ValueError`` (one line) for a record that is damaged though others follow it, and
    ``OSError`` for a file that cannot be read.
    """
    data = path.read_bytes()
    at = 0
    while len(data) - at >= HEAD.size:
        size, check, head_check = HEAD.unpack_from(data, at)
        start, end = at + HEAD.size, at + HEAD.size + size
        sound = crc32(data[at : at + HEAD_CHECKED], SEED) == head_check
        if sound and end > len(data):
            return  # the one that was being written
        if not sound or crc32(data[start:end], SEED) != check:
            if any(data[at:]):  # zeros at the end are what a crash leaves
                message = f"{path.name} is damaged at byte {at}"
                raise ValueError(message)
            return
        yield data[start:end]
        at = end


def _head(record: bytes) -> bytes:
    told = HEAD.pack(len(record), crc32(record, SEED), 0)[:HEAD_CHECKED]
    return told + crc32(told, SEED).to_bytes(4, "little")
