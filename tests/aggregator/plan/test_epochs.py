from tessera.aggregator.plan.epochs import Epochs, NewEpoch


def test_numbers_rise_and_are_told_once() -> None:
    epochs = Epochs()
    assert [epochs.begin("a", "why"), epochs.begin("b", "how")] == [1, 2]
    assert epochs.drain() == (NewEpoch(1, "a", "why"), NewEpoch(2, "b", "how"))
    assert epochs.drain() == ()
    assert epochs.begin("a", "again") == 3


def test_numbers_that_an_agent_has_are_overtaken_and_never_gone_back_from() -> None:
    epochs = Epochs()
    epochs.overtake(9)
    epochs.overtake(4)
    assert epochs.begin("a", "why") == 10


def test_the_next_fleet_goes_on_counting_and_tells_what_was_not_told() -> None:
    former, epochs = Epochs(), Epochs()
    former.begin("a", "why")
    epochs.inherit(former)
    assert epochs.begin("b", "how") == 2
    assert [new.scope for new in epochs.drain()] == ["a", "b"]
