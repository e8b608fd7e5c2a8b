"""A change of what a host has is believed when two looks in a row have found the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tessera.adapters.base import Absent, Reading, Shard
from tessera.adapters.catalogue import default_catalogue
from tessera.agent.identity import Identity
from tessera.agent.inventory import Named
from tessera.agent.resurvey import (
    BELIEVED,
    EACH,
    FORGOTTEN,
    MOST_NEW,
    SOON,
    Resurvey,
    Surveyed,
    Surveyor,
)
from tessera.proto.refuse import MOST_SHARDS
from tessera.settings.clock import ManualClock

GPUS = tuple(Shard(f"gpu-{i}", "gpu_shard", "h200", "train") for i in range(3))
POWER, STEP = "power_watts", "step_time_seconds"


@dataclass
class Told:
    name: str = "told"
    found: tuple[Shard, ...] = GPUS
    schemas: dict[str, str] = field(default_factory=dict)

    def shards(self) -> Sequence[Shard]:
        return self.found

    def read(self, at: float) -> Iterator[Reading]:
        del at
        yield from ()


class Bench:
    """A host of one source that has been surveyed once."""

    def __init__(self) -> None:
        self.source, self.clock = Told(), ManualClock(1000.0)
        catalogue = replace(default_catalogue(), scores=())
        self.surveyor = Surveyor(
            Identity("host-0", "boot", 1), [self.source], Named(), catalogue, 1.0
        )
        self.resurvey = Resurvey(self.surveyor, self.clock, self.surveyor.of(GPUS, [POWER]))

    def note(self, metric: str, value: float | Absent = 1.0, ticks: int = BELIEVED) -> None:
        for _ in range(ticks):
            self.resurvey.note([Reading("gpu-0", metric, value)])

    def look(self, *, answers: bool = True) -> Surveyed | None:
        self.clock.advance(EACH)
        assert self.resurvey.due
        return self.resurvey.look({"told": self.source.found} if answers else {})

    def believed(self) -> Surveyed:
        """Look twice and believe what was found."""
        assert self.look() is None
        found = self.look()
        assert found is not None
        self.resurvey.believe(found)
        return found


def test_nothing_new_is_nothing_to_tell() -> None:
    bench = Bench()
    assert [bench.look() for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    "found",
    [GPUS[:2], (*GPUS, Shard("gpu-3", "gpu_shard")), (replace(GPUS[0], job="x"), *GPUS[1:])],
)
def test_shards_that_go_come_or_change_are_told_once_after_two_looks(
    found: tuple[Shard, ...],
) -> None:
    bench = Bench()
    bench.source.found = found
    told = bench.believed()
    assert [row.id for row in told.inventory.shards] == [shard.id for shard in found]
    assert [row.job for row in told.inventory.shards] == [shard.job for shard in found]
    assert [bench.look() for _ in range(3)] == [None] * 3


def test_a_difference_that_is_not_there_in_the_next_look_is_not_believed() -> None:
    bench = Bench()
    for shown in (GPUS[:1], GPUS, GPUS[:2], GPUS[:1], GPUS):
        bench.source.found = shown
        assert bench.look() is None


def test_what_could_not_be_announced_is_found_again() -> None:
    bench = Bench()
    bench.source.found = GPUS[:2]
    assert bench.look() is None
    assert bench.look() is not None
    assert bench.look() is not None


def test_a_source_that_does_not_answer_keeps_its_shards() -> None:
    bench = Bench()
    bench.look()
    bench.source.found = GPUS[:1]
    assert [bench.look(answers=False) for _ in range(3)] == [None] * 3


def test_a_source_that_never_answered_is_waited_for() -> None:
    bench = Bench()
    assert [bench.look(answers=False) for _ in range(3)] == [None] * 3


def test_a_metric_that_comes_is_a_column_from_its_second_tick_on() -> None:
    bench = Bench()
    bench.note(STEP, ticks=BELIEVED - 1)
    assert [bench.look() for _ in range(2)] == [None] * 2
    bench.note(STEP, ticks=1)
    assert bench.believed().inventory.metrics == (POWER, STEP)


def test_a_metric_that_nobody_supports_or_can_judge_is_none() -> None:
    bench = Bench()
    bench.note(STEP, Absent("unsupported"))
    bench.note("device_lost", 1.0)
    assert [bench.look() for _ in range(2)] == [None] * 2


def test_a_metric_that_fails_is_one_and_stays_while_it_has_no_value() -> None:
    bench = Bench()
    bench.note(STEP, Absent("error", "timeout"))
    assert bench.believed().inventory.metrics == (POWER, STEP)
    assert [bench.look() for _ in range(5)] == [None] * 5


def test_a_metric_without_a_value_for_a_week_is_none_any_more() -> None:
    bench = Bench()
    bench.note(STEP)
    bench.believed()
    bench.clock.advance(FORGOTTEN)
    bench.note(POWER)
    assert bench.believed().inventory.metrics == (POWER,)


def test_names_without_end_take_no_memory_and_no_place() -> None:
    bench = Bench()
    for i in range(10 * MOST_NEW):
        bench.note(f"m{i}_seconds", ticks=1 + i % BELIEVED)
    told = bench.believed()
    assert len(told.inventory.metrics) <= MOST_NEW
    assert POWER in told.inventory.metrics


def test_a_metric_that_is_read_in_another_way_has_another_schema() -> None:
    bench = Bench()
    bench.source.schemas[POWER] = "v2"
    told = bench.believed()
    assert told.inventory.schemas == ("W, gauge, identity, v2",)


def test_too_many_shards_are_refused_in_one_line() -> None:
    bench = Bench()
    bench.source.found = tuple(Shard(f"gpu-{i}", "gpu_shard") for i in range(MOST_SHARDS + 1))
    with pytest.raises(ValueError, match=f"at most {MOST_SHARDS}"):
        bench.look()


def test_somebody_who_knows_of_a_change_makes_it_look_in_the_next_ticks() -> None:
    bench = Bench()
    bench.source.found = GPUS[:2]
    assert not bench.resurvey.due
    bench.resurvey.soon()
    assert bench.resurvey.due
    assert bench.resurvey.look({"told": GPUS[:2]}) is None
    bench.clock.advance(SOON)
    assert bench.resurvey.due
    assert bench.resurvey.look({"told": GPUS[:2]}) is not None


def test_an_inventory_of_before_has_the_columns_that_the_catalogue_gives_it_now() -> None:
    bench = Bench()
    before = bench.surveyor.of(GPUS, [POWER, STEP])
    again = bench.surveyor.again(before.inventory)
    assert again == before
    assert again.intake().read == (POWER, STEP)
