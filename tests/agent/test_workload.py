"""What programs say of themselves becomes readings of the shards that they run on, or nobody's."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tessera.adapters.base import Absent, Event, Reading, Shard
from tessera.agent.datagram import Note, parse
from tessera.agent.mailbox import Mailbox
from tessera.agent.workload import (
    COUNTED_FOR,
    FORGOTTEN,
    MOST_METRICS,
    NEWEST,
    OLDEST,
    Memory,
    Workload,
    kept,
)

STEP = "step_time_seconds"
SHARDS = ("GPU-aaaaaaaa", "GPU-bbbbbbbb", "GPU-cccccccc")
NOON = 1_000_000.0


class Spoken(Mailbox):
    """A mailbox that is filled by a test instead of by programs."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.said: list[Note] = []

    def open(self) -> None:
        """Listen to nobody."""

    def take(self) -> list[Note]:
        said, self.said = self.said, []
        return said


@pytest.fixture
def box() -> Spoken:
    return Spoken()


@pytest.fixture
def workload(box: Spoken) -> Workload:
    made = Workload(box)
    made.place(Shard(name, "gpu_shard") for name in SHARDS)
    return made


def told(box: Spoken, *lines: str | dict[str, object]) -> None:
    box.said += [parse(line if isinstance(line, str) else json.dumps(line)) for line in lines]


def numbers(readings: Iterable[Reading]) -> dict[tuple[str, str], float | Absent]:
    return {(reading.shard, reading.metric): reading.value for reading in readings}


def test_a_push_is_a_reading_of_its_shard_and_of_that_tick_alone(
    box: Spoken, workload: Workload
) -> None:
    assert workload.metrics == ()
    told(box, f"{STEP}:0.4|g|#device:1", f"{STEP}:0.5|g|#device:GPU-cccccccc")
    assert numbers(workload.read(NOON)) == {(SHARDS[1], STEP): 0.4, (SHARDS[2], STEP): 0.5}
    assert workload.read(NOON + 1) == []
    assert workload.metrics == workload.pushed == (STEP,)


def test_several_pushes_of_one_tick_are_their_mean(box: Spoken, workload: Workload) -> None:
    told(box, f"{STEP}:0.4|g|#device:1", f"{STEP}:600|ms|#device:1")
    assert numbers(workload.read(NOON)) == {(SHARDS[1], STEP): pytest.approx(0.5)}


def test_what_is_of_no_shard_of_this_host_is_counted_and_is_no_reading(
    box: Spoken, workload: Workload
) -> None:
    told(box, f"{STEP}:0.4|g", f"{STEP}:0.4|g|#device:3", f"{STEP}:0.4|g|#device:GPU-dddddddd")
    assert workload.read(NOON) == []
    assert workload.counts["strangers"] == 3
    assert workload.metrics == ()


@pytest.mark.parametrize(
    "line",
    [
        *(f"{STEP}:0|g", f"{STEP}:1e31|g", "tokens_per_second:0|g", "host_cpu_ratio:1.5|g"),
        '{"metric": "step_time_seconds", "value": -0.4}',
        '{"metric": "host_memory_available_bytes", "value": -1}',
        '{"metric": "tokens_total", "value": -1}',
    ],
)
def test_impossible_values_are_errors_counted_and_never_numbers(
    box: Spoken, workload: Workload, line: str
) -> None:
    workload.place([Shard(SHARDS[0], "gpu_shard")])
    told(box, line)
    ((cell, value),) = numbers(workload.read(NOON)).items()
    assert value == Absent("error", "impossible")
    assert workload.rejected[cell] == 1


def test_increments_are_a_running_total_for_as_long_as_somebody_counts(
    box: Spoken, workload: Workload
) -> None:
    cell = (SHARDS[0], "tokens_total")
    told(box, "tokens:5|c|#device:0", "tokens:5|c|@0.5|#device:0")
    assert numbers(workload.read(NOON)) == {cell: 15.0}
    assert numbers(workload.read(NOON + 1)) == {cell: 15.0}  # nothing was added: a rate of 0
    told(box, "tokens:1|c|#device:0")
    assert numbers(workload.read(NOON + 2)) == {cell: 16.0}
    assert workload.read(NOON + 3 + COUNTED_FOR) == []
    assert workload.pushed == ()


def test_a_count_that_the_catalogue_knows_keeps_its_name(box: Spoken, workload: Workload) -> None:
    told(box, "nic_errors:2|c|#device:0")
    assert numbers(workload.read(NOON)) == {(SHARDS[0], "nic_errors"): 2.0}


def test_metrics_beyond_the_32nd_are_refused_and_counted(box: Spoken, workload: Workload) -> None:
    told(box, *(f"metric_{i}:1|g|#device:0" for i in range(MOST_METRICS + 2)))
    assert len(workload.read(NOON)) == MOST_METRICS == len(workload.metrics)
    assert workload.counts["metrics_refused"] == 2


def test_names_that_are_made_up_do_not_crowd_out_how_long_steps_take(
    box: Spoken, workload: Workload
) -> None:
    told(box, *(f"metric_{i}:1|g|#device:0" for i in range(MOST_METRICS)), f"{STEP}:1|g|#device:0")
    assert numbers(workload.read(NOON))[SHARDS[0], STEP] == 1.0
    assert STEP in kept(workload.memory, NOON).metrics
    assert len(kept(workload.memory, NOON).metrics) == MOST_METRICS + 1


@pytest.mark.parametrize(
    "line",
    ["power_watts:9|g", "xid_application:9|c", "energy_joules_total:9|c", "throttled_x_ratio:0|g"],
)
def test_what_a_device_tells_nobody_else_can(box: Spoken, workload: Workload, line: str) -> None:
    told(box, f"{line}|#device:0")
    assert workload.read(NOON) == []
    assert workload.metrics == ()
    assert workload.counts["metrics_refused"] == 1
    name = line.partition(":")[0]
    assert kept(Memory({name: NOON}), NOON).metrics == {}


def test_metrics_are_known_over_a_restart_and_forgotten_after_a_week(box: Spoken) -> None:
    first = Workload(box)
    first.place([Shard(SHARDS[0], "gpu_shard")])
    told(box, f"{STEP}:0.4|g")
    first.read(NOON)
    assert Workload(box, kept(first.memory, NOON + FORGOTTEN)).metrics == (STEP,)
    assert Workload(box, kept(first.memory, NOON + FORGOTTEN + 1)).metrics == ()


def job(name: str, state: str, *devices: str) -> dict[str, object]:
    return {"job": name, "state": state, "devices": list(devices)}


def test_a_job_is_that_of_its_shards_until_it_ends(box: Spoken, workload: Workload) -> None:
    told(box, job("slurm-1", "start", "0", "1"), job("slurm-2", "start", "2", "9"))
    workload.read(NOON)
    assert workload.jobs() == dict(zip(SHARDS, ("slurm-1", "slurm-1", "slurm-2"), strict=True))
    assert workload.counts["strangers"] == 1
    told(box, job("slurm-3", "start", "1"), job("slurm-1", "stop"), job("slurm-9", "stop"))
    workload.read(NOON + 1)
    assert workload.jobs() == {SHARDS[1]: "slurm-3", SHARDS[2]: "slurm-2"}


def test_of_two_jobs_of_one_shard_it_has_the_newest_that_runs(
    box: Spoken, workload: Workload
) -> None:
    told(box, job("a", "start", "0"), job("b", "start", "0"), job("b", "stop", "0"))
    workload.read(NOON)
    assert workload.jobs() == {SHARDS[0]: "a"}


def test_an_event_is_kept_until_it_is_asked_for_unless_it_is_of_another_time(
    box: Spoken, workload: Workload
) -> None:
    told(
        box,
        {"event": "config_change", "detail": "fans", "devices": ["1"]},
        {"event": "env_change", "at": NOON - OLDEST},
        {"event": "env_change", "at": NOON - OLDEST - 1},
        {"event": "env_change", "at": NOON + NEWEST + 1},
        {"event": "env_change", "devices": ["7"]},
    )
    workload.read(NOON)
    assert workload.take_events() == [
        Event("config_change", NOON, "fans", (SHARDS[1],)),
        Event("env_change", NOON - OLDEST, ""),
    ]
    assert workload.take_events() == []
    assert workload.counts["events_refused"] == 3


def test_a_pause_is_kept_until_it_is_asked_for(box: Spoken, workload: Workload) -> None:
    told(box, '{"pause_profiling": 60}')
    workload.read(NOON)
    assert (workload.take_pauses(), workload.take_pauses()) == ([60.0], [])


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Workload]:
    made = Workload(Mailbox(tmp_path / "agent.sock"))
    yield made
    made.close()


def test_it_listens_from_when_it_is_asked_for_shards_until_it_is_closed(real: Workload) -> None:
    assert not real.mailbox.is_open
    assert real.shards() == ()
    assert real.mailbox.is_open
    real.close()
    assert not real.mailbox.path.exists()
