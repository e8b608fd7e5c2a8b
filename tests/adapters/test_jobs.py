import threading

import pytest

from tessera.adapters.background import Unreachable
from tessera.adapters.base import Closing, CounterSource, Shard
from tessera.adapters.jobs import Held, Jobs, JobSource, jobs_of

ORDER = ("GPU-a", "GPU-b", "GPU-c", "GPU-d")


def test_a_device_is_meant_by_its_id() -> None:
    assert jobs_of([Held("train", "GPU-b")], ORDER) == {"GPU-b": "train"}


def test_a_number_counts_the_shards_in_their_order() -> None:
    held = [Held("train", "0"), Held("train", "3"), Held("train", "4")]
    assert jobs_of(held, ORDER) == {"GPU-a": "train", "GPU-d": "train"}


def test_a_core_belongs_to_the_device_that_holds_its_share_of_them() -> None:
    held = [Held("a", str(core), "core", of=16) for core in (0, 3, 4)]
    assert jobs_of(held, ORDER) == {"GPU-a": "a", "GPU-b": "a"}


def test_a_core_of_a_host_with_an_unknown_number_of_them_is_nobodys() -> None:
    assert jobs_of([Held("a", "3", "core")], ORDER) == {}


def test_a_job_may_hold_the_whole_host() -> None:
    assert jobs_of([Held("a", unit="host")], ORDER) == dict.fromkeys(ORDER, "a")


def test_a_device_of_two_jobs_has_none() -> None:
    assert jobs_of([Held("a", "1"), Held("b", "1"), Held("a", "1")], ORDER) == {"GPU-b": ""}


@pytest.mark.parametrize("device", ["", "GPU-z", "-1", "1.0", "²", "99999999"])
def test_what_is_none_of_this_hosts_shards_is_left_out(device: str) -> None:
    assert jobs_of([Held("a", device)], ORDER) == {}


def test_a_scheduler_is_a_source_that_only_has_jobs() -> None:
    source = JobSource("slurm", lambda: [Held("train", "1")])
    counted: CounterSource = source
    told: Jobs = source
    assert isinstance(source, Closing)
    assert list(counted.shards()) == []
    assert list(counted.read(0.0)) == []
    source.place([Shard(name, "gpu_shard") for name in ORDER])
    assert told.jobs() == {"GPU-b": "train"}
    source.close()


def test_what_was_known_goes_on_while_nobody_answers() -> None:
    answers: list[list[Held]] = [[Held("train", "1")]]
    looked, asked_again = threading.Event(), threading.Event()

    def ask() -> list[Held]:
        if answers:
            return answers.pop()
        looked.wait(60)
        asked_again.set()
        code = "absent"
        raise Unreachable(code, "the scheduler is away")

    source = JobSource("slurm", ask, every=0.001)
    source.place([Shard(name, "gpu_shard") for name in ORDER])
    source.shards()
    before = source.jobs()
    looked.set()
    assert asked_again.wait(60)
    source.close()
    assert source.jobs() == before == {"GPU-b": "train"}
    assert source.fault == "the scheduler is away"


def test_nothing_is_known_of_a_scheduler_that_never_answered() -> None:
    source = JobSource("slurm", list)
    assert source.jobs() == {}
    assert source.fault == ""
