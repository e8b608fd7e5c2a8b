from dataclasses import replace
from math import log

import numpy as np
import pytest

from tessera.aggregator.decide.family import Selector
from tessera.aggregator.decide.transition import Transition, level_word
from tessera.aggregator.decide.verdicts import Verdicts
from tessera.aggregator.plan.planner import Planner
from tessera.aggregator.state.evidence import EvidenceTable, Leading
from tessera.engine.evalue import EValues, Validity
from tessera.engine.selection import sup_fdr_adjust

from ..fleets import fleet_of, tree

HUGE = 60.0
CALM = 0.0


class Story:
    """A fleet of one rack of three hosts of four, and what becomes of its verdicts."""

    def __init__(self) -> None:
        self.fleet = fleet_of(tree(1, 3, 4))
        self.verdicts = Verdicts(self.fleet)
        self._selector = Selector(self.fleet, 0.1)
        self._table = EvidenceTable(self.fleet)
        self._planner = Planner(self.fleet, shortest=1, horizon=1e3)
        self._parts = self._planner.parts()
        self._parts.validity[:] = Validity.CONSTRUCTION
        self._at = 0.0

    def tell(
        self, *ill: str, controlled: bool = False, log_e: float = HUGE
    ) -> list[tuple[str, str]]:
        """Let ``ill`` have evidence in this step; return (transition, node)."""
        return [
            (t.transition, t.node)
            for t in self.transitions(*ill, controlled=controlled, log_e=log_e)
        ]

    def transitions(
        self, *ill: str, controlled: bool = False, log_e: float = HUGE
    ) -> list[Transition]:
        self._at += 1.0
        log = np.where(np.isin(self.fleet.rows, ill), log_e, CALM)
        shown = np.full(len(log), Validity.CONSTRUCTION, dtype=np.int8)
        ranked = EValues(log, shown)
        sound = EValues(log if controlled else np.zeros(len(log)), shown)
        selection = self._selector.select(sound, ranked, np.zeros(len(log), dtype=np.bool_))
        leading = Leading(self._table, self._parts, self._planner)
        return self.verdicts.update(self._at, selection, leading)


def test_a_verdict_is_opened_once() -> None:
    story = Story()
    assert story.tell("gpu-0-1-2") == [("opened", "gpu-0-1-2")]
    assert story.tell("gpu-0-1-2") == []
    assert story.verdicts.open == ("gpu-0-1-2",)


def test_a_ranked_verdict_is_promoted_once_when_it_becomes_controlled() -> None:
    story = Story()
    (opened,) = story.transitions("gpu-0-1-2")
    (promoted,) = story.transitions("gpu-0-1-2", controlled=True)
    assert (opened.guarantee, promoted.guarantee) == ("ranked", "controlled")
    assert promoted.transition == "promoted"
    assert story.tell("gpu-0-1-2", controlled=True) == []


def test_a_controlled_verdict_is_not_promoted() -> None:
    story = Story()
    (opened,) = story.transitions("gpu-0-1-2", controlled=True)
    assert opened.guarantee == "controlled"
    assert story.tell("gpu-0-1-2", controlled=True) == []


def test_a_verdict_stays_open_whatever_its_evidence_does() -> None:
    story = Story()
    story.tell("gpu-0-1-2")
    assert story.tell() == []
    assert story.verdicts.open == ("gpu-0-1-2",)
    assert story.tell("gpu-0-1-2") == []


def test_shards_are_folded_into_the_host_that_opens_above_them() -> None:
    story = Story()
    story.tell("gpu-0-1-2")
    story.tell("gpu-0-1-2", "gpu-0-1-3")
    assert story.tell("host-0-1", "gpu-0-1-2", "gpu-0-1-3") == [
        ("opened", "host-0-1"),
        ("closed", "gpu-0-1-2"),
        ("closed", "gpu-0-1-3"),
    ]
    assert story.verdicts.open == ("host-0-1",)


def test_a_closed_verdict_says_what_explains_it() -> None:
    story = Story()
    (opened,) = story.transitions("gpu-0-1-2")
    (closed,) = [
        t for t in story.transitions("host-0-1", "gpu-0-1-2", "gpu-0-1-3") if t.node == "gpu-0-1-2"
    ]
    assert closed.reason == "explained by host-0-1, which is open"
    assert (closed.at, closed.log_e, closed.guarantee) == (2.0, opened.log_e, opened.guarantee)


def test_nothing_opens_beneath_an_open_node_that_explains_it() -> None:
    story = Story()
    story.tell("host-0-1")
    assert story.tell("host-0-1", "gpu-0-1-2", "gpu-0-1-3") == []
    assert story.verdicts.open == ("host-0-1",)


def test_an_open_node_that_explains_no_longer_hides_nothing() -> None:
    story = Story()
    story.tell("host-0-1")
    assert story.tell("gpu-0-1-2") == [("opened", "gpu-0-1-2")]
    assert story.verdicts.open == ("gpu-0-1-2", "host-0-1")


def test_a_controlled_verdict_quotes_the_adjusted_value_and_a_ranked_one_the_merged() -> None:
    (controlled,) = Story().transitions("gpu-0-1-2", controlled=True)
    (ranked,) = Story().transitions("gpu-0-1-2")
    adjusted = float(sup_fdr_adjust(np.array([HUGE]))[0])
    assert (controlled.log_e, ranked.log_e) == (adjusted, HUGE)
    assert f"e = 10^{adjusted / log(10):.1f}," in controlled.reason


def test_an_inner_node_is_held_against_its_siblings() -> None:
    (opened,) = Story().transitions("host-0-1")
    assert "against its 2 siblings" in opened.reason


def test_a_sibling_of_an_open_node_opens_for_itself() -> None:
    story = Story()
    story.tell("host-0-1")
    assert story.tell("host-0-1", "gpu-0-2-0") == [("opened", "gpu-0-2-0")]


def test_open_rows_are_those_with_a_verdict_and_what_lies_beneath() -> None:
    story = Story()
    story.tell("gpu-0-0-2")
    story.tell("gpu-0-0-2", "host-0-1")
    found = [story.fleet.rows[r] for r in np.flatnonzero(story.verdicts.open_rows())]
    assert found == ["gpu-0-0-2", *(f"gpu-0-1-{g}" for g in range(4)), "host-0-1"]


@pytest.mark.parametrize(("node", "word"), [("gpu-0-1-2", "shard"), ("host-0-1", "host")])
def test_a_transition_says_what_kind_of_node_it_is_about(node: str, word: str) -> None:
    story = Story()
    (opened,) = story.transitions(node)
    assert opened.level == level_word(story.fleet, story.fleet.rows.index(node)) == word


def told(number: int, node: str) -> Transition:
    return Transition(
        *("opened", node, "shard", "level", "ranked", "empirical", 9.0, 5.0, 3.0, ("a",), "why"),
        id=f"v{number}",
    )


def test_what_others_were_told_is_open_under_its_id_and_not_opened_again() -> None:
    story = Story()
    changes = story.verdicts.recall([told(3, "gpu-0-1-2")], opened=5)
    assert changes == (("gpu-0-1-2", "v3 stays open with the evidence of its opening"),)
    assert story.tell("gpu-0-1-2") == []
    assert story.verdicts.open_verdicts == (told(3, "gpu-0-1-2"),)


def test_new_verdicts_are_numbered_after_all_that_ever_were() -> None:
    story = Story()
    story.verdicts.recall([told(3, "gpu-0-1-2")], opened=5)
    assert [t.id for t in story.transitions("gpu-0-2-1")] == ["v6"]


def test_a_recalled_verdict_is_promoted_under_its_id() -> None:
    story = Story()
    story.verdicts.recall([told(3, "gpu-0-1-2")], opened=3)
    (promoted,) = story.transitions("gpu-0-1-2", controlled=True)
    assert (promoted.transition, promoted.id) == ("promoted", "v3")


def test_a_recalled_verdict_of_a_node_that_is_gone_stays_open() -> None:
    story = Story()
    story.verdicts.recall([told(2, "elsewhere"), told(1, "gpu-0-1-2")], opened=2)
    assert story.verdicts.open == ("elsewhere", "gpu-0-1-2")
    assert [v.id for v in story.verdicts.open_verdicts] == ["v1", "v2"]
    assert story.verdicts.of_gone("elsewhere") == told(2, "elsewhere")
    assert story.verdicts.of_gone("gpu-0-1-2") is None


def test_to_be_told_what_is_open_anyway_changes_nothing() -> None:
    story = Story()
    story.tell("gpu-0-1-2")
    (promoted,) = story.transitions("gpu-0-1-2", controlled=True)
    record = replace(promoted, transition="opened", at=0.5)  # the disk keeps when it was opened
    assert story.verdicts.recall([record], opened=1) == ()
    assert story.verdicts.open_verdicts == (promoted,)


def test_what_is_open_and_nobody_was_told_of_is_open_no_more() -> None:
    story = Story()
    story.tell("gpu-0-1-2")
    changes = story.verdicts.recall([], opened=0)
    assert changes == (("gpu-0-1-2", "v1 is not open: nobody was told of it, or it was closed"),)
    assert story.verdicts.open == ()
    assert [t.id for t in story.transitions("gpu-0-1-2")] == ["v2"]
