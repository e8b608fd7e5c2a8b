import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from math import nan

import pytest

from tessera.agent.health import Health, Vitals, healthz, metrics

WELL = Vitals(
    host="host-0",
    link="up",
    tick_age=0.5,
    checkpoint_age=12.0,
    clock_offset=nan,
    sources={"nvml": "ok"},
    counters={"ticks": 17},
)


class Patient:
    """Whose vitals a test sets."""

    def __init__(self) -> None:
        self.vitals = WELL

    def __call__(self) -> Vitals:
        return self.vitals


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def health(patient: Patient) -> Iterator[Health]:
    serving = Health("127.0.0.1:0", patient)
    serving.start()
    yield serving
    serving.stop()


def get(health: Health, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", health.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_an_agent_that_ticks_is_well(health: Health) -> None:
    status, body = get(health, "/healthz")
    assert status == 200
    told = json.loads(body)
    assert (told["well"], told["link"], told["clock_offset"]) == (True, "up", None)
    assert told["sources"] == {"nvml": "ok"}


def test_a_link_that_is_down_is_told_and_is_not_the_agents_fault(
    health: Health, patient: Patient
) -> None:
    patient.vitals = replace(WELL, link="unavailable: connection refused")
    status, body = get(health, "/healthz")
    assert status == 200
    assert "connection refused" in body


@pytest.mark.parametrize("age", [60.0, nan])
def test_an_agent_without_ticks_is_not_well(health: Health, patient: Patient, age: float) -> None:
    patient.vitals = replace(WELL, tick_age=age)
    status, body = get(health, "/healthz")
    assert status == 503
    assert not json.loads(body)["well"]


def test_metrics_are_lines_that_prometheus_reads(health: Health) -> None:
    status, body = get(health, "/metrics")
    assert status == 200
    assert "# TYPE tessera_agent_ticks_total counter\ntessera_agent_ticks_total 17\n" in body
    assert "tessera_agent_link_up 1\n" in body
    assert "clock_offset" not in body
    assert body == metrics(WELL)


def test_there_is_nothing_else(health: Health) -> None:
    assert get(health, "/secrets")[0] == 404


def test_a_port_that_is_taken_is_an_error_and_nothing_is_left_open(patient: Patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        health = Health(f"127.0.0.1:{taken.getsockname()[1]}", patient)
        with pytest.raises(OSError, match="in use"):
            health.start()
        assert health.port == 0
        health.stop()


def test_what_is_told_is_strict_json() -> None:
    told = json.loads(healthz(replace(WELL, tick_age=nan)), parse_constant=pytest.fail)
    assert told["tick_age"] is None
