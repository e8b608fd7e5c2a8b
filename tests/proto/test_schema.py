"""The stubs, over a real socket, against servants of the generated kind."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from tessera.proto import schema
from tessera.proto.schema import console, health, ingest


class Ingest(schema.ingest_grpc.IngestServicer):
    """Answers each Hello with a Welcome for the same instance."""

    async def Exchange(  # noqa: N802  grpc's name
        self,
        request_iterator: AsyncIterator[ingest.FromAgent],
        context: object,  # noqa: ARG002  grpc gives it
    ) -> AsyncIterator[ingest.FromAggregator]:
        async for message in request_iterator:
            instance = message.hello.instance
            yield ingest.FromAggregator(welcome=ingest.Welcome(instance=instance))


class Health(schema.health_grpc.HealthServicer):
    """Is healthy."""

    async def Check(  # noqa: N802  grpc's name
        self,
        request: health.HealthCheckRequest,  # noqa: ARG002  grpc gives it
        context: object,  # noqa: ARG002  grpc gives it
    ) -> health.HealthCheckResponse:
        return health.HealthCheckResponse(status=health.HealthCheckResponse.SERVING)

    async def Watch(  # noqa: N802  grpc's name
        self,
        request: health.HealthCheckRequest,  # noqa: ARG002  grpc gives it
        context: object,  # noqa: ARG002  grpc gives it
    ) -> AsyncIterator[health.HealthCheckResponse]:
        yield health.HealthCheckResponse(status=health.HealthCheckResponse.SERVING)


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    schema.ingest_grpc.add_IngestServicer_to_server(Ingest(), server)
    schema.health_grpc.add_HealthServicer_to_server(Health(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


async def test_an_agent_speaks_and_is_answered(channel: grpc.aio.Channel) -> None:
    call = schema.ingest_stub(channel).Exchange()
    await call.write(ingest.FromAgent(hello=ingest.Hello(major=schema.MAJOR, instance=7)))
    await call.done_writing()
    answers = [answer.welcome.instance async for answer in call]
    assert answers == [7]


async def test_a_prober_learns_that_a_server_is_healthy(channel: grpc.aio.Channel) -> None:
    reply = await schema.health_stub(channel).Check(health.HealthCheckRequest())
    assert reply.status == health.HealthCheckResponse.SERVING


async def test_a_terminal_is_told_what_a_server_does_not_serve(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await schema.console_stub(channel).Explain(console.ExplainRequest(node="n"))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
