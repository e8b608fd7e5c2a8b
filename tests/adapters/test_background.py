"""Work in a thread of its own: the newest outcome, whatever happens to the work."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tessera.adapters.background import Background, Unreachable

PATIENCE = 10.0


@contextmanager
def started(work: Background[int]) -> Iterator[Background[int]]:
    work.start()
    try:
        yield work
    finally:
        work.close()


def test_the_first_outcome_is_waited_for_and_the_newest_is_kept() -> None:
    numbers = iter(range(1000))
    with started(Background(lambda: next(numbers), 0.001, name="count")) as work:
        first = work.wait(PATIENCE)
        assert first is not None
        while work.newest is not None and work.newest.number < 5:
            time.sleep(0.001)
        newest = work.newest
    assert newest is not None
    assert (newest.found, newest.fault) == (newest.number - 1, None)


def test_nothing_is_done_before_it_is_started() -> None:
    asked: list[int] = []
    work = Background(lambda: asked.append(1), 0.001, name="idle")
    assert work.wait(0.01) is None
    assert asked == []


def test_what_cannot_be_reached_is_an_outcome_and_is_tried_again() -> None:
    faults = iter([Unreachable("refused", "nobody there"), ValueError("ours")])

    def work() -> int:
        for fault in faults:
            raise fault
        return 7

    tried = Background(work, 1.0, name="tried", clock=lambda: 42.0)
    seen = []
    for _ in range(3):
        tried.once()
        assert tried.newest is not None
        seen.append((tried.newest.number, tried.newest.found, str(tried.newest.fault)))
        assert tried.newest.at == 42.0
    assert seen == [(1, None, "nobody there"), (2, None, "ValueError: ours"), (3, 7, "None")]


def test_it_ends_when_closed_and_begins_anew_when_started() -> None:
    work = Background(lambda: 1, 0.001, name="ends")
    with started(work):
        assert work.wait(PATIENCE) is not None
    assert "ends" not in {thread.name for thread in threading.enumerate()}
    with started(work):
        assert "ends" in {thread.name for thread in threading.enumerate()}


def test_starting_twice_makes_one_thread() -> None:
    with started(Background(lambda: 1, 1.0, name="one")) as work:
        work.start()
        assert [thread.name for thread in threading.enumerate()].count("one") == 1


def test_closing_leaves_work_behind_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.adapters.background._PATIENCE", 0.01)
    released = threading.Event()
    with started(Background(released.wait, 1.0, name="hangs")) as work:
        assert work.wait(0.01) is None
    released.set()
