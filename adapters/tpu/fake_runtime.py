"""A scripted metric service of a TPU runtime, on a real port of the loopback.

Apart and shipped, because tests and demonstrations need a workload on machines without a TPU.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import grpc

from . import tpu_metric_service_pb2 as wire
from .runtime import DUTY_CYCLE, HBM_TOTAL, HBM_USED, SERVICE

Ordinals = Literal["int", "digits", "list_of_int", "list_of_digits"]
Numbers = Literal["as_int", "as_double"]


@dataclass(slots=True)
class FakeWorkload:
    """What a workload's runtime answers: values by device number, and how they are written.

    ``code`` makes every call fail; ``missing`` are metrics that it does not know; ``taken`` is the
    Unix second of all values, 0 = not said.
    """

    hbm_used: dict[int, float] = field(default_factory=dict)
    hbm_total: dict[int, float] = field(default_factory=dict)
    duty_cycle: dict[int, float] = field(default_factory=dict)
    ordinals: Ordinals = "int"
    code: grpc.StatusCode | None = None
    missing: tuple[str, ...] = ()
    taken: int = 0

    def answer(self, name: str) -> wire.MetricResponse | None:
        """Return the answer to a question for the metric ``name``; None: it is not known."""
        known = {HBM_USED: self.hbm_used, HBM_TOTAL: self.hbm_total, DUTY_CYCLE: self.duty_cycle}
        if name not in known or name in self.missing:
            return None
        kind: Numbers = "as_double" if name == DUTY_CYCLE else "as_int"
        rows = [self._row(number, value, kind) for number, value in known[name].items()]
        return wire.MetricResponse(metric=wire.TPUMetric(name=name, metrics=rows))

    def _row(self, number: int, value: float, kind: Numbers) -> wire.Metric:
        whole = kind == "as_int"
        gauge = wire.Gauge(as_int=int(value)) if whole else wire.Gauge(as_double=value)
        return wire.Metric(
            attribute=wire.Attribute(key="device-id", value=self._device(number)),
            gauge=gauge,
            timestamp=wire.Instant(seconds=self.taken),
        )

    def _device(self, number: int) -> wire.AttrValue:
        digits = self.ordinals.endswith("digits")
        plain = (
            wire.AttrValue(string_attr=str(number)) if digits else wire.AttrValue(int_attr=number)
        )
        if not self.ordinals.startswith("list"):
            return plain
        inner = wire.Attribute(key="device_ordinal", value=plain)
        return wire.AttrValue(kvlist_attr=wire.KeyValueList(attributes=[inner]))


def _answered(workload: FakeWorkload) -> grpc.GenericRpcHandler:
    def answer(request: wire.MetricRequest, context: grpc.ServicerContext) -> wire.MetricResponse:
        if workload.code is not None:
            context.abort(workload.code, "as scripted")
        found = workload.answer(request.metric_name)
        if found is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown metric")
        return found  # abort does not return

    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=wire.MetricRequest.FromString,
        response_serializer=wire.MetricResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"GetRuntimeMetric": handler})


class FakeRuntime:
    """Serve ``workload`` at ``port`` while it is open (``with``); it may be changed meanwhile."""

    def __init__(self, workload: FakeWorkload) -> None:
        """Take what is answered; nothing listens yet."""
        self.workload = workload
        self.port = 0
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._server = grpc.server(ThreadPoolExecutor(1))
        self._server.add_generic_rpc_handlers((_answered(self.workload),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop(None).wait()
