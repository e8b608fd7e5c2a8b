"""Who is told of a freeze, and when: the hosts that it is about, and every screen."""

from pathlib import Path

import grpc.aio

from tessera.aggregator.pipeline import Pipeline
from tessera.aggregator.runtime import Aggregator
from tessera.proto import decode
from tessera.proto.messages import Freeze
from tessera.proto.schema import console, console_stub
from tessera.settings.clock import ManualClock

from .agents import START, Agent, received, serving, until

PUSH = Freeze("push", ("h0-gpu-1",), START + 10.0, START + 110.0, "firmware 2.1")


def pipeline(aggregator: Aggregator) -> Pipeline:
    assert isinstance(aggregator.mind, Pipeline)
    return aggregator.mind


async def formed(aggregator: Aggregator, *agents: Agent) -> None:
    """Let ``agents`` report, and the fleet be formed of them."""
    for agent in agents:
        await agent.report()
        await until(received(aggregator, agent.host, 2))
    await aggregator.step()
    for agent in agents:
        await agent.plan()


async def newest(address: str) -> console.View:
    async with grpc.aio.insecure_channel(address) as channel:
        watching = console_stub(channel).Watch(console.WatchRequest())
        return await anext(aiter(watching))


def bodies(agent: Agent) -> set[str | None]:
    return {message.WhichOneof("body") for message in agent.heard}


async def test_a_host_is_told_of_its_own_shards_and_again_when_it_comes_back(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, ManualClock(START), expect_hosts=2) as aggregator:
        async with Agent(aggregator.address, "h0") as one, Agent(aggregator.address, "h1") as other:
            await formed(aggregator, one, other)
            pipeline(aggregator).freeze(PUSH)
            await aggregator.step()
            assert decode.freeze((await one.next("freeze")).freeze) == PUSH
            pipeline(aggregator).thaw("push", START + 60.0, "rolled back")
            await aggregator.step()
            assert (await one.next("freeze")).freeze.until_ns == round((START + 60.0) * 1e9)
            assert "freeze" not in bodies(other)
        async with Agent(aggregator.address, "h0", instance=2) as again:
            await again.report()
            assert decode.freeze((await again.next("freeze")).freeze).until == START + 60.0


async def test_a_freeze_is_on_disk_before_anybody_is_told(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path / "one", clock, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await formed(aggregator, agent)
        pipeline(aggregator).freeze(PUSH)
        assert "freeze" not in bodies(agent)
        await aggregator.step()
        await agent.next("freeze")
    async with serving(tmp_path / "one", clock, expect_hosts=1) as again:
        assert pipeline(again).freezes == (PUSH,)


async def test_a_view_names_the_freezes_in_force_and_marks_their_rows(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=1) as aggregator,
        Agent(aggregator.address, "h0") as agent,
    ):
        await formed(aggregator, agent)
        pipeline(aggregator).freeze(PUSH)
        for later in (0.0, 12.0):
            clock.advance(later)
            await aggregator.step()
            view = await newest(aggregator.address)
            assert [told.id for told in view.freezes] == (["push"] if later else [])
        assert view.freezes[0].until_ns == round(PUSH.until * 1e9)
        assert view.state[1] == console.FROZEN
        assert view.state[0] != console.FROZEN
