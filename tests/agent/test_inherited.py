"""Facts of a former process: each goes on, or ends with a reason; none stands for ever."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tessera.adapters.base import Fact, Marking, Reading, Resuming, Shard
from tessera.adapters.standing import Standing
from tessera.agent.inherited import orphaned, replaced
from tessera.proto.schema import ingest
from tessera.settings.clock import ManualClock

from .aggregator import Aggregator, aggregator
from .hosts import STARTED, Seeded, driven, ticks, until

HERE = ["GPU-0", "GPU-1"]
LOST = ("GPU-9", "device_lost")


class Seeing(Seeded):
    """A source that sees one condition of ``gpu-0`` while ``bad``, and whose devices have marks."""

    def __init__(self, *, bad: bool) -> None:
        super().__init__()
        self.bad = bad
        self.conditions = Standing()
        self.told: list[tuple[str, str]] = []
        self.rebooted = False
        self.before: Mapping[str, float] = {}
        self.marks: Mapping[str, float] = {"gpu-0": 7.0}

    def facts(self, at: float) -> Iterable[Fact]:
        self.conditions.see("gpu-0", "link_down", at, holds=self.bad)
        return self.conditions.news()

    def remember(self, marks: Mapping[str, float]) -> None:
        self.before = marks

    def resume(
        self, standing: Iterable[tuple[str, str]], at: float, *, rebooted: bool
    ) -> Sequence[tuple[str, str]]:
        del at
        self.told, self.rebooted = list(standing), rebooted
        for fact in self.told:
            self.conditions.resume(*fact)
        return self.told


class Seven(Seeded):
    """A source without its first shard, and with ``other`` in its place if that is named."""

    def __init__(self, other: str = "") -> None:
        super().__init__()
        self.other = other

    def shards(self) -> Sequence[Shard]:
        kept = list(super().shards())[1:]
        return [*kept, Shard(self.other, "gpu_shard", "h200", "train")] if self.other else kept

    def read(self, at: float) -> Iterator[Reading]:
        for reading in super().read(at):
            if reading.shard != "gpu-0":
                yield reading
            elif self.other:
                yield Reading(self.other, reading.metric, reading.value)


def once(serving: Aggregator) -> list[ingest.Fact]:
    """Return the facts by their numbers: what was not acknowledged comes again."""
    return list({fact.id: fact for fact in serving.facts}.values())


def heard(serving: Aggregator) -> list[tuple[str, str, bool]]:
    return [(fact.shard, fact.code, fact.cleared) for fact in once(serving)]


async def raised(serving: Aggregator, folder: Path, clock: ManualClock) -> None:
    """Let a process raise the condition, and end."""
    async with driven(serving.address, folder, clock, Seeing(bad=True)) as agent:
        await until(agent, lambda: agent.uplink.up)
        await ticks(agent, clock, 2)
        await serving.until(lambda: len(once(serving)) == 1)


def test_the_fake_keeps_the_contracts() -> None:
    assert isinstance(Seeing(bad=True), Resuming)
    assert isinstance(Seeing(bad=True), Marking)


@pytest.mark.parametrize(("bad", "ended"), [(True, False), (False, True)])
async def test_a_fact_goes_on_after_a_restart_until_its_source_has_denied_it_for_a_minute(
    tmp_path: Path, *, bad: bool, ended: bool
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        await raised(serving, tmp_path, clock)
        source = Seeing(bad=bad)
        async with driven(serving.address, tmp_path, clock, source) as agent:
            assert source.told == [("gpu-0", "link_down")]
            assert not source.rebooted
            assert source.before == {"gpu-0": 7.0}
            await ticks(agent, clock, 70)
            assert agent.facts.standing == (() if ended else ("link_down",))
            await serving.until(lambda: len(once(serving)) == 1 + ended)
        assert heard(serving)[1:] == [("gpu-0", "link_down", True)] * ended


async def test_a_fact_that_no_source_reads_any_more_ends_at_the_start_with_the_reason(
    tmp_path: Path,
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        await raised(serving, tmp_path, clock)
        async with driven(serving.address, tmp_path, clock, Seeded()) as agent:
            assert agent.facts.standing == ()
            await serving.until(lambda: len(once(serving)) == 2)
        assert heard(serving)[1] == ("gpu-0", "link_down", True)
        assert once(serving)[1].detail == "no source here reads it any more"


@pytest.mark.parametrize(("other", "standing"), [("", ("link_down",)), ("gpu-new", ())])
async def test_the_fact_of_a_device_that_is_away_stands_until_another_is_in_its_place(
    tmp_path: Path, other: str, standing: tuple[str, ...]
) -> None:
    clock = ManualClock(STARTED)
    async with aggregator() as serving:
        await raised(serving, tmp_path, clock)
        async with driven(serving.address, tmp_path, clock, Seven(other)) as agent:
            await ticks(agent, clock, 70)
            assert agent.facts.standing == standing


def test_a_device_that_is_away_through_two_restarts_is_not_replaced() -> None:
    assert list(replaced([LOST], HERE, HERE, 1.0)) == []
    assert [fact.shard for fact in replaced([LOST], [*HERE, "GPU-3"], HERE, 1.0)] == ["GPU-9"]


def test_a_device_that_is_cut_anew_was_not_taken_out() -> None:
    assert list(replaced([("GPU-0/1", "xid_79")], ["GPU-0/2"], ["GPU-0/1"], 1.0)) == []


def test_where_it_is_not_known_what_was_here_nothing_was_taken_out() -> None:
    assert list(replaced([LOST], HERE, [], 1.0)) == []


def test_only_facts_of_shards_that_are_here_can_be_orphaned() -> None:
    known = [LOST, ("", "driver_down"), ("GPU-0", "xid_79"), ("GPU-1", "xid_79")]
    ended = orphaned(known, HERE, [("GPU-0", "xid_79")], 1.0)
    assert [(fact.shard, fact.stands) for fact in ended] == [("", False), ("GPU-1", False)]
