"""Ask the workload's own runtime on this host for its gauges, port by port.

Apart, because the service lives inside a workload's process: that nobody answers is *idle*, and
only another failure is an error.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal, cast

import grpc

from . import tpu_metric_service_pb2 as wire
from . import tpu_metric_service_pb2_grpc as wire_grpc

SERVICE: Final = "tpu.monitoring.runtime.RuntimeMetricService"
PORTS: Final = (8431,)
HBM_USED: Final = "tpu.runtime.hbm.memory.usage.bytes"  # of each core
HBM_TOTAL: Final = "tpu.runtime.hbm.memory.total.bytes"
DUTY_CYCLE: Final = "tpu.runtime.tensorcore.dutycycle.percent"  # of each chip
ASKED: Final = (HBM_USED, HBM_TOTAL, DUTY_CYCLE)

_SECONDS = 1.0  # for one call
_LARGEST = 2**20  # bytes of an answer
_MOST_PORTS, _MOST_ORDINALS = 64, 4096
_ORDINALS = frozenset({"device_ordinal", "device_id", "chip_id"})
_NOT_THERE = frozenset(
    {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)
_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
)


_Ask = Callable[[wire.MetricRequest, float], wire.MetricResponse]


class BadPorts(ValueError):  # noqa: N818 - named for what it says
    """Refuse a list of ports; carries the ``text``."""

    def __init__(self, text: str) -> None:
        """Keep what was given."""
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.text!r:.60} is no list of ports; write it like 8431,8432"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number of one device: its ``ordinal`` as the runtime counts, when it was ``taken``.

    ``taken`` is Unix nanoseconds, 0 where the runtime does not say.
    """

    ordinal: int
    value: float
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What one port said: gauges by the vendor's name, or that it is idle, or that it fails."""

    state: Literal["answers", "idle", "fails"]
    code: str = ""
    gauges: Mapping[str, tuple[Gauge, ...]] = field(default_factory=dict)


def ports_of(text: str) -> tuple[int, ...]:
    """Return the ports that ``text`` lists ("8431,8432"), ``PORTS`` if none; raise ``BadPorts``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() and len(word) < len("100000") for word in words):
        raise BadPorts(text)
    ports = tuple(dict.fromkeys(int(word) for word in words))
    if not all(0 < port < 2**16 for port in ports) or len(ports) > _MOST_PORTS:
        raise BadPorts(text)
    return ports or PORTS


def gauges_of(response: wire.MetricResponse) -> tuple[Gauge, ...]:
    """Return the gauges of an answer; what has no number or no device is left out."""
    return tuple(_gauges(response.metric.metrics))


def _gauges(metrics: Sequence[wire.Metric]) -> Iterator[Gauge]:
    for metric in metrics:
        ordinal = _ordinal(metric.attribute)
        value = _number(metric.gauge)
        if metric.WhichOneof("measure") == "gauge" and ordinal is not None and value is not None:
            taken = metric.timestamp.seconds * 10**9 + metric.timestamp.nanos
            yield Gauge(ordinal, value, taken)


def _number(gauge: wire.Gauge) -> float | None:
    kind = gauge.WhichOneof("value")
    if kind == "as_double" and isfinite(gauge.as_double):
        return gauge.as_double
    return float(gauge.as_int) if kind == "as_int" else None


def _ordinal(attribute: wire.Attribute) -> int | None:
    """Return the device's number: a whole number, digits, or one of these in a list of its own."""
    value = attribute.value
    kind = value.WhichOneof("attr")
    if kind == "kvlist_attr":
        inner = [one for one in value.kvlist_attr.attributes if one.key in _ORDINALS]
        flat = [one for one in inner if one.value.WhichOneof("attr") != "kvlist_attr"]
        return _ordinal(flat[0]) if flat else None
    if kind == "int_attr":
        number = value.int_attr
    elif kind == "string_attr" and _is_digits(value.string_attr):
        number = int(value.string_attr)
    else:
        return None
    return number if 0 <= number < _MOST_ORDINALS else None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < len(str(_MOST_ORDINALS)) + 1


class Runtimes:
    """The metric services of this host's workloads, one a ``port`` of the loopback."""

    def __init__(self, ports: Sequence[int] = PORTS) -> None:
        """Take the ports; nothing is opened."""
        self._ports = tuple(ports)
        self._channels: dict[int, grpc.Channel] = {}

    def ask(self) -> tuple[Told, ...]:
        """Return what each port says now; it may take a second for each call that hangs."""
        return tuple(self._told(port) for port in self._ports)

    def close(self) -> None:
        """Close the channels; a call under way ends."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _told(self, port: int) -> Told:
        channel = self._channels.get(port)
        if channel is None:
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
            self._channels[port] = channel
        stub = wire_grpc.RuntimeMetricServiceStub(channel)
        # The generated types name the wire from the package's root, which checkers hold for two.
        ask = cast("_Ask", stub.GetRuntimeMetric)
        found: dict[str, tuple[Gauge, ...]] = {}
        for name in ASKED:
            try:
                answer = ask(wire.MetricRequest(metric_name=name), _SECONDS)
            except grpc.RpcError as error:
                code = cast("grpc.Call", error).code()  # what a call raises is a call as well
                if code in _NOT_THERE:
                    continue
                idle = code is grpc.StatusCode.UNAVAILABLE
                return Told("idle") if idle else Told("fails", code.name.lower())
            found[name] = gauges_of(answer)
        return Told("answers", gauges=found)
