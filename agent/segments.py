"""Sealed blocks on the disk, in a bounded row of files of which the oldest goes first.

Apart from the spool, which knows what is sent when: here are only files, and what is in them.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .journal import HEAD, Journal
from .salvage import salvaged
from .sealed import Sealed, inventory_record, read_record
from .spans import Spans

SHARE: Final = 16  # a segment is this part of the bound, so that little is lost where it is full,
SMALLEST, LARGEST = 16 << 10, 256 << 10  # but of so many bytes
_NAME = re.compile(r"blocks-(\d{10})")

Run = tuple[int, int, int]  # rung, first and last block


@dataclass(slots=True)
class Segment:
    """One file of ``size`` bytes, and which of its blocks nobody has stored, by rung."""

    path: Path
    size: int = 0
    held: dict[int, Spans] = field(default_factory=dict)

    def runs(self) -> Iterator[Run]:
        """Yield what nobody has stored."""
        for rung, spans in sorted(self.held.items()):
            for first, last in spans:
                yield rung, first, last

    def stored(self, rung: int, first: int, last: int) -> None:
        """Note that somebody has stored blocks ``first`` … ``last``."""
        if rung in self.held:
            self.held[rung].discard(first, last)
            if not self.held[rung]:
                del self.held[rung]


class Segments:
    """Files ``blocks-N`` in a folder, together not above ``most`` bytes; N grows."""

    def __init__(self, folder: Path, most: int) -> None:
        """Name folder and bound; :meth:`load` reads."""
        self.folder = folder
        self.most = most
        self._each = min(max(most // SHARE, SMALLEST), LARGEST)
        self._segments: list[Segment] = []  # oldest first; the last may be open
        self._journal: Journal | None = None
        self._inventory: int | None = None  # version, that the open segment says
        self._number = 0
        self._closed: list[Path] = []  # not forced to the disk yet

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments, oldest first."""
        return iter(tuple(self._segments))

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(segment.size for segment in self._segments)

    def load(self, now: float) -> list[tuple[float, float, str]]:
        """Take up the files of former processes; return their holes.

        A hole is (from, to, file): between these Unix seconds blocks were sealed that cannot be
        read. Raises ``OSError`` for a folder that cannot be made or read.
        """
        self.folder.mkdir(exist_ok=True, mode=0o750)
        named = sorted(
            (int(name[1]), path)
            for path in self.folder.iterdir()
            if (name := _NAME.fullmatch(path.name))
        )
        holes: list[tuple[float, float, str]] = []
        ended, since = 0.0, None
        for self._number, path in named:
            segment = Segment(path)
            for found in self._read(segment):
                if found is None:
                    since = (ended, path.name) if since is None else since
                    continue
                ended = float(found.ended)
                if since is not None:
                    holes.append((since[0], ended, since[1]))
                    since = None
                segment.held.setdefault(found.rung, Spans()).add(found.block)
            self._segments.append(segment)
        if since is not None:
            holes.append((since[0], now, since[1]))
        self._forget_empty()
        return holes

    def holds(self, rung: int, block: int) -> bool:
        """Say whether a block lies here that nobody has stored."""
        return any(rung in s.held and block in s.held[rung] for s in self._segments)

    def append(self, sealed: Sealed, inventories: Mapping[int, bytes]) -> list[Run]:
        """Write a block; return the runs of the segments that had to make room.

        ``inventories`` are messages by version. Raises ``OSError`` where it could not be written:
        it is not here then, and all before it is.
        """
        record = sealed.record()
        dropped = self._make_room(len(record) + HEAD.size)
        try:
            journal = self._opened()
            if self._inventory != sealed.inventory:
                self._write(
                    journal,
                    inventory_record(sealed.inventory, inventories.get(sealed.inventory, b"")),
                )
                self._inventory = sealed.inventory
            self._write(journal, record)
        except OSError:
            self.close()  # what was half written must be the last of its file
            raise
        open_one = self._segments[-1]
        open_one.held.setdefault(sealed.rung, Spans()).add(sealed.block)
        if open_one.size >= self._each:
            self.close()
        return dropped

    def stored(self, rung: int, first: int, last: int) -> None:
        """Let blocks ``first`` … ``last`` go; files that hold nothing more are removed."""
        for segment in self._segments:
            segment.stored(rung, first, last)
        self._forget_empty()

    def read(self, segment: Segment) -> tuple[list[Sealed], dict[int, bytes]]:
        """Return the blocks of ``segment`` that nobody has stored, and inventories by version."""
        inventories: dict[int, bytes] = {}
        blocks = {
            (found.rung, found.block): found
            for found in self._read(segment, inventories)
            if found is not None
            and found.rung in segment.held
            and found.block in segment.held[found.rung]
        }
        return list(blocks.values()), inventories

    def forget(self, segment: Segment) -> list[Run]:
        """Remove a file, and return what was in it that nobody has stored."""
        if self._journal is not None and self._journal.path == segment.path:
            self.close()
        lost = list(segment.runs())
        segment.held.clear()
        self._forget_empty()
        return lost

    def close(self) -> None:
        """Begin another file with the next block."""
        if self._journal is not None:
            self._closed.append(self._journal.path)
            self._journal.close()
            self._journal = None
            self._inventory = None

    def unforced(self) -> list[Path]:
        """Return, once, the files that are not forced to the disk yet; the open one each time."""
        paths = self._closed + ([] if self._journal is None else [self._journal.path])
        self._closed = []
        return paths

    def _opened(self) -> Journal:
        if self._journal is None:
            journal = Journal(self.folder / f"blocks-{self._number + 1:010d}")
            journal.begin()
            self._number += 1
            self._journal = journal
            self._segments.append(Segment(journal.path))
        return self._journal

    def _write(self, journal: Journal, record: bytes) -> None:
        journal.append(record)
        self._segments[-1].size += len(record) + HEAD.size

    def _make_room(self, size: int) -> list[Run]:
        lost: list[Run] = []
        while self._segments and self.size + size > self.most:
            lost += self.forget(self._segments[0])
        return lost

    def _forget_empty(self) -> None:
        """Remove files without a block that somebody waits for; the open one too."""
        kept = []
        for segment in self._segments:
            if segment.held:
                kept.append(segment)
                continue
            if self._journal is not None and self._journal.path == segment.path:
                self.close()
            self._closed = [path for path in self._closed if path != segment.path]
            segment.path.unlink(missing_ok=True)
        self._segments = kept

    def _read(
        self, segment: Segment, inventories: dict[int, bytes] | None = None
    ) -> Iterator[Sealed | None]:
        """Yield the blocks in a file, None for each hole; note the inventories."""
        try:
            data = segment.path.read_bytes()
        except OSError:
            yield None
            return
        segment.size = len(data)
        for record in salvaged(data):
            try:
                found = None if record is None else read_record(record)
            except ValueError:
                found = None
            if isinstance(found, tuple):
                if inventories is not None:
                    inventories[found[0]] = found[1]
            else:
                yield found


def force(paths: list[Path]) -> None:
    """Wait until these files, and their being there, are on the disk itself; raise ``OSError``.

    A file that is gone by now needs no disk.
    """
    folders = {path.parent for path in paths}
    for path in [*paths, *folders]:
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
