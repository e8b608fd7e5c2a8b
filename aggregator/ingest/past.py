"""Block values on their way to history: those just heard live, and those that hosts have kept.

Apart from the inbox, because nothing here is ever bet: it waits for the disk, not for a step, and
is acknowledged when it is there.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final
from zlib import crc32

from ...proto import decode, encode, refuse
from ...proto.messages import Inventory
from ...proto.pack import BadMessage
from ...proto.past import check_past
from ...proto.schema import ingest
from ...settings.clock import Clock
from ..ledger import Ledger
from ..state.records import GapRecord, PastRecord
from ..state.records import Past as Stored
from .sessions import Sessions

SOON: Final = 1.0  # seconds between writes of what hosts have kept, which wait for the Ack,
SELDOM: Final = 300.0  # and of what came live from one host at most: a row is worth its page then,
LOOK: Final = 10.0  # and between looks for hosts whose time has come
MOST: Final = 64 << 20  # bytes in memory; beyond, hosts keep what they have until there is room
AHEAD: Final = 0.25  # of a block by which another clock may be ahead
NOT_KNOWN: Final = "its inventory is not known"

_Key = tuple[str, int, bytes, int, bytes | None]  # host, rung, inventory, rows, columns
_Pile = dict[_Key, dict[int, bytes]]  # values by block


class Past:
    """Collects, has it written now and then, and tells each host what is there for good."""

    def __init__(
        self, clock: Clock, sessions: Sessions, ledger: Ledger, kept: float, most: int = MOST
    ) -> None:
        """Take where it goes; ``kept`` seconds it is history, ``most`` bytes may wait for that."""
        self._clock = clock
        self._sessions = sessions
        self._ledger = ledger
        self._kept, self._most = kept, most
        self._live: _Pile = {}
        self._due: dict[str, float] = {}  # by host, when what came live is written
        self._told: _Pile = {}
        self._gaps: list[GapRecord] = []
        self._gap_ids: list[tuple[str, int]] = []
        self._refused: list[tuple[str, int, int]] = []  # host, rung, block
        self._bytes = 0
        self._soon = self._look = clock.monotonic()
        self._inventories: dict[str, tuple[Inventory, bytes]] = {}  # by host, the newest

    def live(self, host: str, inventory: Inventory, message: ingest.Up1) -> None:
        """Take the values of a live block that was found to be sound."""
        columns = message.columns.data if message.HasField("columns") else None
        key = host, message.rung, self._message(host, inventory), len(inventory.shards), columns
        self._put(self._live, key, message.block, message.x.data)
        if host not in self._due:
            self._due[host] = self._clock.monotonic() + _turn(host)

    def tell(self, host: str, inventory: Inventory | None, message: ingest.History) -> None:
        """Take what a host has kept; raise ``BadMessage`` where nothing can be made of it.

        A single block that makes no sense becomes a gap: it would come again for ever.
        """
        if self._bytes >= self._most:
            return  # not acknowledged, so it comes again
        held = self._follows(host, inventory, message)
        for block in message.blocks:
            self._tell_block(host, held, block)
        for gap in message.gaps:
            reason = refuse.text(gap.reason, ("Gap", "reason"))
            first = refuse.whole(gap.from_block, ("Gap", "from_block"))
            last = refuse.whole(gap.to_block, ("Gap", "to_block"))
            self._gap(GapRecord(host, gap.rung, first, last, reason))
            self._gap_ids.append((host, refuse.whole(gap.id, ("Gap", "id"))))

    def flush(self, *, last: bool = False) -> None:
        """Send to the disk what is due, or, at the ``last``, all; what follows is the Ack."""
        now = self._clock.monotonic()
        if not last and (now - self._soon < SOON or self._ledger.behind):
            return
        self._soon = now
        pile, self._told = self._told, {}
        self._bytes -= _size(pile)
        if last or now - self._look >= LOOK or 2 * self._bytes >= self._most:
            self._look = now
            everyone = last or 2 * self._bytes >= self._most
            self._ripe(pile, {h for h, due in self._due.items() if everyone or due <= now})
        if not pile and not self._gap_ids and not self._refused:
            return
        self._store(pile)

    def _ripe(self, pile: _Pile, hosts: set[str]) -> None:
        """Move what came live from ``hosts`` to ``pile``."""
        for host in hosts:
            del self._due[host]
        for key in [key for key in self._live if key[0] in hosts]:
            values = self._live.pop(key)
            self._bytes -= sum(map(len, values.values()))
            pile.setdefault(key, {}).update(values)

    def _store(self, pile: _Pile) -> None:
        records = tuple(PastRecord(*key, values) for key, values in pile.items())
        gaps, ids, refused = tuple(self._gaps), tuple(self._gap_ids), tuple(self._refused)
        self._gaps, self._gap_ids, self._refused = [], [], []
        for gap in gaps:
            of = f"{gap.rung} s" if gap.rung else "all lengths, by second"
            text = f"no history of blocks {gap.first} to {gap.last} of {of}: {gap.reason}"
            self._ledger.audit("history", gap.host, text)
        at = self._clock.now()
        done = {(r.host, r.rung, block) for r in records for block in r.values}
        done.update(refused)
        self._ledger.store_past(
            Stored(at, at - self._kept, records, gaps),
            lambda: self._acknowledge(sorted(done), sorted(ids)),
        )

    def _acknowledge(self, done: list[tuple[str, int, int]], ids: list[tuple[str, int]]) -> None:
        acks: dict[str, ingest.Ack] = {}
        for (host, rung), blocks in groupby(done, key=lambda one: one[:2]):
            ack = acks.setdefault(host, ingest.Ack())
            for first, last in _runs(block for _, _, block in blocks):
                ack.blocks.add(rung=rung, from_block=first, to_block=last)
        for host, number in ids:
            acks.setdefault(host, ingest.Ack()).gaps.append(number)
        for host, ack in acks.items():
            session = self._sessions.of(host)
            if session is not None:
                session.send(ingest.FromAggregator(ack=ack))

    def _tell_block(self, host: str, held: Inventory | None, block: ingest.PastBlock) -> None:
        rung = refuse.rung(block.rung, ("PastBlock", "rung"))
        number = refuse.block(block.block, rung, ("PastBlock", "block"))
        why = NOT_KNOWN
        if held is not None:
            ahead = rung * number - self._clock.now()
            why = f"it begins in {ahead:.0f} s" if ahead > AHEAD * rung else ""
            try:
                check_past(block, (len(held.shards), len(held.metrics)))
            except BadMessage as bad:
                why = str(bad)[: refuse.LONGEST_TEXT]
        if held is None or why:
            self._gap(GapRecord(host, rung, number, number, f"refused: {why}"))
            self._refused.append((host, rung, number))
            return
        columns = block.columns.data if block.HasField("columns") else None
        key = host, rung, self._message(host, held), len(held.shards), columns
        self._put(self._told, key, number, block.x.data)

    def _follows(
        self, host: str, inventory: Inventory | None, message: ingest.History
    ) -> Inventory | None:
        """Return the inventory that blocks follow, None where nobody knows it any more."""
        if not message.HasField("told"):
            if message.blocks and (inventory is None or inventory.version != message.inventory):
                what = f"names inventory {message.inventory}, which this stream has not"
                raise BadMessage(("History", "inventory"), what)
            return inventory
        try:
            told = decode.inventory(message.told)
        except BadMessage:
            return None
        return told if told.host == host else None

    def _message(self, host: str, inventory: Inventory) -> bytes:
        known = self._inventories.get(host)
        if known is None or known[0] is not inventory:
            known = inventory, encode.inventory(inventory).SerializeToString()
            self._inventories[host] = known
        return known[1]

    def _put(self, pile: _Pile, key: _Key, block: int, values: bytes) -> None:
        if self._bytes >= self._most:
            return
        held = pile.setdefault(key, {})
        if block not in held:
            held[block] = values
            self._bytes += len(values)

    def _gap(self, gap: GapRecord) -> None:
        self._gaps.append(gap)


def _turn(host: str) -> float:
    """Return after how many seconds what ``host`` said live is written: not all at one time."""
    return SELDOM * (1.0 + crc32(host.encode()) / 2**32) / 2.0


def _size(pile: _Pile) -> int:
    return sum(len(data) for values in pile.values() for data in values.values())


def _runs(blocks: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs (first, last) of neighbours among growing ``blocks``."""
    first = last = None
    for block in blocks:
        if first is None or last is None or block != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = block
        last = block
    if first is not None and last is not None:
        yield first, last
