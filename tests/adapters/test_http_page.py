"""A page is fetched within bounds, and every reason why not has its code."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from tessera.adapters.background import Unreachable
from tessera.adapters.http_page import Address, address_of, fetch
from tessera.adapters.nvidia.fake_exporter import FakeExporter, FakeGpu, page_of

SECONDS = 10.0


def code(exporter: FakeExporter, seconds: float = SECONDS) -> str:
    with pytest.raises(Unreachable) as refused:
        fetch(address_of(exporter.url), seconds)
    assert "\n" not in str(refused.value)
    return refused.value.code


def test_a_page_is_fetched() -> None:
    gpus = [FakeGpu("GPU-1", values={150: 50.0})]
    with FakeExporter(gpus) as exporter:
        assert fetch(address_of(exporter.url), SECONDS) == page_of(gpus)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:9400/metrics", Address("127.0.0.1", 9400, "/metrics")),
        ("http://host", Address("host", 80, "/")),
        ("https://host/m?a=b", Address("host", 443, "/m?a=b", secure=True)),
        ("http://[::1]:9400/metrics", Address("::1", 9400, "/metrics")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert address_of(url) == address


def test_a_redirect_is_not_followed() -> None:
    with FakeExporter() as exporter:
        exporter.conduct = "redirect"
        assert code(exporter) == "redirected"
        assert exporter.asked == 1


def test_a_page_that_is_too_large_is_given_up() -> None:
    with FakeExporter() as exporter:
        exporter.conduct = "flood"
        assert code(exporter) == "too_large"


def test_a_server_that_hangs_is_given_up() -> None:
    with FakeExporter() as exporter:
        exporter.conduct = "hang"
        assert code(exporter, 0.05) == "timeout"


def test_a_page_that_comes_by_drops_is_given_up() -> None:
    seconds = iter(range(100))
    with (
        FakeExporter([FakeGpu("GPU-1", values={150: 50.0})]) as exporter,
        pytest.raises(Unreachable, match="takes too long") as refused,
    ):
        fetch(address_of(exporter.url), 0.5, clock=lambda: next(seconds))
    assert refused.value.code == "timeout"


def test_a_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address("127.0.0.1", listening.getsockname()[1], "/")

        def answer() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"220 mail ready\r\n\r\n")

        server = threading.Thread(target=answer)
        server.start()
        with pytest.raises(Unreachable) as refused:
            fetch(address, SECONDS)
        server.join()
    assert refused.value.code == "broken"


def test_nobody_there_is_refused() -> None:
    with FakeExporter() as exporter:
        pass
    assert code(exporter) == "refused"


def test_an_answer_whose_head_comes_by_drops_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = threading.Thread(target=_drip, args=(server,), daemon=True)
        told.start()
        with pytest.raises(Unreachable) as late:
            fetch(Address("127.0.0.1", server.getsockname()[1], "/"), 0.2)
        told.join(SECONDS)
    assert late.value.code == "timeout"


def _drip(server: socket.socket) -> None:
    """Say a little of the head before the reader's patience is over, until it has gone."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(90):  # a client gives up after a hundred
            connection.sendall(b"X-%d: a\r\n" % number)
            time.sleep(0.02)
