"""A scripted dcgm-exporter on a real socket: pages of either spelling, and every way to misbehave.

Apart and shipped, because tests and demonstrations need an exporter on machines without a GPU.
"""

import http.server
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self

from .dcgm_fields import BY_ID, XID_COUNT

Conduct = Literal["serve", "html", "garbage", "fail", "redirect", "hang", "break_off", "flood"]

_FLOOD = b"# " + b"x" * 65533 + b"\n"
_FLOODED = 300  # pieces of a page that is too large


@dataclass(frozen=True, slots=True)
class Spelling:
    """How an exporter of some year writes: its labels, and which of a field's names it uses."""

    host: str = "Hostname"
    uuid: str = "UUID"
    pod: tuple[str, str, str] = ("pod", "namespace", "container")
    newest_names: bool = False
    comma: str = ","


OLD: Final = Spelling()
NEW: Final = Spelling(host="hostname", newest_names=True)
NAMESPACED: Final = Spelling(uuid="uuid", pod=("pod_name", "pod_namespace", "container_name"))


@dataclass(slots=True)
class FakeGpu:
    """One GPU or slice (``instance``, ``profile``): raw ``values`` by field number, and the rest.

    ``pods`` are (pod, namespace, container), one row each; ``links`` are values by field and link;
    ``xids`` how often each code stands in the exporter's window; ``labels`` stand on each row.
    """

    uuid: str
    model: str = "NVIDIA H100 80GB HBM3"
    values: dict[int, float] = field(default_factory=dict)
    instance: str = ""
    profile: str = ""
    pods: list[tuple[str, str, str]] = field(default_factory=list)
    links: dict[int, dict[str, float]] = field(default_factory=dict)
    xids: dict[int, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def page_of(gpus: list[FakeGpu], spelling: Spelling = OLD) -> str:
    """Return the page that an exporter of ``spelling`` serves of ``gpus``."""
    rows = [row for index, gpu in enumerate(gpus) for row in _rows(gpu, index, spelling)]
    lines = []
    for name in dict.fromkeys(name for name, _, _ in rows):
        lines += [f"# HELP {name} As scripted.", f"# TYPE {name} gauge"]
        lines += [_line(row, spelling) for row in rows if row[0] == name]
    return "\n".join([*lines, ""])


_Row = tuple[str, Mapping[str, str], float]


def _rows(gpu: FakeGpu, index: int, spelling: Spelling) -> Iterator[_Row]:
    own = {"gpu": str(index), spelling.uuid: gpu.uuid, "device": f"nvidia{index}"}
    own |= {"modelName": gpu.model, spelling.host: "node-7"} | gpu.labels
    if gpu.instance:
        own |= {"GPU_I_PROFILE": gpu.profile, "GPU_I_ID": gpu.instance}
    holders = [dict(zip(spelling.pod, pod, strict=True)) for pod in gpu.pods] or [{}]
    for number, value in gpu.values.items():
        for holder in holders:
            yield _name(number, spelling), own | holder, value
    link = {"gpu": str(index), "gpu_uuid": gpu.uuid, "model_name": gpu.model}
    for number, links in gpu.links.items():
        for which, value in links.items():
            yield _name(number, spelling), link | {"nvlink": which, "nvswitch": "0"}, value
    for code, times in gpu.xids.items():
        window = {"xid": str(code), "window_size_in_ms": "300000"}
        yield XID_COUNT, own | window, float(times)


def _name(number: int, spelling: Spelling) -> str:
    names = BY_ID[number].names
    return names[-1] if spelling.newest_names else names[0]


def _line(row: _Row, spelling: Spelling) -> str:
    name, labels, value = row
    within = spelling.comma.join(f'{label}="{text}"' for label, text in labels.items())
    written = f"{value:.0f}" if value == value // 1 and abs(value) < 2.0**64 else repr(value)
    return f"{name}{{{within}}} {written}"


class FakeExporter:
    """Serve ``gpus`` at ``url`` while it is open (``with``); all of it may be changed meanwhile."""

    def __init__(self, gpus: list[FakeGpu] | None = None, spelling: Spelling = OLD) -> None:
        """Script the exporter; nothing listens yet."""
        self.gpus = gpus or []
        self.spelling = spelling
        self.conduct: Conduct = "serve"
        self.text: str | None = None  # served in place of the page, where given
        self.asked = 0
        self.url = ""
        self._ending = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Listen on a free port of the loopback."""
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                exporter.answer(self)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing."""

            def log_error(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._ending.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """Answer one request as ``conduct`` says."""
        self.asked += 1
        if self.conduct == "hang":
            self._ending.wait()
        elif self.conduct == "fail":
            request.send_error(503)
        elif self.conduct == "redirect":
            request.send_response(302)
            request.send_header("Location", "http://127.0.0.1:1/metrics")
            request.end_headers()
        elif self.conduct == "flood":
            _send(request, _FLOOD * _FLOODED)
        else:
            body = self._body().encode()
            _send(request, body, len(body) + (100 if self.conduct == "break_off" else 0))

    def _body(self) -> str:
        if self.conduct == "html":
            return "<html>\n<body>\n<h1>It works</h1>\n</body>\n"
        if self.conduct == "garbage":
            return "\x00\x01 {{{ \n" * 100
        return page_of(self.gpus, self.spelling) if self.text is None else self.text


def _send(
    request: http.server.BaseHTTPRequestHandler, body: bytes, length: int | None = None
) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/plain; version=0.0.4")
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    try:
        request.wfile.write(body)
    except OSError:  # the reader has had enough
        request.close_connection = True
