"""The metric service of a runtime, over a real port."""

import socket
import time

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.adapters.tpu import tpu_metric_service_pb2 as wire
from tessera.adapters.tpu.fake_runtime import FakeRuntime, FakeWorkload, Ordinals
from tessera.adapters.tpu.runtime import (
    DUTY_CYCLE,
    HBM_TOTAL,
    HBM_USED,
    BadPorts,
    Gauge,
    Runtimes,
    Told,
    gauges_of,
    ports_of,
)


def asked(*ports: int) -> tuple[Told, ...]:
    runtimes = Runtimes(ports)
    try:
        return runtimes.ask()
    finally:
        runtimes.close()


@pytest.mark.parametrize("ordinals", ["int", "digits", "list_of_int", "list_of_digits"])
def test_numbers_of_devices_are_read_as_every_library_writes_them(ordinals: Ordinals) -> None:
    load = FakeWorkload({0: 5e9, 1: 6e9}, {0: 3e10, 1: 3e10}, {0: 99.5, 1: 12.0}, ordinals)
    with FakeRuntime(load) as runtime:
        (told,) = asked(runtime.port)
    assert told.state == "answers"
    assert told.gauges == {
        HBM_USED: (Gauge(0, 5e9), Gauge(1, 6e9)),
        HBM_TOTAL: (Gauge(0, 3e10), Gauge(1, 3e10)),
        DUTY_CYCLE: (Gauge(0, 99.5), Gauge(1, 12.0)),
    }


def test_the_time_of_a_gauge_is_read() -> None:
    with FakeRuntime(FakeWorkload(duty_cycle={0: 50.0}, taken=1_800_000_000)) as runtime:
        (told,) = asked(runtime.port)
    assert told.gauges[DUTY_CYCLE] == (Gauge(0, 50.0, 1_800_000_000 * 10**9),)


def test_a_metric_that_a_runtime_does_not_know_is_left_out() -> None:
    with FakeRuntime(FakeWorkload({0: 1.0}, missing=(DUTY_CYCLE,))) as runtime:
        (told,) = asked(runtime.port)
    assert told.state == "answers"
    assert DUTY_CYCLE not in told.gauges


def test_a_runtime_that_fails_is_told_by_its_code() -> None:
    with FakeRuntime(FakeWorkload(code=grpc.StatusCode.INTERNAL)) as runtime:
        assert asked(runtime.port) == (Told("fails", "internal"),)


def test_a_runtime_that_says_it_is_unavailable_is_idle() -> None:
    with FakeRuntime(FakeWorkload(code=grpc.StatusCode.UNAVAILABLE)) as runtime:
        assert asked(runtime.port) == (Told("idle"),)


def test_a_runtime_that_hangs_fails_by_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.adapters.tpu.runtime._SECONDS", 0.1)

    class Hanging(FakeWorkload):
        def answer(self, name: str) -> wire.MetricResponse | None:
            time.sleep(0.3)
            return super().answer(name)

    with FakeRuntime(Hanging()) as runtime:
        assert asked(runtime.port) == (Told("fails", "deadline_exceeded"),)


def test_a_port_that_came_back_answers() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        runtimes = Runtimes([held.getsockname()[1]])
        assert runtimes.ask() == (Told("idle"),)
    runtimes.close()


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("", (8431,)),
        ("8431", (8431,)),
        ("8431,8432, 8433,", (8431, 8432, 8433)),
        ("8431,8431", (8431,)),
    ],
)
def test_a_list_of_ports_is_read(text: str, ports: tuple[int, ...]) -> None:
    assert ports_of(text) == ports


@pytest.mark.parametrize("text", ["x", "0", "65536", "8431;8432", "-1", "8431.0", "9" * 5000])
def test_another_list_is_refused(text: str) -> None:
    with pytest.raises(BadPorts, match="write it like 8431,8432"):
        ports_of(text)


@given(st.binary(max_size=200))
def test_any_answer_gives_gauges_of_finite_numbers(content: bytes) -> None:
    answer = wire.MetricResponse()
    try:
        answer.ParseFromString(content)
    except Exception:  # noqa: BLE001  the library's own refusal of bytes, which it does not name
        return
    assert all(abs(gauge.value) < float("inf") for gauge in gauges_of(answer))


@pytest.mark.parametrize("number", [-1, 4096, 2**40])
def test_a_device_with_an_impossible_number_is_left_out(number: int) -> None:
    attribute = wire.Attribute(value=wire.AttrValue(int_attr=number))
    gauge = wire.Gauge(as_double=1.0)
    metrics = [wire.Metric(attribute=attribute, gauge=gauge)]
    answer = wire.MetricResponse(metric=wire.TPUMetric(metrics=metrics))
    assert gauges_of(answer) == ()
