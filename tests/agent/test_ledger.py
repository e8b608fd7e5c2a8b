"""Evidence goes on after a kill at any place as if there had been none."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.agent.checkpoint import Checkpoints
from tessera.agent.fold import Block
from tessera.agent.journal import HEAD, Journal
from tessera.agent.ledger import CLASSES, Ledger, open_ledger
from tessera.agent.warm import Warm
from tessera.engine.change import LEARNING_BLOCKS
from tessera.engine.snapshot import snapshot
from tessera.proto.messages import Inventory, PathNode, ShardRow, Up1

from ..proto.baselines import baseline, stream
from .aggregator import GROUP, RUNG, downs_of, plan_of

SHARDS = tuple(ShardRow(f"gpu-{i}", "gpu_shard", "h200", "train", "") for i in range(5))
HOST = Inventory("host-0", 1, SHARDS, ("power_watts", "step_time_seconds"))
OTHERS = [
    replace(HOST, version=2, shards=SHARDS[:4]),
    replace(HOST, version=2, metrics=("power_watts",)),
    replace(HOST, version=2, shards=(replace(SHARDS[0], job="other"), *SHARDS[1:])),
    replace(HOST, version=2, schemas=("", "v2")),
]

Step = tuple[str, int]  # what is done, and a number that varies it
KINDS = ("plan", "bet", "bet", "bet", "offer", "checkpoint")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), min_size=3, max_size=14)


NOW = 1e9  # Unix seconds, long after every block here


def opened(folder: Path, inventory: Inventory = HOST, now: float = NOW) -> Ledger:
    return open_ledger(Checkpoints(folder), inventory, now)


def begun(folder: Path) -> Ledger:
    ledger = opened(folder)
    ledger.begin()
    return ledger


def values(block: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return block values of healthy shards but for the last, which is 20 % slow and 3 sd up."""
    x = np.random.default_rng(block).normal(size=(5, 2)).astype(np.float32)
    x[:, 1] = np.float32(0.01) * x[:, 1]
    x[-1] += np.array([3.0, 0.2], dtype=np.float32)
    return x


def records(number: int, step: Step) -> list[Callable[[Ledger], object]]:
    """Return what a step consists of, one record of the journal each; a checkpoint has none."""
    what, vary = step
    block = Block(RUNG, number, values(number))

    def answer(ledger: Ledger) -> None:
        x = ledger.evidence.waits_for(RUNG, number)
        assert x is not None
        offset = np.zeros_like(x)
        ledger.answer(downs_of(Up1("", RUNG, number, x, offset, np.ones(5, dtype=np.bool_)), vary))

    if what == "plan":
        plan = plan_of(HOST, number + 1, epoch=vary, phi=0.1 * vary)
        return [lambda ledger: ledger.adopt(plan)]
    return [lambda ledger: ledger.offer(block), *([answer] if what == "bet" else [])]


def do(ledger: Ledger, number: int, step: Step) -> None:
    """Take one step, the ``number``-th, as agent and aggregator would."""
    if step[0] == "checkpoint":
        ledger.checkpoint()
        return
    for record in records(number, step):
        record(ledger)


def state(ledger: Ledger) -> object:
    """Return everything that a ledger knows, to the last bit."""
    return snapshot([ledger.evidence, dict(ledger.last)], CLASSES)


def newest(folder: Path, what: str) -> Path:
    return max(folder.glob(f"{what}-*"))


@given(STEPS)
@settings(max_examples=10)
def test_a_kill_anywhere_gives_the_state_of_the_last_whole_record(steps: list[Step]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name, "agent")
        folder.mkdir()
        ledger = begun(folder)
        for number, step in enumerate([("plan", 0), *steps]):
            if step[0] == "checkpoint":
                do(ledger, number, step)
                assert state(opened(folder)) == state(ledger)
                continue
            for record in records(number, step):
                before, size = state(ledger), newest(folder, "journal").stat().st_size
                record(ledger)
                for cut, then in ((1, before), (HEAD.size + 5, before), (None, state(ledger))):
                    assert state(killed(folder, None if cut is None else size + cut)) == then
        ledger.close()


def killed(folder: Path, size: int | None) -> Ledger:
    """Return what is taken up where the journal had been written up to ``size``, None = all."""
    with TemporaryDirectory() as name:
        copy = Path(name, "copy")
        shutil.copytree(folder, copy)
        journal = newest(copy, "journal")
        journal.write_bytes(journal.read_bytes()[:size])
        found = opened(copy)
        assert found.lost == ""
        return found


@pytest.mark.parametrize("cut", [30, 120, 215])
def test_evidence_after_a_kill_is_that_of_a_run_that_was_not_killed(
    tmp_path: Path, cut: int
) -> None:
    steps: list[Step] = [("plan", 0), *[("bet", 0)] * 249]
    steps[cut - 9] = ("checkpoint", 0)
    steps[cut - 5] = ("offer", 0)
    (tmp_path / "a").mkdir()
    whole = begun(tmp_path / "a")
    for number, step in enumerate(steps):
        if number == cut:
            shutil.copytree(tmp_path / "a", tmp_path / "b")
        do(whole, number, step)
    found = opened(tmp_path / "b")
    assert found.resumed
    found.begin()
    for number, step in enumerate(steps[cut:], cut):
        do(found, number, step)
    assert state(found) == state(whole)
    last = whole.last[RUNG]
    assert last.level[-1, 1] > 5.0  # there was evidence to lose
    assert last.change_epoch[0, 0] == 0
    whole.close()
    found.close()


def test_blocks_without_a_down_leave_no_trace_in_evidence(tmp_path: Path) -> None:
    for name, offered in (("a", True), ("b", False)):
        (tmp_path / name).mkdir()
        ledger = begun(tmp_path / name)
        do(ledger, 0, ("plan", 0))
        for number in range(1, 30):
            if number % 5 or offered:
                do(ledger, number, ("bet" if number % 5 else "offer", 0))
        ledger.close()
    first, second = (opened(tmp_path / name).last[RUNG] for name in "ab")
    assert first.level.tobytes() == second.level.tobytes()
    assert first.change.tobytes() == second.change.tobytes()


def test_a_first_start_is_new_and_nothing_was_lost(tmp_path: Path) -> None:
    found = opened(tmp_path)
    assert (found.resumed, found.lost) == (False, "")
    assert found.evidence.plan is None


def test_evidence_of_another_host_is_lost_with_the_reason(tmp_path: Path) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    ledger.close()
    other = replace(HOST, host="host-1")
    found = opened(tmp_path, other)
    assert not found.resumed
    assert "is about host host-0, this one is host-1" in found.lost
    assert found.evidence.inventory == other
    assert found.evidence.plan is None


@pytest.mark.parametrize("other", OTHERS)
def test_evidence_of_a_host_that_has_changed_goes_on_as_it_was_until_a_plan_comes(
    tmp_path: Path, other: Inventory
) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    do(ledger, 1, ("bet", 0))
    ledger.close()
    found = opened(tmp_path, other)
    assert (found.resumed, found.lost) == (True, "")
    assert found.evidence.inventory == HOST
    assert state(found) == state(ledger)


def test_evidence_that_has_no_plan_yet_is_of_what_the_host_has_now(tmp_path: Path) -> None:
    begun(tmp_path).close()
    found = opened(tmp_path, OTHERS[0])
    assert not found.resumed
    assert found.evidence.inventory == OTHERS[0]


@pytest.mark.parametrize("other", OTHERS)
def test_a_change_that_is_followed_is_followed_again_after_a_kill(
    tmp_path: Path, other: Inventory
) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    for number in range(1, 6):
        do(ledger, number, ("bet", 0))
    before, size = state(ledger), newest(tmp_path, "journal").stat().st_size
    ledger.follow(other, plan_of(other, 9))
    assert ledger.evidence.inventory == other
    assert dict(ledger.last) == {}
    for cut, then in ((1, before), (HEAD.size + 5, before), (None, state(ledger))):
        assert state(killed(tmp_path, None if cut is None else size + cut)) == then


def test_a_plan_that_leaves_out_a_new_shard_is_refused_and_nothing_has_changed(
    tmp_path: Path,
) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    before = state(ledger)
    more = replace(HOST, version=2, shards=(*SHARDS, replace(SHARDS[0], id="gpu-9")))
    with pytest.raises(ValueError, match="plan 9 does not know shard gpu-9"):
        ledger.follow(more, plan_of(HOST, 9))
    assert state(ledger) == before
    assert state(opened(tmp_path)) == before


def test_lost_evidence_is_lost_until_a_plan_comes_however_often_the_process_starts(
    tmp_path: Path,
) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    ledger.close()
    for checkpoint in tmp_path.glob("checkpoint-*"):
        checkpoint.write_bytes(b"nonsense")
    for _ in range(3):
        again = begun(tmp_path)
        assert not again.resumed
        assert "is not a checkpoint of this version" in again.lost
        again.close()
    last = begun(tmp_path)
    do(last, 0, ("plan", 0))
    assert (last.resumed, last.lost) == (True, "")
    last.close()
    found = opened(tmp_path)  # the plan stands in the journal alone
    assert (found.resumed, found.lost) == (True, "")


@pytest.mark.parametrize(("ahead", "goes_on"), [(0.0, True), (1.0, True), (1.2, False)])
def test_evidence_of_a_time_that_has_not_come_is_lost(
    tmp_path: Path, ahead: float, *, goes_on: bool
) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    do(ledger, 9, ("bet", 0))
    ledger.close()
    found = opened(tmp_path, now=RUNG * (9 - ahead))
    assert found.resumed == goes_on
    assert ("its evidence is of a time that has not come" in found.lost) != goes_on


def test_a_shard_that_hangs_elsewhere_keeps_its_evidence(tmp_path: Path) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    ledger.close()
    rows = tuple(replace(row, path=(PathNode("rack-9", "rack"),)) for row in SHARDS)
    moved = replace(HOST, version=2, shards=rows)
    found = opened(tmp_path, moved)
    assert found.resumed
    assert found.evidence.inventory == moved
    assert found.evidence.plan is not None


def test_a_plan_that_is_known_is_not_written_again(tmp_path: Path) -> None:
    ledger = begun(tmp_path)
    assert ledger.adopt(plan_of(HOST, 3))
    size = newest(tmp_path, "journal").stat().st_size
    assert not ledger.adopt(plan_of(HOST, 3))
    assert not ledger.adopt(plan_of(HOST, 2))
    assert newest(tmp_path, "journal").stat().st_size == size
    ledger.close()


def test_a_second_down_of_a_block_is_neither_bet_nor_written(tmp_path: Path) -> None:
    ledger = begun(tmp_path)
    do(ledger, 0, ("plan", 0))
    up1 = ledger.offer(Block(RUNG, 1, values(1)))
    assert ledger.answer(downs_of(up1)) is not None
    before, size = state(ledger), newest(tmp_path, "journal").stat().st_size
    assert ledger.answer(downs_of(up1, offset=9.0)) is None
    assert state(ledger) == before
    assert newest(tmp_path, "journal").stat().st_size == size
    ledger.close()


class Full(Journal):
    """A journal on a disk that is full."""

    def append(self, record: bytes) -> None:
        del record
        raise OSError(ENOSPC, "No space left on device")


def test_a_full_disk_does_not_stop_evidence_and_the_next_start_says_lost(tmp_path: Path) -> None:
    files = Checkpoints(tmp_path)
    ledger = open_ledger(files, HOST, NOW)
    ledger.begin()
    do(ledger, 0, ("plan", 0))
    journal = files.journal
    assert journal is not None
    files.journal = Full(journal.path)
    for number in range(1, 20):
        do(ledger, number, ("bet", 0))
    assert ledger.unwritten == 38
    assert ledger.last[RUNG].level[-1, 1] > 1.0
    journal.close()
    found = opened(tmp_path)
    assert not found.resumed
    assert "is missing" in found.lost


def test_a_checkpoint_after_a_full_disk_saves_the_evidence(tmp_path: Path) -> None:
    files = Checkpoints(tmp_path)
    ledger = open_ledger(files, HOST, NOW)
    ledger.begin()
    do(ledger, 0, ("plan", 0))
    journal = files.journal
    assert journal is not None
    files.journal = Full(journal.path)
    do(ledger, 1, ("bet", 0))
    assert ledger.checkpoint()
    do(ledger, 2, ("bet", 0))
    ledger.close()
    journal.close()
    found = opened(tmp_path)
    assert found.resumed
    assert state(found) == state(ledger)


def test_a_journal_of_strange_records_is_lost(tmp_path: Path) -> None:
    ledger = begun(tmp_path)
    ledger.close()
    with Journal(newest(tmp_path, "journal")) as journal:
        journal.append(b"\x81\xa1a\x01")
    found = opened(tmp_path)
    assert not found.resumed
    assert "what none of ours does" in found.lost


def warmed(folder: Path) -> Ledger:
    """Return a begun ledger whose streams of step time start from a baseline."""
    made = [
        stream(s.id, role="", group=GROUP, metric="step_time_seconds", phi=0.0, kappa=1.0)
        for s in SHARDS
    ]
    known = baseline(5, streams=tuple(made))
    ledger = open_ledger(Checkpoints(folder), HOST, NOW, Warm.of(known, HOST))
    ledger.begin()
    return ledger


def test_a_kill_before_the_first_checkpoint_of_a_warm_start_loses_none_of_it(
    tmp_path: Path,
) -> None:
    ledger = warmed(tmp_path)
    for number, step in enumerate([("plan", 0), ("bet", 0), ("bet", 0)]):
        do(ledger, number, step)
    (said,) = ledger.evidence.drain_said()
    assert said.startswith("5 s: 5 of 10 streams start from baseline")
    found = opened(tmp_path)  # and nobody names the file again
    assert found.evidence.drain_said() == (said,)
    assert state(found) == state(ledger)


def test_a_warm_stream_bets_while_others_learn(tmp_path: Path) -> None:
    ledger = warmed(tmp_path)
    for number, step in enumerate([("plan", 0), *[("bet", 0)] * 3]):
        do(ledger, number, step)
    learned = ledger.last[RUNG].learned
    assert (learned[:, 1] == LEARNING_BLOCKS).all()
    assert (learned[:, 0] <= 3).all()
    assert (ledger.last[RUNG].change[:, 1] != 0.0).all()
