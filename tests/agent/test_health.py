import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from math import nan

import pytest

from tessera.agent.health import Health, healthz
from tessera.agent.vitals import Vitals

WELL = Vitals(
    host="host-0",
    link="up",
    tick_age=0.5,
    loop_age=0.5,
    checkpoint_age=12.0,
    clock_offset=nan,
    sources={"nvml": "ok"},
    counters={"ticks": 17},
)
HUNG = replace(WELL, sources={"nvml": "silent"}, hung={"nvml": "nvmlDeviceGetPowerUsage GPU-7"})


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


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
def test_an_agent_that_ticks_is_well(health: Health, path: str) -> None:
    status, body = get(health, path)
    assert status == 200
    told = json.loads(body)
    assert (told["well"], told["why"], told["link"]) == (True, [], "up")
    assert told["clock_offset"] is None
    assert told["sources"] == {"nvml": "ok"}


def test_a_link_that_is_down_is_told_and_is_not_the_agents_fault(
    health: Health, patient: Patient
) -> None:
    patient.vitals = replace(WELL, link="unavailable: connection refused")
    status, body = get(health, "/healthz")
    assert status == 200
    assert "connection refused" in body


@pytest.mark.parametrize(
    ("age", "why"), [(60.0, "no tick for 60 s"), (nan, "no tick was taken yet")]
)
def test_an_agent_without_ticks_is_not_well_and_may_yet_be_alive(
    health: Health, patient: Patient, age: float, why: str
) -> None:
    patient.vitals = replace(WELL, tick_age=age)
    assert get(health, "/livez")[0] == 200
    patient.vitals = replace(WELL, tick_age=age, loop_age=age)
    assert get(health, "/livez")[0] == 503
    status, body = get(health, "/healthz")
    assert status == 503
    told = json.loads(body)
    assert (told["well"], told["why"]) == (False, [why])


def test_a_hung_driver_is_red_with_its_call_and_no_reason_to_restart(
    health: Health, patient: Patient
) -> None:
    patient.vitals = HUNG
    status, body = get(health, "/healthz")
    assert status == 503
    assert json.loads(body)["why"] == ["source nvml hangs in nvmlDeviceGetPowerUsage GPU-7"]
    assert get(health, "/livez")[0] == 200


def test_a_hung_source_that_does_not_tell_its_call_is_red_too() -> None:
    told = json.loads(healthz(replace(WELL, hung={"tpu": ""})))
    assert (told["well"], told["why"]) == (False, ["source tpu hangs"])


def test_metrics_are_served_beside_it(health: Health, patient: Patient) -> None:
    patient.vitals = HUNG
    status, body = get(health, "/metrics")
    assert status == 200
    assert "\ntessera_agent_ticks_total 17\n" in body
    assert '\ntessera_agent_source_up{source="nvml"} 0\n' in body


def test_it_is_served_on_ipv6_too(patient: Patient) -> None:
    health = Health("[::1]:0", patient)
    try:
        health.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    connection = HTTPConnection("::1", health.port, timeout=10)
    try:
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
    finally:
        connection.close()
        health.stop()


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
