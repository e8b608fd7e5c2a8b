import json
from dataclasses import replace
from math import inf, nan

import pytest

from tessera.aggregator.decide.lives import Effect
from tessera.aggregator.decide.transition import Transition
from tessera.aggregator.plan.abstain import Abstention
from tessera.lab.score import Score
from tessera.lab.tell import (
    score_json,
    score_text,
    summary_json,
    summary_text,
    transition_json,
    transition_text,
)

OPENED = Transition(
    transition="opened",
    node="dp00-pp0",
    level="shard",
    channel="level",
    guarantee="ranked",
    validity_class="empirical",
    log_e=5.497771234,
    at=22.0,
    since=0.0,
    metrics=("forward_compute_seconds",),
    reason="it is slow",
    family="A mean",
)


def test_a_transition_is_one_line_of_json_in_a_fixed_order() -> None:
    assert transition_json(OPENED) == (
        '{"type": "verdict", "transition": "opened", "node": "dp00-pp0", "level": "shard", '
        '"channel": "level", "family": "A mean", "guarantee": "ranked", '
        '"validity_class": "empirical", "log_e": 5.49777, "tick": 22, "since_tick": 0, '
        '"metrics": ["forward_compute_seconds"], '
        '"reason": "it is slow", "correlational_not_causal": true}'
    )


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (22.5, "22.5"),
        (1_700_000_123.0, "1700000123"),
        (1_700_000_123.25, "1700000123.25"),
        (999_999.0, "999999"),
    ],
)
def test_a_time_keeps_its_seconds_however_late(at: float, told: str) -> None:
    assert f'"tick": {told},' in transition_json(replace(OPENED, at=at))


def test_an_unknown_onset_is_null_and_never_nan() -> None:
    line = transition_json(replace(OPENED, since=nan))
    assert json.loads(line)["since_tick"] is None
    assert "NaN" not in line


def test_names_beyond_ascii_and_line_breaks_stay_on_one_line() -> None:
    line = transition_json(replace(OPENED, node="gé\n0"))
    assert "\n" not in line
    assert json.loads(line)["node"] == "gé\n0"


def test_a_person_sees_when_since_when_how_sure_what_and_why() -> None:
    line = transition_text(replace(OPENED, at=140.0, since=100.0))
    assert line == "      140 (since 100)  ? opened shard dp00-pp0: it is slow"


def test_a_guarantee_has_a_mark_of_its_own() -> None:
    ranked, controlled = (
        transition_text(replace(OPENED, guarantee=g)) for g in ("ranked", "controlled")
    )
    assert ranked.replace("?", "!") == controlled


def test_a_person_is_not_told_an_unknown_onset() -> None:
    assert "since" not in transition_text(replace(OPENED, since=nan))


EFFECT = Effect(9.7416, 10.0605, 10.374, "%", "forward_compute_seconds", "construction")


def test_a_transition_with_an_effect_says_how_large_it_was() -> None:
    line = json.loads(transition_json(replace(OPENED, effect=EFFECT)))
    assert line["effect"] == {
        "low": 9.7416,
        "middle": 10.0605,
        "high": 10.374,
        "unit": "%",
        "metric": "forward_compute_seconds",
        "class": "construction",
    }
    told = transition_text(replace(OPENED, effect=EFFECT))
    assert told.endswith("; forward_compute_seconds +10.1 % (95 % band +9.74 to +10.4 %)")


def test_a_bound_that_is_not_there_is_null_and_a_person_is_told_no_band() -> None:
    open_ended = replace(OPENED, effect=replace(EFFECT, low=-inf))
    assert json.loads(transition_json(open_ended))["effect"]["low"] is None
    assert transition_text(open_ended) == transition_text(OPENED)


ABSTAINED = [
    Abstention("rack-00", "level", "heterogeneous_group"),
    Abstention("rack-01", "level", "heterogeneous_group"),
    Abstention("cluster", "change", "fewer than three siblings"),
]


def test_the_summary_lists_who_is_open_and_every_abstention() -> None:
    told = json.loads(summary_json(["a"], ABSTAINED, shards=64, ticks=10, seconds=150.0))
    assert list(told) == ["type", "open", "abstained", "shards", "ticks", "seconds"]
    assert (told["type"], told["open"], told["seconds"]) == ("summary", ["a"], 150)
    assert told["abstained"][2] == {
        "scope": "cluster",
        "channel": "change",
        "reason": "fewer than three siblings",
    }


def test_a_person_reads_abstentions_counted_and_the_open_last() -> None:
    lines = summary_text(["a", "b"], ABSTAINED, shards=64, ticks=10, seconds=150.0).splitlines()
    assert lines == [
        "played  150 s, 10 ticks of 64 shards",
        "silent  level: heterogeneous_group (2 groups)",
        "silent  change: fewer than three siblings",
        "open    a, b",
    ]


def test_nobody_open_is_said_in_words() -> None:
    assert summary_text([], [], shards=1, ticks=1, seconds=1.0).endswith("open    nobody")


def test_a_score_is_told_in_json_and_in_words() -> None:
    found = Score({"a": 40.0}, ("b",), ())
    assert score_json(found) == (
        '{"type": "score", "found": {"a": 40}, "missed": ["b"], "false": []}'
    )
    assert score_text(found).splitlines() == [
        "found   a after 40 s",
        "missed  b",
        "false   nobody",
    ]
