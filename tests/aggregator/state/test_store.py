import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
from sqlite_utils import Database

from tessera.aggregator.state.migrations import MIGRATIONS
from tessera.aggregator.state.records import (
    AuditRecord,
    Batch,
    FactRecord,
    HostRecord,
    PlanRecord,
    Remembered,
    Up2Record,
    VerdictRecord,
)
from tessera.aggregator.state.store import (
    CHECKPOINTS_KEPT,
    BadStore,
    Store,
    audit_of,
    backup,
    remembered,
    write,
)

OPENED = VerdictRecord(
    id="v7",
    change="opened",
    node="gpu-3",
    level="shard",
    channel="level",
    guarantee="ranked",
    validity_class="empirical",
    log_e=12.5,
    at=100.0,
    since=60.0,
    metrics=("step_time_seconds",),
    reason="it is out of family",
    family="A mean",
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = Store(tmp_path / "a.db").open()
    yield opened
    opened.close()


def add_a_column(db: Database) -> None:
    db.execute("ALTER TABLE verdicts ADD COLUMN owner TEXT")


def fail(db: Database) -> None:
    db.execute("ALTER TABLE verdicts ADD COLUMN owner TEXT")
    db.execute("ALTER TABLE no_such_table ADD COLUMN owner TEXT")


def test_a_new_database_remembers_nothing(connection: sqlite3.Connection) -> None:
    assert remembered(connection) == Remembered()


def test_it_writes_ahead_and_its_version_is_that_of_the_last_step(
    connection: sqlite3.Connection,
) -> None:
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_an_open_verdict_is_remembered_as_it_was_opened(connection: sqlite3.Connection) -> None:
    write(connection, Batch(verdicts=(OPENED,)))
    assert remembered(connection).open == (OPENED,)
    assert remembered(connection).next_verdict == 8


def test_an_unknown_onset_stays_unknown(connection: sqlite3.Connection) -> None:
    write(connection, Batch(verdicts=(replace(OPENED, since=nan),)))
    assert isnan(remembered(connection).open[0].since)


def test_a_promoted_verdict_keeps_the_time_of_its_opening(connection: sqlite3.Connection) -> None:
    promoted = replace(OPENED, change="promoted", guarantee="controlled", log_e=20.0, at=150.0)
    write(connection, Batch(verdicts=(OPENED, promoted)))
    (held,) = remembered(connection).open
    assert (held.guarantee, held.log_e, held.at) == ("controlled", 20.0, 100.0)


def test_a_verdict_that_is_promoted_while_it_recovers_still_recovers(
    connection: sqlite3.Connection,
) -> None:
    recovering = replace(OPENED, change="recovering", at=200.0, turned=200.0)
    promoted = replace(recovering, change="promoted", guarantee="controlled", at=210.0)
    write(connection, Batch(verdicts=(OPENED, recovering, promoted)))
    (found,) = remembered(connection).open
    assert found == replace(recovering, guarantee="controlled", at=OPENED.at)
    write(connection, Batch(verdicts=(replace(promoted, change="reopened", turned=300.0),)))
    (found,) = remembered(connection).open
    assert (found.change, found.turned) == ("opened", 300.0)


def test_a_closed_verdict_is_not_open_and_its_number_is_not_used_again(
    connection: sqlite3.Connection,
) -> None:
    closed = replace(OPENED, change="closed", at=200.0, reason="explained by host-0")
    write(connection, Batch(verdicts=(OPENED,)))
    write(connection, Batch(verdicts=(closed,)))
    assert remembered(connection).open == ()
    assert remembered(connection).next_verdict == 8
    row = connection.execute("SELECT reason, closed_reason, closed FROM verdicts").fetchone()
    assert row == ("it is out of family", "explained by host-0", 200.0)


def test_the_hundredth_verdict_is_later_than_the_ninth(connection: sqlite3.Connection) -> None:
    write(connection, Batch(verdicts=(replace(OPENED, id="v9"), replace(OPENED, id="v100"))))
    assert remembered(connection).next_verdict == 101


def test_the_newest_evidence_of_a_host_and_rung_stands(connection: sqlite3.Connection) -> None:
    write(connection, Batch(up2=(Up2Record("h0", 5, 1, b"old"), Up2Record("h0", 30, 1, b"slow"))))
    write(connection, Batch(up2=(Up2Record("h0", 5, 2, b"new"),)))
    assert remembered(connection).up2 == (
        Up2Record("h0", 5, 2, b"new"),
        Up2Record("h0", 30, 1, b"slow"),
    )


def test_hosts_are_remembered_with_their_age_and_forgotten_with_their_evidence(
    connection: sqlite3.Connection,
) -> None:
    instance = 2**64 - 1
    hosts = (HostRecord("h0", instance, 10.0, b"i"), HostRecord("h1", 1, 10.0, b"j"))
    write(connection, Batch(hosts=hosts, up2=(Up2Record("h1", 5, 2, b"new"),)))
    write(connection, Batch(heard=(("h0", 50.0),), forgotten=("h1",)))
    found = remembered(connection)
    assert found.hosts == (HostRecord("h0", instance, 50.0, b"i"),)
    assert found.up2 == ()


def test_a_fact_is_kept_once_however_often_it_comes(connection: sqlite3.Connection) -> None:
    fact = FactRecord("h0", "fact", 3, 10.0, b"xid")
    write(connection, Batch(facts=(fact,)))
    write(connection, Batch(facts=(fact, replace(fact, id=4))))
    assert connection.execute("SELECT count(*) FROM facts").fetchone() == (2,)


def test_the_newest_plan_and_checkpoint_are_remembered(connection: sqlite3.Connection) -> None:
    for i in range(1, 5):
        plan = PlanRecord(i, float(i), b"plan")
        write(connection, Batch(plans=(plan,), checkpoint=(float(i), bytes([i]))))
    found = remembered(connection)
    assert found.plan == PlanRecord(4, 4.0, b"plan")
    assert found.checkpoint == (4.0, b"\x04")
    kept = connection.execute("SELECT count(*) FROM checkpoints").fetchone()
    assert kept == (CHECKPOINTS_KEPT,)


def test_audit_lines_of_a_node_come_newest_first_with_their_facts(
    connection: sqlite3.Connection,
) -> None:
    lines = [AuditRecord(float(i), "verdict", f"n{i % 2}", f"line {i}", {"i": i}) for i in range(6)]
    write(connection, Batch(audit=tuple(lines)))
    assert audit_of(connection, "n1", 2) == (lines[5], lines[3])


def test_numbers_of_numpy_are_kept_as_numbers() -> None:
    record = AuditRecord(0.0, "k", "n", "t", {"a": np.float64(1.5), "b": np.arange(2), "c": Path()})
    assert record.facts_json() == '{"a": 1.5, "b": [0, 1], "c": "."}'


def test_a_batch_is_written_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    broken = FactRecord("h0", "fact", 2**70, 0.0, b"")  # no integer of a database
    with pytest.raises(OverflowError):
        write(connection, Batch(verdicts=(OPENED,), facts=(broken,)))
    assert remembered(connection).open == ()
    write(connection, Batch(verdicts=(OPENED,)))
    assert remembered(connection).open == (OPENED,)


def test_an_older_schema_is_brought_forward_with_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    older = Store(path).open()
    write(older, Batch(verdicts=(OPENED,)))
    older.close()
    newer = Store(path, (*MIGRATIONS, add_a_column)).open()
    assert newer.execute("SELECT id, owner FROM verdicts").fetchall() == [("v7", None)]
    assert newer.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    newer.close()


def test_a_step_that_fails_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Store(path).open().close()
    with pytest.raises(BadStore):
        Store(path, (*MIGRATIONS, fail)).open()
    again = Store(path).open()
    columns = {row[1] for row in again.execute("PRAGMA table_info(verdicts)")}
    assert "owner" not in columns
    again.close()


def test_a_later_schema_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Store(path, (*MIGRATIONS, add_a_column)).open().close()
    said = rf"a\.db: its schema is version {len(MIGRATIONS) + 1}, .* up to {len(MIGRATIONS)}; "
    with pytest.raises(BadStore, match=said) as caught:
        Store(path).open()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("this is not a database, it is a letter to a friend\n" * 40)
    before = path.read_bytes()
    with pytest.raises(BadStore, match="not a database; move it away or restore a backup"):
        Store(path).open()
    assert path.read_bytes() == before


def test_a_database_in_a_folder_that_is_missing_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadStore, match="see that the folder can be written"):
        Store(tmp_path / "missing" / "a.db").open()


def test_a_backup_made_beside_a_writer_holds_what_was_committed(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    write(connection, Batch(verdicts=(OPENED,)))
    backup(Store(tmp_path / "a.db"), tmp_path / "copy.db")
    write(connection, Batch(verdicts=(replace(OPENED, id="v8"),)))
    copy = Store(tmp_path / "copy.db").open()
    assert remembered(copy).open == (OPENED,)
    copy.close()


def test_a_backup_of_a_database_that_nobody_has_open_is_made_too(tmp_path: Path) -> None:
    Store(tmp_path / "a.db").open().close()
    backup(Store(tmp_path / "a.db"), tmp_path / "copy.db")
    copy = Store(tmp_path / "copy.db").open()
    assert remembered(copy) == Remembered()
    copy.close()
    assert not (tmp_path / "copy.db.part").exists()


def test_a_backup_never_overwrites_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    Store(tmp_path / "a.db").open().close()
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(BadStore, match="is there already"):
        backup(Store(tmp_path / "a.db"), tmp_path / "copy.db")
    with pytest.raises(BadStore):
        backup(Store(tmp_path / "a.db"), tmp_path / "missing" / "copy.db")
    with pytest.raises(BadStore, match="nothing to copy"):
        backup(Store(tmp_path / "b.db"), tmp_path / "other.db")
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith("a.db")] == ["copy.db"]
    assert (tmp_path / "copy.db").read_text() == "precious"
