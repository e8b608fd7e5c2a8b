"""Answer what terminals ask about a node, from what the runtime holds and the disk keeps.

Apart from the console service, which speaks gRPC, and from the runtime, which does not wait.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from math import log
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...adapters.topology.model import Topology
from ..decide.explained import Explained
from ..state.fleet import Fleet
from ..state.history import History
from ..state.records import AuditRecord
from ..state.store import BadStore, Store, audit_of
from .view import Shown

Floats = npt.NDArray[np.float64]
AUDIT_LINES = 50
FOREVER = 1e12  # seconds


class Knowing(Protocol):
    """Who knows a fleet and can explain its nodes: the pipeline."""

    @property
    def fleet(self) -> Fleet:
        """Return the fleet."""
        ...

    def explain(self, node: str) -> Explained:
        """Say why a node stands as it does; raise ``KeyError`` for an unknown one."""
        ...


class Answering:
    """Answers for whatever fleet there is at the moment.

    All raise ``KeyError`` for a node that is not in it, and while there is none.
    """

    def __init__(self, store: Store, q: float, shown: Callable[[], Mapping[str, Shown]]) -> None:
        """Take the disk, the level q, and how to get the open verdicts by id."""
        self._store = store
        self._q = q
        self._shown = shown
        self._rows = 1
        self._host: dict[str, str] = {}
        self._knowing: Knowing | None = None
        self._topology = Topology((), ())
        self.past = History(())

    def know(self, knowing: Knowing, topology: Topology) -> None:
        """Answer from ``knowing``, whose fleet was built from ``topology``, from now on."""
        fleet = knowing.fleet
        self._knowing, self._topology = knowing, topology
        self._rows = len(fleet.rows)
        self.past = self.past.carried(fleet.rows)
        self._host = {fleet.rows[row]: host for host, rows in fleet.hosts.items() for row in rows}

    def explain(self, node: str) -> Explained:
        """Say why ``node`` stands as it does."""
        if self._knowing is None:
            raise KeyError(node)
        return self._knowing.explain(node)

    def shown(self, node: str) -> Shown | None:
        """Return the open verdict of ``node``."""
        return next((shown for shown in self._shown().values() if shown.last.node == node), None)

    def path(self, node: str) -> Sequence[str]:
        """Return what contains ``node``, from the root to its parent."""
        return self._topology.path(node) if node in self._topology else ()

    async def audit_of(self, node: str) -> Sequence[AuditRecord]:
        """Return its newest audit lines, newest first; none where the disk cannot be read."""
        return await asyncio.to_thread(self._read_audit, node)

    def history(self, node: str, start: float, end: float, step: float) -> tuple[Floats, Floats]:
        """Return times and merged ranked log e of ``node``; ``end`` 0 = until now."""
        return self.past.of(node, start, end or FOREVER, step)

    def threshold(self) -> float:
        """Return ln(N/q)."""
        return log(self._rows / self._q)

    def host_of(self, shard: str) -> str:
        """Return the host that has ``shard``; an inner node has none."""
        host = self._host[shard]
        if not host:
            raise KeyError(shard)
        return host

    def _read_audit(self, node: str) -> Sequence[AuditRecord]:
        try:
            with self._store.open_read() as connection:
                return audit_of(connection, node, AUDIT_LINES)
        except BadStore:
            return ()
