from math import log
from typing import Literal

import pytest

from tessera.aggregator.decide.explain import Passed, reason_closed, reason_opened
from tessera.aggregator.state.evidence import Lead


def lead(
    channel: Literal["change", "level"] = "level",
    metrics: tuple[str, ...] = ("step_time",),
    why_ranked: str = "",
) -> Lead:
    return Lead(channel, metrics, "construction", 0.0, 2, 0, why_ranked)


THRESHOLD = log(160.0)


def reason(  # noqa: PLR0913 - one parameter for each part of the sentence
    found: Lead,
    others: int = 7,
    *,
    listed: int = 1,
    log_e: float = 10.0,
    inner: bool = False,
    heterogeneous: bool = False,
) -> str:
    passed = Passed("controlled", log_e, THRESHOLD, listed)
    return reason_opened(found, passed, others=others, inner=inner, heterogeneous=heterogeneous)


def test_a_level_verdict_says_that_the_shard_is_out_of_family() -> None:
    assert reason(lead()) == (
        "step_time is out of family against its 7 peers: "
        "e = 10^4.3, alone it needs 10^2.2; controlled"
    )


def test_a_change_verdict_says_that_the_shard_has_changed() -> None:
    assert reason(lead("change"), 31) == (
        "step_time has changed against its 31 peers: e = 10^4.3, alone it needs 10^2.2; controlled"
    )


@pytest.mark.parametrize(
    ("metrics", "claim"),
    [
        (("power/spread",), "the spread of power has changed"),
        (("power/oscillation",), "power oscillates more than it did"),
        (("power/spike",), "power has larger spikes than it had"),
        (("power/joint",), "power moves otherwise than it did"),
        (("power/spike", "clock/spike"), "power and clock have larger spikes than they had"),
        (
            ("power/oscillation", "power/spread"),
            "power oscillates more than it did (also power/spread)",
        ),
        (("power", "clock/spread"), "power has changed (also clock/spread)"),
        (
            ("a/spread", "b/spread", "c/spread", "a", "b", "c"),
            "the spreads of a, b and 1 more have changed (also a, b and 1 more)",
        ),
    ],
)
def test_every_family_has_its_own_words(metrics: tuple[str, ...], claim: str) -> None:
    assert reason(lead("change", metrics), 31).startswith(f"{claim} against its 31 peers: e = ")


def test_the_bar_of_a_list_is_the_one_that_was_passed() -> None:
    assert reason(lead(), listed=4).endswith("in a list of 4 it needs 40; controlled")


def test_a_ranked_verdict_says_why_it_is_no_more_than_that() -> None:
    assert reason(lead(why_ranked="only 4 members")).endswith("; ranked: only 4 members")


def test_a_row_alone_in_its_group_has_changed_against_its_own_past() -> None:
    assert "against its own past" in reason(lead("change"), 0)


@pytest.mark.parametrize(
    ("others", "inner", "words"),
    [
        (1, False, "its 1 peer:"),
        (2, False, "its 2 peers:"),
        (1, True, "its 1 sibling:"),
        (3, True, "its 3 siblings:"),
    ],
)
def test_shards_have_peers_and_inner_nodes_have_siblings(
    others: int,
    inner: bool,  # noqa: FBT001 - a table's column
    words: str,
) -> None:
    assert f"against {words}" in reason(lead(), others, inner=inner)


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "a has"), (2, "a and b have"), (3, "a, b and 1 more have"), (5, "a, b and 3 more have")],
)
def test_the_two_strongest_metrics_are_named(count: int, words: str) -> None:
    assert reason(lead("change", tuple("abcde"[:count]))).startswith(f"{words} changed")


@pytest.mark.parametrize(("count", "words"), [(1, "a is"), (2, "a and b are")])
def test_the_verb_agrees_with_the_metrics(count: int, words: str) -> None:
    assert reason(lead(metrics=tuple("ab"[:count]))).startswith(f"{words} out of family")


@pytest.mark.parametrize(
    ("log_e", "words"), [(log(20.0), "e = 20,"), (4.0 * log(10), "e = 10^4.0,")]
)
def test_small_evidence_is_a_number_and_large_a_power_of_ten(log_e: float, words: str) -> None:
    assert words in reason(lead(), log_e=log_e)


def test_a_heterogeneous_group_makes_no_claim() -> None:
    assert "heterogeneous_group" in reason(lead(), heterogeneous=True)
    assert "heterogeneous_group" not in reason(lead())


def test_a_folded_verdict_names_what_explains_it() -> None:
    assert reason_closed("rack-1") == "explained by rack-1, which is open"
