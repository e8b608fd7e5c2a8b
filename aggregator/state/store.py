"""The aggregator's database: opened, brought to this version's schema, written and read.

Apart from the writer, because what is written does not depend on which thread does it and when.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan, nan
from pathlib import Path

from sqlite_utils import Database

from .migrations import MIGRATIONS, Migration
from .past import write_past
from .records import (
    AuditRecord,
    Batch,
    HostRecord,
    PlanRecord,
    Remembered,
    Up2Record,
    VerdictRecord,
)

DATABASE = "tessera.db"  # in the aggregator's folder
CHECKPOINTS_KEPT = 2  # the newest, and the one before should the newest be unreadable
PLANS_KEPT = 200
LOCKED_FOR = 5.0  # seconds to wait for a reader that holds the file, a backup for instance

_OPENED = """
INSERT INTO verdicts (id, node, level, channel, guarantee, validity_class, log_e, opened, since,
                      metrics, reason, family, turned, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')
ON CONFLICT (id) DO UPDATE SET
  channel = excluded.channel, guarantee = excluded.guarantee, log_e = excluded.log_e,
  validity_class = excluded.validity_class, since = excluded.since, metrics = excluded.metrics,
  reason = excluded.reason, family = excluded.family, turned = excluded.turned
"""
_UP2 = """
INSERT INTO last_up2 (host, rung, block, message) VALUES (?, ?, ?, ?)
ON CONFLICT (host, rung) DO UPDATE SET block = excluded.block, message = excluded.message
"""
_HOST = """
INSERT INTO hosts (host, instance, heard, inventory) VALUES (?, ?, ?, ?)
ON CONFLICT (host) DO UPDATE SET
  instance = excluded.instance, heard = excluded.heard, inventory = excluded.inventory
"""
_OPEN = """
SELECT id, node, level, channel, guarantee, validity_class, log_e, opened, since, metrics, reason,
       family, turned, state
FROM verdicts WHERE state <> 'closed' ORDER BY opened, id
"""


class BadStore(Exception):  # noqa: N818  named for what it says
    """A database that cannot be used; its text is one line: file, what, what to do."""


class Store:
    """The database in one file. A connection belongs to the thread that opened it."""

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Keep where the file is; nothing is opened before ``open`` or ``open_read``."""
        self.path = path
        self._migrations = tuple(migrations)

    def open(self) -> sqlite3.Connection:
        """Return a connection to write with, the schema brought forward; raise ``BadStore``."""
        try:
            connection = sqlite3.connect(self.path, LOCKED_FOR, isolation_level=None)
        except sqlite3.Error as fault:
            raise self._bad(fault) from None
        try:
            self._refuse_later(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            self._migrate(connection)
        except sqlite3.Error as fault:
            connection.close()
            raise self._bad(fault) from None
        except BadStore:
            connection.close()
            raise
        return connection

    @contextmanager
    def open_read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that cannot write; raise ``BadStore``. Call it off the event loop."""
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        try:
            connection = sqlite3.connect(uri, LOCKED_FOR, isolation_level=None, uri=True)
        except sqlite3.Error as fault:
            raise self._bad(fault) from None
        try:
            yield connection
        except sqlite3.Error as fault:
            raise self._bad(fault) from None
        finally:
            connection.close()

    def _refuse_later(self, connection: sqlite3.Connection) -> None:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > len(self._migrations):
            message = (
                f"{self.path}: its schema is version {found}, this program knows up to "
                f"{len(self._migrations)}; start the newer program, or name another state_dir"
            )
            raise BadStore(message)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Take the steps that are missing, each with its new version in one transaction."""
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for version in range(found, len(self._migrations)):
            with transaction(connection):
                self._migrations[version](Database(connection))
                connection.execute(f"PRAGMA user_version = {version + 1}")

    def _bad(self, fault: sqlite3.Error) -> BadStore:
        if "not a database" in str(fault) or "malformed" in str(fault):
            todo = "move it away or restore a backup"
        else:
            todo = "see that the folder can be written and has room"
        return BadStore(f"{self.path}: {fault}; {todo}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def write(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write ``batch`` in one transaction; raise ``sqlite3.Error`` with nothing of it written."""
    level = "FULL" if batch.durable else "NORMAL"
    connection.execute(f"PRAGMA synchronous = {level}")
    with transaction(connection):
        for verdict in batch.verdicts:
            _write_verdict(connection, verdict)
        connection.executemany(
            "INSERT INTO audit (at, kind, node, text, facts) VALUES (?, ?, ?, ?, ?)",
            [(a.at, a.kind, a.node, a.text, a.facts_json()) for a in batch.audit],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO plans (id, at, message) VALUES (?, ?, ?)",
            [(p.id, p.at, p.message) for p in batch.plans],
        )
        if batch.plans:
            oldest = max(p.id for p in batch.plans) - PLANS_KEPT
            connection.execute("DELETE FROM plans WHERE id <= ?", (oldest,))
        connection.executemany(_UP2, [(u.host, u.rung, u.block, u.message) for u in batch.up2])
        _write_hosts(connection, batch)
        connection.executemany(
            "INSERT OR IGNORE INTO facts (host, word, id, at, message) VALUES (?, ?, ?, ?, ?)",
            [(f.host, f.word, f.id, f.at, f.message) for f in batch.facts],
        )
        if batch.checkpoint is not None:
            _write_checkpoint(connection, *batch.checkpoint)
        if batch.past is not None:
            write_past(connection, batch.past)


def _write_verdict(connection: sqlite3.Connection, verdict: VerdictRecord) -> None:
    if verdict.change in {"opened", "promoted", "relabelled"}:
        values = (
            *(verdict.id, verdict.node, verdict.level, verdict.channel, verdict.guarantee),
            *(verdict.validity_class, verdict.log_e, verdict.at, _or_null(verdict.since)),
            *(json.dumps(verdict.metrics), verdict.reason, verdict.family, verdict.turned),
        )
        connection.execute(_OPENED, values)
    elif verdict.change == "closed":
        connection.execute(
            "UPDATE verdicts SET state = 'closed', closed = ?, closed_reason = ? WHERE id = ?",
            (verdict.at, verdict.reason, verdict.id),
        )
    else:
        state = "open" if verdict.change == "reopened" else verdict.change
        connection.execute(
            "UPDATE verdicts SET state = ?, turned = ? WHERE id = ?",
            (state, verdict.turned, verdict.id),
        )


def _write_hosts(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write who there is; an instance is 64 bits without a sign, which only text holds."""
    rows = [(h.host, f"{h.instance:016x}", h.heard, h.inventory) for h in batch.hosts]
    connection.executemany(_HOST, rows)
    heard = [(at, host) for host, at in batch.heard]
    connection.executemany("UPDATE hosts SET heard = ? WHERE host = ?", heard)
    gone = [(host,) for host in batch.forgotten]
    connection.executemany("DELETE FROM hosts WHERE host = ?", gone)
    connection.executemany("DELETE FROM last_up2 WHERE host = ?", gone)


def _write_checkpoint(connection: sqlite3.Connection, at: float, state: bytes) -> None:
    done = connection.execute("INSERT INTO checkpoints (at, state) VALUES (?, ?)", (at, state))
    oldest = (done.lastrowid or 0) - CHECKPOINTS_KEPT
    connection.execute("DELETE FROM checkpoints WHERE id <= ?", (oldest,))


def remembered(connection: sqlite3.Connection) -> Remembered:
    """Return what a former run left behind; of a new database, nothing."""
    ids = connection.execute("SELECT max(CAST(substr(id, 2) AS INTEGER)) FROM verdicts").fetchone()
    plan = connection.execute("SELECT id, at, message FROM plans ORDER BY id DESC LIMIT 1")
    newest = connection.execute("SELECT at, state FROM checkpoints ORDER BY id DESC LIMIT 1")
    up2 = connection.execute("SELECT host, rung, block, message FROM last_up2 ORDER BY host, rung")
    hosts = connection.execute("SELECT host, instance, heard, inventory FROM hosts ORDER BY host")
    return Remembered(
        open=tuple(_verdict(row) for row in connection.execute(_OPEN)),
        next_verdict=(ids[0] or 0) + 1,
        plan=next((PlanRecord(*row) for row in plan), None),
        up2=tuple(Up2Record(*row) for row in up2),
        hosts=tuple(HostRecord(host, int(one, 16), *rest) for host, one, *rest in hosts),
        checkpoint=next(((at, state) for at, state in newest), None),
    )


def audit_of(connection: sqlite3.Connection, node: str, limit: int) -> tuple[AuditRecord, ...]:
    """Return the newest ``limit`` audit lines of ``node``, newest first."""
    found = connection.execute(
        "SELECT at, kind, node, text, facts FROM audit WHERE node = ? ORDER BY id DESC LIMIT ?",
        (node, limit),
    )
    return tuple(AuditRecord(at, kind, of, text, json.loads(f)) for at, kind, of, text, f in found)


def backup(store: Store, to: Path) -> None:
    """Copy the database into the new file ``to``, also while it is written; raise ``BadStore``.

    Nothing is left at ``to`` unless the copy is whole.
    """
    if to.exists():
        message = f"{to}: is there already; name a file that is not"
        raise BadStore(message)
    if not store.path.exists():
        message = f"{store.path}: is missing, so there is nothing to copy; name its state_dir"
        raise BadStore(message)
    part = to.with_name(f"{to.name}.part")
    try:
        part.unlink(missing_ok=True)
        with store.open_read() as connection:
            connection.execute("VACUUM INTO ?", (str(part),))
        part.rename(to)
    except OSError as fault:
        message = f"{to}: cannot be written ({fault.strerror}); name another place"
        raise BadStore(message) from None
    finally:
        part.unlink(missing_ok=True)


def _verdict(row: tuple[object, ...]) -> VerdictRecord:
    """Return the open verdict of a row of ``_OPEN``."""
    *texts, log_e, opened, since, metrics, reason, family, turned, state = row
    name, node, level, channel, guarantee, validity = (str(text) for text in texts)
    return VerdictRecord(
        id=name,
        change="recovering" if state == "recovering" else "opened",
        node=node,
        level=level,
        channel=channel,
        guarantee=guarantee,
        validity_class=validity,
        log_e=float(str(log_e)),
        at=float(str(opened)),
        since=nan if since is None else float(str(since)),
        metrics=tuple(json.loads(str(metrics))),
        reason=str(reason),
        family=str(family),
        turned=float(str(turned)),
    )


def _or_null(value: float) -> float | None:
    return None if isnan(value) else value
