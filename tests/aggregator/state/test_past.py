"""Each block is there once, as it was sent, for as long as it is kept."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as chosen
from hypothesis import strategies as st
from sqlite_utils import Database

from tessera.aggregator.state.migrations import MIGRATIONS
from tessera.aggregator.state.past import CHUNK, gaps_of, values_of
from tessera.aggregator.state.records import Batch, FactRecord, GapRecord, Past, PastRecord
from tessera.aggregator.state.store import Store, write

AT, ROWS, COLUMNS = 1e9, 3, 4
EVERY = 2**60


def x_of(block: int, *, of: int = 0) -> npt.NDArray[np.float32]:
    x = np.random.default_rng(1000 * of + block).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    x[1, 2] = np.nan
    return x


def record(blocks: list[int], host: str = "h0", rung: int = 5, *, of: int = 0) -> PastRecord:
    values = {block: x_of(block, of=of).astype("<f4").tobytes() for block in blocks}
    return PastRecord(host, rung, b"inventory", ROWS, None, values)


def past(*records: PastRecord, at: float = AT, since: float = 0.0) -> Batch:
    return Batch(past=Past(at, since, records), durable=True)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = Store(tmp_path / "a.db").open()
    yield opened
    opened.close()


def blocks_in(connection: sqlite3.Connection, host: str = "h0", rung: int = 5) -> list[int]:
    return [values.block for values in values_of(connection, host, rung, 0, EVERY)]


def test_values_come_back_bit_for_bit(connection: sqlite3.Connection) -> None:
    write(connection, past(record([7, 8, 9]), record([7], rung=30), record([7], host="h1")))
    found = values_of(connection, "h0", 5, 8, 8)
    assert [values.block for values in found] == [8]
    assert found[0].x.tobytes() == x_of(8).tobytes()
    assert (found[0].inventory, found[0].columns) == (b"inventory", None)


def test_some_columns_and_blocks_with_holes_between_come_back_as_such(
    connection: sqlite3.Connection,
) -> None:
    columns = np.array([1, 5, 6, 300], dtype="<u2")
    write(connection, past(replace(record([3, 90, 4]), columns=columns.tobytes())))
    found = values_of(connection, "h0", 5, 0, EVERY)
    assert [values.block for values in found] == [3, 4, 90]
    assert found[2].columns is not None
    assert found[2].columns.tolist() == columns.tolist()
    assert found[2].x.tobytes() == x_of(90).tobytes()


def test_a_host_without_values_has_its_blocks_all_the_same(connection: sqlite3.Connection) -> None:
    write(connection, past(PastRecord("h0", 5, b"", 3, b"", {4: b"", 5: b""})))
    assert [values.x.shape for values in values_of(connection, "h0", 5, 0, EVERY)] == [(3, 0)] * 2


@given(
    st.lists(
        st.lists(st.integers(CHUNK - 20, CHUNK + 20), min_size=1, max_size=12, unique=True),
        min_size=1,
        max_size=8,
    )
)
@chosen(max_examples=30, deadline=None)
def test_whatever_comes_again_is_there_once_and_the_first_stands(batches: list[list[int]]) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migrate in MIGRATIONS:
        migrate(Database(connection))
    first: dict[int, int] = {}
    for number, blocks in enumerate(batches):
        write(connection, past(record(blocks, of=number)))
        for block in blocks:
            first.setdefault(block, number)
    found = values_of(connection, "h0", 5, 0, EVERY)
    connection.close()
    assert [values.block for values in found] == sorted(first)
    for values in found:
        assert values.x.tobytes() == x_of(values.block, of=first[values.block]).tobytes()


def test_what_comes_again_in_the_same_transaction_is_there_once(
    connection: sqlite3.Connection,
) -> None:
    other = replace(record([8, 9], of=1), inventory=b"other")
    write(connection, past(record([7, 8]), other))
    assert blocks_in(connection) == [7, 8, 9]


def test_a_transaction_that_fails_marks_nothing_as_there(connection: sqlite3.Connection) -> None:
    bad = Batch(
        past=Past(AT, 0.0, (record([7]), PastRecord("h0", 5, b"", ROWS, None, {2**70: b"0000"})))
    )
    with pytest.raises((OverflowError, sqlite3.Error)):
        write(connection, bad)
    write(connection, past(record([7])))
    assert blocks_in(connection) == [7]


def test_what_was_stored_long_ago_goes_and_what_it_follows_with_it(
    connection: sqlite3.Connection,
) -> None:
    gap = GapRecord("h0", 5, 1, 2, "spool full")
    write(connection, past(replace(record([1]), inventory=b"old"), at=AT))
    write(connection, Batch(past=Past(AT, 0.0, (), (gap,))))
    write(connection, past(record([2]), at=AT + 100, since=AT + 50))
    assert blocks_in(connection) == [2]
    assert gaps_of(connection, "h0") == []
    rows = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our names
        for table in ("inventories", "history", "history_marks")
    ]
    assert rows == [1, 1, 1]


def test_a_gap_is_there_once_however_often_it_is_told(connection: sqlite3.Connection) -> None:
    gaps = (GapRecord("h0", 5, 1, 2, "spool full"), GapRecord("h0", 0, 10, 20, "spool damaged"))
    for at in (AT, AT + 1):
        write(connection, Batch(past=Past(at, 0.0, (), gaps)))
    assert gaps_of(connection, "h0") == sorted(gaps, key=lambda gap: gap.rung)


def test_a_database_of_before_history_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    before = Store(path, MIGRATIONS[:-1]).open()
    before.execute("INSERT INTO facts VALUES ('h0', 'fact', 1, 5.0, x'00')")
    before.close()
    after = Store(path).open()
    write(after, past(record([7])))
    write(after, Batch(facts=(FactRecord("h0", "fact", 1, 5.0, b"\0"),)))
    assert blocks_in(after) == [7]
    assert after.execute("SELECT count(*) FROM facts").fetchone() == (1,)
    after.close()
