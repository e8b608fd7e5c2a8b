"""What this host has said and nobody has stored yet, so that a kill unsays nothing.

Apart from facts, events and gaps, which know what they mean: here they are numbered bytes that
wait, and a file that outlives the process.
"""

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ..engine.snapshot import Tree
from .journal import HEAD, Journal
from .packed import packed, unpacked
from .salvage import salvaged

Kind = Literal["fact", "event", "gap"]
KINDS: Final[tuple[Kind, ...]] = ("fact", "event", "gap")
LEAST_GROWN: Final = 64 << 10  # bytes that a file grows by before it is written anew
_NAME = re.compile(r"words-(\d{10})")


@dataclass(slots=True)
class Said:
    """Of one kind: the last id that was given, and the messages that wait by id, oldest first."""

    last: int = 0
    waiting: dict[int, bytes] = field(default_factory=dict)


class Words:
    """Numbered messages by kind and the facts (shard, code) that stand, kept in one file.

    A disk that cannot be written costs nothing but what a restart would find: ``unwritten`` counts.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """Name the folder and the bytes beyond which a file is written anew."""
        self.folder = folder
        self.said: dict[Kind, Said] = {kind: Said() for kind in KINDS}
        self.standing: set[tuple[str, str]] = set()
        self.unwritten = 0
        self.damaged = ""
        self._most = most
        self._number = self._size = self._began = 0
        self._journal: Journal | None = None
        self._unforced = False

    def load(self, first: int) -> None:
        """Take up what a former process left.

        Where nothing is left, ids go on from ``first``, which must be above all that were given:
        an id must never come again with another meaning. Raises ``OSError``.
        """
        self.folder.mkdir(exist_ok=True, mode=0o750)
        for number, path in sorted(self._files(), reverse=True):
            self._number = max(self._number, number)
            records = list(salvaged(path.read_bytes()))
            if any(record is None for record in records):
                self.damaged = self.damaged or f"{path.name} is damaged"
            if self._replay(record for record in records if record is not None):
                break
            self.damaged = self.damaged or f"{path.name} holds no beginning"
        for said in self.said.values():
            if said.last == 0 or self.damaged:
                said.last = max(said.last, first)

    def say(self, kind: Kind, message: bytes, number: int | None = None) -> int:
        """Keep ``message`` until it is stored; return its id, a new one unless ``number`` is one.

        One with a ``number`` that waits takes the place of what waited under it.
        """
        said = self.said[kind]
        if number is None:
            number = said.last = said.last + 1
        said.last = max(said.last, number)
        said.waiting[number] = message
        self._note(["said", kind, number, message])
        return number

    def stored(self, kind: Kind, ids: Collection[int]) -> None:
        """Let go what somebody has stored."""
        waiting = self.said[kind].waiting
        known = [number for number in ids if waiting.pop(number, None) is not None]
        if known:
            self._note(["stored", kind, *known])

    def stand(self, shard: str, code: str, *, stands: bool) -> None:
        """Note that a fact stands or does so no more."""
        (self.standing.add if stands else self.standing.discard)((shard, code))
        self._note(["stands", shard, code, stands])

    def begin(self) -> None:
        """Go on in a new file that begins with all there is; raise ``OSError``."""
        path = self.folder / f"words-{self._number + 1:010d}"
        journal = Journal(path)
        record = packed(self._state())
        try:
            journal.begin()
            journal.append(record)
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)  # before the former one goes
            finally:
                os.close(handle)
        except OSError:
            journal.close()
            path.unlink(missing_ok=True)
            raise
        self.close()
        self._number += 1
        self._journal, self._began = journal, len(record) + HEAD.size
        self._size = self._began
        for _, old in self._files():
            if old != path:
                old.unlink(missing_ok=True)

    def close(self) -> None:
        """Write no more."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def unforced(self) -> list[Path]:
        """Return, once, the file that is not forced to the disk yet."""
        paths = [self._journal.path] if self._unforced and self._journal is not None else []
        self._unforced = False
        return paths

    def _note(self, record: Tree) -> None:
        """Write a change down; where that fails, the next one tries a new file with all of them."""
        try:
            if self._journal is None or self._size > max(self._most, 2 * self._began + LEAST_GROWN):
                self.begin()
            else:
                data = packed(record)
                self._journal.append(data)
                self._size += len(data) + HEAD.size
        except OSError:
            self.close()  # what was half written must be the last of its file
            self.unwritten += 1
        else:
            self._unforced = True

    def _state(self) -> Tree:
        said: list[Tree] = [
            [kind, of.last, [[number, data] for number, data in of.waiting.items()]]
            for kind, of in self.said.items()
        ]
        return ["all", said, [[shard, code] for shard, code in sorted(self.standing)]]

    def _replay(self, records: Iterable[bytes]) -> bool:
        """Take up what ``records`` say; return whether a whole state was among them."""
        whole = False
        for record in records:
            try:
                whole |= self._do(unpacked(record))
            except ValueError:
                self.damaged = self.damaged or "a record holds what none of ours does"
        return whole

    def _do(self, record: Tree) -> bool:
        match record:
            case ["all", list(said), list(standing)]:
                for of in said:
                    self._take(of)
                self.standing = {(str(s), str(c)) for s, c in _pairs(standing)}
                return True
            case ["said", ("fact" | "event" | "gap") as kind, int(number), bytes(message)]:
                said_ = self.said[kind]
                said_.last = max(said_.last, number)
                said_.waiting[number] = message
            case ["stored", ("fact" | "event" | "gap") as kind, *ids]:
                for stored in ids:
                    if isinstance(stored, int):
                        self.said[kind].waiting.pop(stored, None)
            case ["stands", str(shard), str(code), bool(stands)]:
                (self.standing.add if stands else self.standing.discard)((shard, code))
            case _:
                text = "the file holds what none of ours does"
                raise ValueError(text)
        return False

    def _take(self, of: Tree) -> None:
        match of:
            case [("fact" | "event" | "gap") as kind, int(last), list(waiting)]:
                found = {
                    number: data
                    for number, data in _pairs(waiting)
                    if isinstance(number, int) and isinstance(data, bytes)
                }
                self.said[kind] = Said(last, found)
            case _:
                pass  # a kind of a later version

    def _files(self) -> list[tuple[int, Path]]:
        named = ((path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir())
        return [(int(name[1]), path) for path, name in named if name]


def _pairs(found: list[Tree]) -> list[tuple[Tree, Tree]]:
    """Return the pairs among ``found``."""
    return [(pair[0], pair[1]) for pair in found if isinstance(pair, list) and len(pair) == 2]  # noqa: PLR2004 - a pair
