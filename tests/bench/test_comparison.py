"""Tuning, watching and the page, on rows made by hand and on one small run."""

from math import inf

import numpy as np
import pytest
from rivals import measure
from rivals.charts import Given
from rivals.field import classical, on_our_scores, ours
from rivals.measure import CELLS, Row, measured
from rivals.page import page, table
from rivals.rival import Rival
from rivals.streams import CONTRAST, OURS

from tessera.lab.cells.count import Count


def row(name: str, delay: float, **false: float) -> Row:
    shares = {cell: Count(cell, share, 0.0, 1.0, None) for cell, share in false.items()}
    rival = Rival(name, CONTRAST, (Given(),), "tuned", 1.0)
    found = Count("found", 0.9, 0.8, 1.0, None)
    return Row(rival, shares, Count("delay", delay, 1.0, inf, None, share=False), found)


ROWS = [
    row(OURS, 30.0, iid=0.0, walk=0.01),
    row("quick and calm", 20.0, iid=0.01, walk=0.02),
    row("quick and loud", 10.0, iid=0.01, walk=0.5),
    row("slow", inf, iid=0.3, walk=0.5),
]


def test_a_row_says_in_which_cells_it_is_loud() -> None:
    assert [r.calm for r in ROWS] == [True, True, False, False]
    assert ROWS[2].loud == {"walk": 0.5}


def test_the_page_names_who_is_faster_and_whether_it_is_calm() -> None:
    text = page(ROWS, 60, "compare")
    assert "  - quick and calm (tuned): 20 blocks, calm in every cell (at most 2 %)" in text
    assert "  - quick and loud (tuned): 10 blocks, not calm: 50 % in walk" in text
    assert "- slow (tuned)" not in text


def test_the_table_shows_every_number_with_its_interval() -> None:
    assert "| slow | tuned | 30% (0%–100%) | 50% (0%–100%) | ∞ (1–∞) |" in table(ROWS)


def test_a_page_without_us_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no row of 'ours, d = 0\.1'"):
        page(ROWS[1:], 60, "compare")


def test_every_rival_has_a_name_and_rule_of_its_own() -> None:
    names = [(r.name, r.rule) for r in (*ours(), *on_our_scores(), *classical())]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_a_small_run_tunes_and_watches_every_rival_in_every_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "CELLS", CELLS[:1])
    told: list[str] = []
    rivals = [r for r in (*ours()[:2], *on_our_scores(), *classical()) if r.name != "3 σ"]
    rows = measured(rivals, 3, "test", told.append)
    assert told == ["tuning", "iid", "power"]
    assert max(r.false["iid"].value for r in rows) <= 0.1
    assert max(r.delay.value for r in rows if r.rival.name != "σ limit") <= 100.0
    assert all(np.isfinite(r.rival.bar or inf) for r in rows)
