"""Checkpoints of a state and the journals that follow them, two generations deep.

Apart from the journal, because this knows files, checksums and which file follows which; and from
the ledger, because it does not know what the state is.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from .journal import Journal, read_journal

MAGIC: Final = b"tessera checkpoint 1\n"
GENERATIONS: Final = 2  # checkpoints kept: the newest may be damaged
_CHECK: Final = 32  # bytes of a SHA-256
_NAME = re.compile(r"(checkpoint|journal)-(\d{10})")


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds: the newest sound checkpoint and the records written after it.

    ``lost`` says, in one line, why there is none; "" where there never was one.
    """

    state: bytes | None
    records: tuple[bytes, ...] = ()
    lost: str = ""


class Checkpoints:
    """A folder of files ``checkpoint-N`` and ``journal-N``; N grows and is never used again.

    Journal N holds what happened after checkpoint N was taken. A checkpoint without its journal
    has a hole behind it: nothing may be read past it.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; :meth:`load` reads it, :meth:`begin` writes the first of a run."""
        self.folder = folder
        self.journal: Journal | None = None
        self._number = 0
        self._sound: list[int] = []  # checkpoints that are on the disk and have no hole behind

    def load(self, sound: Callable[[bytes], object]) -> Found:
        """Return the newest checkpoint that ``sound`` takes, and all records since.

        ``sound`` raises ``ValueError`` (one line) for a state that is not to be used.
        """
        numbers = self._numbers("checkpoint")
        self._number = max([0, *numbers, *self._numbers("journal")])
        lost = ""
        for number in reversed(numbers):
            try:
                state = _read(self._path("checkpoint", number))
                sound(state)
                found = Found(state, tuple(self._since(number)))
            except (OSError, ValueError) as bad:
                lost = lost or f"{self._path('checkpoint', number).name}: {_line(bad)}"
            else:
                self._sound = [number]
                return found
        return Found(None, (), lost)

    def turn(self) -> int:
        """Go on in a new journal; return the number of the checkpoint that belongs to it.

        Raises ``OSError`` where no file can be made; the former journal goes on then.
        """
        journal = Journal(self._path("journal", self._number + 1))
        journal.begin()
        self._number += 1
        if self.journal is not None:
            self.journal.close()
        self.journal = journal
        return self._number

    def write(self, number: int, state: bytes) -> None:
        """Write checkpoint ``number`` so that it is there whole or not at all, and drop old ones.

        Raises ``OSError``; what was there before stays.
        """
        path = self._path("checkpoint", number)
        draft = path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(MAGIC + sha256(state).digest() + state)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _sync(self.folder)
        self._sound = [*self._sound, number][-GENERATIONS:]
        self._forget_before(self._sound[0])

    def break_off(self) -> None:
        """Leave a hole: the journal could not be written, and what was before is of no use."""
        self._sound = []
        if self.journal is not None:
            self.journal.close()
            self.journal.path.unlink(missing_ok=True)
            self.journal = None

    def close(self) -> None:
        """Close the journal."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def _since(self, number: int) -> Iterator[bytes]:
        journals = self._numbers("journal")
        for n in range(number, max(journals + self._numbers("checkpoint")) + 1):
            path = self._path("journal", n)
            if n not in journals:
                message = f"{path.name} is missing: it could not be written, or was removed"
                raise ValueError(message)
            yield from read_journal(path)

    def _forget_before(self, number: int) -> None:
        for what in ("checkpoint", "journal"):
            for n in self._numbers(what):
                if n < number:
                    self._path(what, n).unlink(missing_ok=True)

    def _numbers(self, what: str) -> list[int]:
        named = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(name[2]) for name in named if name and name[1] == what)

    def _path(self, what: str, number: int) -> Path:
        return self.folder / f"{what}-{number:010d}"


def _read(path: Path) -> bytes:
    """Return the state in the file; raise ``ValueError`` for a file that is damaged."""
    data = path.read_bytes()
    start = len(MAGIC) + _CHECK
    if not data.startswith(MAGIC):
        message = "is not a checkpoint of this version"
        raise ValueError(message)
    state = data[start:]
    if data[len(MAGIC) : start] != sha256(state).digest():
        message = "is damaged, its checksum does not fit"
        raise ValueError(message)
    return state


def _sync(folder: Path) -> None:
    """Make the folder's own entries durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return " ".join(str(error).split())
