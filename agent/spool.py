"""Everything that this host has promised to deliver, on the disk until somebody has stored it.

Apart from the uplink, which forgets what it cannot send, and from the ledger, whose evidence never
waits for anybody: blocks from here become history and are not bet.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Final

import structlog

from ..proto.schema import ingest
from .events import Events
from .facts import Facts
from .fold import Block
from .gaps import Gaps
from .sealed import Sealed
from .segments import Run, Segments, force
from .words import Words

FOLDER: Final = "spool"
WORDS_SHARE: Final = 8  # facts, events and gaps have this part of the bound, blocks the rest
PAUSE: Final = 1.0  # seconds between two batches: live messages go first
BATCH: Final = 16  # blocks, and
BATCH_BYTES: Final = 256 << 10  # bytes, of which the first block may be more
GAPS: Final = 100  # in one batch
REPEAT: Final = 30.0  # seconds after which a batch that nobody has stored is sent again
LIVE: Final = 900.0  # seconds in which a block that was sent live must be acknowledged
LOOSE: Final = 64  # blocks kept in memory while the disk takes none
FORCE: Final = 60.0  # seconds between two times that blocks are forced to the disk
FULL, NO_DISK, DAMAGED = "spool full", "disk would not take it", "spool damaged"

Key = tuple[int, int]  # rung and block


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent together: ``blocks`` of one ``inventory``, and gaps."""

    inventory: int
    told: bytes
    blocks: Sequence[Sealed]
    gaps: Sequence[ingest.Gap]


class Spool:
    """Blocks, facts, events and gaps that wait; everything here runs in the event loop.

    ``dropped`` counts blocks that became gaps, ``unwritten`` those that the disk did not take.
    """

    def __init__(self, folder: Path, most: int, monotonic: Callable[[], float]) -> None:
        """Name the agent's folder and the bound in bytes; :meth:`load` reads."""
        share = most // WORDS_SHARE
        self.folder = folder / FOLDER
        self.dropped = self.unwritten = self.delivered = 0
        self.words = Words(self.folder, share)
        self.gaps = Gaps(self.words)
        self._segments = Segments(self.folder, most - share)
        self._monotonic = monotonic
        self._inventories: dict[int, bytes] = {}
        self._version = 0
        self._loose: dict[Key, Sealed] = {}
        self._live: dict[Key, float] = {}  # monotonic second until which an Ack may yet come
        self._flight: set[Key] = set()
        self._gaps_in_flight: set[int] = set()
        self._next = self._repeat = self._force = 0.0
        self._told = False
        self._log = structlog.get_logger("agent")

    def load(self, now: float, facts: Facts, events: Events) -> None:
        """Take up what a former process left, by ``now`` in Unix seconds; raise ``OSError``."""
        self.words.load(floor(now * 1000))
        facts.take_up(self.words)
        events.take_up(self.words)
        self.gaps.load()
        if self.words.damaged:
            self._log.warning("facts may be missing", reason=self.words.damaged)
        for since, until, name in self._segments.load(now):
            self.gaps.tell(0, floor(since), floor(until), DAMAGED)
            self._log.warning("blocks are missing from history", file=name, reason=DAMAGED)
        self.words.begin()

    def follow(self, inventory: int, message: bytes) -> None:
        """Let what is sealed from now on be of version ``inventory``, that ``message`` tells."""
        asked = {inventory, *(sealed.inventory for sealed in self._loose.values())}
        self._inventories[inventory] = message
        self._inventories = {v: told for v, told in self._inventories.items() if v in asked}
        self._version = inventory

    def seal(self, block: Block, *, live: bool) -> None:
        """Keep a block until it is stored; ``live``: it is sent now, and is not history at once."""
        key = (block.rung, block.index)
        if key in self._loose or self._segments.holds(*key):
            return  # sealed by a former process, in the second of its end
        sealed = Sealed.of(block, self._version)
        try:
            lost = self._segments.append(sealed, self._inventories)
        except OSError as fault:
            self._keep_loose(sealed, fault)
        else:
            self._drop(lost, FULL)
            self._told = False
        if live:
            self._live[key] = self._monotonic() + LIVE

    def linked(self, wait: float = PAUSE) -> None:
        """Note a new link, and send nothing for ``wait`` seconds.

        Nobody will acknowledge what went over the last one.
        """
        self._live.clear()
        self._land()
        self._next = self._monotonic() + wait

    def batch(self) -> Batch | None:
        """Return what is to be sent now, None where nothing is or where it is not yet time."""
        now = self._monotonic()
        if now < self._next or (self._flying and now < self._repeat):
            return None
        self._land()
        self._live = {key: until for key, until in self._live.items() if until > now}
        inventory, told, blocks = self._due()
        gaps = tuple(self.gaps.send(GAPS))
        self._next = now + PAUSE
        if not blocks and not gaps:
            return None
        self._repeat = now + REPEAT
        self._flight = {(sealed.rung, sealed.block) for sealed in blocks}
        self._gaps_in_flight = {gap.id for gap in gaps}
        return Batch(inventory, told, blocks, gaps)

    def stored(self, spans: Iterable[Run], gaps: Collection[int]) -> None:
        """Let go blocks (rung, first, last) and gaps that somebody has stored."""
        for rung, first, last in spans:
            self._segments.stored(rung, first, last)
            for held in (self._live, self._loose):
                for key in [k for k in held if k[0] == rung and first <= k[1] <= last]:
                    del held[key]
            self._flight = {k for k in self._flight if k[0] != rung or not first <= k[1] <= last}
        self.gaps.stored(gaps)
        self._gaps_in_flight.difference_update(gaps)

    def unforced(self) -> list[Path]:
        """Return the files to :func:`force`: facts and full segments at once, blocks by minutes."""
        now = self._monotonic()
        paths = self.words.unforced()
        if now >= self._force:
            self._force = now + FORCE
            paths += self._segments.unforced()
        return paths

    @property
    def waiting(self) -> int:
        """Return how many blocks nobody has stored."""
        on_disk = (run for segment in self._segments for run in segment.runs())
        return len(self._loose) + sum(last - first + 1 for _, first, last in on_disk)

    def counters(self) -> dict[str, int]:
        """Return what went wrong, by name."""
        return {
            "history_blocks_dropped": self.dropped,
            "history_blocks_unwritten": self.unwritten,
            "history_gaps_dropped": self.gaps.dropped,
            "history_words_unwritten": self.words.unwritten,
        }

    def gauges(self) -> dict[str, float]:
        """Return how much waits and how much may, by name; asked from other threads too."""
        return {
            "spool_bytes": float(self._segments.size),
            "spool_limit_bytes": float(self._segments.most),
        }

    def force(self, paths: list[Path]) -> None:
        """Wait until ``paths`` are on the disk, in any thread; a disk that cannot is told once."""
        try:
            force(paths)
        except OSError as fault:
            self._say(fault)

    def close(self) -> None:
        """Force what there is to the disk, and write no more."""
        self._segments.close()
        self.force(self.words.unforced() + self._segments.unforced())
        self.words.close()

    @property
    def _flying(self) -> bool:
        return bool(self._flight or self._gaps_in_flight)

    def _land(self) -> None:
        self._flight, self._gaps_in_flight = set(), set()

    def _due(self) -> tuple[int, bytes, list[Sealed]]:
        """Return version and message of an inventory, and the oldest blocks that follow it."""
        for segment in self._segments:
            if not any(self._is_due(run) for run in segment.runs()):
                continue
            blocks, inventories = self._segments.read(segment)
            due = [sealed for sealed in blocks if (sealed.rung, sealed.block) not in self._live]
            if not due:  # the file is not what it was
                self._drop(self._segments.forget(segment), DAMAGED)
                continue
            return self._some(due, inventories)
        due = [sealed for key, sealed in self._loose.items() if key not in self._live]
        return self._some(due, self._inventories) if due else (0, b"", [])

    def _is_due(self, run: Run) -> bool:
        rung, first, last = run
        return any((rung, block) not in self._live for block in range(first, last + 1))

    def _some(
        self, due: Sequence[Sealed], inventories: dict[int, bytes]
    ) -> tuple[int, bytes, list[Sealed]]:
        """Return as many of ``due`` as go together."""
        some: list[Sealed] = []
        version, size = due[0].inventory, 0
        for sealed in due[:BATCH]:
            size += len(sealed.values)
            if sealed.inventory != version or (some and size > BATCH_BYTES):
                break
            some.append(sealed)
        return version, inventories.get(version, b""), some

    def _keep_loose(self, sealed: Sealed, fault: OSError) -> None:
        self.unwritten += 1
        self._say(fault)
        self._loose[sealed.rung, sealed.block] = sealed
        while len(self._loose) > LOOSE:
            rung, block = next(iter(self._loose))
            del self._loose[rung, block]
            self._drop([(rung, block, block)], NO_DISK)

    def _drop(self, lost: Iterable[Run], reason: str) -> None:
        for rung, first, last in lost:
            self.dropped += last - first + 1
            self.gaps.tell(rung, first, last, reason)

    def _say(self, fault: OSError) -> None:
        if not self._told:
            self._log.warning(
                "blocks wait in memory: the disk takes none",
                reason=fault.strerror,
                folder=str(self.folder),
            )
        self._told = True
