from collections.abc import Iterator

import pytest

from tessera.adapters.nvidia import event_calls as calls
from tessera.adapters.nvidia import events as module
from tessera.adapters.nvidia.events import DeviceEvents, Kind
from tessera.adapters.nvidia.fake_device import FakeField
from tessera.adapters.nvidia.fake_events import FakeEvent, FakeEventLibrary
from tessera.adapters.nvidia.fake_library import installed

from .listening import devices, until

UUIDS = ("GPU-0", "GPU-1", "GPU-2")
START, REGISTER, CREATE = "nvmlInitWithFlags", "nvmlDeviceRegisterEvents", "nvmlEventSetCreate"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEventLibrary]:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(module, "EACH", 0.01)
    monkeypatch.setattr(module, "AGAIN", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 5)
    made = devices()
    with installed(made):
        yield made


@pytest.fixture
def events(library: FakeEventLibrary) -> Iterator[DeviceEvents]:
    made = DeviceEvents(lambda: 100.0)
    yield made
    made.close()
    assert not library.is_started


def heard(events: DeviceEvents, number: int = 1) -> dict[Kind, int]:
    """Return how often each error was heard, once ``number`` of them were."""
    found: dict[Kind, int] = {}

    def enough() -> bool:
        for kind, at, times in events.collect().errors:
            assert at == 100.0
            found[kind] = found.get(kind, 0) + times
        return sum(found.values()) >= number

    assert until(enough)
    return found


def listening(events: DeviceEvents, *uuids: str) -> bool:
    return until(lambda: events.watched == set(uuids))


def test_an_error_names_its_device_its_kind_and_its_code(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.tell(FakeEvent("GPU-1", code=79), FakeEvent("GPU-2", kind=calls.DOUBLE_BIT))
    assert heard(events, 2) == {
        ("GPU-1", calls.XID, 79, None): 1,
        ("GPU-2", calls.DOUBLE_BIT, 0, None): 1,
    }
    assert events.reason == ""


def test_an_error_of_a_slice_names_the_slice(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.tell(FakeEvent("GPU-0", code=94, gpu=5), FakeEvent("GPU-0", code=13, gpu=1, compute=2))
    assert set(heard(events, 2)) == {
        ("GPU-0", calls.XID, 94, (5, -1)),
        ("GPU-0", calls.XID, 13, (1, 2)),
    }


def test_devices_are_known_by_their_place_on_the_bus(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    assert events.addresses[0, 0x41, 0] == "GPU-1"
    assert events.known == UUIDS


def test_only_what_a_device_can_tell_is_registered(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    library.kinds = {"GPU-0": calls.XID | 0x1, "GPU-1": 0x5}
    events.start()
    assert library.until_heard(["GPU-0", "GPU-2"])
    assert listening(events, "GPU-0", "GPU-2")
    (registered,) = library.sets.values()
    assert registered["GPU-0"] == calls.XID
    assert "GPU-1" not in registered


def test_silence_is_normal(library: FakeEventLibrary, events: DeviceEvents) -> None:
    events.start()
    assert until(lambda: library.calls["nvmlEventSetWait_v2"] > 5)
    assert library.made == 1
    assert events.reason == ""


def test_a_storm_is_counted_in_full_and_hides_no_other_error(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.tell(*[FakeEvent("GPU-1", code=31)] * 10_000, FakeEvent("GPU-1", code=79))
    found = heard(events, 10_001)
    assert found == {("GPU-1", calls.XID, 31, None): 10_000, ("GPU-1", calls.XID, 79, None): 1}
    assert events.dropped == 0


def test_more_kinds_than_there_is_room_for_are_dropped_and_counted(
    library: FakeEventLibrary, events: DeviceEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_KINDS", 3)
    events.start()
    assert library.until_heard(UUIDS)
    library.tell(*(FakeEvent("GPU-0", code=code) for code in range(1, 8)))
    assert until(lambda: events.dropped == 4)
    assert len(events.collect().errors) == 3


def test_a_set_that_fails_unknown_is_freed_and_made_without_that_device(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    library.devices[1].codes[REGISTER] = 999
    events.start()
    assert library.until_heard(["GPU-0", "GPU-2"])
    assert listening(events, "GPU-0", "GPU-2")
    assert library.made == 2
    assert len(library.sets) == 1


def test_a_device_lost_while_waiting_leaves_the_others_heard(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.devices[2].lost = 15
    library.fail(15)
    assert listening(events, "GPU-0", "GPU-1")
    library.tell(FakeEvent("GPU-0", code=48))
    assert heard(events) == {("GPU-0", calls.XID, 48, None): 1}


def test_a_device_that_comes_back_is_heard_again_and_was_reset(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.devices[2].lost = 15
    library.fail(15)
    assert listening(events, "GPU-0", "GPU-1")
    library.devices[2].lost = 0
    assert listening(events, *UUIDS)
    assert until(lambda: events.collect().looks["GPU-2"].reset_at == 100.0)
    assert events.collect().looks["GPU-1"].reset_at < 0


def test_a_library_that_is_down_is_tried_again(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    library.codes[START] = 9
    events.start()
    assert until(lambda: "DRIVER_NOT_LOADED" in events.reason)
    assert events.is_ready
    assert (events.watched, events.code) == (frozenset(), 9)
    library.codes.clear()
    assert listening(events, *UUIDS)
    assert (events.reason, events.code) == ("", 0)


def test_attempts_in_vain_come_ever_more_seldom(
    library: FakeEventLibrary, events: DeviceEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 60.0)
    waits: list[float] = []
    monkeypatch.setattr(events._ending, "wait", waits.append)  # noqa: SLF001  its own waits
    monkeypatch.setattr(events._ending, "is_set", lambda: len(waits) >= 6)  # noqa: SLF001  its own waits
    library.codes[START] = 1
    events.start()
    assert until(lambda: len(waits) == 6)
    assert waits == sorted(waits)
    assert waits[-1] > 20 * waits[0]


def test_a_driver_that_was_replaced_ends_the_thread_and_says_so(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    events.start()
    assert library.until_heard(UUIDS)
    library.fail(18)
    assert until(lambda: events.replaced_at is not None)
    assert events.replaced_at == 100.0
    assert "restart this program" in events.reason
    assert until(lambda: library.sets == {})


def test_a_library_without_events_still_tells_how_devices_are(
    library: FakeEventLibrary, events: DeviceEvents
) -> None:
    library.codes[CREATE] = 3
    library.devices[0].fields[230] = FakeField(2, "uiVal")
    events.start()
    assert until(lambda: events.is_ready and events.collect().looks["GPU-0"].action == 2)
    assert events.watched == frozenset()
    assert events.reason == "no NVIDIA device here tells of errors"


def test_an_event_of_a_recovery_is_looked_into_at_once(
    library: FakeEventLibrary, events: DeviceEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EACH", 3600.0)
    events.start()
    assert until(lambda: "GPU-2" in events.watched and events.collect().looks["GPU-2"].well_since)
    library.devices[2].fields[230] = FakeField(1, "uiVal")
    library.tell(FakeEvent("GPU-2", kind=calls.RECOVERY))
    assert until(lambda: events.collect().looks["GPU-2"].action == 1)


def test_closing_ends_the_thread_within_a_second_and_frees_the_set(
    library: FakeEventLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 500)
    events = DeviceEvents()
    events.start()
    assert library.until_heard(UUIDS)
    events.close()
    events.close()
    assert library.sets == {}
    assert not library.is_started
    assert "no longer" in events.reason


def test_nothing_is_touched_before_the_start(library: FakeEventLibrary) -> None:
    events = DeviceEvents()
    assert events.collect().errors == ()
    events.close()
    assert library.calls == {}


def test_a_wait_that_hangs_does_not_keep_the_program(
    library: FakeEventLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 60_000)  # a driver that hangs, to a test
    events = DeviceEvents()
    events.start()
    assert library.until_heard(UUIDS)
    thread = events._thread  # noqa: SLF001  it is left behind
    assert thread is not None
    events.close()
    assert thread.is_alive()
    assert thread.daemon
    library.fail(10)  # the driver answers after all
    thread.join(10.0)
    assert not thread.is_alive()
