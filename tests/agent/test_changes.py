"""What is known of a host outlives its agent, and a job outlives no boot."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tessera.adapters.base import Event, Shard
from tessera.agent.changes import FILE, Before, Changes
from tessera.agent.datagram import JobNote, Note, Push
from tessera.agent.mailbox import Mailbox
from tessera.agent.workload import Workload

NOON = 1_000_000.0
GPU = "GPU-aaaaaaaa"
DRIVER = {"nvml": {"driver": "550"}}


class Box(Mailbox):
    def __init__(self, *notes: Note) -> None:
        super().__init__(Path("nowhere"))
        self.notes = list(notes)

    def open(self) -> None:
        """Listen to nobody."""

    def take(self) -> list[Note]:
        said, self.notes = self.notes, []
        return said


def changes(folder: Path, *notes: Note, boot: str = "b") -> tuple[Changes, Workload]:
    """Return the changes of a host with one shard, at whose socket ``notes`` wait."""
    workload = Workload(Box(*notes))
    workload.place([Shard(GPU, "gpu_shard")])
    made = Changes([workload])
    made.begin(folder, NOON, boot)
    return made, workload


def look(made: Changes, workload: Workload, at: float, driver: str = "550") -> list[Event]:
    workload.read(at)
    return made.look(at, {"nvml": {"driver": driver}}, (GPU,))


def test_a_change_is_an_event_also_if_nobody_looked_meanwhile(tmp_path: Path) -> None:
    assert look(*changes(tmp_path), NOON) == []
    (event,) = look(*changes(tmp_path), NOON, "560")
    assert event == Event("firmware_push", NOON, "driver: 550 → 560")
    assert look(*changes(tmp_path), NOON, "560") == []


def test_a_job_that_begins_is_a_redeployment_of_its_shards(tmp_path: Path) -> None:
    made, workload = changes(tmp_path)
    assert look(made, workload, NOON) == []
    assert isinstance(workload.mailbox, Box)
    workload.mailbox.notes.append(JobNote("slurm-7", ("0",)))
    (event,) = look(made, workload, NOON + 1)
    assert event == Event("model_redeploy", NOON + 1, "job: none → slurm-7")


def test_a_job_that_ends_is_no_event_and_the_next_one_is(tmp_path: Path) -> None:
    made, workload = changes(tmp_path, JobNote("slurm-7"))
    assert isinstance(workload.mailbox, Box)
    look(made, workload, NOON)
    workload.mailbox.notes.append(JobNote("slurm-7", over=True))
    assert look(made, workload, NOON + 400) == []
    workload.mailbox.notes.append(JobNote("slurm-8"))
    (event,) = look(made, workload, NOON + 800)
    assert event.detail == "job: slurm-7 → slurm-8"


def test_jobs_and_metrics_outlive_the_agent_and_jobs_no_boot(tmp_path: Path) -> None:
    notes = (JobNote("slurm-7", ("0",)), Push("step_time_seconds", 0.4))
    look(*changes(tmp_path, *notes), NOON)
    _, resumed = changes(tmp_path)
    assert resumed.jobs() == {GPU: "slurm-7"}
    assert resumed.metrics == ("step_time_seconds",)
    _, rebooted = changes(tmp_path, boot="another")
    assert rebooted.jobs() == {}
    assert rebooted.metrics == ("step_time_seconds",)


def test_a_boot_is_known_by_the_id_of_the_former_one(tmp_path: Path) -> None:
    first, workload = changes(tmp_path)
    look(first, workload, NOON)
    assert not first.before.rebooted
    assert not changes(tmp_path)[0].before.rebooted
    assert changes(tmp_path, boot="another")[0].before.rebooted
    assert not changes(tmp_path, boot="")[0].before.rebooted


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "[]", "{", '{"elements": 3, "metrics": [], "jobs": 1}'),
        '{"elements": {"a": 1}, "metrics": {"m": "x"}, "jobs": {"g": "x"}, "boot": "b"}',
        '{"metrics": {"m": 1%s, "No": 1.0}, "jobs": {"g": [1, "a\\nb"]}, "boot": ["b"]}'
        % ("0" * 400),
        "[" * 100_000,
    ],
)
def test_a_file_that_is_damaged_is_nothing_known(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    made, workload = changes(tmp_path)
    assert (made.vector.told, workload.metrics, workload.jobs()) == ({}, (), {})
    assert look(made, workload, NOON, "560") == []
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["elements"] != {}


def test_a_file_that_cannot_be_written_is_counted_and_events_are_told(tmp_path: Path) -> None:
    made, workload = changes(tmp_path / "absent")
    look(made, workload, NOON)
    assert len(look(made, workload, NOON + 1, "560")) == 1
    assert made.counts["changes_unwritten"] == 2


def test_nothing_known_is_nothing_written(tmp_path: Path) -> None:
    made = Changes([])
    made.begin(tmp_path, NOON, "b")
    assert made.look(NOON, {}, (GPU,)) == []
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_written_when_something_changes_and_not_each_tick(tmp_path: Path) -> None:
    made, workload = changes(tmp_path)
    look(made, workload, NOON)
    (tmp_path / FILE).unlink()
    look(made, workload, NOON + 1)
    assert list(tmp_path.iterdir()) == []
    look(made, workload, NOON + 2, "560")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


class Marked(Workload):
    """A source with a total by which a reset is seen."""

    marks: Mapping[str, float] = MappingProxyType({"a": 7.0})

    def remember(self, marks: Mapping[str, float]) -> None:
        self.marks = marks


def test_what_was_here_its_totals_and_a_boot_since_are_known_after_a_restart(
    tmp_path: Path,
) -> None:
    first = Changes([Marked(Box())])
    first.begin(tmp_path, NOON, "b")
    assert first.before == Before()
    first.look(NOON, DRIVER, (GPU,))
    first.finish(NOON)
    for boot, rebooted in (("b", False), ("c", True), ("", False)):
        again = Changes([])
        again.begin(tmp_path, NOON, boot)
        assert again.before == Before((GPU,), {"workload": {"a": 7.0}}, rebooted)


@pytest.mark.parametrize("text", ['{"marks": 3, "shards": 3, "boot": []}', '{"marks": {"a": [1]}}'])
def test_totals_that_make_no_sense_are_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    made = Changes([])
    made.begin(tmp_path, NOON, "b")
    assert not made.before.rebooted
    assert not any(made.before.marks.values())
