import pytest

from tessera.adapters.nvidia.sightings import (
    TOGETHER,
    Origin,
    Sighting,
    Sightings,
    address_of,
    address_text,
)


def event(at: float = 0.0, code: int = 79, uuid: str = "GPU-a") -> Sighting:
    return Sighting(at, code, "events", uuid=uuid)


def logged(at: float = 0.0, code: int = 79, uuid: str = "GPU-a", **more: bool) -> Sighting:
    return Sighting(at, code, "log", uuid=uuid, detail="message", fatal=more.get("fatal"))


def let_through(*seen: Sighting, log_is_read: bool = True) -> list[Sighting]:
    sightings = Sightings()
    return [new for one in seen for new in sightings.take(one, log_is_read=log_is_read)]


@pytest.mark.parametrize("apart", [0.0, 4.9, -4.9])
def test_an_event_and_its_message_are_one_error(apart: float) -> None:
    assert let_through(event(10.0), logged(10.0 + apart)) == [event(10.0)]
    assert let_through(logged(10.0 + apart), event(10.0)) == [logged(10.0 + apart)]


@pytest.mark.parametrize(
    "other",
    [logged(5.1), logged(code=48), logged(uuid="GPU-b"), event()],
    ids=["later", "another code", "another device", "told by the same"],
)
def test_any_other_is_an_error_of_its_own(other: Sighting) -> None:
    assert let_through(event(), other) == [event(), other]


def test_each_message_belongs_to_one_event() -> None:
    assert len(let_through(event(), logged(), logged())) == 2
    assert len(let_through(event(), event(), logged(), logged())) == 2


def test_ten_thousand_told_twice_are_ten_thousand() -> None:
    seen = [one for _ in range(10_000) for one in (event(code=13), logged(code=13))]
    assert len(let_through(*seen)) == 10_000


@pytest.mark.parametrize("first", ["events", "log", "words"])
def test_a_loss_told_in_three_ways_is_one(first: Origin) -> None:
    ways: tuple[Origin, ...] = ("events", "log", "words")
    ordered = sorted(ways, key=lambda origin: origin != first)
    seen = [Sighting(1.0, 79, origin, uuid="GPU-a") for origin in ordered]
    assert let_through(*seen) == seen[:1]


def test_a_graded_event_waits_for_its_message_and_takes_its_grade() -> None:
    sightings = Sightings()
    assert sightings.take(event(1.0, code=145), log_is_read=True) == []
    (found,) = sightings.take(logged(2.0, code=145, fatal=True), log_is_read=True)
    assert (found.at, found.fatal, found.detail) == (1.0, True, "message")
    assert sightings.due(100.0) == []


def test_a_graded_event_without_a_message_goes_on_after_five_seconds() -> None:
    sightings = Sightings()
    sightings.take(event(1.0, code=145), log_is_read=True)
    assert sightings.due(1.0 + TOGETHER) == []
    assert sightings.due(1.1 + TOGETHER) == [event(1.0, code=145)]


def test_a_graded_event_does_not_wait_where_no_log_is_read() -> None:
    assert let_through(event(code=145), log_is_read=False) == [event(code=145)]


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    sightings = Sightings()
    sightings.take(event(1000.0, code=145), log_is_read=True)
    assert sightings.due(0.0) == [event(1000.0, code=145)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000:44:00.0", (0, 0x44, 0)),
        ("0000:44:00", (0, 0x44, 0)),
        ("0018:01:0A.7", (0x18, 1, 10)),
        ("44:00.0", None),
        ("", None),
    ],
)
def test_an_address_is_read_in_the_librarys_and_the_kernels_spelling(
    text: str, address: tuple[int, int, int] | None
) -> None:
    assert address_of(text) == address


def test_a_device_without_a_uuid_is_named_by_its_address() -> None:
    assert Sighting(0.0, 79, "log", address=(0x18, 1, 0)).device == "PCI 0018:01:00"
    assert address_text(None) == ""
