"""A small page on loopback that says how the agent is, for a probe and for Prometheus.

Apart from the runtime and in a thread of its own, so that it also answers when the agent does not
get on.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LATEST: Final = 10.0  # seconds without a tick, from which on the agent is not well
JSON: Final = "application/json"
PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the agent is now. Ages are seconds; NaN = never.

    ``sources`` says of each whether it answers, ``hung`` of those that do not which call they are
    in, ``took`` how many seconds the others needed. ``rejected`` counts impossible values by
    metric, ``counters`` what else was counted since the start.
    """

    host: str
    link: str
    tick_age: float
    checkpoint_age: float
    clock_offset: float
    late: float = LATEST
    sources: Mapping[str, str] = field(default_factory=dict)
    hung: Mapping[str, str] = field(default_factory=dict)
    took: Mapping[str, float] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Say whether ticks are taken and every source answers.

        A link that is down is the aggregator's or the network's.
        """
        return self.tick_age <= self.late and not self.hung


class Health:
    """``/healthz`` and ``/metrics`` on one address."""

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
        server = make_server(self._host, self._port, self._page, _Server, _Silent)
        Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _page(self, asked: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        vitals = self._vitals()
        if asked["PATH_INFO"] == "/healthz":
            status = "200 OK" if vitals.well else "503 Service Unavailable"
            kind, body = JSON, healthz(vitals)
        elif asked["PATH_INFO"] == "/metrics":
            status, kind, body = "200 OK", PLAIN, metrics(vitals)
        else:
            status, kind, body = "404 Not Found", PLAIN, "there are /healthz and /metrics\n"
        data = body.encode()
        start(status, [("Content-Type", kind), ("Content-Length", str(len(data)))])
        return [data]


def healthz(vitals: Vitals) -> str:
    """Return ``vitals`` as JSON; a number that is not known is null."""
    known = {"well": vitals.well} | {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in asdict(vitals).items()
    }
    return json.dumps(known, indent=1) + "\n"


def metrics(vitals: Vitals) -> str:
    """Return ``vitals`` in the text form of Prometheus; what is not known is left out."""
    lines: list[str] = []
    gauges = {
        "link_up": float(vitals.link == "up"),
        "tick_age_seconds": vitals.tick_age,
        "checkpoint_age_seconds": vitals.checkpoint_age,
        "clock_offset_seconds": vitals.clock_offset,
    }
    for name, value in gauges.items():
        if isfinite(value):
            lines += [f"# TYPE tessera_agent_{name} gauge", f"tessera_agent_{name} {value:.6g}"]
    for name, count in sorted(vitals.counters.items()):
        full = f"tessera_agent_{name}_total"
        lines += [f"# TYPE {full} counter", f"{full} {count}"]
    return "\n".join(lines) + "\n"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks the name service, which may take long
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Silent(WSGIRequestHandler):
    """A handler that does not write to standard error."""

    timeout = 10.0  # seconds that a client may take for its request

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        del format, args
