"""A change of what a host runs on is an event, once, and nothing else is."""

import pytest

from tessera.adapters.base import Event
from tessera.agent.vector import (
    LONGEST_DETAIL,
    MOST_SCOPED,
    QUIET,
    Change,
    Vector,
    digest_of,
    events_of,
    kind_of,
)

CAP = "nvml:gpu-1/power_cap"
SHARDS = ("gpu-0", "gpu-1", "gpu-2")


def test_the_first_sight_of_an_element_and_its_absence_are_no_change() -> None:
    vector = Vector()
    assert vector.see(0.0, {CAP: "700"}) == []
    assert vector.see(1.0, {}) == []
    assert vector.see(2.0, {CAP: "700", "nvml:driver": "550"}) == []


def test_another_value_is_one_change_with_old_and_new() -> None:
    vector = Vector()
    vector.see(0.0, {CAP: "700"})
    assert vector.see(1.0, {CAP: "600"}) == [Change(CAP, "700", "600")]
    assert vector.see(2.0, {CAP: "600"}) == []
    assert vector.told == {CAP: "600"}


def test_an_element_that_flaps_is_told_once_in_five_minutes_and_the_rest_is_counted() -> None:
    vector = Vector()
    told = [c for at in range(2 * int(QUIET)) for c in vector.see(float(at), {CAP: str(at % 2)})]
    assert len(told) == 2
    back = 1  # went back, when the time was over, to what had been told
    assert len(told) + vector.held + back == 2 * QUIET - 1


def test_a_change_that_was_held_is_told_when_the_time_is_over_if_it_lasts() -> None:
    vector = Vector()
    for at, value in ((0.0, "a"), (1.0, "b"), (2.0, "c")):
        vector.see(at, {CAP: value})
    assert vector.see(QUIET, {CAP: "c"}) == []
    assert vector.see(QUIET + 1.0, {CAP: "c"}) == [Change(CAP, "b", "c")]


def test_a_change_that_was_held_and_taken_back_is_none() -> None:
    vector = Vector()
    for at, value in ((0.0, "a"), (1.0, "b"), (2.0, "c"), (3.0, "b")):
        vector.see(at, {CAP: value})
    assert vector.see(QUIET + 9.0, {CAP: "b"}) == []


def test_what_changed_while_nobody_looked_is_a_change() -> None:
    before = Vector()
    before.see(0.0, {CAP: "700", "host:kernel": "6.1"})
    after = Vector()
    after.remember(before.told)
    assert after.see(9.0, {CAP: "600", "host:kernel": "6.1"}) == [Change(CAP, "700", "600")]


def test_the_hash_is_that_of_the_content_whatever_its_order() -> None:
    assert digest_of({"a": "1", "b": "2"}) == digest_of({"b": "2", "a": "1"})
    assert digest_of({"a": "1", "b": "2"}) != digest_of({"a": "1", "b": "3"})
    assert len(digest_of({})) == 64


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("nvml:driver", "firmware_push"), ("nvml:GPU-1/vbios", "firmware_push")),
        *(("nvml:GPU-1/gsp_firmware", "firmware_push"), ("host:neuron_module", "firmware_push")),
        *(("tpu:libtpu", "firmware_push"), ("nvml:GPU-1/power_cap", "config_change")),
        *(("nvml:GPU-1/mig_mode", "config_change"), ("nvml:GPU-1/ecc_mode", "config_change")),
        *(("nvml:GPU-1/application_clocks", "config_change"), ("jobs:GPU-1/job", "model_redeploy")),
        *(("nvml:GPU-1/fabric", "env_change"), ("host:boot", "env_change")),
    ],
)
def test_a_change_is_of_the_kind_of_its_element(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_changes_of_one_kind_are_one_event_of_the_shards_that_they_are_about() -> None:
    found = events_of(
        [
            *(Change(f"nvml:{gpu}/power_cap", "700", "600") for gpu in SHARDS[:2]),
            Change("nvml:gpu-0/ecc_mode", "on", "off"),
            Change("nvml:driver", "550", "560"),
            Change("jobs:gpu-2/job", "", "slurm-7"),
        ],
        SHARDS,
        5.0,
    )
    assert found == [
        Event(
            "config_change", 5.0, "power_cap: 700 → 600 (2 shards); ecc_mode: on → off", SHARDS[:2]
        ),
        Event("firmware_push", 5.0, "driver: 550 → 560"),
        Event("model_redeploy", 5.0, "job: none → slurm-7", SHARDS[2:]),
    ]


def test_a_device_stands_for_its_slices_and_all_shards_for_the_host() -> None:
    slices = ("gpu-0/1/0", "gpu-0/2/0", "gpu-1")
    change = Change("nvml:gpu-0/mig_mode", "off", "on")
    assert events_of([change], slices, 1.0)[0].scope == slices[:2]
    assert events_of([change], slices[:2], 1.0)[0].scope == ()
    many = [f"gpu-{i:03}" for i in range(MOST_SCOPED + 2)]
    several = [Change(f"nvml:{gpu}/power_cap", "1", "2") for gpu in many[1:]]
    assert events_of(several, many, 1.0)[0].scope == ()


def test_a_long_or_unprintable_detail_is_cut_and_cleaned() -> None:
    changes = [Change(f"host:element_{i}", "a\nb", "x" * 100) for i in range(20)]
    (event,) = events_of(changes, SHARDS, 1.0)
    assert len(event.detail) == LONGEST_DETAIL
    assert event.detail.startswith("element_0: a?b → xxx")
    assert event.detail.endswith("…")
