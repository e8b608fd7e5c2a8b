"""The database's schema as a list of steps, each of which leads from one version to the next.

Apart from the store, because a step, once released, is never edited: a change is a new step.
"""

from collections.abc import Callable, Mapping

from sqlite_utils import Database

Migration = Callable[[Database], None]


def _first(db: Database) -> None:
    """Make the tables of version 1."""
    verdicts = {
        "id": str,
        "node": str,
        "level": str,
        "channel": str,
        "guarantee": str,
        "validity_class": str,
        "log_e": float,  # nats
        "opened": float,  # times are Unix seconds
        "since": float,
        "metrics": str,  # JSON list
        "reason": str,
        "state": str,
        "closed": float,
        "closed_reason": str,
    }
    _table(db, "verdicts", verdicts, "id")
    audit = {"id": int, "at": float, "kind": str, "node": str, "text": str, "facts": str}
    _table(db, "audit", audit, "id")
    db.execute("CREATE INDEX audit_node ON audit (node, id)")
    _table(db, "plans", {"id": int, "at": float, "message": bytes}, "id")
    up2 = {"host": str, "rung": int, "block": int, "message": bytes}
    _table(db, "last_up2", up2, ("host", "rung"))
    hosts = {"host": str, "instance": str, "heard": float, "inventory": bytes}
    _table(db, "hosts", hosts, "host")
    facts = {"host": str, "word": str, "id": int, "at": float, "message": bytes}
    _table(db, "facts", facts, ("host", "word", "id", "at"))
    _table(db, "checkpoints", {"id": int, "at": float, "state": bytes}, "id")
    _table(db, "meta", {"key": str, "value": str}, "key")


def _families(db: Database) -> None:
    """Let a verdict say which family of scores carried it."""
    db.execute("ALTER TABLE verdicts ADD COLUMN family TEXT NOT NULL DEFAULT ''")


def _turns(db: Database) -> None:
    """Let a verdict say when it became what it is, open or recovering."""
    db.execute("ALTER TABLE verdicts ADD COLUMN turned FLOAT NOT NULL DEFAULT 0")
    db.execute("UPDATE verdicts SET turned = opened")


def _past(db: Database) -> None:
    """Keep block values as history, which of them are there, and which never will be."""
    inventories = {"id": int, "host": str, "digest": bytes, "message": bytes, "used": float}
    _table(db, "inventories", inventories, "id")
    db.execute("CREATE UNIQUE INDEX inventories_digest ON inventories (host, digest)")
    history = {
        "id": int,
        "host": str,
        "rung": int,
        "first": int,
        "last": int,
        "blocks": bytes,  # numbers, i64; NULL: all from first to last
        "inventory": int,
        "rows": int,
        "columns": bytes,  # u16; NULL: all
        "body": bytes,
        "at": float,  # when it was stored
    }
    _table(db, "history", history, "id")
    db.execute("CREATE INDEX history_block ON history (host, rung, first)")
    db.execute("CREATE INDEX history_at ON history (at)")
    marks = {"host": str, "rung": int, "chunk": int, "bits": bytes, "at": float}
    _table(db, "history_marks", marks, ("host", "rung", "chunk"))
    db.execute("CREATE INDEX history_marks_at ON history_marks (at)")
    gaps = {"host": str, "rung": int, "first": int, "last": int, "reason": str, "at": float}
    _table(db, "gaps", gaps, ("host", "rung", "first", "last", "reason"))


MIGRATIONS: tuple[Migration, ...] = (_first, _families, _turns, _past)


def _table(
    db: Database, name: str, columns: Mapping[str, type], key: str | tuple[str, ...]
) -> None:
    """Make a table inside the transaction that is open: sqlite-utils itself would close it."""
    db.execute(db.create_table_sql(name, dict(columns), pk=key))
