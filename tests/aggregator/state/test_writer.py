import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tessera.aggregator.state.records import AuditRecord, Batch, FactRecord
from tessera.aggregator.state.store import BadStore, Store
from tessera.aggregator.state.writer import UNSTORABLE, Writer

# Writes audit lines one after the other and says which are written, until it is killed.
ACKNOWLEDGING = """
import asyncio, sys
from pathlib import Path
from tessera.aggregator.state.records import AuditRecord, Batch
from tessera.aggregator.state.store import Store
from tessera.aggregator.state.writer import UNSTORABLE, Writer

async def main():
    writer = Writer(Store(Path(sys.argv[1])), lambda trouble: None)
    await writer.start()
    for i in range(1_000_000):
        audit = (AuditRecord(float(i), "k", "n", f"line {i}"),) * 3
        await writer.put(Batch(audit=audit, checkpoint=(float(i), b"x" * 5000), durable=i % 5 == 0))
        print(i, flush=True)

asyncio.run(main())
"""

# Writes with a limit on the size of files, then without; says what it hears from the writer.
SHORT_OF_ROOM = """
import asyncio, resource, sys
from pathlib import Path
from tessera.aggregator.state.records import AuditRecord, Batch
from tessera.aggregator.state.store import Store
from tessera.aggregator.state.writer import UNSTORABLE, Writer

async def main():
    heard = []
    writer = Writer(Store(Path(sys.argv[1])), heard.append)
    await writer.start()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    put = [
        writer.put(Batch(audit=(AuditRecord(float(i), "k", "n", "x" * 20_000),), durable=True))
        for i in range(30)
    ]
    while not heard:
        await asyncio.sleep(0.01)
    print("full", sum(p.done() for p in put) < 30, writer.waiting > 0, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await asyncio.gather(*put)
    print("said", len(heard), "\\n" in heard[0], heard[-1] == "", flush=True)
    await writer.stop()

asyncio.run(main())
"""


def batch(i: int) -> Batch:
    return Batch(audit=(AuditRecord(float(i), "k", "n", f"line {i}"),))


def lines(path: Path) -> list[str]:
    with Store(path).open_read() as connection:
        return [row[0] for row in connection.execute("SELECT text FROM audit ORDER BY id")]


async def test_what_was_put_is_written_in_order_when_its_future_is_done(tmp_path: Path) -> None:
    writer = Writer(Store(tmp_path / "a.db"), pytest.fail)
    await writer.start()
    await asyncio.gather(*[writer.put(batch(i)) for i in range(20)])
    assert lines(tmp_path / "a.db") == [f"line {i}" for i in range(20)]
    await writer.stop()


async def test_stopping_writes_what_is_queued(tmp_path: Path) -> None:
    writer = Writer(Store(tmp_path / "a.db"), pytest.fail)
    await writer.start()
    put = [writer.put(batch(i)) for i in range(5)]
    await writer.stop()
    assert lines(tmp_path / "a.db") == [f"line {i}" for i in range(5)]
    await asyncio.gather(*put)


async def test_a_batch_that_cannot_be_stored_says_so_and_the_next_is_written(
    tmp_path: Path,
) -> None:
    writer = Writer(Store(tmp_path / "a.db"), pytest.fail)
    await writer.start()
    too_large = FactRecord("h", "fact", 2**64, 0.0, b"")
    no_bytes = Batch(audit=batch(0).audit, checkpoint=(0.0, {}))  # type: ignore[arg-type]  # meant
    for broken in (no_bytes, Batch(audit=batch(0).audit, facts=(too_large,))):
        with pytest.raises(UNSTORABLE):
            await writer.put(broken)
    await writer.put(batch(1))
    assert lines(tmp_path / "a.db") == ["line 1"]
    await writer.stop()


async def test_nobody_needs_to_wait_for_a_batch(tmp_path: Path) -> None:
    writer = Writer(Store(tmp_path / "a.db"), pytest.fail)
    await writer.start()
    writer.put(batch(0)).cancel()
    await writer.put(batch(1))
    assert lines(tmp_path / "a.db")[-1] == "line 1"
    await writer.stop()


async def test_a_store_that_cannot_be_opened_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database" * 100)
    writer = Writer(Store(tmp_path / "a.db"), pytest.fail)
    with pytest.raises(BadStore):
        await writer.start()
    await writer.stop()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - when to kill
    path = tmp_path / "a.db"
    done = -1
    for _ in range(2):
        acknowledged, survived = _killed(path, dice)
        found = lines(path)
        assert acknowledged > 0
        assert len(found) % 3 == 0  # whole batches only
        assert len(found) // 3 >= done + 1 + acknowledged
        done = len(found) // 3 - 1
        assert survived == "ok"


def _killed(path: Path, dice: random.Random) -> tuple[int, str]:
    """Start a writer, kill it at some point, and return how many batches it called written."""
    command = [sys.executable, "-c", ACKNOWLEDGING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        said = [process.stdout.readline()]
        said += [process.stdout.readline() for _ in range(dice.randrange(1, 60))]
        time.sleep(dice.random() / 500)  # in the middle of whatever it is doing
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    whole = [line for line in said if line.endswith("\n")]
    with Store(path).open_read() as connection:
        return len(whole), str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def test_a_full_disk_is_told_once_and_everything_is_written_when_there_is_room(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SHORT_OF_ROOM, str(tmp_path / "a.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["full True True", "said 2 False True"]
    assert len(lines(tmp_path / "a.db")) == 30
