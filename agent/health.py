"""A small page on loopback that says how the agent is, for a probe and for Prometheus.

Apart from the runtime and in a thread of its own, so that it also answers when the agent does not
get on.
"""

import json
from collections.abc import Callable, Iterable
from math import isfinite
from socket import AF_INET6
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from .. import __version__
from .exposition import KIND, page
from .metrics import families
from .usage import usage
from .vitals import Vitals

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

JSON: Final = "application/json"
PLAIN: Final = "text/plain; charset=utf-8"
PAGES: Final = "there are /healthz, /livez and /metrics\n"


class Health:
    """``/healthz``, ``/livez`` and ``/metrics`` on one address.

    ``/healthz`` is red while no ticks are taken or a source hangs, ``/livez`` while the event loop
    stands still: only then does a restart help.
    """

    def __init__(self, address: str, vitals: Callable[[], Vitals]) -> None:
        """Take HOST:PORT, port 0 for any, and who is asked; :meth:`start` serves."""
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._vitals = vitals
        self._server: WSGIServer | None = None

    @property
    def port(self) -> int:
        """Return the port that is served, 0 while none is."""
        return self._server.server_port if self._server else 0

    def start(self) -> None:
        """Serve from a thread; raise ``OSError`` where the address cannot be had."""
        kind = _Server6 if ":" in self._host else _Server
        server = make_server(self._host, self._port, self._page, kind, _Silent)
        Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _page(self, asked: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        vitals, asked_for = self._vitals(), asked["PATH_INFO"]
        status, kind, body = "200 OK", JSON, healthz(vitals)
        if asked_for == "/metrics":
            kind, body = KIND, metrics(vitals)
        elif asked_for not in {"/healthz", "/livez"}:
            status, kind, body = "404 Not Found", PLAIN, PAGES
        elif not (vitals.well if asked_for == "/healthz" else vitals.alive):
            status = "503 Service Unavailable"
        data = body.encode()
        start(status, [("Content-Type", kind), ("Content-Length", str(len(data)))])
        return [data]


def healthz(vitals: Vitals) -> str:
    """Return ``vitals`` as JSON, what is wrong first; a number that is not known is null."""
    told: dict[str, object] = {
        "well": vitals.well,
        "why": list(vitals.complaints()),
        "host": vitals.host,
        "link": vitals.link,
        "tick_age": _known(vitals.tick_age),
        "evidence_age": _known(vitals.evidence_age),
        "checkpoint_age": _known(vitals.checkpoint_age),
        "clock_offset": _known(vitals.clock_offset),
        "sources": dict(vitals.sources),
        "hung": dict(vitals.hung),
        "facts": list(vitals.facts),
        "counters": dict(vitals.counters),
    }
    return json.dumps(told, indent=1) + "\n"


def metrics(vitals: Vitals) -> str:
    """Return ``vitals`` in the text form of Prometheus, and what this process costs."""
    return page(families(vitals, __version__, usage()))


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks the name service, which may take long
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Server6(_Server):
    address_family = AF_INET6


class _Silent(WSGIRequestHandler):
    """A handler that does not write to standard error."""

    timeout = 10.0  # seconds that a client may take for its request

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        del format, args
