"""Handshakes over a real socket: who is let in, and what a person is told who is not."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import grpc
import grpc.aio
import pytest

from tessera.proto.schema import health, health_grpc
from tessera.proto.secure import (
    NO_TLS,
    OTHER_NAME,
    PLAIN,
    REFUSED,
    open_channel,
    server_credentials,
    verified_name,
    why_no_handshake,
)

from ..authority import Authority, needs_openssl

pytestmark = needs_openssl
LOCAL = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(frozen=True)
class Shown:
    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""


@dataclass
class Server:
    """What a server shows now, and whom its clients were verified as."""

    material: Shown
    seen: list[str] = field(default_factory=list)
    address: str = ""

    async def Check(  # noqa: N802  the service's name
        self,
        request: health.HealthCheckRequest,
        context: grpc.aio.ServicerContext[health.HealthCheckRequest, health.HealthCheckResponse],
    ) -> health.HealthCheckResponse:
        del request
        self.seen.append(verified_name(context.auth_context()))
        return health.HealthCheckResponse()

    async def Watch(self) -> None:  # noqa: N802  the service's name
        raise NotImplementedError


@asynccontextmanager
async def serving(material: Shown | None) -> AsyncIterator[Server]:
    """Serve with ``material``, which may be changed; None = in plain text."""
    script = Server(material or Shown())
    server = grpc.aio.server()
    health_grpc.add_HealthServicer_to_server(script, server)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it has the methods
    if material is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        credentials = server_credentials(lambda: script.material)
        port = server.add_secure_port("127.0.0.1:0", credentials)
    script.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield script
    finally:
        await server.stop(None)


async def check(channel: grpc.aio.Channel) -> None:
    """Call once; the generated stub's types are those of another kind of channel."""
    call: object = health_grpc.HealthStub(channel).Check(health.HealthCheckRequest(), timeout=10)
    await cast("Awaitable[health.HealthCheckResponse]", call)


async def asked(address: str, material: Shown | None, name: str = "") -> str:
    """Return why a call is not answered, "" if it is."""
    async with open_channel(address, LOCAL, material, name) as channel:
        try:
            await check(channel)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            return why_no_handshake(details, secure=material is not None) or details
    return ""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def pair(authority: Authority, name: str, ca: Authority | None = None, days: int = 30) -> Shown:
    cert, key = authority.issue(name, days=days)
    believed = (ca or authority).ca
    return Shown(believed.read_bytes(), cert.read_bytes(), key.read_bytes())


async def test_a_client_of_the_right_authority_is_served_and_named(authority: Authority) -> None:
    async with serving(pair(authority, "aggregator")) as server:
        assert await asked(server.address, pair(authority, "host-7")) == ""
        assert server.seen == ["host-7"]


async def test_a_server_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    async with serving(pair(other, "aggregator")) as server:
        why = await asked(server.address, Shown(ca=authority.ca.read_bytes()))
        assert why.startswith("the aggregator's certificate is of no authority in tls_ca: ")
        assert server.seen == []


async def test_a_client_of_another_authority_or_without_a_certificate_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    async with serving(pair(authority, "aggregator")) as server:
        stranger = pair(other, "host-7", ca=authority)
        assert await asked(server.address, stranger) == REFUSED
        assert await asked(server.address, Shown(ca=authority.ca.read_bytes())) == REFUSED
        assert await asked(server.address, None) == PLAIN
        assert server.seen == []


async def test_without_an_authority_for_clients_everybody_is_served_and_nobody_named(
    authority: Authority,
) -> None:
    shown = pair(authority, "aggregator")
    async with serving(Shown(cert=shown.cert, key=shown.key)) as server:
        assert await asked(server.address, pair(authority, "host-7")) == ""
        assert server.seen == [""]


async def test_an_expired_certificate_is_refused_at_either_end(authority: Authority) -> None:
    gone, good = pair(authority, "gone", days=-1), pair(authority, "good")
    async with serving(gone) as server:
        assert await asked(server.address, good) == (
            "the aggregator's certificate is not valid now: certificate has expired"
        )
    async with serving(good) as server:
        assert await asked(server.address, gone) == REFUSED


async def test_a_certificate_of_another_name_is_refused_until_that_name_is_expected(
    authority: Authority,
) -> None:
    cert, key = authority.issue("aggregator", at="192.0.2.1")
    shown = Shown(authority.ca.read_bytes(), cert.read_bytes(), key.read_bytes())
    async with serving(shown) as server:
        assert await asked(server.address, shown) == OTHER_NAME
        assert await asked(server.address, shown, name="aggregator") == ""


async def test_a_server_in_plain_text_is_told_apart(authority: Authority) -> None:
    async with serving(None) as server:
        assert await asked(server.address, pair(authority, "host-7")) == NO_TLS
        assert await asked(server.address, None) == ""
        assert server.seen == [""]


async def test_the_next_handshake_is_with_what_is_new_and_links_that_stand_go_on(
    authority: Authority, tmp_path: Path
) -> None:
    later = Authority(tmp_path / "later")
    both = authority.ca.read_bytes() + later.ca.read_bytes()
    old, new = pair(authority, "old"), pair(later, "new")
    async with (
        serving(Shown(both, old.cert, old.key)) as server,
        open_channel(server.address, LOCAL, old) as standing,
    ):
        await check(standing)
        server.material = Shown(both, new.cert, new.key)
        assert await asked(server.address, new) == ""
        assert "of no authority in tls_ca" in await asked(server.address, old)
        await check(standing)
        assert server.seen == ["old", "new", "old"]


def test_other_faults_are_left_to_gRPCs_own_words() -> None:  # noqa: N802  its name
    assert why_no_handshake("connection refused", secure=True) == ""
