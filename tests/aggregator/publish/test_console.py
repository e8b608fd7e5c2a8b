import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import grpc
import grpc.aio
import numpy as np
import pytest

from tessera.aggregator.publish.console import MOST_TICKS
from tessera.aggregator.runtime import Aggregator
from tessera.proto import encode
from tessera.proto.messages import RawTicks
from tessera.proto.schema import console, console_grpc, console_stub, ingest
from tessera.settings.clock import ManualClock

from ..agents import START, Agent, inventory, received, serving, until
from ..live import Live

LATER = (
    ("Acknowledge", console.AcknowledgeRequest),
    ("Silence", console.SilenceRequest),
    ("Close", console.CloseRequest),
    ("Freeze", console.FreezeRequest),
)
REPLAY = (
    ("Seek", console.SeekRequest),
    ("Pause", console.PauseRequest),
    ("Speed", console.SpeedRequest),
)


@pytest.fixture
async def aggregator(tmp_path: Path) -> AsyncIterator[Aggregator]:
    async with serving(tmp_path, expect_hosts=1) as started:
        yield started


@pytest.fixture
async def agent(aggregator: Aggregator) -> AsyncIterator[Agent]:
    async with Agent(aggregator.address, "h0") as connected:
        await connected.report()
        await until(received(aggregator, "h0", 2))
        await aggregator.step()
        yield connected


@pytest.fixture
async def stub(aggregator: Aggregator) -> "AsyncIterator[console_grpc.ConsoleAsyncStub]":
    async with grpc.aio.insecure_channel(aggregator.address) as channel:
        yield console_stub(channel)


def ticks(count: int = 2, refused: str = "") -> ingest.RawTicks:
    if refused:
        return ingest.RawTicks(id=1, shard="h0-gpu-0", refused=refused)
    at = START + np.arange(count, dtype=np.float64)
    values = np.arange(count, dtype=np.float32).reshape(count, 1)
    return encode.raw_ticks(RawTicks("h0-gpu-0", ("power_watts",), at, values), 1)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """Return how a call was refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert "\n" not in (caught.value.details() or "")
    return caught.value.code(), caught.value.details() or ""


async def test_a_terminal_sees_views_as_they_come(
    aggregator: Aggregator, agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    watching = aiter(stub.Watch(console.WatchRequest()))
    first = await asyncio.wait_for(anext(watching), 20)
    assert first.HasField("layout")
    await agent.say(inventory=encode.inventory(inventory("h0", version=2)))
    await until(received(aggregator, "h0", 3))
    await aggregator.step()
    second = await asyncio.wait_for(anext(watching), 20)
    assert second.sequence > first.sequence
    assert not second.HasField("layout")


async def test_a_terminal_that_has_the_layout_does_not_get_it_again(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    watching = aiter(stub.Watch(console.WatchRequest(layout_version=1)))
    view = await asyncio.wait_for(anext(watching), 20)
    assert (view.layout_version, view.HasField("layout")) == (1, False)
    assert agent.host == "h0"


async def test_explain_says_what_is_known_of_a_node(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    found = await stub.Explain(console.ExplainRequest(node="h0-gpu-0"))
    assert (found.node, found.kind, found.path[-1]) == ("h0-gpu-0", "gpu_shard", agent.host)
    assert found.members == 2
    assert any("fewer than three peers" in why for why in found.why)


async def test_explain_shows_the_verdict_and_its_audit_trail(tmp_path: Path) -> None:
    clock = ManualClock(START)
    async with (
        serving(tmp_path, clock, expect_hosts=2) as aggregator,
        Live(aggregator, clock, ["h0", "h1"]) as live,
        grpc.aio.insecure_channel(aggregator.address) as channel,
    ):
        await live.play(60, np.random.default_rng(1), slow=[(1, 3)])
        stub = console_stub(channel)
        found = await stub.Explain(console.ExplainRequest(node="h1-gpu-3"))
        assert found.verdict.id == "v1"
        assert found.audit[-1].kind == "verdict"
        assert found.audit[-1].text.startswith("opened: ")
        level = [part for part in found.parts if part.channel == "level"]
        assert level[0].log_m > 5.0
        past = await stub.History(console.HistoryRequest(node="h1-gpu-3"))
        known = np.array(past.log_e)[np.isfinite(past.log_e)]
        assert past.threshold > 0
        assert known[-1] > known[0]
        assert START <= past.at[-1] <= clock.now()


@pytest.mark.parametrize("call", ["Explain", "History", "RawTicks"])
async def test_a_node_that_is_not_there_is_not_found(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub", call: str
) -> None:
    request = {
        "Explain": console.ExplainRequest(node="nobody"),
        "History": console.HistoryRequest(node="nobody"),
        "RawTicks": console.RawTicksRequest(shard="nobody"),
    }[call]
    code, why = await refusal(getattr(stub, call)(request))
    assert code == grpc.StatusCode.NOT_FOUND
    assert "nobody" in why
    assert agent.host == "h0"


async def test_before_there_is_a_fleet_no_node_is_known(
    stub: "console_grpc.ConsoleAsyncStub",
) -> None:
    code, _ = await refusal(stub.Explain(console.ExplainRequest(node="h0")))
    assert code == grpc.StatusCode.NOT_FOUND


async def test_raw_ticks_are_fetched_from_the_shards_own_host(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    call = stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0", from_ns=5))
    asked = (await agent.next("raw_ticks_request")).raw_ticks_request
    assert (asked.shard, asked.from_ns) == ("h0-gpu-0", 5)
    await agent.say(raw_ticks=ticks())
    found = await call
    assert (list(found.metrics), list(found.values)) == (["power_watts"], [0.0, 1.0])
    assert list(found.at) == [START, START + 1]


async def test_a_second_request_of_one_host_is_told_to_come_again(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    first = stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0"))
    await agent.next("raw_ticks_request")
    code, why = await refusal(stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-1")))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "ask again" in why
    await agent.say(raw_ticks=ticks())
    assert (await first).shard == "h0-gpu-0"


async def test_what_a_host_refuses_is_passed_on(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    call = stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0"))
    await agent.next("raw_ticks_request")
    await agent.say(raw_ticks=ticks(refused="nothing was read yet"))
    assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "host h0: nothing was read yet")


async def test_an_answer_that_is_too_large_is_not_passed_on(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    call = stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0"))
    await agent.next("raw_ticks_request")
    await agent.say(raw_ticks=ticks(MOST_TICKS // 12 + 1))
    code, why = await refusal(call)
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "256 KB" in why


async def test_a_host_that_goes_away_ends_the_request(
    aggregator: Aggregator, agent: Agent, stub: "console_grpc.ConsoleAsyncStub"
) -> None:
    call = stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0"))
    await agent.next("raw_ticks_request")
    await agent.close()
    assert (await refusal(call))[0] == grpc.StatusCode.UNAVAILABLE
    await until(lambda: len(aggregator.sessions) == 0)
    again = await refusal(stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0")))
    assert again == (grpc.StatusCode.UNAVAILABLE, "host h0 is not connected")


async def test_a_host_that_does_not_answer_is_not_waited_for_long(
    agent: Agent, stub: "console_grpc.ConsoleAsyncStub", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.aggregator.publish.console.TICKS_WITHIN", 0.05)
    code, why = await refusal(stub.RawTicks(console.RawTicksRequest(shard="h0-gpu-0")))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert agent.host in why


@pytest.mark.parametrize(
    ("call", "request_of", "code"),
    [
        *((*call, grpc.StatusCode.UNIMPLEMENTED) for call in LATER),
        *((*call, grpc.StatusCode.FAILED_PRECONDITION) for call in REPLAY),
    ],
)
async def test_what_is_not_served_says_so_in_one_line(
    stub: "console_grpc.ConsoleAsyncStub",
    call: str,
    request_of: type,
    code: grpc.StatusCode,
) -> None:
    found, why = await refusal(getattr(stub, call)(request_of()))
    assert found == code
    assert why
