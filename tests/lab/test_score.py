from typing import Literal

from tessera.adapters.recording_read import Truth
from tessera.aggregator.decide.transition import Transition
from tessera.lab.score import Score, score


def transition(node: str, at: float, word: Literal["opened", "closed"] = "opened") -> Transition:
    return Transition(
        transition=word,
        node=node,
        level="shard",
        channel="level",
        guarantee="ranked",
        validity_class="empirical",
        log_e=5.0,
        at=at,
        since=at,
        metrics=("power_watts",),
        reason="",
    )


TRUTH = Truth(("a", "b"), {"a": 100.0})


def test_a_faulty_node_that_is_open_is_found_with_its_delay() -> None:
    found = score(TRUTH, [transition("a", 140.0), transition("b", 30.0)], ["a", "b"])
    assert found == Score({"a": 40.0, "b": 30.0}, (), ())


def test_what_was_never_opened_is_missed() -> None:
    assert score(TRUTH, [transition("a", 140.0)], ["a"]).missed == ("b",)


def test_what_was_closed_again_is_missed() -> None:
    told = [transition("a", 140.0), transition("a", 150.0, "closed")]
    assert score(TRUTH, told, []).missed == ("a", "b")


def test_a_healthy_node_that_is_open_is_false() -> None:
    assert score(TRUTH, [transition("c", 140.0)], ["c"]) == Score({}, ("a", "b"), ("c",))


def test_the_first_of_two_openings_counts() -> None:
    told = [transition("a", 140.0), transition("a", 150.0, "closed"), transition("a", 190.0)]
    assert score(TRUTH, told, ["a"]).found == {"a": 40.0}


def test_an_opening_before_the_onset_shows_as_a_negative_delay() -> None:
    assert score(TRUTH, [transition("a", 90.0)], ["a"]).found == {"a": -10.0}


def test_of_a_healthy_recording_silence_is_a_perfect_score() -> None:
    assert score(Truth((), {}), [], []) == Score({}, (), ())
