"""Real agents and a real aggregator that know each other by certificates."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import time

import pytest
from structlog.testing import capture_logs

from tessera.agent.runtime import Agent
from tessera.agent.uplink import RENEWED
from tessera.aggregator.runtime import Aggregator
from tessera.proto.secure import REFUSED
from tessera.settings.clock import ManualClock
from tessera.settings.tls import BadTls

from ..agent.hosts import Seeded, settings, until
from ..authority import Authority, needs_openssl
from .agents import serving

pytestmark = needs_openssl


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time() + 60.0)  # openssl signs from now on


@asynccontextmanager
async def secured(
    folder: Path, clock: ManualClock, authority: Authority, key: Path | None = None
) -> AsyncIterator[Aggregator]:
    """An aggregator that serves only whom ``authority`` knows."""
    cert, own = authority.issue("aggregator")
    async with serving(
        folder, clock, tls_cert=cert, tls_key=key or own, tls_client_ca=authority.ca
    ) as made:
        yield made


@asynccontextmanager
async def agent(
    address: str, folder: Path, clock: ManualClock, authority: Authority, ca: Path | None = None
) -> AsyncIterator[Agent]:
    """An agent called host-0 with a certificate of ``authority`` that believes ``ca``."""
    cert, key = authority.issue("host-0.example")
    said = settings(address, tls_ca=str(ca or authority.ca), tls_cert=str(cert), tls_key=str(key))
    chance = Random(1)  # noqa: S311  chance, not secrets
    running = Agent(said, [Seeded()], clock, chance, folder=folder, paced=False)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


def audited(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "tessera.db") as connection:
        rows = connection.execute("SELECT text FROM audit WHERE node = 'host-0' ORDER BY id")
        texts = [str(text) for (text,) in rows]
    connection.close()
    return texts


async def test_an_agent_is_served_and_the_audit_trail_says_as_whom(
    tmp_path: Path, authority: Authority, clock: ManualClock
) -> None:
    state = tmp_path / "aggregator"
    async with (
        secured(state, clock, authority) as aggregator,
        agent(aggregator.address, tmp_path / "agent", clock, authority) as linked,
    ):
        await until(linked, lambda: linked.uplink.up)
        await aggregator.step()
        assert audited(state)[0] == "verified as host-0.example"


async def test_an_agent_of_another_authority_is_refused_and_says_why(
    tmp_path: Path, authority: Authority, clock: ManualClock
) -> None:
    stranger = Authority(tmp_path / "stranger")
    state = tmp_path / "aggregator"
    async with (
        secured(state, clock, authority) as aggregator,
        agent(aggregator.address, tmp_path / "agent", clock, stranger, authority.ca) as refused,
    ):
        await until(refused, lambda: refused.uplink.state == REFUSED)
        await aggregator.step()
        assert len(aggregator.sessions) == 0
        assert audited(state) == []


async def test_an_agent_refuses_an_aggregator_of_another_authority_and_says_why(
    tmp_path: Path, authority: Authority, clock: ManualClock
) -> None:
    other = Authority(tmp_path / "other")
    async with (
        secured(tmp_path / "aggregator", clock, authority) as aggregator,
        agent(aggregator.address, tmp_path / "agent", clock, authority, other.ca) as alone,
    ):
        await until(alone, lambda: "of no authority in tls_ca" in alone.uplink.state)
        assert len(aggregator.sessions) == 0


async def test_renewed_certificates_are_taken_up_by_both_while_they_run(
    tmp_path: Path, authority: Authority, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.settings.tls.EVERY", 0.02)  # seconds between two looks
    async with (
        secured(tmp_path / "aggregator", clock, authority) as aggregator,
        agent(aggregator.address, tmp_path / "agent", clock, authority) as linked,
    ):
        await until(linked, lambda: linked.uplink.up)
        first = linked.uplink.links
        with capture_logs() as logs:
            authority.issue("aggregator", days=60)
            clock.advance(2.0)  # the server looks at most once a second
            authority.issue("host-0.example", days=60)
            await until(linked, lambda: linked.uplink.up and linked.uplink.links > first)
        down = [line["reason"] for line in logs if line["event"] == "link is down"]
        assert set(down) == {RENEWED}


async def test_an_aggregator_with_bad_files_opens_nothing(
    tmp_path: Path, authority: Authority, clock: ManualClock
) -> None:
    state = tmp_path / "aggregator"
    with pytest.raises(BadTls, match=r"^tls_key: .*gone.key cannot be read"):
        async with secured(state, clock, authority, tmp_path / "gone.key"):
            pass
    assert [path.name for path in state.iterdir()] == ["lock"]


async def test_a_link_that_others_can_read_is_warned_of_once(tmp_path: Path) -> None:
    said = {
        "127.0.0.1:1": settings("127.0.0.1:1"),
        "192.0.2.1:1": settings("192.0.2.1:1"),
    }
    warned = []
    for address, chosen in said.items():
        chance = Random(1)  # noqa: S311  chance, not secrets
        made = Agent(
            chosen, [Seeded()], ManualClock(1e9), chance, folder=tmp_path / address, paced=False
        )
        with capture_logs() as logs:
            await made.start()
            await made.stop()
        warned += [line["aggregator"] for line in logs if "plain text" in line["event"]]
    assert warned == ["192.0.2.1:1"]
