from math import log
from typing import Literal

import pytest

from tessera.aggregator.decide.explain import reason_closed, reason_opened
from tessera.aggregator.state.evidence import Lead


def lead(
    channel: Literal["change", "level"] = "level",
    metrics: tuple[str, ...] = ("step_time",),
    log_e: float = 10.0,
) -> Lead:
    return Lead(channel, metrics, "construction", log_e, 0.0)


def reason(found: Lead, members: int = 8, *, heterogeneous: bool = False) -> str:
    return reason_opened(found, members, log(160.0), "controlled", heterogeneous=heterogeneous)


def test_a_level_verdict_says_that_the_shard_is_out_of_family() -> None:
    assert reason(lead()) == (
        "step_time is out of family against its 7 peers: "
        "e = 10^4.3, controlled, first of the list needs 10^2.2"
    )


def test_a_change_verdict_says_that_the_shard_has_changed() -> None:
    assert reason(lead("change"), 32) == (
        "step_time has changed against its 31 peers: "
        "e = 10^4.3, controlled, first of the list needs 10^2.2"
    )


def test_a_row_alone_in_its_group_has_changed_against_its_own_past() -> None:
    assert "against its own past" in reason(lead("change"), 1)


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "a "), (2, "a and b "), (3, "a and b and 1 more "), (5, "a and b and 3 more ")],
)
def test_the_two_strongest_metrics_are_named(count: int, words: str) -> None:
    assert reason(lead(metrics=tuple("abcde"[:count]))).startswith(words)


@pytest.mark.parametrize(
    ("log_e", "words"), [(log(20.0), "e = 20,"), (4.0 * log(10), "e = 10^4.0,")]
)
def test_small_evidence_is_a_number_and_large_a_power_of_ten(log_e: float, words: str) -> None:
    assert words in reason(lead(log_e=log_e))


def test_a_heterogeneous_group_makes_no_claim() -> None:
    assert "heterogeneous_group" in reason(lead(), heterogeneous=True)
    assert "heterogeneous_group" not in reason(lead())


def test_a_folded_verdict_names_what_explains_it() -> None:
    assert reason_closed("rack-1") == "explained by rack-1, which is open"
