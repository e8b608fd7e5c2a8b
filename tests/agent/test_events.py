from tessera.adapters.base import Event
from tessera.agent.events import MOST, Events


def test_each_event_is_a_message_of_its_own_that_waits_until_it_is_stored() -> None:
    events = Events()
    same = Event("config_change", 2.0, "power_cap: 700 → 600", ("gpu-1",))
    first, second = events.say(same), events.say(same)
    assert (first.id, second.id) == (1, 2)
    assert (first.kind, first.detail, first.at_ns, list(first.scope)) == (
        *("config_change", "power_cap: 700 → 600"),
        *(2_000_000_000, ["gpu-1"]),
    )
    events.stored([1, 99])
    assert list(events) == [second]


def test_of_too_many_events_the_oldest_are_dropped_and_counted() -> None:
    events = Events()
    for number in range(MOST + 3):
        events.say(Event("env_change", 1.0, str(number)))
    assert len(list(events)) == MOST
    assert next(iter(events)).detail == "3"
    assert events.dropped == 3
