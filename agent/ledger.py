"""The host's evidence, with everything that moves it written down before it moves.

Apart from the evidence, which knows no disk, and from the files, which do not know what they hold:
here is the order of the two, on which "the same log M bit for bit" rests.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from ..engine import (
    bands,
    baseline,
    calibration,
    change,
    count_rows,
    counts,
    held,
    joint,
    joint_rows,
    knowledge,
    level,
    margin,
    memory,
    onset,
    ranks,
    recovery,
    recursive,
    streams,
    watch,
)
from ..engine.snapshot import Tree, named, restored, snapshot
from ..proto import messages
from ..proto.messages import Down, Inventory, Plan, Up1, Up2
from ..settings.logs import rfc3339
from . import evidence as of_host
from . import warm as of_baseline
from .checkpoint import Checkpoints
from .evidence import Evidence
from .fold import Block
from .packed import packed, unpacked
from .succession import Succession

MEANING: Final = 1  # raised when fields mean something else under the same names


@dataclass(slots=True)
class Kept:
    """What outlives the process: the evidence, and what was last said of it by rung.

    ``lost`` says why the evidence before this one is gone, "" once a plan has been taken up: until
    then the aggregator may not have heard of it, however often the process starts.
    """

    evidence: Evidence
    last: dict[int, Up2] = field(default_factory=dict)
    lost: str = ""


_HELD = (held, watch, recovery, bands)
_LEARNED = (baseline, knowledge, margin, memory, ranks, recursive, calibration)
_TABLES = (joint_rows, joint, count_rows, counts)
_ENGINE = (streams, change, level, onset, *_TABLES, *_LEARNED, *_HELD)
CLASSES: Final = named(Kept, of_host, of_baseline, Block, messages, *_ENGINE)


class Ledger:
    """Evidence that can be taken up by the next process where this one leaves it.

    A disk that cannot be written does not stop evidence: it is said once, counted, and the next
    process begins anew unless a checkpoint succeeds before.
    """

    def __init__(self, checkpoints: Checkpoints, kept: Kept) -> None:
        """Take the files and the state as :func:`open_ledger` found it."""
        self.unwritten = 0  # records that are not on the disk
        self._files = checkpoints
        self._kept = kept
        self._told = False

    @property
    def evidence(self) -> Evidence:
        """Return the evidence, to be read; what moves it is called here."""
        return self._kept.evidence

    @property
    def last(self) -> Mapping[int, Up2]:
        """Return the last UP2 of each rung."""
        return self._kept.last

    @property
    def resumed(self) -> bool:
        """Say whether there is evidence that goes on: what has no plan has bet nothing."""
        return self.evidence.plan is not None

    @property
    def lost(self) -> str:
        """Return in one line why former evidence is gone, "" if none is or that is past."""
        return self._kept.lost

    def adopt(self, plan: Plan) -> bool:
        """Write ``plan`` down, then obey it; return False for one that is known already.

        Raises ``ValueError`` for a plan that does not fit this host.
        """
        known = self.evidence.plan
        if known is not None and plan.id <= known.id:
            return False
        self._write(["plan", snapshot(plan)])
        self._adopt(plan)
        return True

    def follow(self, inventory: Inventory, plan: Plan) -> None:
        """Write a changed inventory and its ``plan`` down together, then obey them.

        Raises ``ValueError`` for a plan that leaves out one of its shards.
        """
        self._write(["inventory", snapshot(inventory), snapshot(plan)])
        self._follow(inventory, plan)

    def offer(self, block: Block) -> Up1:
        """Write ``block`` down, then offer it; raises what :meth:`Evidence.offer` does."""
        self._write(["offer", snapshot(block)])
        return self.evidence.offer(block)

    def answer(self, downs: Sequence[Down]) -> Up2 | None:
        """Write the summaries of a waiting block down, then bet it; None if it does not wait."""
        if self.evidence.waits_for(downs[0].rung, downs[0].block) is None:
            return None
        self._write(["answer", snapshot(tuple(downs))])
        return self._answer(downs)

    def turn(self) -> tuple[int, bytes] | None:
        """Begin a journal; return number and bytes of the checkpoint to :meth:`write` before it.

        Returns None where no file could be made.
        """
        state = self._state()
        try:
            return self._files.turn(), state
        except OSError as fault:
            self._say("no journal could be begun", fault)
            return None

    def write(self, number: int, state: bytes) -> bool:
        """Write a checkpoint that :meth:`turn` made, in any thread; say whether it is there."""
        try:
            self._files.write(number, state)
        except OSError as fault:
            self._say("no checkpoint could be written", fault)
            return False
        self._told = False
        return True

    def begin(self) -> None:
        """Write the first checkpoint of this process; raises ``OSError`` where that cannot be."""
        state = self._state()
        self._files.write(self._files.turn(), state)

    def checkpoint(self) -> bool:
        """Write a checkpoint now; say whether it is there."""
        made = self.turn()
        return made is not None and self.write(*made)

    def close(self) -> None:
        """Write no more."""
        self._files.close()

    def replay(self, record: bytes) -> None:
        """Do again what a record of the journal says was done; what was refused is so again.

        Raises ``ValueError`` for a record that no journal of this version holds.
        """
        match unpacked(record):
            case ["plan", tree] if isinstance(plan := restored(tree, CLASSES), Plan):
                with suppress(ValueError):
                    self._adopt(plan)
            case ["inventory", tree, orders] if isinstance(
                found := restored(tree, CLASSES), Inventory
            ) and isinstance(made := restored(orders, CLASSES), Plan):
                with suppress(ValueError):
                    self._follow(found, made)
            case ["offer", tree] if isinstance(block := restored(tree, CLASSES), Block):
                with suppress(ValueError):
                    self.evidence.offer(block)
            case ["answer", tree] if isinstance(downs := restored(tree, CLASSES), tuple):
                with suppress(ValueError):
                    self._answer(downs)
            case other:
                message = f"the journal holds what none of ours does: {other!r:.60}"
                raise ValueError(message)

    def _state(self) -> bytes:
        return packed([MEANING, snapshot(self._kept, CLASSES)])

    def _adopt(self, plan: Plan) -> None:
        self.evidence.adopt(plan)
        self._kept.lost = ""

    def _follow(self, inventory: Inventory, plan: Plan) -> None:
        self.evidence.follow(inventory, plan)
        self._kept.last.clear()  # of other rows and columns; the next block brings the newest
        self._kept.lost = ""

    def _answer(self, downs: Sequence[Down]) -> Up2 | None:
        up2 = self.evidence.answer(downs)
        if up2 is not None:
            self._kept.last[up2.rung] = up2
        return up2

    def _write(self, record: Tree) -> None:
        journal = self._files.journal
        if journal is not None:
            try:
                journal.append(packed(record))
            except OSError as fault:
                self._say("the journal could not be written", fault)
                self._break_off()
            else:
                return
        self.unwritten += 1

    def _break_off(self) -> None:
        try:
            self._files.break_off()
        except OSError as fault:
            self._say("the journal could not be removed", fault)

    def _say(self, what: str, fault: OSError) -> None:
        if not self._told:
            structlog.get_logger("agent").warning(
                "evidence goes on, but a restart may lose it",
                what=what,
                reason=fault.strerror,
                folder=str(self._files.folder),
            )
        self._told = True


def open_ledger(
    checkpoints: Checkpoints,
    inventory: Inventory,
    now: float,
    warm: of_baseline.Warm | None = None,
) -> Ledger:
    """Return the evidence of the last process, or new evidence where it is absent or of no use.

    It goes on with the rows and columns that it had: where ``inventory`` has others, its own stays
    the former one until a plan for the new one comes, as :meth:`Ledger.follow` says.
    New evidence starts from what is ``warm``; evidence that goes on has no use for it.
    ``now``, Unix seconds, is what no evidence can be from beyond. Raises ``OSError`` for a folder
    that cannot be read. Nothing is written: see :meth:`Ledger.begin`.
    """
    found = checkpoints.load(lambda state: _kept(state, inventory))
    if found.state is None:
        return Ledger(checkpoints, Kept(Evidence(inventory, warm), lost=found.lost))
    ledger = Ledger(checkpoints, _kept(found.state, inventory))
    try:
        for record in found.records:
            ledger.replay(record)
        _refuse_future(ledger.last, now)
    except ValueError as bad:
        lost = " ".join(str(bad).split())
        return Ledger(checkpoints, Kept(Evidence(inventory, warm), lost=lost))
    if not ledger.resumed:  # it has bet nothing, and nobody has heard of it
        return Ledger(checkpoints, Kept(Evidence(inventory, warm), lost=ledger.lost))
    if Succession.of(ledger.evidence.inventory, inventory).nothing:
        ledger.evidence.inventory = inventory
    return ledger


def _refuse_future(last: Mapping[int, Up2], now: float) -> None:
    """Raise ``ValueError`` if a last block begins later than its own length after ``now``."""
    for rung, up2 in last.items():
        if (up2.block - 1) * rung > now:
            message = (
                "its evidence is of a time that has not come: "
                f"{rfc3339(up2.block * rung)}, and this host's clock says {rfc3339(now)}"
            )
            raise ValueError(message)


def _kept(state: bytes, inventory: Inventory) -> Kept:
    """Return the state in a checkpoint; raise ``ValueError`` if it is not to be used."""
    match unpacked(state):
        case [int(meant), tree] if meant == MEANING and isinstance(
            kept := restored(tree, CLASSES), Kept
        ):
            pass
        case _:
            message = "was written by another version of Tessera"
            raise ValueError(message)
    before = kept.evidence.inventory
    if before.host != inventory.host:
        message = f"is about host {before.host}, this one is {inventory.host}"
        raise ValueError(message)
    return kept
