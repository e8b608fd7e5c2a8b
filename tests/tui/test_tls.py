"""The terminal with certificates: over a real socket, and as a process."""

from pathlib import Path
from time import time

import grpc
import pytest

from tessera.proto.secure import NO_TLS, PLAIN, REFUSED, server_credentials
from tessera.settings.clock import ManualClock
from tessera.settings.tls import Pem, client_tls
from tessera.tui.answers import Unanswered
from tessera.tui.client import Client
from tessera.tui.view import View

from ..authority import Authority, needs_openssl
from .console import scripted, serving
from .scene import layout, view
from .test_main import tui

pytestmark = needs_openssl
FLEET = layout(racks=1, hosts=2, gpus=4)
PATIENCE = 10.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def credentials(authority: Authority) -> grpc.ServerCredentials:
    cert, key = authority.issue("aggregator")
    shown = Pem(authority.ca.read_bytes(), cert.read_bytes(), key.read_bytes())
    return server_credentials(lambda: shown)


async def test_a_terminal_with_a_certificate_is_answered(authority: Authority) -> None:
    cert, key = authority.issue("someone")
    async with serving(scripted([view(FLEET)]), credentials=credentials(authority)) as address:
        flags = ("--once", "--address", address, "--tls-ca", str(authority.ca))
        status, out, err = await tui(*flags, "--tls-cert", str(cert), TESSERA_TLS_KEY=str(key))
        assert (status, err) == (0, "")
        assert out.startswith("prod-east")
        key.chmod(0o644)
        _, again, warned = await tui(*flags, "--tls-cert", str(cert), "--tls-key", str(key))
    assert again.startswith("prod-east")  # nothing but the summary on standard output
    assert "every user here can read the key" in warned


async def test_a_terminal_that_is_not_let_in_says_why(authority: Authority) -> None:
    script, ca = scripted([view(FLEET)]), str(authority.ca)
    async with serving(script, credentials=credentials(authority)) as address:
        plain = await tui("--once", "--address", address)
        nobody = await tui("--once", "--address", address, "--tls-ca", ca)
    async with serving(script) as address:
        secure = await tui("--once", "--address", address, "--tls-ca", ca)
    for (status, out, err), why in ((plain, PLAIN), (nobody, REFUSED), (secure, NO_TLS)):
        assert (status, out) == (3, "")
        assert why in err
        assert err.count("\n") == 1


async def test_a_bad_file_is_one_line_and_status_2() -> None:
    status, out, err = await tui("--once", "--tls-ca", "gone.pem")
    assert (status, out) == (2, "")
    assert err.startswith("tessera-tui: tls_ca: gone.pem cannot be read")
    assert err.count("\n") == 1


async def test_a_terminal_that_runs_takes_up_a_new_certificate_when_it_connects_again(
    authority: Authority, tmp_path: Path
) -> None:
    clock = ManualClock(time() + 60.0)  # openssl signs from now on
    cert, key = Authority(tmp_path / "old").issue("someone")
    tls = client_tls(authority.ca, cert, key, name="", clock=clock)
    async with serving(scripted([view(FLEET)]), credentials=credentials(authority)) as address:
        client = Client(address, clock=clock, draw=lambda: 0.5, waits=(0.01, 0.05), tls=tls)
        watching = client.watch()
        try:
            with pytest.raises(Unanswered, match="wants a certificate"):
                await client.once(PATIENCE)
            new, new_key = authority.issue("someone")
            cert.write_bytes(new.read_bytes())
            key.write_bytes(new_key.read_bytes())
            while not isinstance(await anext(watching), View):
                pass
        finally:
            await watching.aclose()
            await client.close()
