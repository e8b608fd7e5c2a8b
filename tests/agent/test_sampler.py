from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from tessera.adapters.base import Fact, Reading, Shard, SourceUnavailable
from tessera.agent.sampler import Sample, Sampler

BUDGET = 0.05  # seconds


class Told:
    """A source that says its name and the tick."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = 0

    def shards(self) -> Sequence[Shard]:
        return [Shard(self.name, "gpu_shard")]

    def read(self, at: float) -> Iterator[Reading]:
        self.asked += 1
        yield Reading(self.name, "power_watts", at)


class Hanging(Told):
    """A source whose calls do not return before ``let_go`` is set."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.let_go = Event()
        self.went = Event()

    def read(self, at: float) -> Iterator[Reading]:
        self.asked += 1
        self.let_go.wait(10.0)
        self.went.set()
        yield Reading(self.name, "power_watts", at)


class Failing(Told):
    def read(self, at: float) -> Iterator[Reading]:
        del at
        message = "driver fell over"
        raise OSError(message)


def said(sample: Sample) -> list[tuple[str, object]]:
    return [(reading.shard, reading.value) for reading in sample.readings]


@pytest.mark.parametrize("budget", [None, 5.0])
async def test_all_sources_are_asked_for_the_same_tick(budget: float | None) -> None:
    sampler = Sampler([Told("a"), Told("b")], budget)
    assert said(await sampler.ask(7.0)) == [("a", 7.0), ("b", 7.0)]
    assert said(await sampler.ask(8.0)) == [("a", 8.0), ("b", 8.0)]
    sampler.stop()


async def test_a_source_that_hangs_is_silent_and_the_others_are_heard() -> None:
    hanging, well = Hanging("a"), Told("b")
    sampler = Sampler([hanging, well], BUDGET)
    for at in (1.0, 2.0, 3.0):
        sample = await sampler.ask(at)
        assert sample.silent == {"a": ""}
        assert said(sample) == [("b", at)]
    assert hanging.asked == 1  # it was left alone
    hanging.let_go.set()
    sampler.stop()


async def test_a_source_that_comes_back_is_heard_again_and_never_of_a_tick_that_is_over() -> None:
    hanging = Hanging("a")
    sampler = Sampler([hanging], BUDGET)
    assert (await sampler.ask(1.0)).silent == {"a": ""}
    hanging.let_go.set()
    hanging.went.wait(10.0)
    sample = await sampler.ask(2.0)
    while sample.silent:  # its thread may need a moment to end the call
        sample = await sampler.ask(2.0)
    assert said(sample) == [("a", 2.0)]
    sampler.stop()


async def test_an_error_of_one_source_is_told_and_costs_the_others_nothing() -> None:
    sampler = Sampler([Failing("a"), Told("b")], 5.0)
    sample = await sampler.ask(1.0)
    ((name, error),) = sample.failed
    assert (name, str(error)) == ("a", "driver fell over")
    assert said(sample) == [("b", 1.0)]
    assert (await sampler.ask(2.0)).failed[0][0] == "a"
    sampler.stop()


async def test_a_host_without_sources_has_no_readings() -> None:
    assert await Sampler([], BUDGET).ask(1.0) == Sample(())


@pytest.mark.parametrize("budget", [None, 5.0])
async def test_shards_are_told_by_source(budget: float | None) -> None:
    sampler = Sampler([Told("a"), Told("b")], budget)
    found = await sampler.shards()
    assert {name: [shard.id for shard in shards] for name, shards in found.items()} == {
        "a": ["a"],
        "b": ["b"],
    }
    sampler.stop()


class Gone(Told):
    """A source that has no shards any more, or says so only when it is ``let_go``."""

    def __init__(self, name: str, *, hangs: bool) -> None:
        super().__init__(name)
        self.let_go = Event()
        self._hangs = hangs

    def shards(self) -> Sequence[Shard]:
        if self._hangs:
            self.let_go.wait(10.0)
        raise SourceUnavailable(self.name, "no devices")


@pytest.mark.parametrize(("budget", "hangs"), [(None, False), (BUDGET, False), (BUDGET, True)])
async def test_a_source_that_fails_or_hangs_tells_no_shards_and_the_others_do(
    budget: float | None, *, hangs: bool
) -> None:
    gone = Gone("a", hangs=hangs)
    sampler = Sampler([gone, Told("b")], budget)
    assert list(await sampler.shards()) == ["b"]
    gone.let_go.set()
    sampler.stop()


async def test_a_source_that_hangs_in_a_reading_is_not_asked_for_its_shards() -> None:
    hanging = Hanging("a")
    sampler = Sampler([hanging, Told("b")], BUDGET)
    await sampler.ask(1.0)
    assert list(await sampler.shards()) == ["b"]
    hanging.let_go.set()
    sampler.stop()


class Seeing(Hanging):
    """A hanging source that sees a fact in each read, tells what it is doing, and can be closed."""

    closed = False
    doing = "nvmlDeviceGetFieldValues GPU-1"

    def facts(self, at: float) -> Iterator[Fact]:
        yield Fact("GPU-1", "xid_79", at)

    def identity(self) -> dict[str, str]:
        return {"driver": "570.1"}

    def close(self) -> None:
        self.closed = True


async def test_a_fact_is_not_lost_with_the_tick_that_its_source_was_too_late_for() -> None:
    source = Seeing("a")
    sampler = Sampler([source], BUDGET)
    late = await sampler.ask(1.0)
    assert (late.silent, late.facts) == ({"a": "nvmlDeviceGetFieldValues GPU-1"}, ())
    source.let_go.set()
    sample = await sampler.ask(2.0)
    seen = list(sample.facts)
    while sample.silent:
        sample = await sampler.ask(2.0)
        seen += sample.facts
    assert [fact.at for fact in seen] == [1.0, 2.0]
    assert sample.identity == {"a": {"driver": "570.1"}}
    sampler.stop()


async def test_a_source_that_fails_still_tells_its_facts() -> None:
    class Lost(Failing):
        def facts(self, at: float) -> Iterator[Fact]:
            yield Fact("GPU-1", "device_lost", at)

    sampler = Sampler([Lost("a")], 5.0)
    sample = await sampler.ask(1.0)
    assert [name for name, _ in sample.failed] == ["a"]
    assert [fact.code for fact in sample.facts] == ["device_lost"]
    sampler.stop()


@pytest.mark.parametrize("budget", [None, 5.0])
async def test_a_source_is_closed_when_the_sampler_stops(budget: float | None) -> None:
    source = Seeing("a")
    source.let_go.set()
    sampler = Sampler([source], budget)
    await sampler.ask(1.0)
    assert not source.closed
    sampler.stop()
    assert source.closed


async def test_a_source_that_hangs_holds_up_no_goodbye() -> None:
    source = Seeing("a")
    sampler = Sampler([source], BUDGET)
    await sampler.ask(1.0)
    sampler.stop()
    assert not source.closed
    source.let_go.set()
