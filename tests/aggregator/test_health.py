import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tessera.aggregator.runtime import Aggregator
from tessera.proto.schema import health, health_stub

from .agents import serving

SERVING = health.HealthCheckResponse.SERVING
NOT_SERVING = health.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def aggregator(tmp_path: Path) -> AsyncIterator[Aggregator]:
    async with serving(tmp_path) as started:
        yield started


@pytest.fixture
async def channel(aggregator: Aggregator) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(aggregator.address) as opened:
        yield opened


@pytest.mark.parametrize("service", ["", "tessera.ingest.v1.Ingest", "tessera.console.v1.Console"])
async def test_it_serves_once_it_has_started(channel: grpc.aio.Channel, service: str) -> None:
    answer = await health_stub(channel).Check(health.HealthCheckRequest(service=service))
    assert answer.status == SERVING


async def test_a_service_that_is_not_here_is_not_found(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health_stub(channel).Check(health.HealthCheckRequest(service="x"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_who_watches_hears_of_trouble_and_of_its_end(
    aggregator: Aggregator, channel: grpc.aio.Channel
) -> None:
    watching = aiter(health_stub(channel).Watch(health.HealthCheckRequest()))
    heard = [(await asyncio.wait_for(anext(watching), 20)).status]
    for serves in (False, True):
        aggregator.health.set(serving=serves)
        heard.append((await asyncio.wait_for(anext(watching), 20)).status)
    assert heard == [SERVING, NOT_SERVING, SERVING]


async def test_what_is_closed_does_not_serve_again(aggregator: Aggregator) -> None:
    aggregator.health.close()
    aggregator.health.set(serving=True)
    assert not aggregator.health.serving
