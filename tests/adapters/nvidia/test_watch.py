from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tessera.adapters.base import (
    Absent,
    Closing,
    Fact,
    Marking,
    Reading,
    Remarking,
    Resuming,
    Witness,
)
from tessera.adapters.linux.kmsg import KernelLog
from tessera.adapters.nvidia import event_calls as calls
from tessera.adapters.nvidia import events as events_module
from tessera.adapters.nvidia import hard_facts
from tessera.adapters.nvidia.devices import NvmlSource
from tessera.adapters.nvidia.events import DeviceEvents
from tessera.adapters.nvidia.fake_device import FakeDevice, FakeField
from tessera.adapters.nvidia.fake_events import FakeEvent, FakeEventLibrary, FakeKernelLog
from tessera.adapters.nvidia.fake_library import installed
from tessera.adapters.nvidia.sightings import Sighting, Sightings
from tessera.adapters.nvidia.watch import METRIC, XidWatch
from tessera.adapters.nvidia.xid import read_xids, shipped

from .listening import devices, until

BUS = "PCI:0000:41:00"  # of GPU-1
AT = 1000.0


@dataclass
class Host:
    """A host whose driver and kernel tell what a test lets them tell, and its watch."""

    library: FakeEventLibrary
    log: FakeKernelLog
    watch: XidWatch
    events: DeviceEvents
    now: list[float] = field(default_factory=lambda: [AT])

    def tell(self, *events: FakeEvent) -> None:
        """Let the driver tell ``events``, and wait until the thread has heard them."""
        kinds = self.events._errors  # noqa: SLF001  the thread's own
        before = sum(number for _, number in kinds.values())
        self.library.tell(*events)
        goal = before + len(events)
        assert until(lambda: sum(number for _, number in tuple(kinds.values())) >= goal)

    def xid(self, code: int, *, times: int = 1, uuid: str = "GPU-1") -> None:
        self.tell(*[FakeEvent(uuid, code=code)] * times)

    def say(self, code: int, text: str = "message", bus: str = BUS) -> None:
        self.log.say(f"NVRM: Xid ({bus}): {code}, {text}")

    def facts(self, at: float = AT) -> list[Fact]:
        return self.watch.facts(at)

    def counts(self, at: float = AT) -> Mapping[str, float | Absent]:
        found = self.watch.readings(at)
        assert {reading.metric for reading in found} == {METRIC}
        return {reading.shard: reading.value for reading in found}

    def looked(self) -> None:
        """Wait until every device was looked at once more."""
        calls_before = self.library.calls["nvmlDeviceGetFieldValues"]
        goal = calls_before + 2 * len(self.library.devices)
        assert until(lambda: self.library.calls["nvmlDeviceGetFieldValues"] >= goal)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(events_module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(events_module, "EACH", 0.01)
    monkeypatch.setattr(events_module, "PATIENCE", 5)
    library, log = devices(), FakeKernelLog(tmp_path / "kmsg")
    now = [AT]
    events = DeviceEvents(lambda: now[0])
    watch = XidWatch(shipped(), KernelLog(log.path), events)
    with installed(library):
        watch.start()
        assert until(lambda: len(events.watched) == 3)
        yield Host(library, log, watch, events, now)
        watch.close()


def codes(facts: list[Fact]) -> list[tuple[str, str, bool]]:
    return [(fact.shard, fact.code, fact.stands) for fact in facts]


def test_a_healthy_host_has_counts_of_zero_and_no_facts(host: Host) -> None:
    assert host.counts() == {"GPU-0": 0.0, "GPU-1": 0.0, "GPU-2": 0.0}
    assert host.facts() == []
    assert host.watch.notes == ()


def test_a_hardware_error_is_a_fact_of_its_device(host: Host) -> None:
    host.xid(79)
    assert codes(host.facts()) == [("GPU-1", "xid_79", True)]
    assert host.counts()["GPU-1"] == 0.0


def test_a_hardware_error_that_only_the_kernel_tells_is_a_fact_with_its_message(
    host: Host,
) -> None:
    host.say(95, "pid=7, name=train, Uncontained")
    (fact,) = host.facts()
    assert (fact.shard, fact.code) == ("GPU-1", "xid_95")
    assert "PCI 0000:41:00" in fact.detail
    assert "Uncontained" in fact.detail


def test_one_error_that_both_tell_is_one(host: Host) -> None:
    host.xid(13)
    host.say(13)
    assert host.counts()["GPU-1"] == 1.0
    host.say(31)
    assert host.counts(AT + 1)["GPU-1"] == 2.0
    host.now[0] = AT + 2
    host.xid(31)
    assert host.counts(AT + 2)["GPU-1"] == 2.0


def test_a_storm_of_application_errors_raises_no_fact_and_one_of_the_hardware_one(
    host: Host,
) -> None:
    host.xid(13, times=10_000)
    assert host.facts() == []
    assert host.counts()["GPU-1"] == 10_000.0
    host.xid(79, times=50)
    assert codes(host.facts()) == [("GPU-1", "xid_79", True)]
    assert host.watch.standing.times("GPU-1", "xid_79") == 50


def test_an_ambiguous_error_counts_from_its_second_time_within_an_hour(host: Host) -> None:
    host.say(63)
    assert host.counts()["GPU-1"] == 0.0
    host.say(63)
    assert host.counts(AT + 3000)["GPU-1"] == 1.0
    host.say(63)
    assert host.counts(AT + 7000)["GPU-1"] == 1.0
    host.say(63, bus="PCI:0000:42:00")
    assert host.counts(AT + 7001)["GPU-2"] == 0.0
    assert host.facts(AT + 7001) == []


@pytest.mark.parametrize(
    ("word", "facts"), [("Fatal", [("GPU-1", "xid_145", True)]), ("Nonfatal", [])]
)
def test_a_graded_error_is_a_fact_only_if_it_is_fatal(
    host: Host, word: str, facts: list[tuple[str, str, bool]]
) -> None:
    host.xid(145)
    assert host.facts() == []
    host.say(145, f"RLW_RXPIPE {word} XC0 i0 Link 13 (0x01)")
    assert codes(host.facts()) == facts
    assert host.facts(AT + 60) == []


def test_an_operators_classes_decide(tmp_path: Path) -> None:
    overlay = tmp_path / "xids.toml"
    overlay.write_text('[class]\n13 = "hardware"\n79 = "application"\n', encoding="utf-8")
    log = FakeKernelLog(tmp_path / "kmsg")
    library = devices()
    with installed(library):
        watch = XidWatch(read_xids(overlay), KernelLog(log.path), DeviceEvents())
        watch.start()
        assert until(lambda: len(watch.readings(AT)) == 3)
        log.say(f"NVRM: Xid ({BUS}): 79, x", f"NVRM: Xid ({BUS}): 13, x")
        assert codes(watch.facts(AT)) == [("GPU-1", "xid_13", True)]
        assert watch.counts["GPU-1"] == 1
        watch.close()


def test_a_device_that_the_library_does_not_show_is_a_fact_of_the_host(host: Host) -> None:
    host.log.say(
        "NVRM: The NVIDIA GPU 0000:b7:00.0\nNVRM: (PCI ID: 10de:2331) installed in this system has"
        "\nNVRM: fallen off the bus and is not responding to commands."
    )
    host.say(31, bus="PCI:0000:b7:00")
    (fact,) = host.facts()
    assert (fact.shard, fact.code) == ("", "xid_79")
    assert "PCI 0000:b7:00" in fact.detail
    assert host.watch.strangers == 1


def test_a_fatal_error_of_a_switch_is_a_fact_of_the_host(host: Host) -> None:
    line = "nvidia-nvswitch1: SXid (PCI:0000:c7:00.0): {}, {}, Link 31 LTSSM Fault Up"
    host.log.say(line.format(20034, "Fatal"), line.format(12028, "Non-fatal"))
    (fact,) = host.facts()
    assert (fact.shard, fact.code) == ("", "sxid_20034")
    assert fact.detail == "NVSwitch 1: Link 31 LTSSM Fault Up"
    assert host.watch.switch_errors == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (calls.DOUBLE_BIT, "ecc_uncorrected"),
        (calls.RETIREMENT_FAILED, "row_remap_failure"),
        (calls.POISON, "poison"),
        (calls.FATAL_POISON, "fatal_poison"),
        (calls.UNAVAILABLE, "gpu_unavailable"),
    ],
)
def test_the_drivers_other_grave_events_are_facts(host: Host, kind: int, code: str) -> None:
    host.tell(*[FakeEvent("GPU-2", kind=kind)] * 3)
    assert codes(host.facts()) == [("GPU-2", code, True)]
    assert host.facts() == []


def test_a_recovery_that_is_asked_for_is_a_fact_until_it_was_done(host: Host) -> None:
    host.library.devices[0].fields[230] = FakeField(1, "uiVal")
    host.looked()
    (fact,) = host.facts()
    assert (fact.shard, fact.code, fact.detail) == (
        *("GPU-0", "recovery_action", "the driver asks for: GPU reset"),
    )
    host.now[0] = AT + 10
    host.library.devices[0].fields[230] = FakeField(0, "uiVal")
    host.looked()
    assert host.facts(AT + 69) == []
    assert codes(host.facts(AT + 70)) == [("GPU-0", "recovery_action", False)]


def test_a_recovery_is_also_known_from_the_log_alone(host: Host) -> None:
    changed = "GPU recovery action changed from 0x{} (a) to 0x{} (b)"
    host.say(154, changed.format(0, 2))
    assert codes(host.facts()) == [("GPU-1", "recovery_action", True)]
    host.say(154, changed.format(2, 0))
    assert host.facts(AT + 10) == []
    assert codes(host.facts(AT + 70)) == [("GPU-1", "recovery_action", False)]
    assert host.counts(AT + 70)["GPU-1"] == 0.0


def test_a_hardware_error_ends_after_a_reset_and_a_minute_of_health(host: Host) -> None:
    host.library.devices[1].fields[83] = FakeField(10**9)
    host.looked()
    host.xid(79)
    assert codes(host.facts()) == [("GPU-1", "xid_79", True)]
    host.now[0] = AT + 600
    host.looked()
    assert host.facts(AT + 600) == []
    host.library.devices[1].fields[83] = FakeField(5)  # it counts from a reset
    host.looked()
    assert host.facts(AT + 659) == []
    assert codes(host.facts(AT + 660)) == [("GPU-1", "xid_79", False)]


def test_a_slices_error_is_the_slices_and_a_devices_is_the_devices(host: Host) -> None:
    slices = {(1, 0): "GPU-1/1/0", (1, 1): "GPU-1/1/1", (2, 0): "GPU-1/2/0"}
    host.watch.start(lambda uuid: slices if uuid == "GPU-1" else {})
    assert list(host.counts()) == ["GPU-0", "GPU-1", *slices.values(), "GPU-2"]
    host.say(94, bus=f"{BUS} GPU-I:01")
    host.say(13, bus=f"{BUS} GPU-I:02 GPU-CI:00")
    host.say(95)
    host.say(48, bus=f"{BUS} GPU-I:09")
    assert [(fact.shard, fact.code) for fact in host.facts()] == [
        ("GPU-1/1/0", "xid_94"),
        ("GPU-1/1/1", "xid_94"),
        ("GPU-1", "xid_95"),
        ("GPU-1", "xid_48"),
    ]
    assert host.watch.counts == {"GPU-1/2/0": 1}


def test_without_a_log_that_may_be_read_the_driver_is_heard_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "PATIENCE", 5)
    library = devices()
    events = DeviceEvents()
    watch = XidWatch(shipped(), KernelLog(tmp_path / "absent"), events)
    with installed(library):
        watch.start()
        assert until(lambda: len(events.watched) == 3)
        assert watch.readings(AT)[0] == Reading("GPU-0", METRIC, 0.0)
        (note,) = watch.notes
        assert "absent" in note
        watch.close()


@pytest.mark.parametrize(
    ("kinds", "code", "value"),
    [
        ({"GPU-0": 0, "GPU-1": 0, "GPU-2": 0}, 0, Absent("unsupported")),
        ({}, 9, Absent("error", "DRIVER_NOT_LOADED")),
    ],
    ids=["no device tells of errors", "the driver is down"],
)
def test_a_count_that_nobody_keeps_is_no_zero(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kinds: dict[str, int],
    code: int,
    value: Absent,
) -> None:
    monkeypatch.setattr(events_module, "PATIENCE", 5)
    library = devices()
    library.kinds = kinds
    events = DeviceEvents()
    watch = XidWatch(shipped(), KernelLog(tmp_path / "absent"), events)
    with installed(library):
        watch.start()
        assert until(lambda: len(events.known) == 3 and events.is_ready)
        if code:
            library.fail(code)
            assert until(lambda: events.code == code)
        assert {reading.value for reading in watch.readings(AT)} == {value}
        watch.close()


def test_a_driver_that_was_replaced_is_an_event_and_makes_the_source_stale(host: Host) -> None:
    source = NvmlSource(host.watch)
    assert (host.watch.replaced, source.stale) == (None, "")
    host.library.fail(18)
    assert until(lambda: host.watch.replaced)
    event = host.watch.replaced
    assert event is not None
    assert (event.kind, event.at, event.scope) == ("firmware_push", AT, ())
    assert "restart this program" in source.stale


def test_the_source_of_counters_tells_facts_and_counts_and_closes_what_listens(
    host: Host,
) -> None:
    source = NvmlSource(host.watch)
    assert isinstance(source, Witness)
    assert isinstance(source, Closing)
    source.shards()
    host.xid(48)
    counts = [reading for reading in source.read(AT) if reading.metric == METRIC]
    assert [reading.shard for reading in counts] == ["GPU-0", "GPU-1", "GPU-2"]
    assert codes(list(source.facts(AT))) == [("GPU-1", "xid_48", True)]
    source.close()
    assert not host.library.is_started
    assert len(host.watch.notes) == 2


def test_what_is_lost_on_the_way_is_counted(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hard_facts, "MOST", 1)
    host.say(48)
    host.say(95)
    assert len(host.facts()) == 1
    assert host.watch.dropped == {"xid_events": 0, "kernel_log_overruns": 0, "xid_facts": 1}


def test_the_source_remarks_what_it_may_not_read_and_cannot_hear(
    tmp_path: Path, host: Host
) -> None:
    log = KernelLog(tmp_path / "absent")
    source = NvmlSource(XidWatch(shipped(), log, host.events))
    host.library.devices[0].codes["nvmlDeviceGetPowerUsage"] = 4
    source.shards()
    source.read(AT)
    forbidden, unheard = source.remarks
    assert forbidden == "may not read power_watts of GPU-0"
    assert "absent cannot be read" in unheard
    assert isinstance(source, Remarking)
    assert source.dropped["xid_events"] == 0


def test_a_device_that_fell_off_before_the_start_and_is_still_away_is_a_fact(
    tmp_path: Path, host: Host
) -> None:
    old = FakeKernelLog(tmp_path / "old")
    old.say("NVRM: GPU 0000:b7:00.0: GPU has fallen off the bus.")
    old.say("NVRM: GPU 0000:41:00.0: GPU has fallen off the bus.")
    old.say(f"NVRM: Xid ({BUS}): 48, long ago")
    watch = XidWatch(shipped(), KernelLog(old.path), host.events)
    watch.start()
    (fact,) = watch.facts(AT)
    assert (fact.shard, fact.code) == ("", "xid_79")
    assert "PCI 0000:b7:00" in fact.detail
    assert watch.facts(AT + 1) == []


def test_a_device_that_was_away_and_is_found_ends_its_fact_a_minute_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "AGAIN", 0.01)
    host.say(79, bus="PCI:0000:b7:00")
    assert codes(host.facts()) == [("", "xid_79", True)]
    host.now[0] = AT + 100
    host.library.buses["GPU-9"] = "00000000:B7:00.0"
    host.library.devices.append(FakeDevice("GPU-9"))
    host.library.fail(999)  # the set is made anew
    assert until(lambda: "GPU-9" in host.events.watched)
    host.looked()
    assert host.facts(AT + 159) == []
    assert codes(host.facts(AT + 160)) == [("", "xid_79", False)]


def test_a_storm_is_counted_to_the_last_and_never_holds_a_tick_up(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0
    take = Sightings.take

    def counted(self: Sightings, seen: Sighting, *, log_is_read: bool) -> list[Sighting]:
        nonlocal taken
        taken += 1
        return take(self, seen, log_is_read=log_is_read)

    monkeypatch.setattr(Sightings, "take", counted)
    for code in (13, 79):  # faster than a driver could tell them
        host.events._errors["GPU-1", calls.XID, code, None] = AT, 200_000  # noqa: SLF001  as above
    assert host.counts() == {"GPU-0": 0.0, "GPU-1": 200_000.0, "GPU-2": 0.0}
    assert codes(host.facts()) == [("GPU-1", "xid_79", True)]
    assert taken <= 10_000


def test_facts_of_a_former_process_end_and_are_not_told_again(host: Host) -> None:
    source = NvmlSource(host.watch)
    assert isinstance(source, Resuming)
    source.shards()
    told = [("GPU-1", "xid_79"), ("GPU-2", "power_brake"), ("GPU-1", "driver_unresponsive")]
    source.resume(told, AT, rebooted=True)
    ended = set()
    for second in range(0, 75, 5):
        host.now[0] = AT + second
        host.looked()
        source.read(AT + second)
        for fact in source.facts(AT + second):
            assert not fact.stands
            ended.add((fact.shard, fact.code))
    assert ended == set(told[:2])


def resumed(host: Host, told: list[tuple[str, str]], marks: Mapping[str, float]) -> set[object]:
    """Return the facts, of those ``told`` by a former process, that end within 75 s."""
    source = NvmlSource(host.watch)
    source.shards()
    assert isinstance(source, Marking)
    source.remember(marks)
    assert sorted(source.resume(told, AT, rebooted=False)) == sorted(told)
    ended: set[object] = set()
    for second in range(0, 75, 5):
        host.now[0] = AT + second
        host.looked()
        source.read(AT + second)
        ended |= {(fact.shard, fact.code) for fact in source.facts(AT + second)}
    return ended


XID: list[tuple[str, str]] = [("GPU-1", "xid_48")]


def test_an_error_stands_after_a_restart_where_nothing_was_reset(host: Host) -> None:
    energy = host.library.devices[1].fields[83].value
    assert resumed(host, XID, {"GPU-1": energy - 1.0}) == set()


def test_an_error_ends_after_a_restart_where_its_device_was_reset_meanwhile(host: Host) -> None:
    energy = host.library.devices[1].fields[83].value
    assert resumed(host, XID, {"GPU-1": energy + 1.0}) == set(XID)


def test_all_facts_of_a_device_that_was_lost_and_is_back_after_a_restart_end(host: Host) -> None:
    told = [*XID, ("GPU-1", "device_lost"), ("GPU-1", "recovery_action")]
    assert resumed(host, told, {}) == set(told)


def test_memory_errors_stand_after_a_restart_until_their_counter_begins_anew(host: Host) -> None:
    told = [("GPU-1", "ecc_uncorrected")]
    host.library.devices[1].fields[4] = FakeField(2)
    host.library.devices[2].fields[4] = FakeField(0)
    assert resumed(host, [*told, ("GPU-2", "ecc_uncorrected")], {}) == {("GPU-2", told[0][1])}


def test_the_marks_of_devices_are_their_energies(host: Host) -> None:
    source = NvmlSource(host.watch)
    source.shards()
    host.looked()
    assert source.marks["GPU-1"] == host.library.devices[1].fields[83].value
