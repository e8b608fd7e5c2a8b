from math import inf

import pytest

from tessera.lab.cells.count import Count
from tessera.lab.cells.page import FAMILIES, Row, as_csv, from_csv, page, table

MET = Row("change", "iid, fast", "null", 100, Count("streams", 0.002, 0.001, 0.004, 0.05))
MISSED = Row("speed", "AR", "power", 8, Count("delay", inf, 60, inf, 70, share=False))
SHOWN = Row("level", "noise", "null", 9, Count("groups", 0.5, 0.4, 0.6, None))


def test_a_missed_target_stands_out_and_is_named_at_the_top() -> None:
    text = page([MET, MISSED, SHOWN], "tests")
    assert "2 numbers have a target: 1 meet it. Missed:" in text
    assert "- speed, AR: delay" in text
    assert "| AR | power | 8 | delay | ∞ | 60 to ∞ | ≤ 70 | **missed** |" in text


def test_a_number_without_a_target_is_only_shown() -> None:
    assert table([SHOWN]).endswith("| groups | 50 % | 40 % to 60 % | – |  |")


def test_families_that_were_not_played_have_no_heading() -> None:
    text = page([MET], "tests")
    assert "## change" in text
    assert sum(f"## {family}\n" in text for family in FAMILIES) == 1


def test_the_table_for_programs_is_read_back_as_it_was() -> None:
    rows = [MET, MISSED, SHOWN]
    assert from_csv(as_csv(rows)) == rows


def test_another_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no table of calibration"):
        from_csv("a,b\n1,2\n")
