"""What is promised is delivered, or a gap says what was not."""

import shutil
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from tessera.adapters.base import Event
from tessera.agent.events import Events
from tessera.agent.facts import Facts
from tessera.agent.fold import Block
from tessera.agent.journal import Journal
from tessera.agent.spool import BATCH, DAMAGED, FULL, LIVE, LOOSE, NO_DISK, REPEAT, Batch, Spool
from tessera.settings.clock import ManualClock

RUNG, MOST, NOW = 5, 1 << 18, 1e9
SHAPE = (8, 12)  # of a block: 400 bytes

Gap = tuple[int, int, int, str]  # rung, first, last, reason


def opened(
    folder: Path,
    clock: ManualClock,
    most: int = MOST,
    facts: Facts | None = None,
    events: Events | None = None,
) -> Spool:
    spool = Spool(folder, most, clock.monotonic)
    folder.mkdir(exist_ok=True)
    spool.load(clock.now(), facts or Facts(), events or Events())
    spool.follow(1, b"inventory")
    return spool


def block(number: int, rung: int = RUNG) -> Block:
    x = np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)
    x[:, 3] = np.nan
    return Block(rung, number, x)


def batches(spool: Spool, clock: ManualClock) -> Iterator[Batch]:
    """Yield all that is due, each stored before the next."""
    for _ in range(2000):
        clock.advance(1.0)
        batch = spool.batch()
        if batch is not None:
            yield batch
            stored(spool, batch)


def stored(spool: Spool, batch: Batch) -> None:
    spans = [(sealed.rung, sealed.block, sealed.block) for sealed in batch.blocks]
    spool.stored(spans, [gap.id for gap in batch.gaps])


def delivered(spool: Spool, clock: ManualClock) -> tuple[list[tuple[int, int]], list[Gap]]:
    """Return the blocks and the gaps that a spool has to tell, in the order told."""
    found = list(batches(spool, clock))
    blocks = [(sealed.rung, sealed.block) for batch in found for sealed in batch.blocks]
    return blocks, [
        (gap.rung, gap.from_block, gap.to_block, gap.reason)
        for batch in found
        for gap in batch.gaps
    ]


def full(_: Journal, record: bytes) -> None:
    raise OSError(ENOSPC, "No space left on device", str(len(record)))


def half(write: Callable[[Journal, bytes], None]) -> Callable[[Journal, bytes], None]:
    """Return a disk that takes half of a record, as one does that becomes full."""

    def append(journal: Journal, record: bytes) -> None:
        write(journal, record)
        with journal.path.open("r+b") as file:
            file.truncate(journal.path.stat().st_size - len(record) // 2)
        full(journal, record)

    return append


def test_blocks_without_a_link_are_told_once_it_is_there_bit_for_bit(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    for number in range(100, 140):
        spool.seal(block(number), live=False)
    spool.linked()
    found = [sealed for batch in batches(spool, clock) for sealed in batch.blocks]
    assert [sealed.block for sealed in found] == list(range(100, 140))
    x = block(107).x
    told = np.delete(np.arange(12), 3)
    message = found[7].message()
    assert message.x.data == x[:, told].tobytes()
    assert list(message.x.shape) == [8, 11]
    assert np.frombuffer(message.columns.data, dtype="<u2").tolist() == told.tolist()
    assert [path for path in (tmp_path / "spool").iterdir() if "blocks" in path.name] == []


def test_a_batch_is_small_and_the_next_one_waits_for_its_ack(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    for number in range(100):
        spool.seal(block(number), live=False)
    spool.linked()
    assert spool.batch() is None  # live messages go first
    clock.advance(1.0)
    first = spool.batch()
    assert first is not None
    assert len(first.blocks) == BATCH
    clock.advance(REPEAT - 1.0)
    assert spool.batch() is None
    clock.advance(1.0)
    again = spool.batch()
    assert again is not None
    assert again.blocks == first.blocks
    stored(spool, again)
    clock.advance(1.0)
    after = spool.batch()
    assert after is not None
    assert [sealed.block for sealed in after.blocks] == list(range(BATCH, 2 * BATCH))


def test_a_live_block_becomes_history_only_if_nobody_acknowledges_it(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    spool.linked()
    for number in (1, 2):
        spool.seal(block(number), live=True)
    clock.advance(60.0)
    assert spool.batch() is None
    spool.stored([(RUNG, 1, 1)], [])
    clock.advance(LIVE - 60.0)
    late = spool.batch()
    assert late is not None
    assert [sealed.block for sealed in late.blocks] == [2]


def test_what_went_over_a_link_that_ended_is_history_on_the_next_one(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    spool.linked()
    spool.seal(block(1), live=True)
    spool.linked()
    assert delivered(spool, clock) == ([(RUNG, 1)], [])


def test_a_kill_at_any_place_loses_no_block_that_was_sealed(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path / "a", clock)
    for number in range(30):
        spool.seal(block(number), live=False)
        if number in {3, 17}:
            spool.stored([(RUNG, 0, 2)], [])
        image = shutil.copytree(tmp_path / "a", tmp_path / f"killed-{number}")
        again = opened(image, clock)
        blocks, gaps = delivered(again, clock)
        assert blocks[-(number + 1) :][-1] == (RUNG, number)
        assert {n for _, n in blocks} >= set(range(3, number + 1))
        assert (gaps, len(blocks)) == ([], len(set(blocks)))


def test_a_block_that_a_former_process_sealed_is_not_kept_twice(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    spool.seal(block(1), live=False)
    spool.close()
    again = opened(tmp_path, clock)
    again.seal(block(1), live=False)
    assert delivered(again, clock) == ([(RUNG, 1)], [])


def test_blocks_of_two_inventories_do_not_travel_together(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    spool.seal(block(1), live=False)
    spool.follow(2, b"other")
    spool.seal(block(2), live=False)
    spool.close()
    again = opened(tmp_path, clock)
    again.follow(3, b"newest")
    again.seal(block(3), live=False)
    told = [(b.inventory, b.told, [s.block for s in b.blocks]) for b in batches(again, clock)]
    assert told == [(1, b"inventory", [1]), (2, b"other", [2]), (3, b"newest", [3])]


def test_of_too_much_the_oldest_goes_and_a_gap_with_a_counter_says_so(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool, number = opened(tmp_path, clock), 0
    while spool.dropped == 0 or number % 1000:
        spool.seal(block(number), live=False)
        spool.seal(block(number // 2, 10), live=False)
        number += 1
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= MOST
    spool.close()  # what became a gap outlives the process
    blocks, gaps = delivered(opened(tmp_path, clock), clock)
    kept = {rung: sorted(n for r, n in blocks if r == rung) for rung in (RUNG, 10)}
    assert gaps == [
        (rung, 0, first - 1, FULL) for rung, first in ((rung, kept[rung][0]) for rung in (RUNG, 10))
    ]
    assert kept[RUNG] == list(range(kept[RUNG][0], number))
    assert spool.dropped == kept[RUNG][0] + kept[10][0]
    assert spool.counters()["history_blocks_dropped"] == spool.dropped > 0


@pytest.mark.parametrize("disk", ["full", "half"])
def test_a_full_disk_is_told_in_one_line_and_memory_stands_in_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    for number in range(5):
        spool.seal(block(number), live=False)
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(Journal, "append", full if disk == "full" else half(Journal.append))
        for number in range(5, 5 + LOOSE + 3):
            spool.seal(block(number), live=False)
    (line,) = [log for log in logs if log["event"].startswith("blocks wait in memory")]
    assert line["reason"] == "No space left on device"
    assert (spool.unwritten, spool.dropped) == (LOOSE + 3, 3)
    spool.seal(block(5 + LOOSE + 3), live=False)
    blocks, gaps = delivered(spool, clock)
    assert sorted(blocks) == [(RUNG, n) for n in range(5 + LOOSE + 4) if n not in {5, 6, 7}]
    assert gaps == [(RUNG, 5, 7, NO_DISK)]


def test_of_a_damaged_segment_what_is_sound_is_told_and_the_rest_is_a_gap(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    for number in range(20):
        spool.seal(block(number), live=False)
    spool.close()
    path = next((tmp_path / "spool").glob("blocks-*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with capture_logs() as logs:
        again = opened(tmp_path, clock)
    assert [log["file"] for log in logs if log["log_level"] == "warning"] == [path.name]
    blocks, gaps = delivered(again, clock)
    (lost,) = {(RUNG, number) for number in range(20)} - set(blocks)
    assert gaps == [(0, lost[1] * RUNG, (lost[1] + 2) * RUNG, DAMAGED)]  # sealed between these


def test_a_segment_of_which_nothing_is_left_is_a_gap_up_to_now(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    spool.seal(block(7), live=False)
    spool.close()
    next((tmp_path / "spool").glob("blocks-*")).write_bytes(b"\x01" * 300)
    assert delivered(opened(tmp_path, clock), clock) == ([], [(0, 0, int(NOW), DAMAGED)])


def test_a_segment_that_is_damaged_while_it_waits_becomes_a_gap(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    spool = opened(tmp_path, clock)
    for number in range(3):
        spool.seal(block(number), live=False)
    next((tmp_path / "spool").glob("blocks-*")).unlink()
    assert delivered(spool, clock) == ([], [(RUNG, 0, 2, DAMAGED)])
    assert spool.dropped == 3


def test_facts_that_stand_and_those_that_nobody_stored_outlive_the_process(tmp_path: Path) -> None:
    clock, facts = ManualClock(NOW), Facts()
    opened(tmp_path / "a", clock, facts=facts)
    first = facts.say("driver_unresponsive", NOW, stands=True, detail="nvml")
    second = facts.say("xid_79", NOW, stands=True, shard="gpu-1")
    assert first is not None
    assert second is not None
    facts.stored([first.id])
    image = shutil.copytree(tmp_path / "a", tmp_path / "killed")
    again = Facts()
    opened(image, clock, facts=again)
    assert list(again) == [second]
    assert again.standing == ("driver_unresponsive", "xid_79")
    assert again.say("xid_79", NOW, stands=True, shard="gpu-1") is None
    cleared = again.say("driver_unresponsive", NOW + 9, stands=False)
    assert cleared is not None
    assert cleared.id == second.id + 1


def test_events_that_nobody_stored_outlive_the_process_and_no_number_comes_twice(
    tmp_path: Path,
) -> None:
    clock, events = ManualClock(NOW), Events()
    opened(tmp_path / "a", clock, events=events)
    first, second = (events.say(Event("env_change", NOW, text)) for text in ("one", "two"))
    events.stored([first.id])
    again = Events()
    image = tmp_path / "b"
    shutil.copytree(tmp_path / "a", image)
    opened(image, clock, events=again)
    assert list(again) == [second]
    assert again.say(Event("env_change", NOW, "three")).id == second.id + 1


def test_files_are_forced_by_the_minute_and_facts_at_once(tmp_path: Path) -> None:
    clock, facts = ManualClock(NOW), Facts()
    spool = opened(tmp_path, clock, facts=facts)
    spool.seal(block(1), live=False)
    spool.unforced()
    clock.advance(1.0)
    spool.seal(block(2), live=False)
    assert spool.unforced() == []
    facts.say("driver_unresponsive", NOW, stands=True)
    (words,) = spool.unforced()
    assert words.name.startswith("words-")
    clock.advance(60.0)
    (blocks,) = spool.unforced()
    assert blocks.name.startswith("blocks-")
    spool.force([words, blocks])
