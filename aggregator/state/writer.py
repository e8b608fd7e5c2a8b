"""The one thread that owns the database's connection and writes what it is given, in order.

Apart from the event loop, which never waits for a disk; whoever needs to know that something is
written waits for its future.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Event, Thread

from .records import Batch, Remembered
from .store import BadStore, Store, remembered, write

RETRY = 1.0  # seconds between attempts while the disk takes nothing
UNSTORABLE = (sqlite3.Error, OverflowError, TypeError, ValueError)  # what a wrong row raises


class Writer:
    """Batches in the order they were put, each written once, or tried until it can be.

    ``trouble`` is called from the thread with one line when writing begins to fail, and with ""
    when it works again.
    """

    def __init__(self, store: Store, trouble: Callable[[str], None]) -> None:
        """Keep both; the thread starts with ``start``."""
        self._store = store
        self._trouble = trouble
        self._queue: SimpleQueue[tuple[Batch, Future[None]] | None] = SimpleQueue()
        self._waiting = 0
        self._given_up = Event()
        self._opened: Future[Remembered] = Future()
        self._connection: sqlite3.Connection  # of the thread alone, from its start on
        self._thread = Thread(target=self._run, name="writer", daemon=True)

    @property
    def waiting(self) -> int:
        """Return how many batches are not written yet."""
        return self._waiting + self._queue.qsize()

    async def start(self) -> Remembered:
        """Open the database and return what is in it; raise ``BadStore``."""
        self._thread.start()
        return await asyncio.wrap_future(self._opened)

    def put(self, batch: Batch) -> "asyncio.Future[None]":
        """Queue ``batch``; the future, of the running loop, is done when it is committed.

        It holds one of ``UNSTORABLE`` if the batch cannot be stored, which is a defect.
        """
        done: Future[None] = Future()
        self._queue.put((batch, done))
        return asyncio.wrap_future(done)

    async def stop(self, patience: float = 5.0) -> None:
        """Write what is queued and end the thread, waiting for a full disk ``patience`` seconds."""
        self._queue.put(None)
        if self._thread.ident is None:
            return
        await asyncio.to_thread(self._thread.join, patience)
        self._given_up.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._connection = self._store.open()
            found = remembered(self._connection)
        except (BadStore, sqlite3.Error) as bad:
            refusal = bad if isinstance(bad, BadStore) else BadStore(f"{self._store.path}: {bad}")
            self._opened.set_exception(refusal)
            return
        self._opened.set_result(found)
        while (item := self._queue.get()) is not None:
            self._waiting = 1
            self._write(*item)
            self._waiting = 0
        self._connection.close()

    def _write(self, batch: Batch, done: "Future[None]") -> None:
        """Write one batch and say so."""
        heard = done.set_running_or_notify_cancel()  # written also if nobody waits any more
        try:
            self._write_at_last(batch)
        except UNSTORABLE as fault:
            if heard:
                done.set_exception(fault)
        else:
            if heard:
                done.set_result(None)

    def _write_at_last(self, batch: Batch) -> None:
        """Try until the disk takes ``batch``, or until nobody wants to wait any longer."""
        failed = False
        while True:
            try:
                write(self._connection, batch)
            except sqlite3.OperationalError as fault:
                if not failed:
                    self._trouble(f"{self._store.path}: {fault}; free some room: it is tried again")
                failed = True
                if self._given_up.wait(RETRY):
                    raise
                self._reopen()
            else:
                if failed:
                    self._trouble("")
                return

    def _reopen(self) -> None:
        """Go on with a fresh connection, since one that failed in the middle may not recover."""
        try:
            fresh = self._store.open()
        except BadStore:
            return
        self._connection.close()
        self._connection = fresh
