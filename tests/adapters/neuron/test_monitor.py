import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tessera.adapters.neuron import fake_monitor
from tessera.adapters.neuron.monitor import EXITED, STALE, UNSTARTABLE, Monitor, configuration
from tessera.adapters.neuron.report import Report

FAKE = f"{shlex.quote(sys.executable)} -m tessera.adapters.neuron.fake_monitor --devices 2"
PERIOD = 0.05


def until(met: Callable[[], bool]) -> None:
    """Wait for what another thread or process does; a minute is for a machine that is busy."""
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@contextmanager
def running(
    misbehave: str = "", *, command: str = "", largest: int = 2**20, period: float = PERIOD
) -> Iterator[Monitor]:
    told = command or FAKE + (f" --misbehave {misbehave}" if misbehave else "")
    monitor = Monitor(told, period=period, wait=0.01, patience=20 * PERIOD, largest=largest)
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.close()


def heard(monitor: Monitor, count: int = 3) -> list[Report]:
    found: list[Report] = []

    def enough() -> bool:
        found.extend(report for _, report in monitor.reports())
        return len(found) >= count

    until(enough)
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and was not asked after does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_configuration_asks_for_what_is_read_at_the_pace_that_is_wanted() -> None:
    asked = json.loads(configuration(1.0))
    assert asked["period"] == "1s"
    assert {group["type"] for group in asked["neuron_runtimes"][0]["metrics"]} == {
        *("neuroncore_counters", "execution_stats", "memory_used")
    }


def test_reports_arrive_with_the_time_at_which_they_came() -> None:
    with running() as monitor:
        until(lambda: bool(monitor.wait_first(0.0)))
        (came, report), *_ = monitor.reports()
        assert report.hardware.devices == 2
        assert came <= time.monotonic()
        assert monitor.trouble == ""


@pytest.mark.parametrize("misbehave", ["partial", "garbage"])
def test_reports_are_read_out_of_whatever_else_is_written(misbehave: str) -> None:
    with running(misbehave) as monitor:
        assert [len(report.runtimes) for report in heard(monitor)][:3] == [1, 1, 1]
        assert bool(monitor.counted["skipped"]) is (misbehave == "garbage")


def test_a_document_beyond_the_bound_is_dropped_and_the_next_is_read() -> None:
    with running("large", largest=100_000) as monitor:
        until(lambda: monitor.counted["oversized"] > 0)
        monitor.reports()
        assert heard(monitor)


def test_json_that_is_no_report_is_counted() -> None:
    with running("strange") as monitor:
        until(lambda: monitor.counted["strange"] > 0)


@pytest.mark.parametrize(("misbehave", "trouble"), [("hang", STALE), ("exit", EXITED)])
def test_one_that_stops_is_started_again_and_heard_again(misbehave: str, trouble: str) -> None:
    with running(misbehave) as monitor:
        until(lambda: monitor.counted[trouble] >= 2)
        monitor.reports()
        assert heard(monitor)


def test_one_that_never_reports_is_stale() -> None:
    with running("mute") as monitor:
        until(lambda: monitor.trouble == STALE)
        assert monitor.reports() == []


def test_one_that_cannot_be_started_is_told_and_tried_again() -> None:
    with running(command="/nowhere/neuron-monitor") as monitor:
        until(lambda: monitor.counted[UNSTARTABLE] >= 2)
        assert monitor.trouble == UNSTARTABLE
        assert not monitor.can_start()


def test_a_command_line_that_cannot_be_read_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="close its quotes"):
        Monitor("neuron-monitor 'here")


def test_a_program_is_also_found_by_its_name_alone() -> None:
    assert Monitor("sh -c true").can_start()
    assert not Monitor("").can_start()


@pytest.mark.parametrize("misbehave", ["", "mute", "deaf"])
def test_closing_ends_the_child(misbehave: str) -> None:
    with running(misbehave) as monitor:
        until(lambda: monitor.child is not None)
        child = monitor.child
    assert child is not None
    assert not alive(child)
    assert monitor.child is None


def test_closing_ends_what_the_child_has_started(tmp_path: Path) -> None:
    script = tmp_path / "monitor"
    note = tmp_path / "pid"
    script.write_text(
        f"#!/bin/sh\nsleep 1000 &\necho $! > {note}.new\nmv {note}.new {note}\nwait\n"
    )
    script.chmod(0o755)
    with running(command=str(script)):
        until(note.exists)
        started = int(note.read_text())
        assert alive(started)
    until(lambda: not alive(started))


def test_reports_that_nobody_asks_for_are_dropped_and_counted() -> None:
    with running(command=f"{FAKE} --period 0.001") as monitor:
        until(lambda: monitor.counted["dropped"] > 0)
        assert len(monitor.reports()) <= 64


def test_one_that_was_closed_can_be_started_again() -> None:
    with running() as monitor:
        heard(monitor)
        monitor.close()
        monitor.reports()
        monitor.start()
        assert heard(monitor)


def test_the_thread_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with running() as monitor:
        heard(monitor)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_the_fake_says_the_same_for_the_same_seed(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for seed in ("3", "3", "4"):
        fake_monitor.main(["--steps", "2", "--period", "0.001", "--seed", seed])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_without_a_place_for_its_configuration_that_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))  # a read-only root
    with running() as monitor:
        until(lambda: monitor.trouble == UNSTARTABLE)
        (tmp_path / "nowhere").mkdir()
        assert heard(monitor, 1)
